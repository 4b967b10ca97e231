import { findDatabaseError, quoteIdentifier, SuiteError } from '@azora/db-core';
import type { ClientBase } from 'pg';

/** The state of one database that a backup holds: everything that was committed when it was taken, and nothing since. */
export interface Snapshot {
  /** With which other sessions read the same state; null where there is only one session. */
  readonly id: string | null;
  readonly takenAt: string;
  /** The end of the write-ahead log at that time, for example `0/1A2B3C`. */
  readonly lsn: string;
  readonly serverVersion: string;
  readonly sizeBytes: number;
  readonly extensions: readonly { readonly name: string; readonly version: string }[];
  readonly tables: readonly DumpedTable[];
}

export interface DumpedTable {
  readonly schema: string;
  readonly name: string;
  /** Those that a restore fills: generated ones are computed. */
  readonly columns: readonly string[];
  readonly sizeBytes: number;
}

export interface Sequence {
  readonly schema: string;
  readonly name: string;
  readonly lastValue: string;
  readonly isCalled: boolean;
}

/** The text of values must not depend on how the server or the role is set up: hashes are compared across servers. */
const SETTINGS = `
  SET LOCAL search_path = ''; SET LOCAL client_encoding = 'UTF8'; SET LOCAL timezone = 'UTC';
  SET LOCAL datestyle = 'ISO, MDY'; SET LOCAL intervalstyle = 'postgres'; SET LOCAL extra_float_digits = 1;
  SET LOCAL bytea_output = 'hex'; SET LOCAL xmlbinary = 'base64'; SET LOCAL row_security = off;
  SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0;
  SET LOCAL synchronize_seqscans = off`;
/** A table that somebody alters meanwhile is waited for this long. */
const LOCK_TIMEOUT_MS = 10_000;
const UNDEFINED_TABLE = '42P01';
const LOCK_NOT_AVAILABLE = '55P03';

/**
 * Begins the transaction of a backup, and keeps the tables from being altered until it ends; the state that it will read
 * is that of its first query, `takeSnapshot`.
 */
export async function beginBackup(client: ClientBase): Promise<readonly DumpedTable[]> {
  for (;;) {
    const tables = await listTables(client);
    await client.query(`BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL lock_timeout = ${LOCK_TIMEOUT_MS}`);
    // LOCK takes no snapshot (manual, LOCK): a table that is altered later than this cannot be read half old, half new.
    try {
      if (tables.length > 0) await client.query(`LOCK TABLE ${tableList(tables)} IN ACCESS SHARE MODE`);
      return tables;
    } catch (error) {
      await client.query('ROLLBACK');
      if (findDatabaseError(error)?.sqlState !== UNDEFINED_TABLE) throw error;
    }
  }
}

/**
 * Fixes the state that the transaction reads.
 * @param share whether other sessions shall read the same state
 * @throws {SuiteError} `BACKUP.LARGE_OBJECTS`, `BACKUP.SCHEMA_CHANGED` when a table came or went since it began
 */
export async function takeSnapshot(
  client: ClientBase,
  locked: readonly DumpedTable[],
  { share }: { readonly share: boolean },
): Promise<Snapshot> {
  const { rows } = await client.query<Omit<Snapshot, 'takenAt'> & { readonly large_objects: boolean }>(`
    SELECT ${share ? 'pg_export_snapshot()' : 'NULL::text'} AS id,
           CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END::text AS lsn,
           current_setting('server_version') AS "serverVersion",
           pg_database_size(current_database())::float8 AS "sizeBytes",
           (SELECT coalesce(json_agg(json_build_object('name', extname, 'version', extversion) ORDER BY extname), '[]')
            FROM pg_extension WHERE extname <> 'plpgsql') AS extensions,
           (${TABLES}) AS tables,
           EXISTS (SELECT FROM pg_largeobject_metadata) AS large_objects`);
  const takenAt = new Date().toISOString();
  const [row] = rows;
  if (row === undefined) throw new Error('a SELECT without FROM gives one row');
  const { large_objects: hasLargeObjects, ...facts } = row;
  if (hasLargeObjects) throw largeObjects();
  if (tableList(facts.tables) !== tableList(locked)) throw schemaChanged();
  await client.query(SETTINGS);
  return { ...facts, takenAt };
}

