import type { Migration } from '@azora/db-migrate';
import { compareHistory, migrateUp, type RunOptions, readHistory, withClient } from '@azora/db-migrate';
import {
  failureOf,
  givenMigrations,
  nameOf,
  removeMigrations,
  rowsOf,
  tablesOf,
  useEmptyDatabase,
  WAIT,
} from './migrations-fixture';

const url = useEmptyDatabase();
afterAll(removeMigrations);

const up = (migrations: readonly Migration[], options: Partial<RunOptions> = {}) =>
  migrateUp(url(), migrations, { ...WAIT, ...options });

const stateOf = (migrations: readonly Migration[]) =>
  withClient(url(), async (client) => compareHistory(migrations, await readHistory(client)));

describe('migrating up', () => {
  it('applies the pending migrations in order, once, and records them in the history', async () => {
    const two = await givenMigrations({
      '01_users': 'CREATE TABLE users (id int PRIMARY KEY);',
      '02_email': "ALTER TABLE users ADD email text;\nINSERT INTO users VALUES (1, 'a;b');",
    });
    const applied: string[] = [];

    expect(await up(two.slice(0, 1))).toEqual([nameOf('01_users')]);
    expect(await up(two, { onMigration: (name) => applied.push(name) })).toEqual([nameOf('02_email')]);
    expect(await up(two)).toEqual([]);

    expect(applied).toEqual([nameOf('02_email')]);
    expect(await rowsOf(url(), 'SELECT id, email FROM users')).toEqual([{ id: 1, email: 'a;b' }]);
    const sql = `SELECT migration_name, checksum, finished_at >= started_at AS finished, logs, rolled_back_at,
                        applied_steps_count, length(id) AS id FROM _prisma_migrations ORDER BY 1`;
    expect(await rowsOf(url(), sql)).toEqual(
      two.map(({ name, checksum }) => ({
        migration_name: name,
        checksum,
        finished: true,
        logs: null,
        rolled_back_at: null,
        applied_steps_count: 1,
        id: 36,
      })),
    );
  });

  it('writes the history in the transaction of the migration', async () => {
    await up(await givenMigrations({ '01_a': 'CREATE TABLE a ();' }));

    const table = await rowsOf(url(), "SELECT xmin::text FROM pg_class WHERE relname = 'a'");
    expect(await rowsOf(url(), 'SELECT xmin::text FROM _prisma_migrations')).toEqual(table);
  });

  it('needs one query when nothing is pending', async () => {
    const migrations = await givenMigrations({ '01_a': 'CREATE TABLE a ();' });
    await up(migrations);

    await withClient(url(), async (client) => {
      const queries = jest.spyOn(client, 'query');

      expect(await migrateUp(client, migrations, WAIT)).toEqual([]);
      expect(queries).toHaveBeenCalledTimes(1);
    });
  });

  it('does not change a database when there are no migrations', async () => {
    expect(await up([])).toEqual([]);
    expect(await rowsOf(url(), "SELECT to_regclass('_prisma_migrations')")).toEqual([null]);
  });

  it('reports a failing statement with file, line, column and caret, and rolls the file back', async () => {
    const broken = await givenMigrations({
      '01_a': 'CREATE TABLE a (note text);',
      '02_b': "CREATE TABLE b ();\n\tINSERT INTO a VALUES ('😀é'), (nope);\n",
    });

    const error = await failureOf(up(broken));

    const file = broken[1]?.file;
    expect(error.code).toBe('MIGRATION.SQL_FAILED');
    expect(error.message).toBe(`${nameOf('02_b')} failed: column "nope" does not exist`);
    expect(error.why).toBe(
      `SQLSTATE 42703 at ${file}:2:32; the migration was rolled back.\n` +
        `2 | \tINSERT INTO a VALUES ('😀é'), (nope);\n    \t${' '.repeat(31)}^\n`,
    );
    expect(error.meta).toEqual({ file, line: 2, column: 32, sqlState: '42703' });
    expect(await tablesOf(url())).toEqual(['a']);
  });

  it('continues once the failed file is corrected, and keeps the error in the history until then', async () => {
    const broken = await givenMigrations({
      '01_a': 'CREATE TABLE a ();',
      '02_b': 'CREATE TABLE b (',
      '03_c': 'SELECT 1;',
    });
    const corrected = await givenMigrations({
      '01_a': 'CREATE TABLE a ();',
      '02_b': 'CREATE TABLE b ();',
      '03_c': 'SELECT 1;',
    });
    await failureOf(up(broken));

    expect(await stateOf(corrected)).toMatchObject({
      applied: [nameOf('01_a')],
      pending: [nameOf('02_b'), nameOf('03_c')],
      failed: [{ name: nameOf('02_b'), error: expect.stringContaining('syntax error at end of input') }],
      unfinished: [],
    });
    expect(await up(corrected)).toEqual([nameOf('02_b'), nameOf('03_c')]);
    expect(await stateOf(corrected)).toMatchObject({ pending: [], failed: [], edited: [] });
  });

  it('reports an error without a position at its statement', async () => {
    const migrations = await givenMigrations({
      '01_a': 'CREATE TABLE a ();\n-- again\n  CREATE TABLE a ();\nSELECT 1;',
    });

    expect(await failureOf(up(migrations))).toMatchObject({
      message: expect.stringContaining('relation "a" already exists'),
      meta: { line: 3, column: 3 },
    });
  });

  it('does not show values of rows', async () => {
    const first = "CREATE TABLE a (id text); INSERT INTO a VALUES ('s3cret'), ('s3cret');";
    for (const [second, code] of [
      ['ALTER TABLE a ADD PRIMARY KEY (id)', '23505'],
      ['ALTER TABLE a ALTER id TYPE int USING id::int', '22P02'],
    ] as const) {
      const error = await failureOf(up(await givenMigrations({ '01_a': `${first}\n${second}` })));

      expect(error.meta['sqlState']).toBe(code);
      expect(`${error.message} ${error.why}`.replace(/\n.*\n.*\^\n/, '')).not.toContain('s3cret');
      expect(error.meta['line']).toBe(2);
    }
    expect(await rowsOf(url(), "SELECT count(*)::int FROM _prisma_migrations WHERE logs LIKE '%s3cret%'")).toEqual([0]);
  });

  it('reports an error that a migration raises, and one that is raised at the commit', async () => {
    for (const [sql, message] of [
      ["DO $$ BEGIN RAISE EXCEPTION 'no users'; END $$", 'no users'],
      [
        `CREATE TABLE p (id int PRIMARY KEY);
         CREATE TABLE c (id int REFERENCES p DEFERRABLE INITIALLY DEFERRED); INSERT INTO c VALUES (1)`,
        'violates foreign key constraint',
      ],
      ['CREATE TABLE a (id int); COPY a FROM STDIN', 'a migration has no input'],
    ] as const) {
      const error = await failureOf(up(await givenMigrations({ '01_a': sql })));

      expect(error).toMatchObject({ code: 'MIGRATION.SQL_FAILED', message: expect.stringContaining(message) });
      expect(await tablesOf(url())).toEqual([]);
    }
  });

  it('stops a statement that waits too long for a lock, or runs too long', async () => {
    const first = { '01_a': 'CREATE TABLE a ();' };
    await up(await givenMigrations(first));
    await withClient(url(), async (other) => {
      await other.query('BEGIN; LOCK TABLE a');
      const waits = await givenMigrations({ ...first, '02_b': 'DROP TABLE a;' });
      const sleeps = await givenMigrations({ ...first, '02_b': 'SELECT pg_sleep(20);' });

      expect((await failureOf(up(waits, { lockTimeoutMs: 100, lockRetries: 0 }))).code).toBe('MIGRATION.LOCK_TIMEOUT');
      expect((await failureOf(up(sleeps, { statementTimeoutMs: 100 }))).meta['sqlState']).toBe('57014');
    });
  });

  it('has none of the limits that the database sets, also after a migration that changed them', async () => {
    const [name] = await rowsOf(url(), 'SELECT current_database()');
    await rowsOf(url(), `ALTER DATABASE ${name} SET statement_timeout = '1h'`);
    await rowsOf(url(), `ALTER DATABASE ${name} SET idle_in_transaction_session_timeout = '1h'`);
    const limits = `current_setting('statement_timeout') || current_setting('idle_in_transaction_session_timeout')`;
    const migrations = {
      '01_a': `CREATE TABLE seen AS SELECT ${limits} AS limits; SET statement_timeout = '2h';`,
      '02_b': `INSERT INTO seen SELECT ${limits};`,
      '03_c': `-- no-transaction\nINSERT INTO seen SELECT ${limits};`,
    };

    await up(await givenMigrations(migrations));

    expect(await rowsOf(url(), 'SELECT limits FROM seen')).toEqual(['00', '00', '00']);
  });

  it('rejects edited, missing and out-of-order files before anything runs', async () => {
    const applied = await givenMigrations({ '01_a': 'CREATE TABLE a ();', '03_c': 'CREATE TABLE c ();' });
    await up(applied);
    const cases: readonly [string, string, Record<string, string>][] = [
      ['MIGRATION.EDITED', '01_a', { '01_a': 'CREATE TABLE a (id int);', '03_c': 'CREATE TABLE c ();' }],
      ['MIGRATION.MISSING', '01_a', { '03_c': 'CREATE TABLE c ();' }],
      ['MIGRATION.OUT_OF_ORDER', '02_b', { '01_a': 'CREATE TABLE a ();', '02_b': '', '03_c': 'CREATE TABLE c ();' }],
    ];
    for (const [code, name, files] of cases) {
      const error = await failureOf(up(await givenMigrations({ ...files, '04_d': 'CREATE TABLE d ();' })));

      expect(error).toMatchObject({ code, meta: { migrations: [nameOf(name)] } });
    }
    expect(await tablesOf(url())).toEqual(['a', 'c']);
  });

  it('rejects a COMMIT in a file before anything runs', async () => {
    const migrations = await givenMigrations({ '01_a': 'CREATE TABLE a ();', '02_b': 'CREATE TABLE b ();\n  COMMIT;' });

    expect(await failureOf(up(migrations))).toMatchObject({
      code: 'MIGRATION.HOLDS_TRANSACTION',
      message: `${migrations[1]?.file}:2:3 begins or ends a transaction`,
    });
    expect(await tablesOf(url())).toEqual([]);
  });

  it('detects a COMMIT that the scan missed, and stops until a person resolves the migration', async () => {
    // On such a server '\'' is one string; for the scan, which reads standard SQL, the COMMIT is inside another string.
    await rowsOf(url(), `ALTER DATABASE ${url().database} SET standard_conforming_strings = off`);
    const sql = String.raw`CREATE TABLE a (); SELECT '\''; COMMIT; SELECT '\'';`;
    const migrations = await givenMigrations({ '01_a': sql, '02_b': 'CREATE TABLE b ();' });

    expect((await failureOf(up(migrations))).code).toBe('MIGRATION.HOLDS_TRANSACTION');
    expect((await failureOf(up(migrations))).code).toBe('MIGRATION.UNFINISHED');
    expect(await tablesOf(url())).toEqual(['a']);
  });

  it('runs afterEach in the transaction of each migration', async () => {
    const migrations = await givenMigrations({ '01_a': 'CREATE TABLE a ();', '02_b': 'CREATE TABLE b ();' });
    const afterEach: RunOptions['afterEach'] = async (client) => {
      await client.query('CREATE TABLE IF NOT EXISTS after_each (); SELECT * FROM a');
      const { rows } = await client.query("SELECT to_regclass('b') AS b");
      if (rows[0].b !== null) throw new Error('not b');
    };

    await expect(up(migrations, { afterEach })).rejects.toThrow('not b');
    expect(await tablesOf(url())).toEqual(['a', 'after_each']);
    expect((await stateOf(migrations)).pending).toEqual([nameOf('02_b')]);
  });

  it('resets the session settings for every migration', async () => {
    const migrations = await givenMigrations({
      '01_dump': `SET search_path = ''; CREATE TABLE public.a ();
                  CREATE FUNCTION public.f() RETURNS int LANGUAGE sql AS 'SELECT 1';
                  SET ROLE pg_monitor; SET statement_timeout = 300;`,
      '02_b': 'CREATE TABLE b (); SELECT f(), pg_sleep(0.5);',
    });

    expect(await up(migrations)).toHaveLength(2);
    expect(await tablesOf(url())).toEqual(['a', 'b']);
  });

  it('finishes the current migration after an interrupt, and then stops', async () => {
    const migrations = await givenMigrations({ '01_a': 'CREATE TABLE a ();', '02_b': 'CREATE TABLE b ();' });
    const interrupt = new AbortController();

    const applied = await up(migrations, { signal: interrupt.signal, onMigration: () => interrupt.abort() });

    expect(applied).toEqual([nameOf('01_a')]);
    expect(await tablesOf(url())).toEqual(['a']);
  });
});

