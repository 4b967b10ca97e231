import path from 'node:path';
import { type DatabaseUrl, parseDatabaseUrl } from '@azora/db-core/url';
import type { ClientBase } from 'pg';
import { withClient } from './connect';
import { readMigrations } from './files';
import { removeFingerprint, storeFingerprint } from './fingerprint';
import { readGrants, type TableGrants } from './grants';
import { syncGrants } from './rights';
import { migrateUp } from './run';

export interface MigrateOnStartOptions {
  /** The service's `prisma/migrations` directory; its package ships it, with `prisma/schema.prisma` beside it. */
  readonly migrations: string;
  /** The administrator's URL of the service's database, which must exist. */
  readonly url: string | DatabaseUrl;
  /** The login role of the service's store, such as `azora_mint_app`. */
  readonly role: string;
  /** How long a copy of the service waits for another copy that migrates; 60,000 by default. */
  readonly runnerTimeoutMs?: number;
  /** PostgreSQL's lock_timeout while a migration runs; 5,000 by default. */
  readonly lockTimeoutMs?: number;
  /** Receives a sentence each time the run starts to wait for another session. */
  readonly onWait?: (reason: string) => void;
}

/** Copies of a service that start together wait for the first, whose migrations may take a while. */
const RUNNER_TIMEOUT_ON_START_MS = 60_000;

/**
 * Applies the pending migrations of a service when the service starts. Any number of copies may start at once: each
 * migration is applied once. Returns the names of the migrations that this copy applied. A database that newer code has
 * migrated further is left as it is, so that older code starts during a rolling deployment and after a rollback.
 * @throws {SuiteError} `CONFIG.BAD_URL`, `SERVER.…`, `MIGRATION.…`
 */
export async function migrateOnStart({
  migrations,
  url,
  role,
  runnerTimeoutMs = RUNNER_TIMEOUT_ON_START_MS,
  ...options
}: MigrateOnStartOptions): Promise<readonly string[]> {
  const database = typeof url === 'string' ? parseDatabaseUrl(url, 'the url option of migrateOnStart') : url;
  const files = await readMigrations(migrations);
  const afterEach = afterMigration(role, path.join(path.dirname(migrations), 'schema.prisma'));
  return withClient(database, (client) =>
    migrateUp(client, files, { ...options, newerHistory: 'tolerated', runnerTimeoutMs, afterEach }),
  );
}

/**
 * Returns the work that belongs in the transaction of each migration: it sets the app role's rights, so that no session
 * ever sees tables that the store may not read. The last migration of a run stores the fingerprint of the catalog, which costs
 * more than a small migration; the others remove the old one.
 */
export function afterMigration(
  role: string,
  schemaFile: string,
): (client: ClientBase, isLast?: boolean) => Promise<void> {
  let grants: Promise<TableGrants> | undefined;
  return async (client, isLast = true) => {
    grants ??= readGrants(schemaFile);
    await syncGrants(client, role, await grants);
    await (isLast ? storeFingerprint(client) : removeFingerprint(client));
  };
}
