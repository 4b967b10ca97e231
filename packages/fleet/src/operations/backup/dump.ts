import { findDatabaseError, isConnectionLoss, redactedCause, SuiteError } from '@azora/db-core';
import { HISTORY, readHistory, withClient } from '@azora/db-migrate';
import type { Client } from 'pg';
import { type Compression, suffixOf } from '../../backup-store/compression';
import { contentHash, type SetKey } from '../../backup-store/encryption';
import { adoptSetFile, chunksOf, writeSetFile } from '../../backup-store/file';
import type { DatabaseEntry, FileEntry, TableEntry } from '../../backup-store/manifest';
import { restoreScript } from '../../backup-store/restore-script';
import type { SetWriter, Storage } from '../../backup-store/storage';
import { type Access, readAccess } from '../../postgres/dump/access';
import { accessStatements, databaseStatements } from '../../postgres/dump/access-statements';
import { prepareMask, type TableMask } from '../../postgres/dump/mask';
import { pgDump, requirePgDump } from '../../postgres/dump/pg-dump';
import { readRoles } from '../../postgres/dump/roles';
import { copyOut, readContents } from '../../postgres/dump/rows';
import { dumpSchema } from '../../postgres/dump/schema';
import {
  type DumpedTable,
  joinSnapshot,
  qualified,
  readSequences,
  type SnapshotTable,
} from '../../postgres/dump/snapshot';
import { type Baseline, countRows, isComparable, readBaseline } from '../../postgres/dump/unchanged';
import type { Environment } from '../../system/child-environment';
import type { BaseDatabase } from './base-sets';
import { countProblems } from './data-state';
import type { FrozenDatabase } from './snapshots';
import { runInPool, type Worker, workersFor } from './worker-pool';

/** How rows are stored: one file per table, or one pg_dump archive per database. */
export type RowFormat = 'copy' | 'pg_dump';

const UNMASKED: TableMask = { columns: new Map(), keepsRows: true };

export interface DumpOptions {
  /** The id of the new set. */
  readonly set: string;
  readonly storage: Storage;
  readonly writer: SetWriter;
  readonly key: SetKey | undefined;
  /** The earlier state whose files are used for unchanged tables; undefined to store all tables anew. */
  readonly base: BaseDatabase | undefined;
  /** The masks of tables, and the key of the pseudonyms; undefined to store rows unchanged. */
  readonly mask: { readonly of: (root: SnapshotTable['root']) => TableMask; readonly key: string } | undefined;
  /** Whether the schema has drifted from its migrations. */
  readonly drifted: boolean;
  /** Whether to store a database that has more than a set can carry. */
  readonly allowIncomplete: boolean;
  readonly format: RowFormat;
  readonly compression: Compression;
  readonly environment: Environment;
  readonly signal: AbortSignal | undefined;
  readonly onProgress: (detail: string) => void;
  /** Reports what the set does not carry. */
  readonly log: (line: string) => void;
}

/** Stores one database: its schema, its owners, rights and settings, its rows and the positions of its sequences. */
export async function dumpDatabase(database: FrozenDatabase, options: DumpOptions): Promise<DatabaseEntry> {
  const { target, client, snapshot } = database;
  const { writer, key, onProgress } = options;
  const service = target.service.name;
  onProgress('schema');
  const { preData, postData } = await dumpSchema(client);
  const store = (name: string, text: string) => writeSetFile(writer, `${service}/${name}`, key, chunksOf(text));
  const schema = {
    preData: await store('pre-data.sql', preData),
    postData: await store('post-data.sql', postData),
  };
  const owners = await readAccess(client, target.role);
  if (owners.notCarried.length > 0 && !options.allowIncomplete) throw notCarried(service, owners.notCarried);
  for (const part of owners.notCarried) options.log(`warning: the set of ${service} does not carry ${part}`);
  const history = snapshot.tables.some(({ schema: of, name }) => `${of}.${name}` === HISTORY)
    ? await readHistory(client)
    : [];
  const archive = await dumpArchive(database, options);
  const baseline = await readBaseline(client, target.server === 'companion');
  const entry: Omit<DatabaseEntry, 'script'> = {
    service,
    database: target.database,
    server: target.server,
    serverVersion: snapshot.serverVersion,
    sizeBytes: snapshot.sizeBytes,
    extensions: [...snapshot.extensions],
    migrations: history
      .filter(({ finished, rolledBack }) => finished && !rolledBack)
      .map(({ name, checksum }) => ({ name, checksum })),
    drifted: options.drifted,
    snapshot: { takenAt: snapshot.takenAt, lsn: snapshot.lsn },
    roles: [...(await readRoles(client))],
    checks: await countProblems(client, target.service),
    schema,
    access: await store('access.json', `${JSON.stringify(owners, null, 2)}\n`),
    archive,
    tables: [...(await (archive === null ? dumpTables(database, baseline, options) : readTables(database, options)))],
    baseline,
    // After the rows: a sequence that is behind them would give out an id twice.
    sequences: [...(await readSequences(client))],
  };
  return {
    ...entry,
    script:
      key === undefined && archive === null ? await store('restore.sql', restoreScript(entry, scriptOf(owners))) : null,
  };
}