describe('a migration outside of a transaction', () => {
  const TABLE = 'CREATE TABLE a (id int);';

  it('runs statement by statement', async () => {
    const migrations = await givenMigrations({
      '01_a': TABLE,
      '02_index': `-- no-transaction
        DROP INDEX CONCURRENTLY IF EXISTS a_id; -- what an interruption left
        CREATE INDEX CONCURRENTLY a_id ON a (id);
        VACUUM a;`,
    });

    expect(await up(migrations)).toEqual([nameOf('01_a'), nameOf('02_index')]);
    expect(await rowsOf(url(), "SELECT indisvalid FROM pg_index WHERE indexrelid = 'a_id'::regclass")).toEqual([true]);
    expect(await stateOf(migrations)).toMatchObject({ applied: [nameOf('01_a'), nameOf('02_index')], failed: [] });
  });

  it('that fails is not retried automatically', async () => {
    const migrations = await givenMigrations({ '01_a': `-- no-transaction\n${TABLE}\nCREATE INDEX\n  ON a (nope);` });

    expect(await failureOf(up(migrations))).toMatchObject({
      code: 'MIGRATION.SQL_FAILED',
      why: expect.stringMatching(
        /migration\.sql:3:1; earlier statements of the file remain applied\.\n3 \| CREATE INDEX\n {4}\^/,
      ),
    });
    expect(await failureOf(up(migrations))).toMatchObject({
      code: 'MIGRATION.UNFINISHED',
      meta: { migrations: [nameOf('01_a')] },
    });
    expect((await stateOf(migrations)).failed).toEqual([
      { name: nameOf('01_a'), error: expect.stringContaining('column "nope" does not exist') },
    ]);
  });
});

