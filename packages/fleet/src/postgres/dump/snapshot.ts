import { findDatabaseError, quoteIdentifier, SuiteError } from '@azora/db-core';
import type { ClientBase } from 'pg';

/** The state of one database at one moment: everything that was committed then, and nothing later. */
export interface Snapshot {
  /** Lets other sessions read the same state; null on a server with a single session. */
  readonly id: string | null;
  readonly takenAt: string;
  /** The end of the write-ahead log at that moment, for example `0/1A2B3C`. */
  readonly lsn: string;
  readonly serverVersion: string;
  readonly sizeBytes: number;
  readonly extensions: readonly { readonly name: string; readonly version: string }[];
  readonly tables: readonly SnapshotTable[];
}

export interface DumpedTable {
  readonly schema: string;
  readonly name: string;
  /** Without generated columns, which the server computes. */
  readonly columns: readonly string[];
  /**
   * For the configuration table of an extension: which rows belong to the database, as `WHERE …` or empty for all of them. The
   * others come with the extension. Null for any other table.
   */
  readonly filter: string | null;
  readonly sizeBytes: number;
}

export interface SnapshotTable extends DumpedTable {
  /** The table of the schema model: the table itself, or the partitioned table that it is a partition of. */
  readonly root: { readonly schema: string; readonly name: string };
}

export interface Sequence {
  readonly schema: string;
  readonly name: string;
  readonly lastValue: string;
  readonly isCalled: boolean;
}

/** The text of values must not depend on settings of the server or the role, because hashes are compared across servers. */
const SETTINGS = `
  SET LOCAL search_path = ''; SET LOCAL client_encoding = 'UTF8'; SET LOCAL timezone = 'UTC';
  SET LOCAL datestyle = 'ISO, MDY'; SET LOCAL intervalstyle = 'postgres'; SET LOCAL extra_float_digits = 1;
  SET LOCAL bytea_output = 'hex'; SET LOCAL xmlbinary = 'base64'; SET LOCAL row_security = off;
  SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0;
  SET LOCAL synchronize_seqscans = off`;
/** The wait for a table that another session is altering. */
const LOCK_TIMEOUT_MS = 10_000;
const UNDEFINED_TABLE = '42P01';
const LOCK_NOT_AVAILABLE = '55P03';

/**
 * Begins the transaction of a backup and locks its tables against ALTER TABLE until it ends. Its first query, in
 * `takeSnapshot`, fixes the state that it reads.
 */
export async function beginBackup(client: ClientBase): Promise<readonly DumpedTable[]> {
  for (;;) {
    const tables = await listTables(client);
    await client.query(`BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL lock_timeout = ${LOCK_TIMEOUT_MS}`);
    // LOCK takes no snapshot (manual, LOCK), so that no table changes between the snapshot and its lock.
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
 * @param share whether other sessions read the same state
 * @throws {SuiteError} `BACKUP.LARGE_OBJECTS`, `BACKUP.SCHEMA_CHANGED` when a table was created or dropped meanwhile
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
 * Begins a transaction of another session that reads the same state. False when a session waits to alter a table: this
 * one would wait behind it forever, because that session waits for the transaction of the snapshot.
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

/** The positions of the sequences. They are not part of a snapshot; read after the rows, they are never behind them. */
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

/** The quoted name of a table, with its schema. */
export function qualified(schema: string, name: string): string {
  return `${quoteIdentifier(schema)}.${quoteIdentifier(name)}`;
}

/** Excludes system relations, temporary relations and those of extensions, except their configuration (manual, 36.17.3). */
const OWN = (relation: string) => `
  nspname !~ '^pg_' AND nspname <> 'information_schema' AND relpersistence <> 't' AND (
    EXISTS (SELECT FROM pg_extension WHERE ${relation}.oid = ANY (extconfig)) OR NOT EXISTS (
      SELECT FROM pg_depend
      WHERE classid = 'pg_class'::regclass AND objid = ${relation}.oid AND deptype = 'e'))`;

const TABLES = `
  SELECT coalesce(json_agg(json_build_object(
           'schema', nspname, 'name', relname, 'sizeBytes', pg_table_size(relation.oid),
           'root', (SELECT json_build_object('schema', spaces.nspname, 'name', root.relname)
                    FROM pg_class AS root JOIN pg_namespace AS spaces ON spaces.oid = root.relnamespace
                    WHERE root.oid = coalesce(pg_partition_root(relation.oid), relation.oid)),
           'filter', (SELECT condition FROM pg_extension CROSS JOIN unnest(extconfig, extcondition) AS config (id, condition)
                      WHERE id = relation.oid),
           'columns', (SELECT coalesce(json_agg(attname ORDER BY attnum), '[]') FROM pg_attribute
                       WHERE attrelid = relation.oid AND attnum > 0 AND NOT attisdropped AND attgenerated = ''))
           ORDER BY nspname COLLATE "C", relname COLLATE "C"), '[]')
  FROM pg_class AS relation JOIN pg_namespace ON pg_namespace.oid = relnamespace
  WHERE relkind = 'r' AND ${OWN('relation')}`;

async function listTables(client: ClientBase): Promise<readonly DumpedTable[]> {
  const { rows } = await client.query<{ tables: readonly DumpedTable[] }>(`SELECT (${TABLES}) AS tables`);
  return rows[0]?.tables ?? [];
}

/** The tables for LOCK. Tables that inherit from them are listed themselves. */
export function tableList(tables: readonly DumpedTable[]): string {
  return tables.map(({ schema, name }) => `ONLY ${qualified(schema, name)}`).join(', ');
}

function schemaChanged(): SuiteError {
  return new SuiteError('BACKUP.SCHEMA_CHANGED', 'A table was created or dropped while the backup began', {
    why: 'A migration is probably running.',
    next: 'Run the backup again when the migration is done',
  });
}

function largeObjects(): SuiteError {
  return new SuiteError('BACKUP.LARGE_OBJECTS', 'The database has large objects, which backup sets do not support', {
    why: 'pg_largeobject is not empty.',
    next: 'Move the contents to a bytea column, or back up this database with pg_dump',
  });
}
