/** @server any */
import { spawnSync } from 'node:child_process';
import { readFile, rm, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { SuiteError } from '@azora/db-core';
import { generateX25519Identity } from 'age-encryption';
import type { Secret } from '../src/backup-store/encryption';
import { findSet, openSet } from '../src/backup-store/set';
import type { Storage } from '../src/backup-store/storage';
import { verifySet } from '../src/operations/backup/verify';
import { migrateTargetUp } from '../src/operations/migrations/migrate';
import type { Target } from '../src/operations/targets';
import { backUp, filesIn, givenPlace, removePlaces, restore } from './backup-fixture';
import { givenFleet, removeFleets } from './fleet-fixture';
import { failureOf, rowsOf } from './migrations-fixture';

const MIGRATIONS = {
  '20260101000001_init': {
    up: `CREATE TABLE notes (id serial PRIMARY KEY, body text NOT NULL); INSERT INTO notes (body) SELECT md5(n::text) FROM generate_series(1, 500) AS n`,
    down: 'DROP TABLE notes;',
  },
};
const NOTE = 'model Note {\n  id Int @id @default(autoincrement())\n  body String\n  @@map("notes")\n}';

/** The databases that a set which cannot be used must not change. */
async function liveState(target: Target): Promise<unknown> {
  return rowsOf(
    target.maintenance,
    `SELECT oid::text || ' ' || datname FROM pg_database WHERE starts_with(datname, '${target.database}') ORDER BY 1`,
  );
}

describe('a damaged backup set', () => {
  let target: Target;
  beforeAll(async () => {
    target = (await givenFleet({ notes: { schema: NOTE, migrations: MIGRATIONS } })).target('notes');
    await migrateTargetUp(target, { lockTimeoutMs: 10_000 });
  });
  afterAll(removePlaces);
  afterAll(removeFleets);

  const given = async (secret?: Secret) => {
    const { storage, directory } = await givenPlace();
    const { set } = await backUp([target], storage, { secret });
    const folder = path.join(directory, set);
    const expectRejected = async (file: string, codes: readonly string[]) => {
      const before = await liveState(target);
      const failure = await failureOf(restore([target], storage, set, secret === undefined ? {} : { secret }));
      expect({ file, code: failure.code }).toEqual({ file, code: expect.stringMatching(new RegExp(codes.join('|'))) });
      expect(`${failure.message} ${failure.why}`).toContain(path.basename(file).replace(/\.seal$/, ''));
      expect(await liveState(target)).toEqual(before);
    };
    return { storage, set, folder, files: await filesIn(folder), expectRejected };
  };

  it.each(['not encrypted', 'encrypted'])(
    'is rejected with the name of the file when one byte of any file differs (%s)',
    async (kind) => {
      const secret = kind === 'encrypted' ? { identity: await generateX25519Identity() } : undefined;
      const { folder, files, expectRejected } = await given(secret);
      expect(files.length).toBeGreaterThanOrEqual(6);

      for (const file of files) {
        const whole = await readFile(path.join(folder, file));
        const flipped = Buffer.from(whole);
        const at = Math.floor(whole.length / 2);
        flipped[at] = (flipped[at] ?? 0) ^ 1;
        await writeFile(path.join(folder, file), flipped);
        await expectRejected(file, ['BACKUP.DAMAGED', 'BACKUP.BAD_MANIFEST', 'BACKUP.WRONG_KEY']);
        await writeFile(path.join(folder, file), whole);
      }
    },
  );

  it('is rejected when a file is missing or too short', async () => {
    const { folder, files, expectRejected } = await given();

    for (const file of files) {
      const whole = await readFile(path.join(folder, file));
      await truncate(path.join(folder, file), whole.length - 1);
      await expectRejected(file, ['BACKUP.DAMAGED', 'BACKUP.BAD_MANIFEST']);
      await rm(path.join(folder, file));
      await expectRejected(file, ['BACKUP.NO_FILE']);
      await writeFile(path.join(folder, file), whole);
    }
  });

  it('is rejected with an edited manifest, and never reads or writes outside its directory', async () => {
    const { storage, set, folder } = await given();
    const file = path.join(folder, 'manifest.json');
    const text = await readFile(file, 'utf8');

    await writeFile(file, text.replace('"rows": 500', '"rows": 499'));
    expect(await failureOf(restore([target], storage, set))).toMatchObject({ code: 'BACKUP.DAMAGED' });

    const { createHash } = await import('node:crypto');
    const escaping = text.replaceAll('notes/notes.copy.gz', '../../../etc/passwd');
    await writeFile(file, escaping);
    await writeFile(
      `${file.replace('.json', '.seal')}`,
      `sha256 ${createHash('sha256').update(escaping).digest('hex')}\n`,
    );
    expect(await failureOf(restore([target], storage, set))).toMatchObject({ code: 'BACKUP.BAD_MANIFEST' });
    expect(await failureOf(findSet(storage, '../elsewhere'))).toMatchObject({ code: 'BACKUP.UNKNOWN_SET' });
  });

  it('can be opened only with its key, without which nothing in it can be read', async () => {
    const identity = await generateX25519Identity();
    const { storage, set, folder, files } = await given({ identity });

    for (const file of files.filter((it) => it !== 'manifest.json')) {
      const text = (await readFile(path.join(folder, file))).toString('latin1');
      expect({ file, leak: text.includes('notes') || text.includes(identity) }).toEqual({ file, leak: false });
    }
    expect(await failureOf(restore([target], storage, set))).toMatchObject({ code: 'BACKUP.NEEDS_KEY' });
    const other = { identity: await generateX25519Identity() };
    expect(await failureOf(restore([target], storage, set, { secret: other }))).toMatchObject({
      code: 'BACKUP.WRONG_KEY',
    });
    expect(await restore([target], storage, set, { secret: { identity } })).toMatchObject([{ data: { rows: 501 } }]);
    expect(await rowsOf(target.admin, 'SELECT count(*)::int FROM notes')).toEqual([500]);
  });

  it('can be opened only with its passphrase', () => {
    // In another process: stretching a passphrase takes 256 MB, and under Jest's instrumentation a minute.
    const program = `
      const { makeSetKey, openSetKey } = require(process.argv[1]);
      (async () => {
        const { key, wrapped } = await makeSetKey({ passphrase: 'correct horse' });
        const opened = await openSetKey(wrapped, { passphrase: 'correct horse' }, 'a set');
        const error = await openSetKey(wrapped, { passphrase: 'incorrect horse' }, 'a set').catch((it) => it);
        console.log(JSON.stringify([opened.identity === key.identity, wrapped.includes(key.identity), error.code]));
      })();`;
    const compiled = path.resolve(__dirname, '..', 'dist', 'backup-store', 'encryption.js');
    const { stdout } = spawnSync(process.execPath, ['-e', program, compiled], { encoding: 'utf8' });

    expect(JSON.parse(stdout)).toEqual([true, false, 'BACKUP.WRONG_KEY']);
  });

  it('fails verification, which says why and stores the result with the set', async () => {
    const { storage, set, folder } = await given();
    const request = {
      set: await openSet(storage, set, undefined),
      home: folder,
      references: [],
      environment: process.env,
    };

    expect((await verifySet([target], request, {})).verification).toMatchObject({ ok: true, problems: [] });
    await truncate(path.join(folder, 'notes', 'notes.copy.gz'), 10);
    expect((await verifySet([target], request, {})).verification).toMatchObject({
      ok: false,
      problems: [expect.stringContaining('notes/notes.copy.gz')],
    });
    expect(JSON.parse((await storage.readText(set, 'verified.json')) ?? '')).toMatchObject({ ok: false });
  });

  it('is reported even when the result cannot be stored', async () => {
    const { storage, set, folder } = await given();
    await truncate(path.join(folder, 'notes', 'notes.copy.gz'), 10);
    const outage = new SuiteError('BACKUP.STORAGE_FAILED', 'the bucket is read-only');
    const readOnly: Storage = { ...storage, writeText: () => Promise.reject(outage) };
    const request = { set: await openSet(readOnly, set, undefined), ...{ home: folder, references: [] } };

    const { verification } = await verifySet([target], { ...request, environment: process.env }, {});

    expect(verification).toEqual({
      ok: false,
      isKept: false,
      notKeptBecause: 'not-stored',
      warnings: [],
      restoreSeconds: 0,
      problems: [expect.stringContaining('notes/notes.copy.gz'), 'the bucket is read-only.'],
    });
  });

  it('is not reported for an outage of the storage', async () => {
    const { storage, set, folder } = await given();
    const outage = new SuiteError('BACKUP.STORAGE_FAILED', 'the bucket does not answer');
    let reads = 0;
    // The first pass compares the checksums, the second one restores.
    const failing: Storage = {
      ...storage,
      read: (id, file) => (file.endsWith('.gz') && ++reads > 2 ? Promise.reject(outage) : storage.read(id, file)),
    };
    const request = { set: await openSet(failing, set, undefined), ...{ home: folder, references: [] } };

    const { rows, verification } = await verifySet([target], { ...request, environment: process.env }, {});

    expect(rows).toMatchObject([{ state: 'failed', error: outage }]);
    expect(verification).toMatchObject({ ok: false, isKept: false });
    expect(await storage.readText(set, 'verified.json')).toBeUndefined();
  });

  it('keeps its result when only a part of it is verified, or when the verification is interrupted', async () => {
    const part = { '20260101000001_init': { up: 'CREATE TABLE other (id int)', down: 'DROP TABLE other' } };
    const two = await givenFleet({
      notes: { schema: NOTE, migrations: MIGRATIONS },
      other: { schema: NOTE, migrations: part },
    });
    for (const it of two.targets) await migrateTargetUp(it, { lockTimeoutMs: 10_000 });
    const { storage, directory } = await givenPlace();
    const { set } = await backUp(two.targets, storage);
    const request = {
      set: await openSet(storage, set, undefined),
      home: directory,
      references: [],
      environment: process.env,
    };

    expect((await verifySet([two.target('notes')], request, {})).verification).toMatchObject({
      ok: true,
      isKept: false,
    });
    const signal = AbortSignal.abort();
    await expect(verifySet(two.targets, request, { signal })).rejects.toBe(signal.reason);
    expect(await storage.readText(set, 'verified.json')).toBeUndefined();

    expect((await verifySet(two.targets, request, {})).verification).toMatchObject({ ok: true, isKept: true });
    expect(await storage.readText(set, 'verified.json')).toContain('"ok": true');
  });
});
