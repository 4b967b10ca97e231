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

/** Waits until a session of the database runs a statement that begins like this; returns its pid. */
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
  throw new Error(`nobody runs ${beginning}`);
}

/** Cuts the connection as the kernel does when a process is killed: without a word to the server. */
function kill(client: Client): void {
  if ('connection' in client && typeof client.connection === 'object' && client.connection !== null) {
    const { stream } = client.connection as { readonly stream: { readonly destroy: () => void } };
    stream.destroy();
  }
}

describe('many runners', () => {
  it('apply every migration once, whoever comes first', async () => {
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

  it('apply every migration once even where advisory locks do not exclude', async () => {
    const migrations = await givenMigrations({ '01_a': 'CREATE TABLE a ();', '02_b': 'CREATE TABLE b ();' });
    await rowsOf(
      url(),
      `CREATE FUNCTION public.pg_try_advisory_lock(bigint) RETURNS boolean LANGUAGE sql AS 'SELECT pg_sleep(0.05); SELECT true';
       ALTER DATABASE ${url().database} SET search_path = public, pg_catalog`,
    );

    const applied = await Promise.all(Array.from({ length: 8 }, () => up(migrations)));

    expect(applied.flat().sort()).toEqual(migrations.map(({ name }) => name));
    expect(await rowsOf(url(), 'SELECT count(*)::int FROM _prisma_migrations')).toEqual([2]);
  });

  it('do not stop an index that is built concurrently', async () => {
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

describe('the lock', () => {
  it('that another session holds is told with its process, after the time that was given', async () => {
    const migrations = await givenMigrations({ '01_a': 'CREATE TABLE a ();' });
    const holder = await openClient(url(), 'somebody else');
    const { rows } = await holder.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    await holder.query(`SELECT pg_advisory_lock(${MIGRATION_LOCK})`);
    const told: string[] = [];

    const started = performance.now();
    const error = await failureOf(up(migrations, { lockTimeoutMs: 300, onWait: (who) => told.push(who) }));

    expect(performance.now() - started).toBeGreaterThan(300);
    expect(error.code).toBe('MIGRATION.LOCKED');
    expect(error.why).toMatch(
      new RegExp(
        `^The lock is held by process ${rows[0]?.pid} \\(somebody else, connected since 20\\d\\d-.* UTC\\)\\.$`,
      ),
    );
    expect(told).toHaveLength(1);
    const waiting = up(migrations);
    await holder.query(`SELECT pg_advisory_unlock(${MIGRATION_LOCK})`);
    expect(await waiting).toHaveLength(1);
    await holder.end();
  });

  it('is free again after a run, whether it went well or not', async () => {
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

describe('a connection that is lost', () => {
  it('leaves nothing of the migration, is told apart from an error in it, and the next run applies it once', async () => {
    const migrations = await givenMigrations({
      '01_a': 'CREATE TABLE a (id int);',
      '02_b': 'INSERT INTO a VALUES (1); CREATE TABLE b (); SELECT pg_sleep(30) WHERE EXISTS (SELECT FROM once);',
    });
    await rowsOf(url(), 'CREATE TABLE once (); INSERT INTO once DEFAULT VALUES');
    const running = failureOf(up(migrations));
    await rowsOf(url(), `SELECT pg_terminate_backend(${await waitForStatement('INSERT INTO a')})`);

    expect(await running).toMatchObject({
      code: 'MIGRATION.CONNECTION_LOST',
      why: expect.stringContaining('the migration is there wholly or not at all'),
    });
    expect(await tablesOf(url())).toEqual(['a', 'once']);
    expect(await rowsOf(url(), 'SELECT count(*)::int FROM _prisma_migrations')).toEqual([1]);
    await rowsOf(url(), 'DELETE FROM once');
    expect(await up(migrations)).toEqual([nameOf('02_b')]);
    expect(await rowsOf(url(), 'SELECT id FROM a')).toEqual([1]);
  });

  it('on the way down and outside of a transaction is seen by the next run', async () => {
    const migrations = await givenMigrations({
      '01_a': 'CREATE TABLE a ();',
      '01_a/down': '-- no-transaction\nDROP TABLE a;\nSELECT pg_sleep(30);',
    });
    await up(migrations);
    const running = failureOf(migrateDown(url(), migrations, { ...WAIT, steps: 1 }));
    await rowsOf(url(), `SELECT pg_terminate_backend(${await waitForStatement('SELECT pg_sleep')})`);

    expect((await running).code).toBe('MIGRATION.CONNECTION_LOST');
    expect((await failureOf(up(migrations))).code).toBe('MIGRATION.UNFINISHED');
  });

  it('outside of a transaction is seen by the next run', async () => {
    const migrations = await givenMigrations({ '01_a': '-- no-transaction\nCREATE TABLE a ();\nSELECT pg_sleep(30);' });
    const running = failureOf(up(migrations));
    await rowsOf(url(), `SELECT pg_terminate_backend(${await waitForStatement('SELECT pg_sleep')})`);

    expect((await running).code).toBe('MIGRATION.CONNECTION_LOST');
    expect((await failureOf(up(migrations))).code).toBe('MIGRATION.UNFINISHED');
    expect(await tablesOf(url())).toEqual(['a']);
  });

  it('of a runner that was killed does not keep its locks for as long as its statement takes', async () => {
    const slow = await givenMigrations({ '01_a': 'CREATE TABLE a ();\nSELECT pg_sleep(60);' });
    const fast = await givenMigrations({ '01_a': 'CREATE TABLE a ();' });
    const client = await openClient(url());
    const running = failureOf(migrateUp(client, slow, WAIT));
    await waitForStatement('CREATE TABLE a');
    kill(client);

    expect((await running).code).toBe('MIGRATION.CONNECTION_LOST');
    expect(await up(fast)).toEqual([nameOf('01_a')]);
  });

  it('is no error when somebody only cancels the statement', async () => {
    const migrations = await givenMigrations({ '01_a': 'SELECT pg_sleep(30);' });
    const running = failureOf(up(migrations));
    await rowsOf(url(), `SELECT pg_cancel_backend(${await waitForStatement('SELECT pg_sleep')})`);

    expect(await running).toMatchObject({ code: 'MIGRATION.SQL_FAILED', meta: { sqlState: '57014' } });
  });
});
