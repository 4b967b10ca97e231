/** @server any */
import { withUrlParts } from '@azora/db-core';
import { MIGRATION_LOCK } from '@azora/db-migrate';
import type { Client } from 'pg';
import { until, usePatient } from './doctor-fixture';
import { openClient } from './migrations-fixture';

const { url, plant, examine } = usePatient();

const pidOf = async (client: Client) => Number((await client.query('SELECT pg_backend_pid() AS pid')).rows[0]?.pid);

describe('the check of sessions', () => {
  const clients: Client[] = [];
  const open = async (name: string) => {
    const client = await openClient(url(), name);
    clients.push(client);
    return client;
  };
  afterEach(() => Promise.all(clients.splice(0).map((client) => client.end())));

  it('reports the session that holds the migration lock', async () => {
    const holder = await open('left behind');
    await holder.query(`SELECT pg_advisory_lock(${MIGRATION_LOCK})`);
    const other = await open('holds another lock');
    await other.query(`SELECT pg_advisory_lock(${MIGRATION_LOCK + 1})`);
    const elsewhere = await openClient(withUrlParts(url(), { database: 'postgres' }), 'migrates another database');
    clients.push(elsewhere);
    await elsewhere.query(`SELECT pg_advisory_lock(${MIGRATION_LOCK})`);
    const pid = await pidOf(holder);

    expect(await examine()).toEqual([
      {
        check: 'migration-lock',
        level: 'warning',
        object: `process ${pid}`,
        message: expect.stringMatching(
          /^holds the migration lock \(left behind, from [\d.:a-z ]+, idle, connected since 2.* UTC\), so no migration can run$/,
        ),
        next: `Wait if it is migrating; otherwise SELECT pg_terminate_backend(${pid})`,
      },
    ]);
  });

  it('reports the session that is idle in a transaction', async () => {
    const idle = await open('forgetful');
    await idle.query('BEGIN; SELECT 1');
    const pid = await pidOf(idle);

    expect(await examine()).toEqual([]);
    expect(await examine({ idleInTransactionMs: 0, transactionMs: 0 })).toEqual([
      expect.objectContaining({ check: 'idle-in-transaction', level: 'warning', object: `process ${pid}` }),
    ]);
  });

  it('reports the session that has the oldest transaction', async () => {
    const [older, newer] = [await open('older'), await open('newer')];
    await older.query('BEGIN; SELECT 1');
    await newer.query('BEGIN; SELECT 1');

    expect(await examine({ transactionMs: 0 })).toEqual([
      expect.objectContaining({
        check: 'old-transaction',
        level: 'warning',
        object: `process ${await pidOf(older)}`,
        message: expect.stringContaining('older, from'),
      }),
    ]);
  });

  it('reports the session that waits for a lock, and the session that blocks it', async () => {
    const [blocker, waiter] = [await open('blocker'), await open('waiter')];
    await blocker.query('BEGIN; LOCK TABLE children IN SHARE MODE');
    const [blockerPid, waiterPid] = [await pidOf(blocker), await pidOf(waiter)];
    const waiting = waiter.query('DELETE FROM children');

    const findings = await until(async () => {
      const found = await examine({ lockWaitMs: 0 });
      return found.length > 0 ? found : undefined;
    });

    expect(findings).toEqual([
      expect.objectContaining({
        check: 'lock-wait',
        level: 'warning',
        object: `process ${waiterPid}`,
        message: expect.stringMatching(
          new RegExp(`^has waited \\d+ s for a RowExclusiveLock on children behind process ${blockerPid} \\(waiter,`),
        ),
      }),
    ]);
    expect(await examine({ lockWaitMs: 600_000 })).toEqual([]);
    await blocker.query('ROLLBACK');
    await waiting;
  });

  it('reports the session that blocks the doctor itself', async () => {
    const holder = await open('in the way');
    await holder.query('BEGIN; LOCK TABLE _prisma_migrations IN ACCESS EXCLUSIVE MODE');
    const pid = await pidOf(holder);

    expect(await examine({ ownLockTimeoutMs: 50 })).toEqual([
      expect.objectContaining({
        check: 'locked-out',
        level: 'warning',
        message: expect.stringContaining(`process ${pid} on _prisma_migrations (in the way`),
      }),
    ]);
  });

  it('does not report an index that is being built as invalid', async () => {
    const [old, builder] = [await open('old'), await open('builder')];
    await old.query('BEGIN; INSERT INTO parents DEFAULT VALUES');
    const building = builder.query('CREATE INDEX CONCURRENTLY being_built ON parents (code, id)');
    await until(async () => (await plant("SELECT 1 FROM pg_class WHERE relname = 'being_built'"))[0]);

    expect(await examine()).toEqual([]);
    await old.query('ROLLBACK');
    await building;
  });
});
