/** @server none */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { SuiteError } from '@azora/db-core';
import { withClient } from '@azora/db-migrate';
import { startEmbedded, stopEmbedded } from '../src/postgres/embedded/server';
import { enableArchive } from '../src/postgres/pitr/archiver';
import { pruneArchive, takeBase } from '../src/postgres/pitr/base-backup';
import { type RestoreStep, restoreTo } from '../src/postgres/pitr/restore';
import { readArchive } from '../src/postgres/pitr/status';
import { verifyArchive } from '../src/postgres/pitr/verify-archive';

const run = promisify(execFile);
const ARCHIVE = path.join(__dirname, '..', 'dist', 'postgres', 'pitr', 'archive.js');
const RESTORE = path.join(__dirname, 'fixtures', 'pitr', 'restore.js');

let home = '';
const onProgress = () => undefined;
const restore = (to: string, timeline?: number) => restoreTo({ home, to, timeline, onProgress });
const inServer = (name: string) => path.join(home, 'embedded', name);

beforeAll(async () => {
  const checkout = await mkdtemp(path.join(os.tmpdir(), 'azora-pitr-'));
  await chmod(checkout, 0o755);
  home = path.join(checkout, '.azora');
});

afterAll(async () => {
  await stopEmbedded({ home });
  await rm(path.dirname(home), { recursive: true, force: true });
});

async function sql<Row extends object>(text: string): Promise<Row[]> {
  const { url } = await startEmbedded({ home });
  return withClient(url, async (client) => (await client.query<Row>(text)).rows);
}

async function write(mark: string): Promise<void> {
  await sql(`INSERT INTO mark VALUES ('${mark}')`);
}

async function marks(): Promise<string[]> {
  return (await sql<{ name: string }>('SELECT name FROM mark ORDER BY at')).map(({ name }) => name);
}

/** The current position in the log, and the server's time. */
async function present(): Promise<{ lsn: string; time: string }> {
  const [row] = await sql<{ lsn: string; time: string }>(
    `SELECT pg_current_wal_lsn()::text AS lsn,
            to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS time`,
  );
  if (row === undefined) throw new Error('no row');
  return row;
}

async function failureOf(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => 'no error',
    (error: { code?: string }) => error.code ?? error,
  );
}

describe('the archive of the embedded server', () => {
  it('cannot be used before it is turned on', async () => {
    await startEmbedded({ home });

    expect(await readArchive({ home })).toMatchObject({ isEnabled: false, bases: [], window: null });
    expect(await failureOf(takeBase({ home, onProgress }))).toBe('PITR.NOT_ENABLED');
    expect(await failureOf(restore('latest'))).toBe('PITR.NOT_ENABLED');
  });

  it('is turned on with a restart, and changes nothing the second time', async () => {
    const { pid } = await startEmbedded({ home });

    expect(await enableArchive({ home, onProgress })).toMatchObject({ changed: true, restarted: true });
    const { pid: restarted } = await startEmbedded({ home });
    expect(await enableArchive({ home, onProgress })).toMatchObject({ changed: false, restarted: false });

    expect(restarted).not.toBe(pid);
    expect((await startEmbedded({ home })).pid).toBe(restarted);
    expect(await readArchive({ home })).toMatchObject({ isEnabled: true, archiver: { failedCount: 0 }, window: null });
  });

  it('accepts a segment twice, and never a different one of the same name', async () => {
    const [from, to] = [path.join(home, 'segment'), path.join(home, 'archived')];
    const segment = Buffer.concat([Buffer.alloc(200_000, 'a'), Buffer.alloc(800_000)]);
    await writeFile(from, segment);
    await run(process.execPath, [ARCHIVE, from, to]);
    await run(process.execPath, [ARCHIVE, from, to]);
    await writeFile(from, 'another');

    await expect(run(process.execPath, [ARCHIVE, from, to])).rejects.toMatchObject({ code: 1 });
    await expect(run(process.execPath, [ARCHIVE, path.join(home, 'none'), `${to}2`])).rejects.toMatchObject({
      code: 1,
    });
    expect((await readFile(to)).equals(segment)).toBe(true);
    if (process.platform === 'linux') expect((await stat(to)).blocks * 512).toBeLessThan(segment.length / 2);
    expect((await readdir(home)).filter((name) => name.startsWith('archived'))).toEqual([
      'archived',
      'archived.sha256',
    ]);
  });
});

