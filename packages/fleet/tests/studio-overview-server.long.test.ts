/** @server any */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { type DatabaseUrl, parseDatabaseUrl, withUrlParts } from '@azora/db-core';
import { withClient } from '@azora/db-migrate';
import { Client } from 'pg';
import { readOverview, type ServiceOverview } from '../src/operations/studio/fleet';
import type { Target } from '../src/operations/targets';
import { removeCompanion, startCompanion } from '../src/postgres/companion/server';
import { createDatabase, dropDatabase } from '../src/postgres/databases';
import { startEmbedded, stopEmbedded } from '../src/postgres/embedded/server';
import { targetOf, until } from './doctor-fixture';
import { openClient, rowsOf } from './migrations-fixture';

async function overviewOf(target: Target): Promise<ServiceOverview> {
  const openStorage = () => Promise.reject(new Error('the backup store is empty'));
  const [entry] = (
    await readOverview({
      ...{
        targets: [target],
        schemaModel: { services: [] },
        environment: {},
        secret: undefined,
        openStorage,
        write: false,
        reveal: false,
        access: new Map(),
      },
    })
  ).services;
  if (entry === undefined) throw new Error('a target has an entry');
  return entry;
}

const SETTINGS = { shared_preload_libraries: 'pg_stat_statements', max_prepared_transactions: '10' };

describe('a server with pg_stat_statements', () => {
  let home: string;
  let server: DatabaseUrl;
  let url: DatabaseUrl;
  const slowest = async () => (await overviewOf(targetOf(url))).slowest;

  /** The test server if it has these settings, otherwise a server of its own. */
  beforeAll(async () => {
    home = await mkdtemp(path.join(os.tmpdir(), 'azora-studio-'));
    server = parseDatabaseUrl(process.env['TEST_DATABASE_URL'] ?? '', 'TEST_DATABASE_URL');
    const settings = Object.entries(SETTINGS);
    const has = await Promise.all(
      settings.map(async ([name, value]) => (await rowsOf(server, `SHOW ${name}`))[0] === value),
    );
    if (has.includes(false)) {
      server = (await startEmbedded({ home })).url;
      for (const [name, value] of settings) await rowsOf(server, `ALTER SYSTEM SET ${name} = ${value}`);
      await stopEmbedded({ home });
      server = (await startEmbedded({ home })).url;
    }
    url = withUrlParts(server, { database: `azt_studio_${randomBytes(4).toString('hex')}` });
    await withClient(server, (client) => dropDatabase(client, url.database));
    await withClient(server, (client) => createDatabase(client, url.database));
  });
  afterAll(async () => {
    await withClient(server, (client) => dropDatabase(client, url.database));
    await stopEmbedded({ home });
    await rm(home, { recursive: true, force: true });
  });

  it('has no statistics in a database without the extension', async () => {
    expect(await slowest()).toBeNull();
  });

  it.each([
    ['1.7, of PostgreSQL 12', '1.7'],
    ['current', undefined],
  ])('lists the slowest statements without values, with extension version %s', async (_, version) => {
    await rowsOf(
      url,
      `DROP EXTENSION IF EXISTS pg_stat_statements; CREATE SCHEMA IF NOT EXISTS "Statistics";
       CREATE EXTENSION pg_stat_statements SCHEMA "Statistics" ${version === undefined ? '' : `VERSION '${version}'`};`,
    );
    await rowsOf(url, 'SELECT "Statistics".pg_stat_statements_reset()');
    await rowsOf(url, "SELECT pg_sleep(1.2), 'geheim' AS mine");
    await rowsOf(url, "SELECT pg_sleep(1.1), 'geheim' AS mine");
    for (const _ of [1, 2, 3]) await rowsOf(url, "SELECT 'geheim' AS quick");
    await rowsOf(url, "SET azora.mine = 'geheim'");
    await rowsOf(url, "COMMENT ON SCHEMA public IS 'geheim'");
    await rowsOf(server, "SELECT pg_sleep(1.3), 'elsewhere'");
    await rowsOf(url, `DROP ROLE IF EXISTS reader; CREATE ROLE reader; COMMENT ON ROLE reader IS 'azora-db studio x'`);
    await rowsOf(url, 'SET ROLE reader; SELECT pg_sleep(1.4) AS browsed');
    const found = await slowest();

    expect(found?.[0]).toEqual({
      query: 'SELECT pg_sleep($1), $2 AS mine',
      calls: 2,
      meanMs: expect.any(Number),
    });
    expect(found?.[0]?.meanMs).toBeGreaterThanOrEqual(1_000);
    expect(found?.map(({ query }) => query)).toContain('COMMENT ON SCHEMA public IS ?');
    expect(JSON.stringify(found)).not.toMatch(/geheim|elsewhere|browsed/);
  });

  it('counts a prepared transaction as open', async () => {
    const age = async () => (await overviewOf(targetOf(url))).oldestTransactionSeconds;
    await rowsOf(url, "BEGIN; CREATE TABLE forgotten (); PREPARE TRANSACTION 'azt studio'");
    const open = await age();
    await rowsOf(url, "ROLLBACK PREPARED 'azt studio'");

    expect(open).toBeGreaterThanOrEqual(0);
    expect(await until(async () => ((await age()) === null ? true : undefined))).toBe(true);
  });

  it('reports the lag of its slowest replica', async () => {
    expect((await overviewOf(targetOf(url))).replicationLagBytes).toBeNull();
    const replicas = [await openReplica(server, 1_000_000n), await openReplica(server, 2_000_000n)];
    const lag = await until(async () => {
      const { replicationLagBytes } = await overviewOf(targetOf(url));
      return replicationLagBytes !== null && replicationLagBytes >= 2_000_000 ? replicationLagBytes : undefined;
    });
    for (const replica of replicas) replica.end();

    expect(lag).toBeLessThan(3_000_000);
  });
});

