import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
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
import { repositoryRoot, TEST_PREFIX, testServerUrl } from './server';

type Rows = Readonly<Record<string, unknown>>[];
type Query = (sql: string, parameters?: readonly unknown[]) => Promise<Rows>;

/** One service's database, for one test file. */
export interface TestDatabase {
  readonly target: Target;
  /** The app role's URL, as a store gets it. */
  readonly url: string;
  /** Runs SQL as the app role; calls at once run in sessions of their own. */
  readonly app: Query;
  /** Runs SQL as the administrator, alike. */
  readonly admin: Query;
  readonly close: (keep: boolean) => Promise<void>;
}

const MIGRATE = { runnerTimeoutMs: 60_000 };
/** So many statements of a test run at once. */
const SESSIONS = 8;
/** One process at a time makes templates; the number is "test" in ASCII. */
const TEMPLATE_LOCK = 0x74657374;

/** The same for every worker and run, so that a template's role fits all of its clones. */
const passwordOf: PasswordOf = (role) =>
  createHash('sha256').update(`${testServerUrl().href} ${role}`).digest('base64url');

/** Opens a fresh, migrated database of a service: a clone of a template, or a companion where an extension lacks. */
export async function openTestDatabase(serviceName: string): Promise<TestDatabase> {
  const [service] = selectServices(await findServices(repositoryRoot()), [serviceName]);
  if (service === undefined) throw new Error(`no service ${serviceName}`);
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
    await client.query(clone);
  });
  await withClient(target.admin, (client) => restrictDatabase(client, database, target.role));
  return openQueries(target, async (keep) => {
    if (keep) process.stderr.write(`kept for a look: database ${database}\n`);
    else await withClient(maintenance, (client) => dropWhenLeft(client, database));
  });
}

/**
 * A pool says that it ended a moment before its connections are closed; dropping the database under one of them would
 * raise an error that no test can catch.
 */
async function dropWhenLeft(client: Client, database: string): Promise<void> {
  for (let wait = 0; wait < 20; wait += 1) {
    const { rowCount } = await client.query('SELECT FROM pg_stat_activity WHERE datname = $1', [database]);
    if (rowCount === 0) break;
    await sleep(50);
  }
  await dropDatabase(client, database);
}

/** A migrated database whose name holds a hash of the service's schema and migrations; made by whoever needs it first. */
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
    // Under its name only when it is whole.
    await client.query(`ALTER DATABASE ${quoteIdentifier(draft)} RENAME TO ${quoteIdentifier(database)}`);
  });
  return template;
}

async function hashOf({ schemaPath, migrationsPath }: Service): Promise<string> {
  const { readMigrations } = await import('@azora/db-fleet');
  const migrations = await readMigrations(migrationsPath);
  const hash = createHash('sha256').update(await readFile(schemaPath));
  for (const { checksum } of migrations) hash.update(checksum);
  return hash.digest('hex').slice(0, 12);
}

async function openCompanion(service: Service): Promise<TestDatabase> {
  const home = await mkdtemp(path.join(os.tmpdir(), 'azora-companion-'));
  const database = `${TEST_PREFIX}${service.databaseSuffix}`;
  const { url } = await startCompanion({ home, service: service.name, database });
  const role = `${TEST_PREFIX}${service.name}_app`;
  const target: Target = { service, server: 'companion', database, admin: url, maintenance: url, role };
  await provision(target, passwordOf);
  await migrateTargetUp(target, MIGRATE);
  return openQueries(target, async () => {
    await stopCompanion({ home, service: service.name });
    await rm(home, { recursive: true, force: true });
  });
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

/** Sessions for statements that race; one after another, statements share a session, for none is ever closed. */
function openPool(connectionString: string): Pool {
  const pool = new Pool({ connectionString, max: SESSIONS, idleTimeoutMillis: 0 });
  // Some are cut off on purpose.
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
      // Unlike the pool's own query, which closes the session of a statement that is refused.
      client.release();
    }
  };
}