/**
 * Begins a transaction of another session that reads the same state. False when somebody waits to alter a table: behind
 * them it would wait for ever, as they wait for the transaction that the state is of.
 */
export async function joinSnapshot(client: ClientBase, id: string, tables: readonly DumpedTable[]): Promise<boolean> {
  await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
  await client.query(`SET TRANSACTION SNAPSHOT '${id.replaceAll("'", "''")}'`);
  await client.query(SETTINGS);
  try {
    await client.query(`LOCK TABLE ${tableList(tables)} IN ACCESS SHARE MODE NOWAIT`);
    return true;
  } catch (error) {
    if (findDatabaseError(error)?.sqlState === LOCK_NOT_AVAILABLE) return false;
    throw error;
  }
}

/** Where the sequences stand. They belong to no snapshot: read after the rows, they are never behind them. */
export async function readSequences(client: ClientBase): Promise<readonly Sequence[]> {
  const { rows: names } = await client.query<{ schema: string; name: string }>(`
    SELECT nspname::text AS schema, relname::text AS name
    FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE relkind = 'S' AND ${OWN('pg_class')} ORDER BY 1, 2`);
  if (names.length === 0) return [];
  const states = names.map(
    ({ schema, name }) =>
      `SELECT last_value::text AS "lastValue", is_called AS "isCalled" FROM ${qualified(schema, name)}`,
  );
  const { rows } = await client.query<Pick<Sequence, 'lastValue' | 'isCalled'>>(states.join(' UNION ALL '));
  return rows.flatMap((row, index) => {
    const sequence = names[index];
    return sequence === undefined ? [] : [{ ...sequence, ...row }];
  });
}

/** A table's name for SQL, with its schema. */
export function qualified(schema: string, name: string): string {
  return `${quoteIdentifier(schema)}.${quoteIdentifier(name)}`;
}

/** Of the database itself: neither PostgreSQL's own, nor an extension's, nor a session's. */
const OWN = (relation: string) => `
  nspname !~ '^pg_' AND nspname <> 'information_schema' AND relpersistence <> 't' AND NOT EXISTS (
    SELECT FROM pg_depend
    WHERE classid = 'pg_class'::regclass AND objid = ${relation}.oid AND deptype = 'e')`;

const TABLES = `
  SELECT coalesce(json_agg(json_build_object(
           'schema', nspname, 'name', relname, 'sizeBytes', pg_table_size(relation.oid),
           'columns', (SELECT coalesce(json_agg(attname ORDER BY attnum), '[]') FROM pg_attribute
                       WHERE attrelid = relation.oid AND attnum > 0 AND NOT attisdropped AND attgenerated = ''))
           ORDER BY nspname COLLATE "C", relname COLLATE "C"), '[]')
  FROM pg_class AS relation JOIN pg_namespace ON pg_namespace.oid = relnamespace
  WHERE relkind = 'r' AND ${OWN('relation')}`;

async function listTables(client: ClientBase): Promise<readonly DumpedTable[]> {
  const { rows } = await client.query<{ tables: readonly DumpedTable[] }>(`SELECT (${TABLES}) AS tables`);
  return rows[0]?.tables ?? [];
}

/** For LOCK: without those that inherit from them, which are tables of their own. */
export function tableList(tables: readonly DumpedTable[]): string {
  return tables.map(({ schema, name }) => `ONLY ${qualified(schema, name)}`).join(', ');
}

function schemaChanged(): SuiteError {
  return new SuiteError('BACKUP.SCHEMA_CHANGED', 'A table was created or dropped while the backup began', {
    why: 'Somebody migrates the database at the same time.',
    next: 'Run the backup again when the migration has ended',
  });
}

function largeObjects(): SuiteError {
  return new SuiteError('BACKUP.LARGE_OBJECTS', 'The database holds large objects, which a backup set does not', {
    why: 'pg_largeobject is not empty.',
    next: 'Keep the contents in a bytea column, or store this database with pg_dump itself',
  });
}
