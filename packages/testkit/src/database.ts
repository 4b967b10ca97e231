import { createHash, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { quoteIdentifier, withUrlParts } from '@azora/db-core';
import {
  appUrl,
  dropDatabase,
  findServices,
  migrateTargetUp,
  type PasswordOf,
  provision,
  restrictDatabase,
  type Service,
  selectServices,
  startCompanion,
  stopCompanion,
  type Target,
  withClient,
} from '@azora/db-fleet';
import { type Client, Pool } from 'pg';
import { hasFailed } from './failure';
import { repositoryRoot, TEST_PREFIX, testServerUrl } from './server';

type Rows = Readonly<Record<string, unknown>>[];
/** Runs one SQL statement and returns its rows. */
export type Query = (sql: string, parameters?: readonly unknown[]) => Promise<Rows>;

/** The database of one service, for one test file. */
export interface TestDatabase {
  readonly target: Target;
  /** The connection URL of the app role, which a store takes. */
  readonly url: string;
  /** Runs SQL as the app role. Calls at the same time run in separate sessions. */
  readonly app: Query;
  /** Runs SQL as the administrator. Calls at the same time run in separate sessions. */
  readonly admin: Query;
  readonly close: (keep: boolean) => Promise<void>;
}

const MIGRATE = { runnerTimeoutMs: 60_000 };
/** How many statements of a test can run at the same time. */
const SESSIONS = 8;
/** Of the server's 200 connections. A test that opens more fails itself, instead of those that run beside it. */
const MOST_CONNECTIONS = 80;
/** The advisory lock under which one process at a time makes templates; "test" in ASCII. */
const TEMPLATE_LOCK = 0x74657374;

/** The same password in every worker and run, so that the role of a template can log in to all of its clones. */
const passwordOf: PasswordOf = (role) =>
  createHash('sha256').update(`${testServerUrl().href} ${role}`).digest('base64url');

/**
 * Opens a new, migrated database of a service: a clone of a template, or a companion when the test server lacks an
 * extension that the service needs.
 */
export async function openTestDatabase(serviceName: string): Promise<TestDatabase> {
  const [service] = selectServices(await findServices(repositoryRoot()), [serviceName]);
  if (service === undefined) throw new Error(`There is no service "${serviceName}"`);
  return (await offersExtensions(service)) ? openClone(service) : openCompanion(service);
}

async function offersExtensions({ extensions }: Service): Promise<boolean> {
  if (extensions.length === 0) return true;
  const sql = 'SELECT count(*)::int AS offered FROM pg_available_extensions WHERE name = ANY($1)';
  const { rows } = await withClient(testServerUrl(), (client) => client.query<{ offered: number }>(sql, [extensions]));
  return rows[0]?.offered === extensions.length;
}

async function openClone(service: Service): Promise<TestDatabase> {
  const maintenance = testServerUrl();
  const template = await templateOf(service);
  const database = `${TEST_PREFIX}${service.databaseSuffix}_${randomBytes(5).toString('hex')}`;
  const target = { ...template, database, admin: withUrlParts(maintenance, { database }) };
  await withClient(maintenance, async (client) => {
    const clone = `CREATE DATABASE ${quoteIdentifier(database)} TEMPLATE ${quoteIdentifier(template.database)}`;
    await client.query(`${clone} CONNECTION LIMIT ${MOST_CONNECTIONS}`);
  });
  await withClient(target.admin, (client) => restrictDatabase(client, target.role));
  return openQueries(target, async (keep) => {
    if (keep) process.stderr.write(`Kept database ${database} of the failed test\n`);
    else await withClient(maintenance, (client) => dropWhenUnused(client, database));
  });
}

/**
 * A pool reports its end shortly before its connections close. If the database were dropped first, they would emit an
 * error that no test can catch.
 */
async function dropWhenUnused(client: Client, database: string): Promise<void> {
  for (let wait = 0; wait < 20; wait += 1) {
    const { rowCount } = await client.query('SELECT FROM pg_stat_activity WHERE datname = $1', [database]);
    if (rowCount === 0) break;
    await sleep(50);
  }
  await dropDatabase(client, database);
}

/**
 * A migrated database, made by the first process that needs it. Its name contains a hash of the schema and the
 * migrations, so a changed service gets a new template.
 */
async function templateOf(service: Service): Promise<Target> {
  const maintenance = testServerUrl();
  const database = `${TEST_PREFIX}template_${service.databaseSuffix}_${await hashOf(service)}`;
  const admin = withUrlParts(maintenance, { database });
  const role = `${TEST_PREFIX}${service.name}_app`;
  const template: Target = { service, server: 'ordinary', database, admin, maintenance, role };
  const draft = `${database}_draft`;
  await withClient(maintenance, async (client) => {
    await client.query('SELECT pg_advisory_lock($1)', [TEMPLATE_LOCK]);
    const found = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [database]);
    if (found.rowCount !== 0) return;
    await dropDatabase(client, draft);
    const target = { ...template, database: draft, admin: withUrlParts(maintenance, { database: draft }) };
    await provision(target, passwordOf);
    await migrateTargetUp(target, MIGRATE);
    // A half-migrated database never has the name of a template.
    await client.query(`ALTER DATABASE ${quoteIdentifier(draft)} RENAME TO ${quoteIdentifier(database)}`);
  });
  return template;
}

