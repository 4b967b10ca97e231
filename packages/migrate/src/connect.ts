import { type DatabaseUrl, findDatabaseError, redactUrl, SuiteError } from '@azora/db-core';
import { Client } from 'pg';

const CONNECT_TIMEOUT_MS = 5_000;
const NO_SUCH_DATABASE = '3D000';

/**
 * Connects, runs `work`, and always disconnects.
 * @throws {SuiteError} `SERVER.UNREACHABLE`, `SERVER.NO_DATABASE`, `SERVER.REFUSED` (bad password, no such role)
 */
export async function withClient<Result>(url: DatabaseUrl, work: (client: Client) => Promise<Result>): Promise<Result> {
  const client = new Client({
    connectionString: url.href,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    application_name: 'azora-db',
  });
  // A server that dies mid-query also emits an error; the query that was running reports it.
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
  const fault = findDatabaseError(cause);
  const where = redactUrl(url);
  if (fault?.sqlState === NO_SUCH_DATABASE) {
    return new SuiteError('SERVER.NO_DATABASE', `The database ${where} does not exist`, {
      kind: 'configuration',
      next: 'Run "npm run db:setup", which creates what is missing',
      meta: { source: url.source, sqlState: fault.sqlState },
    });
  }
  if (fault !== undefined) {
    return new SuiteError('SERVER.REFUSED', `The server refused the connection to ${where}`, {
      kind: 'configuration',
      why: `${fault.message} (SQLSTATE ${fault.sqlState}).`,
      next: `Check user, password and database in ${url.source}`,
      meta: { source: url.source, sqlState: fault.sqlState },
    });
  }
  return new SuiteError('SERVER.UNREACHABLE', `No PostgreSQL server answers at ${where}`, {
    why: cause instanceof Error ? `${cause.message || cause.name}.` : 'The connection failed.',
    next: `Start the server, or correct ${url.source}`,
    meta: { source: url.source },
    cause,
  });
}