function notCarried(service: string, parts: readonly string[]): SuiteError {
  return new SuiteError('BACKUP.NOT_CARRIED', `A backup set cannot carry all of ${service}: ${parts.join(', ')}`, {
    kind: 'finding',
    why: 'A database that is restored from the set would lack it.',
    next: 'Remove it from the database, or back up anyway with --allow-incomplete and keep note of it yourself',
    meta: { service, parts },
  });
}

/** The statements of the access for psql, which knows the name of the database. */
function scriptOf(access: Access): readonly string[] {
  const sameRole = (role: string) => role;
  return [...accessStatements(access, sameRole), ...databaseStatements(access, sameRole, ':"DBNAME"')];
}

/** Null when rows are stored table by table: always for a companion, whose single session cannot be shared. */
async function dumpArchive(
  { target, snapshot }: FrozenDatabase,
  { writer, key, format, environment, signal, onProgress }: DumpOptions,
): Promise<FileEntry | null> {
  if (format === 'copy' || snapshot.id === null) return null;
  await requirePgDump(snapshot.serverVersion, environment);
  onProgress('pg_dump');
  const archive = pgDump(target.admin, snapshot.id, { environment, signal });
  return writeSetFile(writer, `${target.service.name}/database.dump`, key, archive);
}

/** Counts and hashes the rows that the archive must yield when it is restored. */
async function readTables(
  { client, snapshot }: FrozenDatabase,
  { set, key, signal, onProgress }: DumpOptions,
): Promise<readonly TableEntry[]> {
  const entries: TableEntry[] = [];
  for (const table of snapshot.tables) {
    signal?.throwIfAborted();
    onProgress(`hash of ${table.name}`);
    const { rows, bytes, sha256 } = await readContents(client, table);
    const { schema, name, columns, filter } = table;
    entries.push({
      schema,
      name,
      columns: [...columns],
      filter,
      rows,
      bytes,
      contentSha256: contentHash(sha256, key),
      file: null,
      storedBy: set,
    });
  }
  return entries;
}

/** The largest table first, so that the last one to finish is small. */
async function dumpTables(
  database: FrozenDatabase,
  baseline: Baseline,
  options: DumpOptions,
): Promise<readonly TableEntry[]> {
  const { target, client, snapshot } = database;
  const tables = snapshot.tables.toSorted((left, right) => right.sizeBytes - left.sizeBytes);
  const stored = new Map<DumpedTable, TableEntry>();
  const prepared = async (session: Client, work: (client: Client) => Promise<void>): Promise<void> => {
    if (options.mask !== undefined) await prepareMask(session, options.mask.key);
    await work(session);
  };
  const { id } = snapshot;
  const helpers = id === null ? 0 : workersFor(tables.map(({ sizeBytes }) => sizeBytes)) - 1;
  const helper: Worker = (work) =>
    withClient(target.admin, async (session) => {
      if (await joinSnapshot(session, id ?? '', snapshot.tables)) await prepared(session, work);
    });
  const workers: readonly Worker[] = [(work) => prepared(client, work), ...Array<Worker>(helpers).fill(helper)];
  const files = filesFor(target.service.name, snapshot.tables);
  await runInPool(tables, workers, options.signal, async (session, table) => {
    options.onProgress(table.name);
    const stem = files.get(table) ?? '';
    const unchanged = await keepUnchanged(session, { table, stem, baseline }, options);
    stored.set(table, unchanged ?? (await dumpTable(session, stem, table, options)));
  });
  return snapshot.tables.flatMap((table) => stored.get(table) ?? []);
}

