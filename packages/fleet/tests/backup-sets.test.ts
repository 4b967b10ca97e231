/** @server any */
import { spawnSync } from 'node:child_process';
import fs, { mkdir, readdir, rm, stat, symlink, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { SuiteError } from '@azora/db-core';
import { directoryStorage } from '../src/backup-store/directory';
import { chunksOf } from '../src/backup-store/file';
import { keptSets, type RetainedSet } from '../src/backup-store/retention';
import { findSet, openSet } from '../src/backup-store/set';
import type { SetWriter, Storage } from '../src/backup-store/storage';
import { writeVerification } from '../src/backup-store/verification';
import { listSets, pruneSets, readBackupState } from '../src/operations/backup/sets';
import { migrateTargetUp } from '../src/operations/migrations/migrate';
import type { Target } from '../src/operations/targets';
import { backUp, givenPlace, removePlaces } from './backup-fixture';
import { givenFleet, removeFleets } from './fleet-fixture';
import { failureOf } from './migrations-fixture';

const SET = '20260101T000000000Z-000001';

describe('keptSets', () => {
  const at = (...times: readonly string[]) =>
    times.map((startedAt): RetainedSet => {
      return { id: startedAt, startedAt: `${startedAt}Z`, services: ['notes'], masked: false, state: 'unverified' };
    });
  const none = { last: 0, daily: 0, weekly: 0, monthly: 0 };
  const sets = at(
    ...['2026-01-31T10:00:00', '2026-02-28T10:00:00', '2026-03-01T09:00:00', '2026-03-01T23:59:59'],
    ...['2026-03-02T00:00:00', '2026-03-08T12:00:00', '2026-03-09T12:00:00'],
  );

  it.each([
    ['the newest sets', { ...none, last: 2 }, ['2026-03-09T12:00:00', '2026-03-08T12:00:00']],
    [
      'the newest set of each day',
      { ...none, daily: 4 },
      ['2026-03-09T12:00:00', '2026-03-08T12:00:00', '2026-03-02T00:00:00', '2026-03-01T23:59:59'],
    ],
    [
      'the newest set of each week, which begins on Monday',
      { ...none, weekly: 3 },
      ['2026-03-09T12:00:00', '2026-03-08T12:00:00', '2026-03-01T23:59:59'],
    ],
    [
      'the newest set of each month',
      { ...none, monthly: 12 },
      ['2026-03-09T12:00:00', '2026-02-28T10:00:00', '2026-01-31T10:00:00'],
    ],
    [
      'each set that any of the rules keeps',
      { last: 1, daily: 0, weekly: 0, monthly: 2 },
      ['2026-03-09T12:00:00', '2026-02-28T10:00:00'],
    ],
    ['nothing', none, []],
  ])('keeps %s', (_, retention, kept) => {
    expect(keptSets(sets, retention)).toEqual(kept);
    expect(keptSets(sets.toReversed(), retention)).toEqual(kept);
  });
});

describe('keptSets, for each database', () => {
  const ALL = ['auth', 'forge', 'mint'];
  const given = (id: number, services: readonly string[], facts: Partial<RetainedSet> = {}): RetainedSet => ({
    ...{ id: `set ${id}`, startedAt: `2026-01-0${id}T10:00:00Z`, services, masked: false, state: 'unverified' },
    ...facts,
  });
  const keep = (sets: readonly RetainedSet[], last: number) =>
    keptSets(sets, { last, daily: 0, weekly: 0, monthly: 0 });

  it('keeps the newest set with all databases when newer sets have only one', () => {
    const sets = [given(1, ALL), given(2, ALL), given(3, ['mint']), given(4, ['mint']), given(5, ['mint'])];

    expect(keep(sets, 3)).toEqual(['set 5', 'set 4', 'set 3', 'set 2', 'set 1']);
    expect(keep(sets, 1)).toEqual(['set 5', 'set 2']);
  });

  it('removes a set when every one of its databases has newer copies', () => {
    const sets = [given(1, ALL), given(2, ['auth', 'forge']), given(3, ['mint'])];

    expect(keep(sets, 1)).toEqual(['set 3', 'set 2']);
  });

  it('keeps the newest verified copy of each database', () => {
    const verified = { state: 'verified' } as const;
    const sets = [given(1, ALL, verified), given(2, ['mint'], verified), given(3, ALL), given(4, ALL)];

    expect(keep(sets, 1)).toEqual(['set 4', 'set 2', 'set 1']);
    expect(keep([...sets, given(5, ['auth', 'forge'], verified)], 1)).toEqual(['set 5', 'set 4', 'set 2']);
  });

  it.each([
    ['that failed its verification', { state: 'failed' }],
    ['that is masked', { masked: true }],
    ['that cannot be read', { state: 'unreadable', services: [] }],
  ] as const)('does not let a set %s displace another one', (_, facts) => {
    const sets = [given(1, ALL), given(2, ALL), given(3, ALL, facts), given(4, ALL, facts)];

    expect(keep(sets, 2)).toEqual(expect.arrayContaining(['set 2', 'set 1']));
  });

  it('keeps sets from the future, which displace nothing', () => {
    const sets = [given(1, ALL), given(2, ALL), given(9, ALL, { state: 'future' })];

    expect(keep(sets, 1)).toEqual(['set 9', 'set 2']);
  });

  it('keeps sets that failed their verification as long as a database has no other copy', () => {
    const failed = { state: 'failed' } as const;

    expect(keep([given(1, ALL, failed), given(2, ['auth', 'forge'])], 1)).toEqual(['set 2', 'set 1']);
    expect(keep([given(1, ALL, failed), given(2, ALL)], 1)).toEqual(['set 2']);
  });
});

describe('backup sets in a directory', () => {
  let target: Target;
  beforeAll(async () => {
    const migrations = {
      '20260101000001_init': { up: 'CREATE TABLE notes (id int PRIMARY KEY)', down: 'DROP TABLE notes' },
    };
    target = (await givenFleet({ notes: { schema: 'model Note {\n  id Int @id\n}', migrations } })).target('notes');
    await migrateTargetUp(target, { lockTimeoutMs: 10_000 });
  });
  afterAll(removePlaces);
  afterAll(removeFleets);

  it('become visible when they are complete, and are readable only by their owner', async () => {
    const { storage, directory } = await givenPlace();
    const place = directoryStorage(path.join(directory, 'new', 'place'));
    const writer = await place.begin(SET);
    await writer.write('notes/a.sql', chunksOf('SELECT 1'));

    expect(await place.list()).toEqual([]);
    await writer.finish();
    expect(await place.list()).toEqual([SET]);
    const modes = [SET, `${SET}/notes`, `${SET}/notes/a.sql`].map(async (name) => {
      return (await stat(path.join(place.location, name))).mode & 0o777;
    });
    expect(await Promise.all(modes)).toEqual([0o700, 0o700, 0o600]);
    expect(await storage.list()).toEqual([]);
  });

  it.each<[string, (file: string) => Promise<void>]>([
    ['missing', (file) => rm(file)],
    ['shorter', (file) => truncate(file, 3)],
  ])('stay invisible when a file that was written is %s', async (_, change) => {
    const { storage, directory } = await givenPlace();
    const writer = await storage.begin(SET);
    await writer.write('notes/a.sql', chunksOf('SELECT 1'));
    await writer.write('notes/b.sql', chunksOf('SELECT 2'));
    const [part = ''] = await readdir(directory);
    await change(path.join(directory, part, 'notes', 'b.sql'));

    const error = await failureOf(writer.finish());

    expect(error).toMatchObject({ code: 'BACKUP.STORAGE_FAILED', meta: { files: ['notes/b.sql'] } });
    expect(await storage.list()).toEqual([]);
  });

  it('leave nothing behind when they are abandoned, or when their process was killed', async () => {
    const { storage, directory } = await givenPlace();
    await (await storage.begin(SET)).abandon();
    expect(await readdir(directory)).toEqual([]);

    const dead = spawnSync(process.execPath, ['-e', '']).pid;
    await mkdir(path.join(directory, `${SET}.part-${dead}-1`));
    const writer = await storage.begin(SET);
    expect(await readdir(directory)).toEqual([expect.stringContaining(`.part-${process.pid}-`)]);
    await writer.abandon();
  });

  it('begin although an entry of the directory cannot be read or removed, which a clean-up reports', async () => {
    const { storage, directory } = await givenPlace();
    const dead = spawnSync(process.execPath, ['-e', '']).pid;
    const part = path.join(directory, `20260101T000000000Z-000002.part-${dead}-1`);
    await mkdir(part);
    // A link to itself can be read by nobody, not even by root.
    await symlink(SET, path.join(directory, SET));
    const removing = jest.spyOn(fs, 'rm').mockRejectedValueOnce(Object.assign(new Error('denied'), { code: 'EACCES' }));

    const writer = await storage.begin('20260101T000000000Z-000003');
    await writer.finish();

    expect(removing).toHaveBeenCalledWith(part, expect.anything());
    removing.mockRestore();
    expect(await readdir(directory)).toContain('20260101T000000000Z-000003');
    const problems: unknown[] = [];
    expect(await storage.unfinished((error) => problems.push(error))).toMatchObject([{ name: part, state: 'unused' }]);
    expect(problems).toMatchObject([{ code: 'BACKUP.STORAGE_FAILED', meta: { code: 'ELOOP' } }]);
  });

  it('are listed newest first, including a set with a manifest that is not valid', async () => {
    const { storage, directory } = await givenPlace();
    await mkdir(path.join(directory, SET));
    await writeFile(path.join(directory, SET, 'manifest.json'), '{}');
    const { set } = await backUp([target], storage);
    await writeVerification(await openSet(storage, set, undefined), {
      ok: true,
      restoreSeconds: 1.5,
      problems: [],
      warnings: [],
    });

    expect(await listSets(storage, undefined)).toMatchObject([
      {
        id: set,
        services: ['notes'],
        rows: 1,
        encrypted: false,
        verified: { ok: true, restoreSeconds: 1.5 },
        problem: null,
      },
      {
        id: SET,
        startedAt: '2026-01-01T00:00:00.000Z',
        verified: null,
        problem: expect.stringContaining('manifest.json'),
      },
    ]);
  });

  it('are not listed or pruned as never verified when the storage fails', async () => {
    const { storage } = await givenPlace();
    const { set } = await backUp([target], storage);
    await writeVerification(await openSet(storage, set, undefined), {
      ok: true,
      restoreSeconds: 1,
      problems: [],
      warnings: [],
    });
    await backUp([target], storage);
    const outage = new SuiteError('BACKUP.STORAGE_FAILED', 'the bucket does not answer');
    const failing: Storage = {
      ...storage,
      readText: (id, file) => (file === 'verified.json' ? Promise.reject(outage) : storage.readText(id, file)),
    };

    expect(await failureOf(listSets(failing, undefined))).toBe(outage);
    expect(
      await failureOf(readBackupState(failing, ['notes'], { secret: undefined, maxAgeMs: 1, now: new Date() })),
    ).toBe(outage);
    const retention = { last: 1, daily: 0, weekly: 0, monthly: 0 };
    expect(await failureOf(pruneSets(failing, retention, { secret: undefined, yes: true }))).toBe(outage);
    expect(await storage.list()).toHaveLength(2);
  });

  it('are listed with a problem when the result of their verification is damaged', async () => {
    const { storage } = await givenPlace();
    const { set } = await backUp([target], storage);
    await storage.writeText(set, 'verified.json', 'true');

    expect(await listSets(storage, undefined)).toMatchObject([
      { id: set, services: ['notes'], verified: null, problem: expect.stringContaining('verified.json') },
    ]);
  });

  it('do not count as verified when another manifest was verified', async () => {
    const { storage } = await givenPlace();
    const { set } = await backUp([target], storage);
    await writeVerification(await openSet(storage, set, undefined), {
      ok: true,
      restoreSeconds: 1,
      problems: [],
      warnings: [],
    });
    await storage.writeText(set, 'manifest.json', `${await storage.readText(set, 'manifest.json')} `);

    expect(await listSets(storage, undefined)).toMatchObject([{ id: set, verified: null, problem: null }]);
  });

  it('report why a backup failed, even when the unfinished set cannot be removed', async () => {
    const { storage } = await givenPlace();
    const refuseToAbandon = async (writer: SetWriter): Promise<SetWriter> => ({
      ...writer,
      write: () => Promise.reject(new Error('the disk is gone')),
      abandon: () => Promise.reject(new SuiteError('BACKUP.STORAGE_FAILED', 'the disk is still gone')),
    });
    const failing: Storage = { ...storage, begin: async (set) => refuseToAbandon(await storage.begin(set)) };
    const lines: string[] = [];
    const log = (line: string) => void lines.push(line);

    await expect(backUp([target], failing, { log })).rejects.toMatchObject({ message: 'the disk is gone' });
    expect(lines).toEqual([expect.stringContaining('the disk is still gone'), 'A later backup removes it']);
  });

  it('are named with quotes in a hint when a shell would change the location', async () => {
    const { storage } = await givenPlace();
    const moved: Storage = { ...storage, location: String.raw`/mnt/a\b`, list: async () => [SET] };

    await expect(findSet(moved, 'other')).rejects.toMatchObject({
      next: expect.stringContaining(String.raw`--from '/mnt/a\b'"`),
    });
  });

  it('are pruned only with yes, and never the newest verified set', async () => {
    const { storage } = await givenPlace();
    const sets = [await backUp([target], storage), await backUp([target], storage), await backUp([target], storage)];
    const [first = '', second = '', third = ''] = sets.map(({ set }) => set).sort();
    await writeVerification(await openSet(storage, first, undefined), {
      ok: true,
      restoreSeconds: 1,
      problems: [],
      warnings: [],
    });
    await writeVerification(await openSet(storage, second, undefined), {
      ok: false,
      restoreSeconds: 0,
      problems: ['x'],
      warnings: [],
    });
    const retention = { last: 1, daily: 0, weekly: 0, monthly: 0 };

    expect(await pruneSets(storage, retention, { secret: undefined, yes: false })).toEqual({
      kept: [third, first],
      removed: [second],
    });
    expect(await storage.list()).toEqual([first, second, third]);
    await pruneSets(storage, retention, { secret: undefined, yes: true });
    expect(await storage.list()).toEqual([first, third]);
  });

  it('cannot be stored where nothing can be written', async () => {
    const { directory } = await givenPlace();
    await writeFile(path.join(directory, 'file'), '');
    const place = directoryStorage(path.join(directory, 'file', 'place'));

    expect(await failureOf(backUp([target], place))).toMatchObject({ code: 'BACKUP.STORAGE_FAILED' });
  });
});