describe('a migration that was written for Prisma and must not be edited', () => {
  const TABLE = 'CREATE TABLE a (id int);';
  const MOOD = "CREATE TYPE mood AS ENUM ('good'); CREATE TABLE days (mood mood);";

  it('runs outside of a transaction where PostgreSQL requires it, also beside other statements', async () => {
    const migrations = await givenMigrations({
      '01_a': TABLE,
      '02_i': 'ALTER TABLE a ADD COLUMN name text;\nCREATE INDEX CONCURRENTLY i ON a (name);\nVACUUM a;',
      '03_i': 'REINDEX INDEX CONCURRENTLY i; DROP INDEX CONCURRENTLY i;',
    });

    expect(await up(migrations)).toHaveLength(3);
    expect((await stateOf(migrations)).pending).toEqual([]);
  });

  it('is one transaction with its history row in spite of its own BEGIN and COMMIT', async () => {
    const broken = 'BEGIN;\nALTER TABLE days ADD COLUMN x int;\nCOMMIT;\nBEGIN;\nSELECT nope;\nCOMMIT;';
    const migrations = await givenMigrations({
      '01_a': `\uFEFFBEGIN;\r\n${MOOD}\r\nCOMMIT;\r\n`,
      '02_b': broken,
    });

    expect((await failureOf(up(migrations))).why).toContain(`migration.sql:5:8; the migration was rolled back.`);
    expect(
      await rowsOf(url(), "SELECT attname FROM pg_attribute WHERE attrelid = 'days'::regclass AND attnum > 0"),
    ).toEqual(['mood']);
    expect(await stateOf(migrations)).toMatchObject({ applied: [nameOf('01_a')], unfinished: [] });
  });

  it('commits where its own COMMIT stands when it needs that: new values of an enumeration, an isolation level', async () => {
    const migrations = await givenMigrations({
      '01_mood': MOOD,
      '02_bad': "BEGIN; ALTER TYPE mood ADD VALUE 'bad'; COMMIT; INSERT INTO days VALUES ('bad');",
      '03_set': 'BEGIN; SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; UPDATE days SET mood = mood; COMMIT;',
      '04_begin': 'BEGIN ISOLATION LEVEL SERIALIZABLE; UPDATE days SET mood = mood; COMMIT;',
    });

    expect(await up(migrations)).toHaveLength(4);
    expect(await rowsOf(url(), 'SELECT mood::text FROM days')).toEqual(['bad']);
  });

  it('keeps no part of its own block when it fails there, and stops until a person resolves it', async () => {
    const migrations = await givenMigrations({
      '01_mood': MOOD,
      '02_bad': "ALTER TYPE mood ADD VALUE 'bad'; BEGIN; INSERT INTO days VALUES ('good'); SELECT nope; COMMIT;",
    });

    await failureOf(up(migrations));

    expect(await rowsOf(url(), 'SELECT FROM days')).toEqual([]);
    expect((await failureOf(up(migrations))).code).toBe('MIGRATION.UNFINISHED');
  });
});