describe('a server without pg_stat_statements in shared_preload_libraries', () => {
  it('reports no slow statements where only the extension is installed', async () => {
    const home = await mkdtemp(path.join(os.tmpdir(), 'azora-studio-'));
    const { url } = await startEmbedded({ home });
    await rowsOf(url, 'CREATE EXTENSION pg_stat_statements');
    const overview = await overviewOf(targetOf(url, 'embedded'));
    await stopEmbedded({ home });
    await rm(home, { recursive: true, force: true });

    expect(overview).toMatchObject({ error: null, slowest: null, connections: 0 });
  });
});

describe('the companion', () => {
  let home: string;
  let url: DatabaseUrl;
  const overview = () => overviewOf(targetOf(url, 'companion'));

  beforeAll(async () => {
    home = await mkdtemp(path.join(os.tmpdir(), 'azora-studio-'));
    url = (await startCompanion({ home, service: 'rag', database: 'azora_rag' })).url;
    await rowsOf(url, 'CREATE TABLE notes AS SELECT n FROM generate_series(1, 50) n; ANALYZE notes');
  });
  afterAll(async () => {
    await removeCompanion({ home, service: 'rag' });
    await rm(home, { recursive: true, force: true });
  });

  it('reports its tables, and null for counters that it does not keep', async () => {
    const other = await openClient(url);
    const found = await overview();
    const settings = await other.query('SHOW lock_timeout');
    await other.end();

    expect(found).toEqual({
      ...{ service: 'patient', connections: null, connectionLimit: null, cacheHitRatio: null, slowest: null },
      ...{ oldestTransactionSeconds: null, replicationLagBytes: null, backupAgeSeconds: null, error: null },
      tables: [{ name: 'notes', rows: 50, bytes: expect.any(Number), deadRows: null, indexUse: null }],
    });
    // All clients share the session.
    expect(settings.rows).toEqual([{ lock_timeout: '0' }]);
  });

  it('times out while another client holds its one session', async () => {
    const holder = await openClient(url);
    await holder.query('BEGIN');
    const held = await overview();
    await holder.query('COMMIT');
    await holder.end();

    expect(held).toMatchObject({ tables: [], error: { code: 'STUDIO.LATE' } });
    expect(await overview()).toMatchObject({ tables: [{ name: 'notes' }], error: null });
  });
});

/** Methods of the driver's connection that its types leave out. */
interface Wire {
  query(text: string): void;
  sendCopyFromChunk(chunk: Buffer): void;
  once(event: 'replicationStart', listener: () => void): void;
  readonly stream: { destroy(): void };
}

/** Connects as a standby that has received all WAL and lags in replaying it. */
async function openReplica(server: DatabaseUrl, behindBytes: bigint): Promise<{ end(): void }> {
  const [now] = await rowsOf(server, "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::text");
  const [start] = await rowsOf(server, 'SELECT pg_current_wal_lsn()::text');
  const client = new Client({ connectionString: server.href, replication: 'database' } as ConstructorParameters<
    typeof Client
  >[0]);
  client.on('error', () => undefined);
  await client.connect();
  const { connection: wire } = client as unknown as { readonly connection: Wire };
  const started = new Promise<void>((resolve) => wire.once('replicationStart', resolve));
  wire.query(`START_REPLICATION PHYSICAL ${String(start)}`);
  await started;
  const received = BigInt(String(now));
  const status = Buffer.alloc(34);
  status.write('r');
  for (const [index, lsn] of [received, received, received - behindBytes].entries())
    status.writeBigInt64BE(lsn, 1 + 8 * index);
  wire.sendCopyFromChunk(status);
  return { end: () => wire.stream.destroy() };
}
