import { spawnSync } from 'node:child_process';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { generateX25519Identity } from 'age-encryption';
import { chunksOf } from '../src/backup-store/file';
import { openSet } from '../src/backup-store/set';
import { verifySet } from '../src/operations/backup/verify';
import { migrateTargetUp } from '../src/operations/migrations/migrate';
import { pgRestoreRows } from '../src/postgres/dump/pg-dump';
import { backUp, filesIn, givenPlace, removePlaces, restore } from './backup-fixture';
import { givenFleet, removeFleets } from './fleet-fixture';
import { failureOf, rowsOf } from './migrations-fixture';

const SCHEMA = 'model Note {\n  id Int @id\n  kind String @db.VarChar(10)\n  text String?\n  @@map("notes")\n}';
const INIT = {
  up: `CREATE TABLE notes (id int PRIMARY KEY, kind varchar(10) NOT NULL CHECK (kind IN ('a', 'b')), text text);
       CREATE SEQUENCE numbers START 7;`,
  down: 'DROP TABLE notes; DROP SEQUENCE numbers;',
};
const FULL = `SELECT id || kind || coalesce(text, '-') FROM notes ORDER BY id`;

/** Whether this machine's pg_dump can read the test server. If not, the tests expect the refusal. */
const CAN_READ =
  spawnSync('pg_dump', ['--schema-only', '--dbname', process.env['TEST_DATABASE_URL'] ?? '']).status === 0;

