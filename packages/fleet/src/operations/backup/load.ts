import { type DatabaseUrl, SuiteError } from '@azora/db-core';
import { withClient } from '@azora/db-migrate';
import type { Client } from 'pg';
import { readSetFile, textOf } from '../../backup-store/file';
import type { DatabaseEntry, FileEntry, TableEntry } from '../../backup-store/manifest';
import { SETTINGS } from '../../backup-store/restore-script';
import type { OpenedSet } from '../../backup-store/set';
import { requireExtensions } from '../../postgres/databases';
import { analyze, createTables, planPostData, runStatement, setSequences } from '../../postgres/dump/load';
import { pgRestoreRows } from '../../postgres/dump/pg-dump';
import { copyIn } from '../../postgres/dump/rows';
import { sessionsFor, shareOut } from './share';

export interface LoadRequest {
  readonly set: OpenedSet;
  readonly entry: DatabaseEntry;
  /** An empty database. */
  readonly url: DatabaseUrl;
  /** PGlite has one session, which all connections share. */
  readonly oneSession: boolean;
}

export interface LoadOptions {
  readonly signal?: AbortSignal | undefined;
  readonly tell: (detail: string) => void;
}

/**
 * Fills an empty database with what the set holds of one: tables, rows, then indexes, foreign keys and triggers. Files of
 * tables are compared with their counts and hashes on the way, an archive as a file was before.
 * @throws {SuiteError} `BACKUP.DAMAGED`, `RESTORE.SQL_FAILED`, `RESTORE.PG_RESTORE_FAILED`, `SERVER.MISSING_EXTENSION`
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
    options.tell('tables');
    await createTables(client, preData);
    const sessions = oneSession ? 1 : sessionsFor(entry.tables.map(({ bytes }) => bytes));
    await withSessions(client, url, sessions, async (clients) => {
      await loadRows(request, clients, options);
      await setSequences(client, entry.sequences);
      const { indexes, rest } = planPostData(postData);
      options.tell('indexes');
      await share(indexes, clients, options, runStatement);
      options.tell('foreign keys and triggers');
      await share(rest, [client], options, runStatement);
    });
    // Elsewhere autovacuum does it: here there is none, or nobody has told it of the rows.
    if (oneSession || entry.archive !== null) await analyze(client, entry.tables);
  });
}

async function loadRows(request: LoadRequest, clients: readonly Client[], options: LoadOptions): Promise<void> {
  const { set, entry, url } = request;
  const { archive } = entry;
  if (archive !== null) {
    options.tell('pg_restore');
    await readSetFile(set.storage, set.manifest.id, archive, set.key, (chunks) =>
      pgRestoreRows(url, chunks, options.signal),
    );
    return;
  }
  const tables = entry.tables.flatMap((table) => (table.file === null ? [] : [{ ...table, file: table.file }]));
  const largestFirst = tables.toSorted((left, right) => right.bytes - left.bytes);
  await share(largestFirst, clients, options, (session, table) => loadTable(session, request, table, options.tell));
}

async function loadTable(
  client: Client,
  { set, entry }: LoadRequest,
  table: TableEntry & { readonly file: FileEntry },
  tell: (detail: string) => void,
): Promise<void> {
  tell(table.name);
  const { storage, manifest, key } = set;
  const contents = await readSetFile(storage, manifest.id, table.file, key, (rows) =>
    copyIn(client, { ...table, sizeBytes: 0 }, rows),
  );
  if (contents.rows === table.rows && contents.sha256 === table.contentSha256) return;
  throw new SuiteError('BACKUP.DAMAGED', `${table.file.path} of the set ${manifest.id} is not what was stored`, {
    kind: 'finding',
    why: `It gives ${contents.rows} rows of ${entry.service}.${table.name}; the manifest says ${table.rows}, or other contents.`,
    next: 'Use another set, or another copy of this one',
    meta: { set: manifest.id, file: table.file.path },
  });
}

/** Sessions of their own for as long as `work` runs, the given one among them. */
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

function share<Item>(
  items: readonly Item[],
  clients: readonly Client[],
  { signal }: LoadOptions,
  work: (client: Client, item: Item) => Promise<void>,
): Promise<void> {
  const sessions = clients.map((client) => (run: (session: Client) => Promise<void>) => run(client));
  return shareOut(items, sessions, signal, work);
}

async function prepare(client: Client): Promise<void> {
  await client.query(SETTINGS.map((setting) => `SET ${setting}`).join('; '));
}
