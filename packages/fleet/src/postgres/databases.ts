import { findDatabaseError, isConnectionLoss, quoteIdentifier, redactedCause, SuiteError } from '@azora/db-core';
import type { ClientBase } from 'pg';
import type { Locale } from './dump/access';
import { localeOptions } from './dump/access-statements';

const DUPLICATE_DATABASE = '42P04';
const UNIQUE_VIOLATION = '23505';
/** The SQLSTATE of an unknown locale, of unknown options, of an unknown or missing provider, and of rules that ICU rejects. */
const NO_SUCH_LOCALE: readonly string[] = ['42809', '42601', '42P17', '0A000', '22023'];
/** pg_database.datconnlimit of a database whose CREATE or DROP was interrupted (PostgreSQL 15.4, 16 and later). */
const INVALID_CONNECTION_LIMIT = -2;

/**
 * Creates the database if it is missing, and again if a killed server left it incomplete. True when this call created it. A locale
 * that the server does not offer is left to the server.
 * @throws {SuiteError} `SERVER.CANNOT_CREATE_DATABASE`
 */
export async function createDatabase(client: ClientBase, database: string, locale?: Locale): Promise<boolean> {
  const existing = await client.query<{ datconnlimit: number }>(
    'SELECT datconnlimit FROM pg_database WHERE datname = $1',
    [database],
  );
  const limit = existing.rows[0]?.datconnlimit;
  if (limit !== undefined && limit !== INVALID_CONNECTION_LIMIT) return false;
  if (limit === INVALID_CONNECTION_LIMIT) await dropDatabase(client, database);
  const create = `CREATE DATABASE ${quoteIdentifier(database)} TEMPLATE template0 ENCODING 'UTF8'`;
  try {
    const isCreated = locale !== undefined && (await orRefused(client.query(`${create} ${localeOptions(locale)}`)));
    if (!isCreated) await client.query(create);
    return true;
  } catch (error) {
    const found = findDatabaseError(error);
    // Another setup created it between the query and the statement.
    if (found?.sqlState === DUPLICATE_DATABASE || found?.sqlState === UNIQUE_VIOLATION) return false;
    if (found === undefined || isConnectionLoss(error)) throw error;
    throw new SuiteError('SERVER.CANNOT_CREATE_DATABASE', `The database ${database} could not be created`, {
      kind: 'configuration',
      why: `${found.message} (SQLSTATE ${found.sqlState}).`,
      next: 'Use an administrator role with CREATEDB, or create the database by hand',
      meta: { database },
      cause: redactedCause(error),
    });
  }
}

/** False when the server does not know the locale or its provider. */
async function orRefused(created: Promise<unknown>): Promise<boolean> {
  try {
    await created;
    return true;
  } catch (error) {
    if (NO_SUCH_LOCALE.includes(findDatabaseError(error)?.sqlState ?? '')) return false;
    throw error;
  }
}

/** Drops the database and ends its sessions. A missing database is not an error. */
export async function dropDatabase(client: ClientBase, database: string): Promise<void> {
  await client.query(`DROP DATABASE IF EXISTS ${quoteIdentifier(database)} WITH (FORCE)`);
}

/** The size of a database; undefined when the administrator may not read it, or when the database does not exist any more. */
export async function databaseBytes(client: ClientBase, database: string): Promise<number | undefined> {
  try {
    const { rows } = await client.query<{ bytes: string }>('SELECT pg_database_size($1::name)::text AS bytes', [
      database,
    ]);
    return Number(rows[0]?.bytes ?? 0);
  } catch (error) {
    if (findDatabaseError(error) === undefined || isConnectionLoss(error)) throw error;
    return undefined;
  }
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
  const missing = await findMissingExtensions(client, extensions);
  if (missing.length > 0) throw missingExtension(service, missing);
}

/** The extensions that the server does not offer. */
export async function findMissingExtensions(
  client: ClientBase,
  extensions: readonly string[],
): Promise<readonly string[]> {
  if (extensions.length === 0) return [];
  const offered = await client.query<{ name: string }>(
    'SELECT name FROM pg_available_extensions WHERE name = ANY($1)',
    [extensions],
  );
  return extensions.filter((extension) => !offered.rows.some((row) => row.name === extension));
}

/** SERVER.MISSING_EXTENSION: the server lacks an extension that a service needs. */
export function missingExtension(service: string, missing: readonly string[]): SuiteError {
  return new SuiteError(
    'SERVER.MISSING_EXTENSION',
    `The server lacks an extension that ${service} needs: ${missing.join(', ')}`,
    {
      kind: 'configuration',
      why: 'The package of the extension is not installed on the server.',
      next: [installAdvice(missing), ...companionAdvice(service, missing)].join(', or '),
      meta: { service, missing },
    },
  );
}

/** How to install the extensions on a server, as the beginning of a sentence. */
export function installAdvice(missing: readonly string[]): string {
  return missing.includes('vector')
    ? 'Install pgvector on the server (Debian: postgresql-<version>-pgvector; the image pgvector/pgvector:pg17 has it)'
    : 'Install the package of the extension on the server';
}

/** The extensions that a companion has and PostgreSQL's own packages may lack. */
const COMPANION_EXTENSIONS = ['pg_trgm', 'vector'];

/** How to use a companion instead, if a companion offers the extensions. */
export function companionAdvice(service: string, missing: readonly string[]): readonly string[] {
  const isOffered =
    missing.includes('vector') && missing.every((extension) => COMPANION_EXTENSIONS.includes(extension));
  return isOffered ? [`set AZORA_COMPANION=${service} to run ${service} on a companion (development only)`] : [];
}