describe('a backup set with pg_dump archives', () => {
  afterAll(async () => {
    await removePlaces();
    await removeFleets();
  });

  const given = async () => {
    const fleet = await givenFleet({ notes: { schema: SCHEMA, migrations: { '20260101000001_init': INIT } } });
    const target = fleet.target('notes');
    await migrateTargetUp(target, { lockTimeoutMs: 10_000 });
    await rowsOf(
      target.admin,
      `INSERT INTO notes VALUES (1, 'a', NULL), (2, 'b', E'a\\tb\\\\N'), (3, 'a', '');
      SELECT nextval('numbers')`,
    );
    return { target, ...(await givenPlace()) };
  };
  const backUpArchive = ({ target, storage }: Awaited<ReturnType<typeof given>>, options = {}) =>
    backUp([target], storage, { format: 'pg_dump', ...options });

  if (CAN_READ) {
    it('restores the database unchanged, encrypted or not', async () => {
      const place = await given();
      const { target, storage, directory } = place;
      const secret = { identity: await generateX25519Identity() };
      const [plain, locked] = [await backUpArchive(place), await backUpArchive(place, { secret })];

      expect(await filesIn(path.join(directory, plain.set))).toEqual([
        'manifest.json',
        'manifest.seal',
        'notes/access.json',
        'notes/database.dump',
        'notes/post-data.sql',
        'notes/pre-data.sql',
      ]);
      expect(plain.manifest.databases).toMatchObject([
        {
          tables: [
            { name: '_prisma_migrations', file: null },
            { name: 'notes', rows: 3, file: null },
          ],
        },
      ]);
      for (const [{ set }, key] of [[plain, undefined] as const, [locked, secret] as const]) {
        await rowsOf(target.admin, `DELETE FROM notes; SELECT setval('numbers', 1)`);
        expect(await restore([target], storage, set, { ...(key === undefined ? {} : { secret: key }) })).toMatchObject([
          { state: 'done' },
        ]);
        expect(await rowsOf(target.admin, FULL)).toEqual(['1a-', '2ba\tb\\N', '3a']);
        expect(await rowsOf(target.admin, `SELECT nextval('numbers')::int`)).toEqual([8]);
        await expect(rowsOf(target.admin, `INSERT INTO notes VALUES (4, 'c')`)).rejects.toThrow('notes_kind_check');
        const { verification } = await verifySet(
          [target],
          { set: await openSet(storage, set, key), home: directory, references: [], environment: process.env },
          {},
        );
        expect(verification).toMatchObject({ ok: true, problems: [] });
      }
    });

    it('is rejected for one changed byte before anything is changed', async () => {
      const place = await given();
      const { target, storage, directory } = place;
      const { set } = await backUpArchive(place);
      const archive = path.join(directory, set, 'notes', 'database.dump');
      const bytes = await readFile(archive);
      bytes[100] = (bytes[100] ?? 0) ^ 1;
      await writeFile(archive, bytes);

      expect(await failureOf(restore([target], storage, set))).toMatchObject({
        code: 'BACKUP.DAMAGED',
        meta: { file: 'notes/database.dump' },
      });
      expect(await rowsOf(target.admin, FULL)).toHaveLength(3);
    });
  } else {
    it('is refused when pg_dump cannot read the server, and leaves nothing behind', async () => {
      const place = await given();

      expect(await failureOf(backUpArchive(place))).toMatchObject({ code: 'BACKUP.NO_PG_DUMP' });
      expect(await readdir(place.directory)).toEqual([]);
    });
  }

  describe('with another pg_dump', () => {
    const withPath = (PATH: string) => ({ environment: { ...process.env, PATH } });

    it('is not stored when pg_dump fails; its output is shown, and its arguments have no password', async () => {
      const place = await given();
      const bin = (await givenPlace()).directory;
      const said = path.join(bin, 'arguments');
      const program = `#!/bin/sh
if [ "$1" = --version ]; then echo 'pg_dump (PostgreSQL) 99.1'; exit 0; fi
echo "$@" > ${said}
echo 'half an archive'
echo 'pg_dump: error: out of paper' >&2
exit 3
`;
      await writeFile(path.join(bin, 'pg_dump'), program, { mode: 0o755 });
      const options = withPath(`${bin}${path.delimiter}${process.env['PATH']}`);

      expect(await failureOf(backUpArchive(place, options))).toMatchObject({
        code: 'BACKUP.PG_DUMP_FAILED',
        kind: 'failure',
        why: 'pg_dump: error: out of paper',
      });

      expect(await readdir(place.directory)).toEqual([]);
      const password = new URL(place.target.admin.href).password;
      expect(await readFile(said, 'utf8')).toContain(`/${place.target.database}`);
      expect(password).not.toBe('');
      expect(await readFile(said, 'utf8')).not.toContain(`:${password}@`);
    });

    it('passes pg_dump only the variables that every program needs', async () => {
      const place = await given();
      const bin = (await givenPlace()).directory;
      const seen = path.join(bin, 'environment');
      const program = `#!/bin/sh
if [ "$1" = --version ]; then echo 'pg_dump (PostgreSQL) 99.1'; exit 0; fi
env > ${seen}
exit 3
`;
      await writeFile(path.join(bin, 'pg_dump'), program, { mode: 0o755 });
      const secrets = {
        AZORA_BACKUP_KEY: 'sesame',
        AZORA_BACKUP_PASSPHRASE: 'sesame',
        AZORA_MASK_KEY: 'sesame',
        AWS_SECRET_ACCESS_KEY: 'sesame',
        DATABASE_URL: 'postgresql://postgres:sesame@host',
        NODE_OPTIONS: '--title=sesame',
        PGHOST: 'sesame',
      };
      const environment = { ...process.env, ...secrets, PATH: `${bin}${path.delimiter}${process.env['PATH']}` };

      await failureOf(backUpArchive(place, { environment }));

      const variables = await readFile(seen, 'utf8');
      expect(variables).toMatch(/^PGPASSWORD=/m);
      expect(variables).not.toContain('sesame');
    });

    it('cannot be restored when pg_restore is missing', async () => {
      const { target, directory } = await given();
      const options = { ...withPath(directory), signal: undefined };

      expect(await failureOf(pgRestoreRows(target.admin, chunksOf('an archive'), options))).toMatchObject({
        code: 'RESTORE.NO_PG_RESTORE',
        kind: 'configuration',
        why: 'There is no pg_restore on the PATH.',
      });
    });

    it('is refused when pg_dump is missing, cannot be run or is older than the server, before anything is stored', async () => {
      const place = await given();
      const bin = (await givenPlace()).directory;
      expect(await failureOf(backUpArchive(place, withPath(bin)))).toMatchObject({
        code: 'BACKUP.NO_PG_DUMP',
        kind: 'configuration',
        why: 'There is no pg_dump on the PATH.',
      });

      await writeFile(path.join(bin, 'pg_dump'), '', { mode: 0o644 });
      expect(await failureOf(backUpArchive(place, withPath(bin)))).toMatchObject({
        code: 'BACKUP.NO_PG_DUMP',
        why: expect.stringContaining('EACCES'),
      });

      await rm(path.join(bin, 'pg_dump'));
      await writeFile(path.join(bin, 'pg_dump'), `#!/bin/sh\necho 'pg_dump (PostgreSQL) 9.6.1'\n`, { mode: 0o755 });
      expect(await failureOf(backUpArchive(place, withPath(bin)))).toMatchObject({
        code: 'BACKUP.NO_PG_DUMP',
        why: expect.stringMatching(/^pg_dump 9\.6 cannot read a server of PostgreSQL \d+\.$/),
      });
      expect(await readdir(place.directory)).toEqual([]);
    });
  });
});
