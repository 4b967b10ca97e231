import { EventEmitter, once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Migration } from '@azora/db-migrate';
import { MIGRATION_LOCK, migrateDown, migrateUp, type RunOptions, withClient } from '@azora/db-migrate';
import type { Client } from 'pg';
import {
  failureOf,
  givenMigrations,
  nameOf,
  openClient,
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

/** Waits until a session of the database runs a statement with this beginning; returns its pid. */
async function waitForStatement(beginning: string): Promise<number> {
  for (let tries = 0; tries < 3_000; tries += 1) {
    const [pid] = await rowsOf(
      url(),
      `SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND state = 'active'
         AND query LIKE '${beginning}%'`,
    );
    if (typeof pid === 'number') return pid;
    await sleep(10);
  }
  throw new Error(`no session runs ${beginning}`);
}

/** Closes the connection as the kernel does when a process is killed: without a message to the server. */
function kill(client: Client): void {
  if ('connection' in client && typeof client.connection === 'object' && client.connection !== null) {
    const { stream } = client.connection as { readonly stream: { readonly destroy: () => void } };
    stream.destroy();
  }
}

describe('many runners', () => {
  it('apply every migration exactly once', async () => {
    const migrations = await givenMigrations({
      '01_a': 'CREATE TABLE a (id serial PRIMARY KEY);',
      '02_row': 'INSERT INTO a DEFAULT VALUES; SELECT pg_sleep(0.05);',
      '03_row': 'INSERT INTO a DEFAULT VALUES;',
    });

    const applied = await Promise.all(Array.from({ length: 20 }, () => up(migrations)));

    expect(applied.flat().sort()).toEqual(migrations.map(({ name }) => name));
    expect(await rowsOf(url(), 'SELECT count(*)::int FROM a')).toEqual([2]);
    expect(await rowsOf(url(), 'SELECT count(*)::int FROM _prisma_migrations')).toEqual([3]);
  });

  it('apply every migration exactly once even if advisory locks have no effect', async () => {
    const migrations = await givenMigrations({ '01_a': 'CREATE TABLE a ();', '02_b': 'CREATE TABLE b ();' });
    await rowsOf(
      url(),
      `CREATE FUNCTION public.pg_try_advisory_lock(bigint) RETURNS boolean LANGUAGE sql AS 'SELECT pg_sleep(0.05); SELECT true';
       -- A function of an extension does not count as contents of the database.
       ALTER EXTENSION plpgsql ADD FUNCTION public.pg_try_advisory_lock(bigint);
       ALTER DATABASE ${url().database} SET search_path = public, pg_catalog`,
    );

    const applied = await Promise.all(Array.from({ length: 8 }, () => up(migrations)));

    expect(applied.flat().sort()).toEqual(migrations.map(({ name }) => name));
    expect(await rowsOf(url(), 'SELECT count(*)::int FROM _prisma_migrations')).toEqual([2]);
  });

  it('do not block an index that another runner builds concurrently', async () => {
    const migrations = await givenMigrations({
      '01_a': 'CREATE TABLE a (id int);',
      '02_i': '-- no-transaction\nSELECT pg_sleep(3);\nCREATE INDEX CONCURRENTLY i ON a (id);',
    });
    const first = up(migrations);
    await waitForStatement('SELECT pg_sleep');

    const others = await Promise.all([up(migrations), up(migrations)]);

    expect(await first).toHaveLength(2);
    expect(others).toEqual([[], []]);
    expect(await rowsOf(url(), "SELECT indisvalid FROM pg_index WHERE indexrelid = 'i'::regclass")).toEqual([true]);
  });
});

describe('the migration lock', () => {
  it('that another session holds is reported with the process of that session, after the timeout', async () => {
    const migrations = await givenMigrations({ '01_a': 'CREATE TABLE a ();' });
    const holder = await openClient(url(), 'somebody else');
    const { rows } = await holder.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    await holder.query(`SELECT pg_advisory_lock(${MIGRATION_LOCK})`);
    const waits: string[] = [];

    const started = performance.now();
    const error = await failureOf(up(migrations, { runnerTimeoutMs: 300, onWait: (who) => waits.push(who) }));

    expect(performance.now() - started).toBeGreaterThan(300);
    expect(error.code).toBe('MIGRATION.LOCKED');
    expect(error.why).toMatch(
      new RegExp(
        `^The migration lock is held by process ${rows[0]?.pid} \\(somebody else, connected since 20\\d\\d-.* UTC\\)\\.$`,
      ),
    );
    expect(waits).toHaveLength(1);
    const waiting = up(migrations);
    await holder.query(`SELECT pg_advisory_unlock(${MIGRATION_LOCK})`);
    expect(await waiting).toHaveLength(1);
    await holder.end();
  });

  it('is released after a run, whether the run succeeded or failed', async () => {
    await withClient(url(), async (client) => {
      const good = await givenMigrations({ '01_a': 'CREATE TABLE a ();' });
      const bad = await givenMigrations({ '01_a': 'CREATE TABLE a ();', '02_b': 'CREATE TABLE a ();' });
      await migrateUp(client, good, WAIT);
      await failureOf(migrateUp(client, bad, WAIT));

      const held = await client.query("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()");
      expect(held.rows).toEqual([]);
    });
  });
});

/** A session that reads a table in a transaction and keeps its lock until the transaction ends. */
async function holdTable(table: string): Promise<{ readonly client: Client; readonly pid: number }> {
  const client = await openClient(url(), 'long reader');
  await client.query(`BEGIN; SELECT FROM ${table}`);
  const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
  return { client, pid: rows[0]?.pid ?? 0 };
}

/** Waits until a session queues for the lock on a table that blocks its readers. */
async function waitForQueue(table: string): Promise<void> {
  const waiting = `SELECT 1 FROM pg_locks WHERE relation = '${table}'::regclass AND mode = 'AccessExclusiveLock' AND NOT granted`;
  while ((await rowsOf(url(), waiting)).length === 0) await sleep(5);
}

describe('a table that a long transaction reads', () => {
  const TABLES = { '00_tables': 'CREATE TABLE busy (id int); CREATE TABLE log (id int);' };
  beforeEach(async () => {
    await up(await givenMigrations(TABLES));
  });

  it('stays readable for others while a migration waits for it, and the migration runs when the reader ends', async () => {
    const reader = await holdTable('busy');
    const reasons: string[] = [];
    const events = new EventEmitter();
    const firstReason = once(events, 'reason');
    const onWait = (reason: string) => {
      reasons.push(reason);
      events.emit('reason');
    };
    const migrations = await givenMigrations({ ...TABLES, '01_a': 'ALTER TABLE busy ADD extra int;' });
    const running = up(migrations, { lockTimeoutMs: 200, lockRetries: 1_000, onWait });
    await waitForQueue('busy');

    // Behind the migration in the queue of the table: this ends before the long reader does.
    expect(await rowsOf(url(), 'SELECT FROM busy')).toEqual([]);
    await firstReason;
    await reader.client.query('COMMIT');

    expect(await running).toEqual([nameOf('01_a')]);
    expect(reasons[0]).toMatch(
      new RegExp(`^waiting for a lock on busy held by process ${reader.pid} \\(long reader, .*; retry 1 of 1000$`),
    );
    expect(await rowsOf(url(), 'SELECT count(*)::int FROM _prisma_migrations')).toEqual([2]);
    await reader.client.end();
  });

  it('stops a migration after a number of retries, and the history keeps one failed attempt', async () => {
    const reader = await holdTable('busy');
    const reasons: string[] = [];
    const migrations = await givenMigrations({ ...TABLES, '01_a': 'SELECT 1;\nALTER TABLE busy ADD extra int;' });

    const error = await failureOf(
      up(migrations, { lockTimeoutMs: 50, lockRetries: 2, onWait: (reason) => reasons.push(reason) }),
    );

    expect(error).toMatchObject({
      code: 'MIGRATION.LOCK_TIMEOUT',
      message: expect.stringMatching(
        `^${nameOf('01_a')} timed out waiting for a lock on busy held by process ${reader.pid} `,
      ),
      why: expect.stringContaining('The runner tried 3 times.'),
      meta: { line: 2, column: 1, sqlState: '55P03', locks: [{ relation: 'busy' }] },
    });
    expect(reasons.map((reason) => reason.split('; ')[1])).toEqual(['retry 1 of 2', 'retry 2 of 2']);
    expect(
      await rowsOf(url(), 'SELECT rolled_back_at IS NOT NULL FROM _prisma_migrations WHERE finished_at IS NULL'),
    ).toEqual([true]);
    await reader.client.end();
    expect(await up(migrations)).toEqual([nameOf('01_a')]);
  });

  it('stops a migration that is interrupted while it waits, without a trace', async () => {
    const reader = await holdTable('busy');
    const interrupt = new AbortController();
    const migrations = await givenMigrations({ ...TABLES, '01_a': 'ALTER TABLE busy ADD extra int;' });

    const applied = await up(migrations, {
      lockTimeoutMs: 50,
      signal: interrupt.signal,
      onWait: () => interrupt.abort(),
    });

    expect(applied).toEqual([]);
    expect(await rowsOf(url(), 'SELECT migration_name FROM _prisma_migrations')).toEqual([nameOf('00_tables')]);
    await reader.client.end();
  });

  it('delays a file without a transaction by one statement, which alone is retried', async () => {
    const reader = await holdTable('busy');
    const sql =
      '-- no-transaction\nINSERT INTO log VALUES (1);\nALTER TABLE busy ADD extra int;\nINSERT INTO log VALUES (2);';
    const migrations = await givenMigrations({ ...TABLES, '01_a': sql });

    const applied = await up(migrations, {
      lockTimeoutMs: 50,
      lockRetries: 1_000,
      onWait: () => void reader.client.query('COMMIT'),
    });

    expect(applied).toEqual([nameOf('01_a')]);
    expect(await rowsOf(url(), 'SELECT id FROM log ORDER BY id')).toEqual([1, 2]);
    await reader.client.end();
  });

  it.each(['ADD /* not concurrently */ extra int', "ADD extra text DEFAULT 'concurrently'"])(
    'keeps the short lock timeout when a comment or a string mentions CONCURRENTLY: %s',
    async (change) => {
      const reader = await holdTable('busy');
      const migrations = await givenMigrations({
        ...TABLES,
        '01_a': `-- no-transaction\nALTER TABLE busy ${change}\n;`,
      });

      const refused = await failureOf(up(migrations, { lockTimeoutMs: 50, lockRetries: 1 }));

      expect(refused.code).toBe('MIGRATION.LOCK_TIMEOUT');
      await reader.client.end();
    },
  );

  it.each(['VACUUM FULL busy', "DO 'BEGIN LOCK busy; END'"])(
    'stops a file without a transaction at once if the statement may be half done: %s',
    async (statement) => {
      const reader = await holdTable('busy');
      const reasons: string[] = [];
      const sql = `-- no-transaction\nSET lock_timeout = 50;\n${statement};`;
      const migrations = await givenMigrations({ ...TABLES, '01_a': sql });

      const error = await failureOf(up(migrations, { onWait: (reason) => reasons.push(reason) }));

      expect(error).toMatchObject({ code: 'MIGRATION.LOCK_TIMEOUT', why: expect.stringContaining('tried once') });
      expect(reasons).toEqual([]);
      expect((await failureOf(up(migrations))).code).toBe('MIGRATION.UNFINISHED');
      await reader.client.end();
    },
  );

  it('does not shorten the wait of CONCURRENTLY, which blocks nobody and leaves an invalid index after a timeout', async () => {
    await rowsOf(
      url(),
      `CREATE FUNCTION tell() RETURNS event_trigger LANGUAGE plpgsql AS
         'BEGIN RAISE NOTICE ''% %'', tg_tag, current_setting(''lock_timeout''); END';
       CREATE EVENT TRIGGER tell ON ddl_command_start EXECUTE FUNCTION tell()`,
    );
    const migrations = await givenMigrations({
      ...TABLES,
      '01_a': '-- no-transaction\nALTER TABLE busy ADD extra int;\nCREATE INDEX CONCURRENTLY i ON busy (id);',
    });
    const notices: string[] = [];
    await withClient(url(), async (client) => {
      client.on('notice', ({ message = '' }) => notices.push(message));
      await migrateUp(client, migrations, { lockTimeoutMs: 3_000 });
    });

    expect(notices).toEqual(expect.arrayContaining(['ALTER TABLE 3s', 'CREATE INDEX 10min']));
  });
});

describe('a lost connection', () => {
  it('leaves nothing of the migration behind, is not reported as an SQL error, and the next run applies the migration once', async () => {
    const migrations = await givenMigrations({
      '01_a': 'CREATE TABLE a (id int); CREATE TABLE once (); INSERT INTO once DEFAULT VALUES;',
      '02_b': 'INSERT INTO a VALUES (1); CREATE TABLE b (); SELECT pg_sleep(30) WHERE EXISTS (SELECT FROM once);',
    });
    const running = failureOf(up(migrations));
    await rowsOf(url(), `SELECT pg_terminate_backend(${await waitForStatement('INSERT INTO a')})`);

    expect(await running).toMatchObject({
      code: 'DATABASE.CONNECTION_LOST',
      why: expect.stringContaining('either applied as a whole or not at all'),
    });
    expect(await tablesOf(url())).toEqual(['a', 'once']);
    expect(await rowsOf(url(), 'SELECT count(*)::int FROM _prisma_migrations')).toEqual([1]);
    await rowsOf(url(), 'DELETE FROM once');
    expect(await up(migrations)).toEqual([nameOf('02_b')]);
    expect(await rowsOf(url(), 'SELECT id FROM a')).toEqual([1]);
  });

  it('while a migration is reverted outside of a transaction is noticed by the next run', async () => {
    const migrations = await givenMigrations({
      '01_a': 'CREATE TABLE a ();',
      '01_a/down': '-- no-transaction\nDROP TABLE a;\nSELECT pg_sleep(30);',
    });
    await up(migrations);
    const running = failureOf(migrateDown(url(), migrations, { ...WAIT, steps: 1 }));
    await rowsOf(url(), `SELECT pg_terminate_backend(${await waitForStatement('SELECT pg_sleep')})`);

    expect((await running).code).toBe('DATABASE.CONNECTION_LOST');
    expect((await failureOf(up(migrations))).code).toBe('MIGRATION.UNFINISHED');
  });

  it('while a migration is applied outside of a transaction is noticed by the next run', async () => {
    const migrations = await givenMigrations({ '01_a': '-- no-transaction\nCREATE TABLE a ();\nSELECT pg_sleep(30);' });
    const running = failureOf(up(migrations));
    await rowsOf(url(), `SELECT pg_terminate_backend(${await waitForStatement('SELECT pg_sleep')})`);

    expect((await running).code).toBe('DATABASE.CONNECTION_LOST');
    expect((await failureOf(up(migrations))).code).toBe('MIGRATION.UNFINISHED');
    expect(await tablesOf(url())).toEqual(['a']);
  });

  it('of a killed runner releases its locks before its statement ends', async () => {
    const slow = await givenMigrations({ '01_a': 'CREATE TABLE a ();\nSELECT pg_sleep(60);' });
    const fast = await givenMigrations({ '01_a': 'CREATE TABLE a ();' });
    const client = await openClient(url());
    const running = failureOf(migrateUp(client, slow, WAIT));
    await waitForStatement('CREATE TABLE a');
    kill(client);

    expect((await running).code).toBe('DATABASE.CONNECTION_LOST');
    expect(await up(fast)).toEqual([nameOf('01_a')]);
  });

  it('is not reported when a session only cancels the statement', async () => {
    const migrations = await givenMigrations({ '01_a': 'SELECT pg_sleep(30);' });
    const running = failureOf(up(migrations));
    await rowsOf(url(), `SELECT pg_cancel_backend(${await waitForStatement('SELECT pg_sleep')})`);

    expect(await running).toMatchObject({ code: 'MIGRATION.SQL_FAILED', meta: { sqlState: '57014' } });
  });
});
