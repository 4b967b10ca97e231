/** @server any */
import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { withClient } from '@azora/db-migrate';
import { readDatabases } from '../src/operations/backup/live-databases';
import { finishSwap, writeJournal } from '../src/operations/backup/swap-journal';
import type { Target } from '../src/operations/targets';
import { dropDatabase } from '../src/postgres/databases';
import { swapDatabases } from '../src/postgres/dump/swap';
import { replacedName } from '../src/postgres/replaced';
import { givenPlace, removePlaces } from './backup-fixture';
import { givenFleet, removeFleets } from './fleet-fixture';
import { rowsOf } from './migrations-fixture';

const SET = '20260101T000000000Z-000001';
const SCHEMA = 'model Note {\n  id Int @id\n}';

describe('a restore that was killed between two servers', () => {
  afterAll(removePlaces);
  afterAll(removeFleets);

  /** Two live databases; the restore replaced only the first. */
  const given = async (owner: string) => {
    const { targets } = await givenFleet({
      auth: { schema: SCHEMA, migrations: {} },
      mint: { schema: SCHEMA, migrations: {} },
    });
    const { directory: home } = await givenPlace();
    const entries = [];
    for (const target of targets) {
      const side = `${target.database}__scratch_00000001`;
      await rowsOf(target.maintenance, `CREATE DATABASE ${side}`);
      const databases = await readDatabases(target, home);
      const ids = { former: databases.get(target.database) ?? null, restored: databases.get(side) ?? null };
      entries.push({ service: target.service.name, side, ...ids, keepSettings: true });
    }
    await writeJournal(home, { set: SET, owner, entries });
    const [auth, mint] = targets as [Target, Target];
    const kept = replacedName(auth.database, SET);
    await swapDatabases(auth.maintenance, [
      { live: auth.database, side: entries[0]?.side ?? '', kept, keepSettings: true },
    ]);
    const lines: string[] = [];
    const idsOf = async () =>
      Promise.all([auth, mint].map(async (target) => (await readDatabases(target, home)).get(target.database)));
    const finish = async () => {
      await finishSwap(targets, home, (line) => lines.push(line));
      return { ids: await idsOf(), lines, isOver: !existsSync(path.join(home, 'restore.json')) };
    };
    return { entries, auth, mint, finish, idsOf };
  };
  // No system has a process with this number.
  const ENDED = '999999999-1';

  it('is finished by the next command', async () => {
    const { entries, finish } = await given(ENDED);

    expect(await finish()).toEqual({
      ids: entries.map(({ restored }) => restored),
      lines: [`finished the restore of ${SET} that was killed: replaced mint too`],
      isOver: true,
    });
  });

  it('is undone when a restored database is gone', async () => {
    const { entries, mint, finish } = await given(ENDED);
    await withClient(mint.maintenance, (client) => dropDatabase(client, entries[1]?.side ?? ''));

    expect(await finish()).toEqual({
      ids: entries.map(({ former }) => former),
      lines: [`undid the restore of ${SET} that was killed: the former databases of auth are back`],
      isOver: true,
    });
  });

  it('is undone for a companion too, whose present data is kept', async () => {
    const { targets } = await givenFleet({
      auth: { schema: SCHEMA, migrations: {} },
      rag: { schema: SCHEMA, migrations: {} },
    });
    const { directory: home } = await givenPlace();
    const [auth, rag] = targets.map((target) =>
      target.service.name === 'rag' ? { ...target, server: 'companion' as const } : target,
    ) as [Target, Target];
    const directory = path.join(home, 'companion', 'rag');
    const noteIn = (data: string) => path.join(directory, data, 'note');
    await mkdir(path.dirname(noteIn('data')), { recursive: true });
    await writeFile(noteIn('data'), 'former');
    const idOf = async (target: Target) => (await readDatabases(target, home)).get(target.database) ?? null;
    const gone = { side: path.join(home, 'gone'), restored: null, keepSettings: false };
    await writeJournal(home, {
      ...{ set: SET, owner: ENDED },
      entries: [
        { ...gone, service: 'auth', former: await idOf(auth), side: `${auth.database}__scratch_00000002` },
        { ...gone, service: 'rag', former: await idOf(rag) },
      ],
    });
    // The restore replaced only the companion.
    await rename(path.join(directory, 'data'), path.join(directory, `data__before_${SET}`));
    await mkdir(path.dirname(noteIn('data')));
    await writeFile(noteIn('data'), 'restored');

    const lines: string[] = [];
    await finishSwap([auth, rag], home, (line) => lines.push(line));

    expect(lines).toEqual([`undid the restore of ${SET} that was killed: the former databases of rag are back`]);
    expect(await readFile(noteIn('data'), 'utf8')).toBe('former');
    expect(await readFile(noteIn(`data__before_${SET}_2`), 'utf8')).toBe('restored');
  });

  it('is left alone while its process lives, here or elsewhere', async () => {
    const { entries, mint, finish, idsOf } = await given('1-unknown');
    const before = await idsOf();

    await withClient(mint.admin, async (run) => {
      await run.query('SELECT pg_advisory_lock(hashtext($1))', [entries[1]?.side]);
      expect(await finish()).toEqual({ ids: before, lines: [], isOver: false });
    });
    expect((await finish()).ids).toEqual(entries.map(({ restored }) => restored));
  });
});