/**
 * Takes the file of an earlier set over when the rows are proven to be the same; otherwise undefined. Statistics of the server
 * prove nothing, because a crash resets them.
 */
async function keepUnchanged(
  client: Client,
  { table, stem, baseline }: { readonly table: SnapshotTable; readonly stem: string; readonly baseline: Baseline },
  options: DumpOptions,
): Promise<TableEntry | undefined> {
  const { base, storage, writer, log } = options;
  const earlier = base?.entry.tables.find(({ schema, name }) => schema === table.schema && name === table.name);
  // The condition that selects the rows of an extension may have changed.
  if (base === undefined || earlier === undefined || earlier.file === null) return undefined;
  if (earlier.filter !== null || table.filter !== null) return undefined;
  if (JSON.stringify(earlier.columns) !== JSON.stringify(table.columns)) return undefined;
  if (!(await hasSameRows(client, { table, earlier, baseline }, options))) return undefined;
  const { set } = base;
  const file = await adoptSetFile(storage, writer, { set, file: earlier.file, stem });
  if (file !== undefined) return { ...earlier, file };
  log(`warning: ${earlier.file.path} of the set ${set} cannot be used again, so that the table is stored anew`);
  return undefined;
}

async function hasSameRows(
  client: Client,
  given: { readonly table: SnapshotTable; readonly earlier: TableEntry; readonly baseline: Baseline },
  { base, key, signal }: DumpOptions,
): Promise<boolean> {
  const { table, earlier, baseline } = given;
  const before = base?.entry.baseline ?? null;
  const { rows, allEarlier } = await countRows(client, table, (before ?? baseline).horizon);
  if (rows !== earlier.rows) return false;
  if (before !== null && isComparable(baseline, before)) return allEarlier;
  signal?.throwIfAborted();
  const { sha256 } = await readContents(client, table);
  return earlier.contentSha256 === contentHash(sha256, key);
}

async function dumpTable(
  client: Client,
  stem: string,
  table: SnapshotTable,
  { set, writer, key, mask, compression, log }: DumpOptions,
): Promise<TableEntry> {
  const { schema, name, columns, filter } = table;
  const stored: { entry?: TableEntry['file'] } = {};
  const masked = mask?.of(table.root) ?? UNMASKED;
  if (!masked.keepsRows) log(`The masked set has no rows of ${qualified(schema, name)}, which no model describes`);
  const read = masked.keepsRows ? table : { ...table, filter: 'WHERE false' };
  const contents = await copyOut(client, read, masked.columns, async (rows) => {
    stored.entry = await writeSetFile(writer, `${stem}${suffixOf(compression)}`, key, rows);
  }).catch((error: unknown) => {
    throw unreadable(table, error);
  });
  if (stored.entry === undefined) throw new Error('copyOut ended before its rows were stored');
  const { rows, bytes, sha256 } = contents;
  return {
    schema,
    name,
    columns: [...columns],
    filter,
    rows,
    bytes,
    contentSha256: contentHash(sha256, key),
    file: stored.entry,
    storedBy: set,
  };
}

/** The error of COPY with the table; any other error as it is. */
function unreadable({ schema, name }: DumpedTable, error: unknown): unknown {
  const found = findDatabaseError(error);
  if (found === undefined || isConnectionLoss(error)) return error;
  return new SuiteError('BACKUP.TABLE_UNREADABLE', `The rows of ${qualified(schema, name)} cannot be read`, {
    why: `${found.message} (SQLSTATE ${found.sqlState}).`,
    next: 'Correct the cause, and back up again',
    meta: { table: `${schema}.${name}`, sqlState: found.sqlState },
    cause: redactedCause(error),
  });
}

/** A file name for each table, whatever its name, without the suffix of its compression. A number follows where another table has the name already. */
function filesFor(service: string, tables: readonly DumpedTable[]): ReadonlyMap<DumpedTable, string> {
  const taken = new Set<string>();
  const files = tables.map((table) => {
    const base = (table.schema === 'public' ? table.name : `${table.schema}.${table.name}`)
      .toLowerCase()
      .replace(/[^a-z0-9._-]/g, '_')
      .slice(0, 100);
    let name = base;
    for (let number = 1; taken.has(name); number += 1) name = `${base}-${number}`;
    taken.add(name);
    return [table, `${service}/${name}.copy`] as const;
  });
  return new Map(files);
}
