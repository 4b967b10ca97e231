import { findDatabaseError, redactedCause } from '@azora/db-core/database-errors';
import { SuiteError } from '@azora/db-core/errors';
import { type DatabaseUrl, redactUrl } from '@azora/db-core/url';
import { Client } from 'pg';

const CONNECT_TIMEOUT_MS = 5_000;
const NO_SUCH_DATABASE = '3D000';

/**
 * Connects, runs `work`, and disconnects in every case.
 * @throws {SuiteError} `SERVER.UNREACHABLE`, `SERVER.NO_DATABASE`, `SERVER.REFUSED` (bad password, no such role)
 */
export async function withClient<Result>(url: DatabaseUrl, work: (client: Client) => Promise<Result>): Promise<Result> {
  const client = new Client({
    connectionString: url.href,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    application_name: 'azora-db',
  });
  // When the server dies, the client also emits an error; the query that was running reports it.
  client.on('error', () => undefined);
  try {
    await client.connect();
  } catch (error) {
    throw connectionError(url, error);
  }
  try {
    return await work(client);
  } finally {
    await client.end().catch(() => undefined);
  }
}

function connectionError(url: DatabaseUrl, cause: unknown): SuiteError {
  const found = findDatabaseError(cause);
  const where = redactUrl(url);
  if (found?.sqlState === NO_SUCH_DATABASE) {
    return new SuiteError('SERVER.NO_DATABASE', `The database ${where} does not exist`, {
      kind: 'configuration',
      next: 'Run "npm start" first, or "npm run db:setup" to create the databases without the seed',
      meta: { source: url.source, sqlState: found.sqlState },
    });
  }
  if (found !== undefined) {
    return new SuiteError('SERVER.REFUSED', `The server refused the connection to ${where}`, {
      kind: 'configuration',
      why: `${found.message} (SQLSTATE ${found.sqlState}).`,
      next: `Check the user, password and database in ${url.source}`,
      meta: { source: url.source, sqlState: found.sqlState },
    });
  }
  return new SuiteError('SERVER.UNREACHABLE', `No PostgreSQL server answers at ${where}`, {
    why: cause instanceof Error ? `${cause.message || cause.name}.` : 'The connection failed.',
    next: `Start the server, or correct ${url.source}`,
    meta: { source: url.source, outcome: 'not-sent' },
    cause: redactedCause(cause),
  });
}
