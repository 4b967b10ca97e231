import { causesOf, findDatabaseError, isTlsFailure, NO_TLS, redactedCause } from '@azora/db-core/database-errors';
import { SuiteError } from '@azora/db-core/errors';
import { type DatabaseUrl, redactUrl } from '@azora/db-core/url';
import { Client } from 'pg';

/** A busy server may take seconds to let a session in. A migration or a backup that waits is better than one that fails. */
const CONNECT_TIMEOUT_MS = 15_000;
const NO_SUCH_DATABASE = '3D000';

/** PostgreSQL starts, stops or recovers, or all of its connections are in use. */
const NOT_NOW = /^(57P0.|53...)$/;

/** The limits that pg_dump and pg_restore lift too, and the one that ends an idle session with its locks. */
const TIMEOUTS =
  '{statement_timeout, lock_timeout, transaction_timeout, idle_in_transaction_session_timeout, idle_session_timeout}';

/** Lifts the limits that the server knows and that are set, for the session or for its transaction: SQL without a semicolon. */
export function liftTimeouts(scope: 'LOCAL' | 'SESSION'): string {
  return `SELECT set_config(name, '0', ${scope === 'LOCAL'}) FROM unnest('${TIMEOUTS}'::text[]) AS name
    WHERE current_setting(name, true) <> '0'`;
}

/**
 * Connects, runs `work`, and disconnects in every case. The session has no limit of the server, the database or the role: they are
 * made for applications, and would end a backup or a migration in the middle.
 * @throws {SuiteError} `SERVER.UNREACHABLE`, `SERVER.NO_DATABASE`, `SERVER.REFUSED` (no or bad password, no such role),
 * `SERVER.TLS_FAILED`, `CONFIG.BAD_URL` for a parameter that the driver rejects
 */
export async function withClient<Result>(url: DatabaseUrl, work: (client: Client) => Promise<Result>): Promise<Result> {
  return withLimitedClient(url, async (client) => {
    await client.query(liftTimeouts('SESSION'));
    return work(client);
  });
}

/** Like {@link withClient}, with the limits that a session has by itself. Sends nothing before `work` does. */
export async function withLimitedClient<Result>(
  url: DatabaseUrl,
  work: (client: Client) => Promise<Result>,
): Promise<Result> {
  const client = newClient(url);
  // When the server dies, the client also emits an error; the query that was running reports it.
  client.on('error', () => undefined);
  try {
    await client.connect();
  } catch (error) {
    // pg leaves the socket open when connecting fails on its own side, as it does without a password. The backend would wait for a
    // minute, and every CREATE DATABASE and DROP DATABASE of the server would wait for the backend.
    void client.end();
    throw connectionError(url, error);
  }
  try {
    return await work(client);
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** The driver reads the files of `sslrootcert` and the like here. */
function newClient(url: DatabaseUrl): Client {
  try {
    return new Client({
      connectionString: url.href,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      application_name: 'azora-db',
    });
  } catch (error) {
    throw new SuiteError('CONFIG.BAD_URL', `A parameter of ${url.source} cannot be used`, {
      kind: 'configuration',
      why: `${messageOf(error)}.`,
      next: `Correct the parameters after the ? in ${url.source}`,
      meta: { source: url.source },
    });
  }
}

function messageOf(error: unknown): string {
  const [{ message, code } = { message: '', code: '' }] = causesOf(error);
  return message || code || 'The connection failed';
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
  if (found !== undefined && NOT_NOW.test(found.sqlState)) {
    return new SuiteError('SERVER.UNREACHABLE', `The server accepts no connection to ${where} now`, {
      why: `${found.message} (SQLSTATE ${found.sqlState}).`,
      next: 'Run the command again later',
      meta: { source: url.source, sqlState: found.sqlState, outcome: 'not-sent' },
    });
  }
  if (found !== undefined) {
    const needsTls = found.message.includes('no encryption');
    return new SuiteError('SERVER.REFUSED', `The server refused the connection to ${where}`, {
      kind: 'configuration',
      why: `${found.message} (SQLSTATE ${found.sqlState}).`,
      next: needsTls
        ? `Add ?sslmode=require to ${url.source}`
        : `Check the user, password and database in ${url.source}`,
      meta: { source: url.source, sqlState: found.sqlState },
    });
  }
  const message = messageOf(cause);
  if (message.includes('client password must be a')) {
    return new SuiteError('SERVER.REFUSED', `The server refused the connection to ${where}`, {
      kind: 'configuration',
      why: `The server asks for a password, and ${url.source} contains none.`,
      next: `Add the password to ${url.source}: postgresql://user:password@host:port/database`,
      meta: { source: url.source },
    });
  }
  if (isTlsFailure(cause)) {
    return new SuiteError('SERVER.TLS_FAILED', `No encrypted connection to ${where} was possible`, {
      kind: 'configuration',
      why: `${message}.`,
      next:
        message === NO_TLS
          ? `Turn on ssl on the server, or remove sslmode from ${url.source}`
          : `Add sslrootcert=<file> to ${url.source}, or use sslmode=no-verify if you trust the network`,
      meta: { source: url.source },
      cause: redactedCause(cause),
    });
  }
  return new SuiteError('SERVER.UNREACHABLE', `No PostgreSQL server answers at ${where}`, {
    why: `${message}.`,
    next: `Start the server, or correct ${url.source}`,
    meta: { source: url.source, outcome: 'not-sent' },
    cause: redactedCause(cause),
  });
}
