import { randomBytes } from 'node:crypto';
import { mkdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { withUrlParts } from '@azora/db-core';
import { withClient } from '@azora/db-migrate';
import { generateX25519Identity } from 'age-encryption';
import { decrypt, isHash, makeSetKey } from '../src/backup-store/encryption';
import { textOf } from '../src/backup-store/file';
import { openSet } from '../src/backup-store/set';
import { writeVerification } from '../src/backup-store/verification';
import { requireRestorable } from '../src/operations/backup/preflight';
import { selectSet } from '../src/operations/backup/select-set';
import { verifySet } from '../src/operations/backup/verify';
import type { Target } from '../src/operations/targets';
import { findScratchDatabases } from '../src/postgres/scratch';
import { readSchemaModel } from '../src/schema/schema-model';
import { keepFresh } from '../src/system/heartbeat';
import { backUp, givenPlace, removePlaces, restore } from './backup-fixture';
import { givenMigratedFleet, removeFleets } from './fleet-fixture';
import { failureOf, rowsOf } from './migrations-fixture';

const SCHEMA = `model Note {\n  id Int @id\n  /// @mask (1 / 0)::text\n  text String\n  @@map("notes")\n}`;
/** The rows can be stored, but the check refuses them in a scratch database, with the SQLSTATE in \`refusals\`. */
const UP = `
CREATE TABLE refusals (state text);
CREATE FUNCTION is_accepted() RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE given text;
BEGIN
  SELECT state INTO given FROM public.refusals;
  IF current_database() ~ '__scratch_' AND given <> '' THEN RAISE EXCEPTION 'refused' USING ERRCODE = rtrim(given); END IF;
  RETURN true;
END $$;
INSERT INTO refusals VALUES ('');
CREATE TABLE notes (id int PRIMARY KEY, text text NOT NULL CHECK (is_accepted()));
INSERT INTO notes VALUES (1, '4711');`;

describe('a backup set', () => {
  let target: Target;
  beforeAll(async () => {
    target = (await givenMigratedFleet({ notes: { schema: SCHEMA, up: UP } })).target('notes');
  });
  afterAll(removePlaces);
  afterAll(removeFleets);

  const verify = async (place: Awaited<ReturnType<typeof givenPlace>>, set: string) => {
    const opened = await openSet(place.storage, set, undefined);
    return verifySet([target], { set: opened, home: place.directory, references: [], environment: process.env }, {});
  };
  /** A set whose larger table is loaded after the one that says how it is refused. */
  const givenRefused = async (state: string) => {
    const place = await givenPlace();
    await rowsOf(target.admin, `UPDATE refusals SET state = '${state}' || repeat(' ', 9000)`);
    const { set } = await backUp([target], place.storage);
    await rowsOf(target.admin, `UPDATE refusals SET state = ''`);
    return { ...place, set };
  };

  it('whose rows the server refuses names the table and its file', async () => {
    const place = await givenRefused('P0001');

    const { rows, verification } = await verify(place, place.set);

    expect(rows).toMatchObject([
      {
        state: 'failed',
        error: { code: 'RESTORE.ROWS_REJECTED', meta: { table: 'public.notes', file: 'notes/notes.copy.gz' } },
      },
    ]);
    expect(verification).toMatchObject({ ok: false, isKept: true });
  });

  it('keeps its verdict when the server failed, and not the set', async () => {
    const place = await givenRefused('53100');

    expect((await verify(place, place.set)).verification).toMatchObject({ isKept: false, notKeptBecause: 'failed' });
    expect(await place.storage.readText(place.set, 'verified.json')).toBeUndefined();
  });

  it('names a table that cannot be read', async () => {
    const { storage } = await givenPlace();
    const mask = { schemaModel: await readSchemaModel([target.service]), key: 'a key' };

    expect(await failureOf(backUp([target], storage, { mask }))).toMatchObject({
      code: 'BACKUP.TABLE_UNREADABLE',
      meta: { table: 'public.notes', sqlState: '22012' },
    });
  });

  it('shows no hash of its content that can be compared with guesses when it is encrypted', async () => {
    const { storage } = await givenPlace();
    const secret = { identity: await generateX25519Identity() };
    const [plain, locked] = [await backUp([target], storage), await backUp([target], storage, { secret })];
    const hashOf = ({ manifest }: typeof plain) =>
      manifest.databases[0]?.tables.find(({ name }) => name === 'notes')?.contentSha256 ?? '';
    const { key } = await openSet(storage, locked.set, secret);

    expect(hashOf(locked)).not.toBe(hashOf(plain));
    expect(isHash(hashOf(locked), hashOf(plain), key)).toBe(true);
    expect(isHash(hashOf(locked), hashOf(plain), undefined)).toBe(false);
    expect(await restore([target], storage, locked.set, { secret })).toMatchObject([{ state: 'done' }]);
  });

  it('in plain text is refused when a key is set, unless it is asked for', async () => {
    const { storage } = await givenPlace();
    const { set } = await backUp([target], storage);
    const secret = { identity: await generateX25519Identity() };
    const select = (allowsPlain: boolean) =>
      selectSet(storage, set, {
        ...{ secret, services: [target.service], isNamed: true, allowsMasked: false, allowsPlain },
        ...{ command: 'restore', argumentOf: (id: string) => id },
      });

    expect(await failureOf(select(false))).toMatchObject({ code: 'BACKUP.NOT_ENCRYPTED' });
    expect((await select(true)).set.manifest.id).toBe(set);
  });

  it('that somebody else encrypted to the public half of the key is refused, unless it is asked for', async () => {
    const { storage, directory } = await givenPlace();
    const secret = { identity: await generateX25519Identity() };
    const { set } = await backUp([target], storage, { secret });
    const select = (allowsPlain: boolean) =>
      selectSet(storage, set, {
        ...{ secret, services: [target.service], isNamed: true, allowsMasked: false, allowsPlain },
        ...{ command: 'restore', argumentOf: (id: string) => id },
      });
    const signature = path.join(directory, set, 'manifest.sig');
    expect((await select(false)).set.isSigned).toBe(true);

    const genuine = await readFile(signature, 'utf8');
    await writeFile(signature, genuine.replace(/[0-9a-f]{8}$/m, '00000000'));
    expect(await failureOf(select(true))).toMatchObject({ code: 'BACKUP.DAMAGED', meta: { file: 'manifest.sig' } });

    await rm(signature);
    expect(await failureOf(select(false))).toMatchObject({ code: 'BACKUP.NOT_SIGNED' });
    expect((await select(true)).set.manifest.id).toBe(set);
  });

  it('says nothing of what it holds in the clear result of its verification', async () => {
    const { storage } = await givenPlace();
    const secret = { identity: await generateX25519Identity() };
    const { set } = await backUp([target], storage, { secret });
    const opened = await openSet(storage, set, secret);
    const found = { problems: ['notes has the PIN 4711'], warnings: ['one', 'two'] };

    await writeVerification(opened, { ok: false, restoreSeconds: 1, ...found });

    const text = (await storage.readText(set, 'verified.json')) ?? '';
    expect(text).not.toMatch(/4711|one|two/);
    const stored = JSON.parse(text);
    expect([stored.problems, stored.warnings]).toEqual([
      ['in the encrypted details'],
      ['in the encrypted details', 'in the encrypted details'],
    ]);
    const details = Readable.from([Buffer.from(stored.details, 'base64')]);
    expect(JSON.parse(await textOf(decrypt(opened.key ?? { identity: '' }, details)))).toEqual(found);
  });

  it('is refused with a code when the key is mistyped', async () => {
    const identity = await generateX25519Identity();
    const mistyped = identity.slice(0, -1) + (identity.endsWith('Q') ? 'P' : 'Q');

    expect(await failureOf(makeSetKey({ identity: mistyped }))).toMatchObject({ code: 'CONFIG.BAD_BACKUP_KEY' });
  });

  it('can be restored before the directory of the suite exists', async () => {
    const { storage, directory } = await givenPlace();
    const { manifest } = await backUp([target], storage);
    const pairs = manifest.databases.map((entry) => ({ target: { ...target, server: 'embedded' } as const, entry }));

    await requireRestorable(pairs, path.join(directory, 'not', 'yet'));
  });
});

describe('the sessions of a backup', () => {
  let target: Target;
  beforeAll(async () => {
    target = (await givenMigratedFleet({ notes: { schema: SCHEMA, up: UP } })).target('notes');
  });
  afterAll(removeFleets);

  it('have none of the limits that the database sets', async () => {
    const names = [
      ...['statement_timeout', 'lock_timeout', 'transaction_timeout'],
      ...['idle_in_transaction_session_timeout', 'idle_session_timeout'],
    ];
    const known = await rowsOf(target.admin, `SELECT name FROM pg_settings WHERE name = ANY ('{${names.join()}}')`);
    for (const name of known) await rowsOf(target.admin, `ALTER DATABASE ${target.database} SET ${name} = '1h'`);

    const values = await withClient(target.admin, async (client) => {
      const { rows } = await client.query<{ setting: string }>(
        'SELECT setting FROM pg_settings WHERE name = ANY ($1)',
        [known],
      );
      return rows.map(({ setting }) => setting);
    });

    expect(values).toEqual(known.map(() => '0'));
  });

  it('keep their scratch database although the lock is in another database', async () => {
    const name = `${target.database}__scratch_${randomBytes(4).toString('hex')}`;
    await rowsOf(target.maintenance, `CREATE DATABASE ${name}`);
    await withClient(target.maintenance, async (client) => {
      const [found] = await findScratchDatabases(client, [target.database]);
      expect(found).toMatchObject({ name, state: 'unused' });
      // The run takes its lock, in another database, after it was found.
      await withClient(target.admin, async (run) => {
        await run.query('SELECT pg_advisory_lock(hashtext($1))', [name]);
        expect(await failureOf(found?.remove() ?? Promise.resolve())).toMatchObject({ code: 'CLEANUP.IN_USE' });
      });
      await withClient(withUrlParts(target.maintenance, { database: name }), async () => {
        expect(await failureOf(found?.remove() ?? Promise.resolve())).toMatchObject({ code: 'CLEANUP.IN_USE' });
      });
    });
    await rowsOf(target.maintenance, `DROP DATABASE ${name}`);
  });

  it('keep the unfinished set fresh while they wait', async () => {
    const { directory } = await givenPlace();
    const part = path.join(directory, 'part');
    await mkdir(part);
    const past = new Date('2020-01-01T00:00:00Z');
    await utimes(part, past, past);

    const stop = keepFresh(part, 1);
    while ((await stat(part)).mtimeMs === past.getTime()) await sleep(5);
    await stop();
    await removePlaces();
  });
});