describe('a restore', () => {
  let beforeBase = { lsn: '', time: '' };
  let target = { lsn: '', time: '' };
  let firstTimeline: string[] = [];

  it('uses a base backup of a server with writers', async () => {
    await sql(
      "CREATE TABLE mark (name text, at timestamptz DEFAULT clock_timestamp()); INSERT INTO mark VALUES ('base')",
    );
    await mkdir(path.join(home, 'pitr', 'base', '20200101.part-999999-gone-00000000'));
    beforeBase = await present();
    await sql('CREATE TABLE load AS SELECT 0 AS n');
    const writing = Promise.all(
      Array.from({ length: 50 }, (_, n) =>
        sleep(n * 20).then(() => sql(`INSERT INTO load SELECT generate_series(1, ${n})`)),
      ),
    );
    const base = await takeBase({ home, onProgress });
    await writing;

    expect(await readdir(path.join(home, 'pitr', 'base'))).toEqual([base.id]);
    expect(base.bytes).toBeGreaterThan(20_000_000);
    expect(await readArchive({ home })).toMatchObject({
      bases: [base],
      window: { from: { time: base.stoppedAt, lsn: base.stopLsn }, to: { time: expect.stringMatching(/Z$/) } },
    });
  });

  it('to a time keeps earlier commits and drops later ones', async () => {
    await write('before');
    target = await present();
    await write('after');
    const { url } = await startEmbedded({ home });

    const restored = await restore(target.time);

    expect(await marks()).toEqual(['base', 'before']);
    expect(restored).toMatchObject({ target: target.time, timeline: 2, databases: 2 });
    expect((restored.lastCommitAt ?? '') <= target.time).toBe(true);
    expect(await sql('SELECT sum(n)::int AS sum FROM load')).toEqual([{ sum: 20_825 }]);
    // The replaced data is kept, complete, and the URL stays the same.
    expect(await readFile(path.join(restored.kept ?? '', 'PG_VERSION'), 'utf8')).toBe('18\n');
    expect((await startEmbedded({ home })).url.href).toBe(url.href);
    expect(await sql("SELECT name FROM pg_settings WHERE name LIKE 're%' AND sourcefile IS NOT NULL")).toEqual([]);
    firstTimeline = ['base', 'before', 'after'];
  });

  it('follows a timeline that an earlier restore left', async () => {
    await write('second timeline');

    expect(await restore('latest', 1)).toMatchObject({ timeline: 3 });
    expect(await marks()).toEqual(firstTimeline);
    expect(await readArchive({ home })).toMatchObject({ timeline: 3, timelines: [1, 2, 3], isEnabled: true });
  });

  it('goes to an LSN while other processes keep starting the server', async () => {
    await write('third');
    const { lsn } = await present();
    await write('not any more');
    let isOver = false;
    const asking = (async () => {
      const failures: unknown[] = [];
      while (!isOver) {
        await startEmbedded({ home }).catch((error: unknown) => failures.push(error));
        await sleep(5);
      }
      return failures;
    })();

    await restore(lsn).finally(() => {
      isOver = true;
    });

    expect(await asking).toEqual([]);
    expect(await marks()).toEqual([...firstTimeline, 'third']);
  });

  it('to the latest point loses no commit, and the archive continues', async () => {
    await write('newest');

    await restore('latest');
    await write('newer');
    await restore('latest');

    expect((await marks()).slice(-2)).toEqual(['newest', 'newer']);
    expect(await readArchive({ home })).toMatchObject({ archiver: { isFailing: false }, timeline: 6 });
  });

  it('rejects a point that cannot be reached, and changes nothing', async () => {
    const { pid } = await startEmbedded({ home });
    const files = await readdir(inServer(''));
    const later = new Date(Date.now() + 60_000).toISOString();

    expect(await failureOf(restore(beforeBase.time))).toBe('PITR.TARGET_BEFORE_BASE');
    expect(await failureOf(restore(beforeBase.lsn))).toBe('PITR.TARGET_BEFORE_BASE');
    expect(await failureOf(restore(later))).toBe('PITR.TARGET_AFTER_END');
    expect(await failureOf(restore('FFFF/0'))).toBe('PITR.TARGET_AFTER_END');
    expect(await failureOf(restore('FFFF/0', 1))).toBe('PITR.TARGET_AFTER_END');
    expect(await failureOf(restore('latest', 99))).toBe('PITR.UNKNOWN_TIMELINE');
    expect(await failureOf(restore('yesterday'))).toBe('PITR.BAD_TARGET');
    expect(await failureOf(restore('2026-01-31 12:00'))).toBe('PITR.BAD_TARGET');
    expect(await failureOf(restore('2026-02-31T12:00Z'))).toBe('PITR.BAD_TARGET');

    expect(await readdir(inServer(''))).toEqual(files);
    expect((await startEmbedded({ home })).pid).toBe(pid);
  });

  it('rejects a point after a gap in the archive', async () => {
    const wal = path.join(home, 'pitr', 'wal');
    await write('after the gap');
    const { lsn, time } = await present();
    await restoreIsCovered();
    const newest = (await segments()).at(-1) ?? '';
    const missing = path.join(wal, newest);
    await rename(missing, path.join(home, 'missing'));
    const codes = [await failureOf(restore(lsn)), await failureOf(restore(time)), await failureOf(restore('latest'))];
    const archive = await readArchive({ home });
    const { flaws } = await verifyArchive({ home, onProgress });
    await rename(path.join(home, 'missing'), missing);

    expect(codes).toEqual(['PITR.TARGET_AFTER_END', 'PITR.TARGET_AFTER_END', 'PITR.ARCHIVE_GAP']);
    expect(archive?.gap).toMatchObject({ missing: newest });
    expect(flaws).toEqual([{ segment: newest, flaw: 'it is missing' }]);
    expect(await readArchive({ home })).toMatchObject({ gap: null });
  });

  it('ends before a gap when the end of the log before it is asked for', async () => {
    await write('before the gap');
    await restoreIsCovered();
    const before = await marks();
    await write('behind the gap');
    await restoreIsCovered();
    const lost = (await segments()).at(-1) ?? '';
    await rename(path.join(home, 'pitr', 'wal', lost), path.join(home, 'missing'));
    const { next } = await restore('latest').then(
      () => ({ next: '' }),
      (error: SuiteError) => error,
    );
    const end = / --to (\S+)$/.exec(next ?? '')?.[1] ?? '';

    await restore(end);

    expect(await marks()).toEqual(before);
  });

  it.each<[string, string, (content: Buffer) => void, boolean]>([
    [
      'a changed byte',
      'it differs from its checksum',
      (content) => content.writeUInt8(content.readUInt8(5_000) ^ 1, 5_000),
      true,
    ],
    ['a lost page, and no checksum', 'a page of it is damaged', (content) => content.fill(0, 0, 8_192), false],
    ['another size, and no checksum', 'it has another size', () => undefined, false],
  ])('refuses a segment with %s', async (_, flaw, change, hasChecksum) => {
    await write('in a damaged segment');
    await restoreIsCovered();
    const segment = (await segments()).at(-1) ?? '';
    const file = path.join(home, 'pitr', 'wal', segment);
    const content = await readFile(file);
    const damaged = Buffer.from(content);
    change(damaged);
    await writeFile(file, damaged.equals(content) ? content.subarray(0, 1_000_000) : damaged);
    if (!hasChecksum) await rename(`${file}.sha256`, path.join(home, 'checksum'));
    const { pid } = await startEmbedded({ home });

    const code = await failureOf(restore('latest'));
    const { flaws, withoutChecksum } = await verifyArchive({ home, onProgress });
    await writeFile(file, content);
    if (!hasChecksum) await rename(path.join(home, 'checksum'), `${file}.sha256`);

    expect([code, flaws, withoutChecksum]).toEqual(['PITR.RECOVERY_FAILED', [{ segment, flaw }], hasChecksum ? 0 : 1]);
    expect((await startEmbedded({ home })).pid).toBe(pid);
    expect((await verifyArchive({ home, onProgress })).flaws).toEqual([]);
  });

  async function segments(): Promise<string[]> {
    const names = await readdir(path.join(home, 'pitr', 'wal'));
    return names.filter((name) => /^[0-9A-F]{24}$/.test(name)).sort();
  }

  /** Archives the current segment, as a restore does before it checks the point. */
  async function restoreIsCovered(): Promise<void> {
    await enableArchive({ home, onProgress });
  }

  /** Steps, with the delay of the kill in milliseconds. */
  const UNTOUCHED: [RestoreStep, number][] = [
    ['checked', 0],
    ['copied', 150],
    ['recovered', 0],
    ['announced', 0],
    ['stopped', 0],
  ];
  const SWAPPED: [RestoreStep][] = [['moved-away'], ['moved-in']];

  it.each(UNTOUCHED)('that is killed after %s leaves the server unchanged', async (step, afterMs) => {
    const before = await marks();
    const { lsn } = await present();
    await write(`kept ${step}`);

    expect(await killedAt(lsn, step, afterMs)).toBe('SIGKILL');
    expect(await marks()).toEqual([...before, `kept ${step}`]);
    expect((await readdir(inServer(''))).filter((name) => /new|swap/.test(name))).toEqual([]);
  });

  it.each(SWAPPED)('that is killed after %s is finished by the next start', async (step) => {
    const before = await marks();
    const { lsn } = await present();
    await write(`lost ${step}`);

    expect(await killedAt(lsn, step)).toBe('SIGKILL');
    expect(await Promise.all([marks(), marks(), marks()])).toEqual([before, before, before]);
    // A server could start on the replaced data again.
    const kept = (await readdir(inServer(''))).filter((name) => name.startsWith('data.before-')).at(-1) ?? '';
    expect(await readdir(inServer(path.join(kept, 'global')))).toContain('pg_control');
    expect((await readdir(inServer(''))).filter((name) => /new|swap/.test(name))).toEqual([]);
  });

  async function killedAt(to: string, step: string, afterMs = 0): Promise<unknown> {
    const args = [RESTORE, home, to, step, ...(afterMs === 0 ? [] : [String(afterMs)])];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'inherit', 'inherit'] });
    const [, signal] = await once(child, 'exit');
    return signal;
  }

  it('is possible when the server does not start, and includes the log that was not archived', async () => {
    await write('not archived');
    const expected = await marks();
    await stopEmbedded({ home });
    await rename(inServer('data/global'), inServer('data/elsewhere'));

    await restore('latest');

    expect(await marks()).toEqual(expected);
  });

  it('uses a newer base backup after the older ones and their log are removed', async () => {
    const old = await present();
    const base = await takeBase({ home, onProgress });
    const pruned = await pruneArchive({ home }, 1);
    await write('last');
    const { time } = await present();

    expect(pruned).toMatchObject({ bases: [expect.any(String)] });
    expect(pruned.segments).toBeGreaterThan(0);
    expect((await readArchive({ home }))?.bases).toEqual([base]);
    expect(await failureOf(restore(old.time))).toBe('PITR.TARGET_BEFORE_BASE');
    expect(await restore(time)).toMatchObject({ base: base.id });
    expect((await marks()).at(-1)).toBe('last');
  });
});