async function hashOf({ schemaPath, migrationsPath }: Service): Promise<string> {
  const { readMigrations } = await import('@azora/db-migrate');
  const migrations = await readMigrations(migrationsPath);
  const hash = createHash('sha256').update(await readFile(schemaPath));
  for (const { checksum } of migrations) hash.update(checksum);
  return hash.digest('hex').slice(0, 12);
}

async function openCompanion(service: Service): Promise<TestDatabase> {
  const home = await mkdtemp(path.join(os.tmpdir(), 'azora-companion-'));
  await copyCompanion(service, home);
  const target = await startedCompanion(service, home);
  return openQueries(target, async () => {
    await stopCompanion({ home, service: service.name });
    await rm(home, { recursive: true, force: true });
  });
}

async function startedCompanion(service: Service, home: string): Promise<Target> {
  const database = `${TEST_PREFIX}${service.databaseSuffix}`;
  const { url } = await startCompanion({ home, service: service.name, database });
  return {
    ...{ service, server: 'companion', database, admin: url, maintenance: url },
    role: `${TEST_PREFIX}${service.name}_app`,
  };
}

/**
 * Gives the home the data of a migrated companion, which the first process that needs it makes beside the data of the test
 * server: creating it takes ten times as long as copying it.
 */
async function copyCompanion(service: Service, home: string): Promise<void> {
  const parent = process.env['AZORA_TEST_HOME'] ?? home;
  const template = path.join(parent, `companion-${service.name}-${await hashOf(service)}`);
  await withClient(testServerUrl(), async (client) => {
    await client.query('SELECT pg_advisory_lock($1)', [TEMPLATE_LOCK]);
    if (existsSync(template)) return;
    const draft = `${template}-draft`;
    await rm(draft, { recursive: true, force: true });
    await mkdir(draft, { mode: 0o700 });
    const target = await startedCompanion(service, draft);
    await provision(target, passwordOf);
    await migrateTargetUp(target, MIGRATE);
    await stopCompanion({ home: draft, service: service.name });
    await rename(draft, template);
  });
  const data = path.join('companion', service.name, 'data');
  await mkdir(path.join(home, 'companion', service.name), { recursive: true, mode: 0o700 });
  await cp(path.join(template, data), path.join(home, data), { recursive: true });
}

function openQueries(target: Target, remove: (keep: boolean) => Promise<void>): TestDatabase {
  const url = appUrl(target, passwordOf);
  const [app, admin] = [openPool(url.href), openPool(target.admin.href)];
  return {
    target,
    url: url.href,
    app: queryOf(app),
    admin: queryOf(admin),
    close: async (keep) => {
      await Promise.all([app.end(), admin.end()]);
      await remove(keep);
    },
  };
}

/** Statements that race get separate sessions. Sequential statements share one, because idle sessions stay open. */
function openPool(connectionString: string): Pool {
  const pool = new Pool({ connectionString, max: SESSIONS, idleTimeoutMillis: 0 });
  // Some tests terminate sessions on purpose.
  pool.on('error', () => undefined);
  return pool;
}

function queryOf(pool: Pool): Query {
  return async (sql, parameters = []) => {
    const client = await pool.connect();
    try {
      const { rows } = await (parameters.length === 0 ? client.query(sql) : client.query(sql, [...parameters]));
      return rows;
    } finally {
      // The pool's own query() would close the session of a statement that failed.
      client.release();
    }
  };
}

/**
 * Gives the surrounding `describe` a new, migrated database of a service. The database is dropped afterwards, unless a
 * test of the file failed: then it is kept and its name is printed.
 */
export function useDatabase(service: string): () => TestDatabase {
  let database: TestDatabase | undefined;
  beforeAll(async () => {
    database = await openTestDatabase(service);
  });
  afterAll(() => database?.close(hasFailed()));
  return () => {
    if (database === undefined) throw new Error('The database exists only while tests and hooks run');
    return database;
  };
}
