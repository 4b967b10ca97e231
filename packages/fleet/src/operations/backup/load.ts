import { type DatabaseUrl, findDatabaseError, isConnectionLoss, redactedCause, SuiteError } from '@azora/db-core';
import { withClient } from '@azora/db-migrate';
import type { Client } from 'pg';
import { isHash } from '../../backup-store/encryption';
import { readSetFile, textOf } from '../../backup-store/file';
import type { DatabaseEntry, FileEntry, TableEntry } from '../../backup-store/manifest';
import { SETTINGS } from '../../backup-store/restore-script';
import type { OpenedSet } from '../../backup-store/set';
import { fileDamaged } from '../../backup-store/storage';
import { requireExtensions } from '../../postgres/databases';
import { closeDefinerFunctions, rolesAt } from '../../postgres/dump/access';
import { accessStatements } from '../../postgres/dump/access-statements';
import { analyze, createTables, planPostData, runStatement, setSequences } from '../../postgres/dump/load';
import { pgRestoreRows } from '../../postgres/dump/pg-dump';
import { copyIn } from '../../postgres/dump/rows';
import { qualified } from '../../postgres/dump/snapshot';
import type { Environment } from '../../system/child-environment';
import { readSetAccess } from './access';
import { runInPool, workersFor } from './worker-pool';

export interface LoadRequest {
  readonly set: OpenedSet;
  readonly entry: DatabaseEntry;
  /** An empty database. */
  readonly url: DatabaseUrl;
  /** Whether all connections share one session, as they do on a companion. */
  readonly oneSession: boolean;
  /** The app role of the target. */
  readonly role: string;
  /** Where pg_restore is looked for, when the set holds an archive. */
  readonly environment: Environment;
}

export interface LoadOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress: (detail: string) => void;
}

/**
 * Loads a database of the set into an empty database: tables, rows, then indexes, foreign keys and triggers. The rows of
 * each table are compared with their count and hash in the manifest; those of a pg_dump archive are not.
 * @throws {SuiteError} `BACKUP.DAMAGED`, `RESTORE.SQL_FAILED`, `RESTORE.ROWS_REJECTED`, `RESTORE.NO_PG_RESTORE`, `RESTORE.PG_RESTORE_FAILED`,
 * `SERVER.MISSING_EXTENSION`
 */
export async function loadDatabase(request: LoadRequest, options: LoadOptions): Promise<void> {
  const { set, entry, url, oneSession } = request;
  const read = (file: FileEntry) => readSetFile(set.storage, set.manifest.id, file, set.key, textOf);
  const [preData, postData] = [await read(entry.schema.preData), await read(entry.schema.postData)];
  await withClient(url, async (client) => {
    await requireExtensions(
      client,
      entry.service,
      entry.extensions.map(({ name }) => name),
    );
    await prepare(client);
    options.onProgress('tables');
    await createTables(client, preData);
    const sessions = oneSession ? 1 : workersFor(entry.tables.map(({ bytes }) => bytes));
    await withSessions(client, url, sessions, async (clients) => {
      await loadRows(request, clients, options);
      await setSequences(client, entry.sequences);
      for (const { indexes, rest } of planPostData(postData)) {
        options.onProgress('indexes');
        await inPool(indexes, clients, options, runStatement);
        options.onProgress('foreign keys and triggers');
        await inPool(rest, [client], options, runStatement);
      }
    });
    // A companion has a single role.
    if (!oneSession) await giveRights(client, request);
    // A companion has no autovacuum, and pg_restore does not analyze the tables that it fills.
    if (oneSession || entry.archive !== null) await analyze(client, entry.tables);
  });
}

/** Gives the objects their owners and rights. Until then only the administrator can connect to the database. */
async function giveRights(client: Client, { set, entry, role }: LoadRequest): Promise<void> {
  const access = await readSetAccess(set, entry);
  if (access === undefined) return closeDefinerFunctions(client);
  const roleOf = await rolesAt(client, access, role);
  for (const text of accessStatements(access, roleOf)) await runStatement(client, { text });
}

async function loadRows(request: LoadRequest, clients: readonly Client[], options: LoadOptions): Promise<void> {
  const { set, entry, url, environment } = request;
  const { archive } = entry;
  if (archive !== null) {
    options.onProgress('pg_restore');
    await readSetFile(set.storage, set.manifest.id, archive, set.key, (chunks) =>
      pgRestoreRows(url, chunks, { environment, signal: options.signal }),
    );
    return;
  }
  const tables = entry.tables.flatMap((table) => (table.file === null ? [] : [{ ...table, file: table.file }]));
  const largestFirst = tables.toSorted((left, right) => right.bytes - left.bytes);
  await inPool(largestFirst, clients, options, (session, table) =>
    loadTable(session, request, table, options.onProgress),
  );
}

async function loadTable(
  client: Client,
  { set }: LoadRequest,
  table: TableEntry & { readonly file: FileEntry },
  onProgress: (detail: string) => void,
): Promise<void> {
  onProgress(table.name);
  const { storage, manifest, key } = set;
  const contents = await readSetFile(storage, manifest.id, table.file, key, (rows) =>
    copyIn(client, { ...table, sizeBytes: 0 }, rows).catch((error: unknown) => {
      throw rowsRejected(table, error);
    }),
  );
  if (contents.rows === table.rows && isHash(table.contentSha256, contents.sha256, key)) return;
  const difference =
    contents.rows === table.rows
      ? 'The hash of its rows differs from the one in the manifest.'
      : `It has ${contents.rows} rows, and the manifest says ${table.rows}.`;
  throw fileDamaged(manifest.id, table.file.path, difference);
}

/** The error of COPY with the table and the file; any other error as it is. */
function rowsRejected({ schema, name, file }: TableEntry, error: unknown): unknown {
  const found = findDatabaseError(error);
  if (found === undefined || isConnectionLoss(error)) return error;
  return new SuiteError('RESTORE.ROWS_REJECTED', `The server rejected the rows of ${qualified(schema, name)}`, {
    why: `${found.message} (SQLSTATE ${found.sqlState}). They are in the file ${file?.path} of the set.`,
    next: 'Correct the cause and run the command again; the live databases are unchanged',
    meta: { table: `${schema}.${name}`, file: file?.path, sqlState: found.sqlState },
    cause: redactedCause(error),
  });
}

/** Opens `count` sessions, including the given one, while `work` runs. */
async function withSessions(
  first: Client,
  url: DatabaseUrl,
  count: number,
  work: (clients: readonly Client[]) => Promise<void>,
  clients: readonly Client[] = [first],
): Promise<void> {
  if (clients.length === count) return work(clients);
  return withClient(url, async (client) => {
    await prepare(client);
    await withSessions(first, url, count, work, [...clients, client]);
  });
}

function inPool<Item>(
  items: readonly Item[],
  clients: readonly Client[],
  { signal }: LoadOptions,
  work: (client: Client, item: Item) => Promise<void>,
): Promise<void> {
  const workers = clients.map((client) => (run: (session: Client) => Promise<void>) => run(client));
  return runInPool(items, workers, signal, work);
}

async function prepare(client: Client): Promise<void> {
  await client.query(SETTINGS.map((setting) => `SET ${setting}`).join('; '));
}
