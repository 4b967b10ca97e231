/** @server any */
import type { OverviewAnswer, ServiceOverview } from '../../studio/src/api/answers';
import { openSet } from '../src/backup-store/set';
import { writeVerification } from '../src/backup-store/verification';
import { readOverview } from '../src/operations/studio/fleet';
import { backUp, givenPlace, removePlaces } from './backup-fixture';
import { until } from './doctor-fixture';
import { type GivenFleet, removeFleets } from './fleet-fixture';
import { openClient, rowsOf } from './migrations-fixture';
import { contextOf, type GivenContext, givenShop, movedTo } from './studio-read-fixture';

describe('the overview of the fleet', () => {
  let fleet: GivenFleet;
  const auth = () => fleet.target('auth').admin;
  const read = async (given: GivenContext = {}, now = new Date()): Promise<OverviewAnswer> =>
    readOverview(await contextOf(fleet, given), now);
  const readAuth = async (given: GivenContext = {}): Promise<ServiceOverview> => {
    const entry = (await read(given)).services[0];
    if (entry === undefined || entry.error !== null) throw new Error(`auth cannot be read: ${entry?.error?.message}`);
    return entry;
  };
  const tableOf = async (name: string) => (await readAuth()).tables.find((table) => table.name === name);

  beforeAll(async () => {
    fleet = await givenShop();
  });
  afterAll(removePlaces);
  afterAll(removeFleets);

  it('has one timestamp, and all tables except those of extensions and of migrations', async () => {
    const now = new Date('2026-05-01T00:00:00Z');
    const { at, services, backupError } = await read({}, now);

    expect(at).toBe(now.toISOString());
    expect(backupError).toBeNull();
    expect(services.map(({ service, tables }) => [service, tables.map(({ name }) => name)])).toEqual([
      ['auth', ['countries', 'regions', 'sessions', 'users']],
      ['shop', ['Order']],
    ]);
    // Other tests share the server, and with it the lag of replicas.
    expect(services[0]).toMatchObject({
      ...{ error: null, slowest: null, oldestTransactionSeconds: null, backupAgeSeconds: null },
    });
    expect(services[0]?.cacheHitRatio).toBeGreaterThan(0);
    expect(services[0]?.cacheHitRatio).toBeLessThanOrEqual(1);
  });

  it('counts connections against the lowest limit of server, database and role', async () => {
    const setting = (name: string) => `coalesce(current_setting('${name}', true)::int, 0)`;
    const reserved = `${setting('superuser_reserved_connections')} - ${setting('reserved_connections')}`;
    const [server] = await rowsOf(auth(), `SELECT current_setting('max_connections')::int - ${reserved}`);
    const { database, role } = fleet.target('auth');
    const sessions = [await openClient(auth()), await openClient(auth())];
    const limits = [(await readAuth()).connectionLimit];
    const busy = await until(async () => ((await readAuth()).connections === 2 ? true : undefined));
    await Promise.all(sessions.map((session) => session.end()));
    await rowsOf(auth(), `ALTER DATABASE "${database}" CONNECTION LIMIT 17`);
    limits.push((await readAuth()).connectionLimit);
    await rowsOf(auth(), `ALTER ROLE "${role}" CONNECTION LIMIT 11`);
    limits.push((await readAuth()).connectionLimit);

    expect(busy).toBe(true);
    expect(limits).toEqual([server, 17, 11]);
  });

  it('measures rows, dead rows, bytes and the share of index scans', async () => {
    const shop = fleet.target('shop').admin;
    const byIndex = (statement: string) => rowsOf(shop, `SET enable_seqscan = off; ${statement}`);
    await rowsOf(shop, 'ALTER TABLE "Order" SET (autovacuum_enabled = off)');
    // Creating its indexes has scanned it.
    await rowsOf(shop, `SELECT pg_stat_reset_single_table_counters('"Order"'::regclass)`);
    await rowsOf(shop, 'INSERT INTO "Order" SELECT n FROM generate_series(1, 900) n');
    await byIndex('DELETE FROM "Order" WHERE id <= 100');
    await byIndex('SELECT * FROM "Order" WHERE id = 500');
    await rowsOf(shop, 'SELECT * FROM "Order"');
    const measured = await until(async () => {
      const table = (await read()).services[1]?.tables[0];
      return table?.indexUse === 2 / 3 ? table : undefined;
    });
    const [bytes] = await rowsOf(shop, `SELECT pg_total_relation_size('"Order"')`);
    await rowsOf(shop, 'ALTER TABLE "Order" RESET (autovacuum_enabled)');

    expect(measured).toEqual({ name: 'Order', rows: 800, deadRows: 100, bytes: Number(bytes), indexUse: 2 / 3 });
  });

  it('estimates rows from the last ANALYZE only when the counters were reset', async () => {
    await rowsOf(auth(), `INSERT INTO countries VALUES ('DE', 49)`);
    await rowsOf(auth(), `INSERT INTO regions SELECT 'DE', n::text FROM generate_series(1, 50) n`);
    await rowsOf(auth(), 'ANALYZE regions');
    await rowsOf(auth(), 'DELETE FROM regions');
    const emptied = await until(async () => ((await tableOf('regions'))?.rows === 0 ? true : undefined));
    await rowsOf(auth(), 'SELECT pg_stat_reset()');

    expect(emptied).toBe(true);
    expect(await until(async () => ((await tableOf('regions'))?.rows === 50 ? true : undefined))).toBe(true);
  });

  it('takes the size of a locked table from its last ANALYZE, without waiting for the lock', async () => {
    await rowsOf(auth(), 'INSERT INTO countries SELECT n::text, n FROM generate_series(100, 999) n');
    await rowsOf(auth(), 'VACUUM ANALYZE countries');
    const before = await tableOf('countries');
    const locker = await openClient(auth());
    await locker.query('BEGIN; LOCK TABLE countries; LOCK TABLE users; REINDEX INDEX sessions_user_id_idx');
    const during = await readAuth();
    await locker.end();

    expect(during.tables).toHaveLength(4);
    // relpages leaves out the free space map and the visibility map.
    expect(during.tables[0]?.bytes).toBeGreaterThan(100_000);
    expect(during.tables[0]?.bytes).toBeLessThanOrEqual(before?.bytes ?? 0);
  });

  it('reports the age of the oldest transaction', async () => {
    const ageOf = `SELECT extract(epoch FROM now() - min(xact_start))::float8 FROM pg_stat_activity
      WHERE datname = current_database() AND state = 'idle in transaction'`;
    const [old, young] = [await openClient(auth()), await openClient(auth())];
    await old.query('BEGIN');
    await old.query('SELECT pg_sleep(1)');
    const [before] = await rowsOf(auth(), ageOf);
    await young.query('BEGIN');
    await young.query('SELECT 1');
    const age = (await readAuth()).oldestTransactionSeconds;
    const [after] = await rowsOf(auth(), ageOf);
    await Promise.all([old.end(), young.end()]);

    expect(age).toBeGreaterThanOrEqual(Number(before));
    expect(age).toBeLessThanOrEqual(Number(after));
  });

  it('reports the age of the newest verified backup of each service', async () => {
    const { storage } = await givenPlace();
    const verify = async (set: string) =>
      writeVerification(await openSet(storage, set, undefined), {
        ok: true,
        restoreSeconds: 1,
        problems: [],
        warnings: [],
      });
    const older = await backUp([fleet.target('auth')], storage);
    const { set, manifest } = await backUp([fleet.target('auth')], storage);
    const later = new Date(Date.parse(manifest.startedAt) + 90_000);
    const ages = async () =>
      (await read({ openStorage: async () => storage }, later)).services.map((entry) => entry.backupAgeSeconds);

    expect(await ages()).toEqual([null, null]);
    await verify(older.set);
    await verify(set);
    await backUp(fleet.targets, storage);
    expect(await ages()).toEqual([90, null]);
  });

  it('is complete for the other services when one is unreachable', async () => {
    const { services } = await read({ targets: movedTo(fleet, 'auth', 1) });

    expect(services).toEqual([
      {
        ...{
          service: 'auth',
          connections: null,
          connectionLimit: null,
          cacheHitRatio: null,
          tables: [],
          slowest: null,
        },
        ...{ oldestTransactionSeconds: null, replicationLagBytes: null, backupAgeSeconds: null },
        error: { code: 'SERVER.UNREACHABLE', message: expect.stringContaining(':1/') },
      },
      expect.objectContaining({ service: 'shop', error: null, tables: [expect.objectContaining({ name: 'Order' })] }),
    ]);
  });
});
