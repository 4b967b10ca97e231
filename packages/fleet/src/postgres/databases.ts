import { findDatabaseError, quoteIdentifier, SuiteError } from '@azora/db-core';
import type { ClientBase } from 'pg';

const DUPLICATE_DATABASE = '42P04';
const UNIQUE_VIOLATION = '23505';
/** pg_database.datconnlimit of a database whose CREATE or DROP was cut off (PostgreSQL 15.4, 16 and later). */
const INVALID_CONNECTION_LIMIT = -2;

/** Creates the database if it is missing, again if a killed server left it half-made; true when it was made now. */
export async function createDatabase(client: ClientBase, database: string): Promise<boolean> {
  const found = await client.query<{ datconnlimit: number }>(
    'SELECT datconnlimit FROM pg_database WHERE datname = $1',
    [database],
  );
  const limit = found.rows[0]?.datconnlimit;
  if (limit !== undefined && limit !== INVALID_CONNECTION_LIMIT) return false;
  if (limit === INVALID_CONNECTION_LIMIT) await dropDatabase(client, database);
  try {
    await client.query(`CREATE DATABASE ${quoteIdentifier(database)} TEMPLATE template0 ENCODING 'UTF8'`);
    return true;
  } catch (error) {
    const fault = findDatabaseError(error);
    // Another setup made it between the question and the statement.
    if (fault?.sqlState === DUPLICATE_DATABASE || fault?.sqlState === UNIQUE_VIOLATION) return false;
    throw new SuiteError('SERVER.CANNOT_CREATE_DATABASE', `The database ${database} could not be created`, {
      kind: 'configuration',
      why: fault === undefined ? 'The connection was lost.' : `${fault.message} (SQLSTATE ${fault.sqlState}).`,
      next: 'Use an administrator that may create databases (CREATEDB), or create the database by hand',
      meta: { database },
      cause: error,
    });
  }
}

/** Drops the database, ending whoever is connected; a missing one is fine. */
export async function dropDatabase(client: ClientBase, database: string): Promise<void> {
  await client.query(`DROP DATABASE IF EXISTS ${quoteIdentifier(database)} WITH (FORCE)`);
}

/**
 * Checks that the server offers every extension that a service needs.
 * @throws {SuiteError} `SERVER.MISSING_EXTENSION`
 */
export async function requireExtensions(
  client: ClientBase,
  service: string,
  extensions: readonly string[],
): Promise<void> {
  if (extensions.length === 0) return;
  const offered = await client.query<{ name: string }>(
    'SELECT name FROM pg_available_extensions WHERE name = ANY($1)',
    [extensions],
  );
  const missing = extensions.filter((extension) => !offered.rows.some((row) => row.name === extension));
  if (missing.length === 0) return;
  throw new SuiteError('SERVER.MISSING_EXTENSION', `The server lacks what ${service} needs: ${missing.join(', ')}`, {
    kind: 'configuration',
    why: `Extension ${missing.join(', ')} is not installed on this server.`,
    next: missing.includes('vector')
      ? 'Install pgvector on it (Debian: postgresql-<version>-pgvector) or use the image pgvector/pgvector:pg17'
      : 'Install it on the server',
    meta: { service, missing },
  });
}
