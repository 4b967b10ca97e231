import { HISTORY, readHistory, withClient } from '@azora/db-migrate';
import type { Client } from 'pg';
import type { SetKey } from '../../backup-store/encryption';
import { chunksOf, writeSetFile } from '../../backup-store/file';
import type { DatabaseEntry, FileEntry, TableEntry } from '../../backup-store/manifest';
import { restoreScript } from '../../backup-store/restore-script';
import type { SetWriter } from '../../backup-store/storage';
import { prepareMask } from '../../postgres/dump/mask';
import { pgDump, requirePgDump } from '../../postgres/dump/pg-dump';
import { readRoles } from '../../postgres/dump/roles';
import { type ColumnExpressions, copyOut, readContents } from '../../postgres/dump/rows';
import { dumpSchema } from '../../postgres/dump/schema';
import { type DumpedTable, joinSnapshot, readSequences, type SnapshotTable } from '../../postgres/dump/snapshot';
import type { Environment } from '../../system/child-environment';
import { countProblems } from './data-state';
import type { FrozenDatabase } from './snapshots';
import { runInPool, type Worker, workersFor } from './worker-pool';

/** How rows are stored: one file per table, or one pg_dump archive per database. */
export type RowFormat = 'copy' | 'pg_dump';

export interface DumpOptions {
  readonly writer: SetWriter;
  readonly key: SetKey | undefined;
  /** The expressions that replace columns, by table, and the key of the pseudonyms; undefined to store rows unchanged. */
  readonly mask: { readonly of: (table: string) => ColumnExpressions; readonly key: string } | undefined;
  /** Whether the schema has drifted from its migrations. */
  readonly drifted: boolean;
  readonly format: RowFormat;
  readonly environment: Environment;
  readonly signal: AbortSignal | undefined;
  readonly onProgress: (detail: string) => void;
}

/** Stores one database: its schema, its rows and the positions of its sequences. */
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
  const history = snapshot.tables.some(({ schema: of, name }) => `${of}.${name}` === HISTORY)
    ? await readHistory(client)
    : [];
  const archive = await dumpArchive(database, options);
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
    archive,
    tables: [...(await (archive === null ? dumpTables(database, options) : readTables(database, options)))],
    // After the rows: a sequence that is behind them would give out an id twice.
    sequences: [...(await readSequences(client))],
  };
  return {
    ...entry,
    script: key === undefined && archive === null ? await store('restore.sql', restoreScript(entry)) : null,
  };
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
  { signal, onProgress }: DumpOptions,
): Promise<readonly TableEntry[]> {
  const entries: TableEntry[] = [];
  for (const table of snapshot.tables) {
    signal?.throwIfAborted();
    onProgress(`hash of ${table.name}`);
    const { rows, bytes, sha256 } = await readContents(client, table);
    const { schema, name, columns } = table;
    entries.push({ schema, name, columns: [...columns], rows, bytes, contentSha256: sha256, file: null });
  }
  return entries;
}

/** The largest table first, so that the last one to finish is small. */
async function dumpTables(database: FrozenDatabase, options: DumpOptions): Promise<readonly TableEntry[]> {
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
  await runInPool(tables, workers, options.signal, async (session, table) => {
    options.onProgress(table.name);
    stored.set(table, await dumpTable(session, fileOf(target.service.name, table, snapshot.tables), table, options));
  });
  return snapshot.tables.flatMap((table) => stored.get(table) ?? []);
}

async function dumpTable(
  client: Client,
  file: string,
  table: SnapshotTable,
  { writer, key, mask }: DumpOptions,
): Promise<TableEntry> {
  const { schema, name, columns } = table;
  const stored: { entry?: TableEntry['file'] } = {};
  const contents = await copyOut(client, table, mask?.of(table.root) ?? new Map(), async (rows) => {
    stored.entry = await writeSetFile(writer, file, key, rows);
  });
  if (stored.entry === undefined) throw new Error('copyOut ended before its rows were stored');
  const { rows, bytes, sha256 } = contents;
  return { schema, name, columns: [...columns], rows, bytes, contentSha256: sha256, file: stored.entry };
}

/** Derives a file name from any table name. A number distinguishes tables whose names differ only in replaced characters. */
function fileOf(service: string, table: DumpedTable, tables: readonly DumpedTable[]): string {
  const nameOf = ({ schema, name }: DumpedTable) =>
    (schema === 'public' ? name : `${schema}.${name}`)
      .toLowerCase()
      .replace(/[^a-z0-9._-]/g, '_')
      .slice(0, 100);
  const name = nameOf(table);
  const number = tables.filter((other) => nameOf(other) === name).indexOf(table);
  return `${service}/${name}${number === 0 ? '' : `-${number}`}.copy.gz`;
}
