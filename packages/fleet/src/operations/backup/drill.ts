import { type DatabaseUrl, SuiteError } from '@azora/db-core';
import { hasDrifted, withClient } from '@azora/db-migrate';
import type { Client } from 'pg';
import { readSetFile, textOf } from '../../backup-store/file';
import type { DatabaseEntry, FileEntry } from '../../backup-store/manifest';
import type { OpenedSet } from '../../backup-store/set';
import { type Verification, writeVerification } from '../../backup-store/verification';
import { readRecall } from '../../postgres/dump/recall';
import { readContents } from '../../postgres/dump/rows';
import { dumpSchema } from '../../postgres/dump/schema';
import { beginBackup, takeSnapshot } from '../../postgres/dump/snapshot';
import { withScratchDatabases } from '../../postgres/scratch';
import type { Reference } from '../../schema/schema-model';
import { runChecks } from '../checks';
import { countOf, doneRows, eachService, type RunOptions, type ServiceRow } from '../fleet';
import { findOrphans } from '../references';
import { scratchPlace, type Target } from '../targets';
import { loadDatabase } from './load';
import { type Pair, pairUp, requireRestorable } from './preflight';
import { checkFiles } from './restore';

export interface DrillRequest {
  readonly set: OpenedSet;
  readonly home: string;
  /** Between services; those with both ends in the set are checked. */
  readonly references: readonly Reference[];
}

export interface DrilledService {
  readonly rows: number;
  readonly problems: readonly string[];
}

export interface DrillReport {
  readonly rows: readonly ServiceRow<DrilledService>[];
  readonly verification: Pick<Verification, 'ok' | 'restoreSeconds' | 'problems'> & {
    /** Whether the result is kept with the set: not that of a part that holds, nor of an interrupted drill. */
    readonly isKept: boolean;
  };
}

/** Of ten nearest vectors, how many an index must find on average. */
const LEAST_RECALL = 0.9;
const DAMAGE: readonly string[] = ['BACKUP.DAMAGED', 'BACKUP.NO_FILE'];

/**
 * Proves that a set can be restored, by restoring it: files, rows, contents, schema, what each service checks of itself,
 * references between services, and whether vector indexes find what they should. The result is kept with the set when
 * all of it was tried, or something is wrong.
 * @throws {SuiteError} `RESTORE.…` before anything is begun; per service in its row
 */
export async function drill(
  targets: readonly Target[],
  { set, home, references }: DrillRequest,
  options: RunOptions,
): Promise<DrillReport> {
  const pairs = pairUp(targets, set.manifest);
  const damage = await damageOf(set, pairs);
  if (damage !== undefined) {
    const verification = { ok: false, restoreSeconds: 0, problems: [damage] };
    await writeVerification(set, verification);
    return { rows: [], verification: { ...verification, isKept: true } };
  }
  await requireRestorable(pairs, home);
  const places = pairs.map(({ target }) => scratchPlace(target));
  return withScratchDatabases(places, async (sides) => {
    const items = pairs.flatMap((pair, index) => {
      const side = sides[index];
      return side === undefined ? [] : [{ ...pair, url: side.url, service: pair.target.service }];
    });
    const started = performance.now();
    let restoreSeconds = 0;
    const rows = await eachService(items, options, async ({ target, entry, url }, tell) => {
      const { restoredAt, ...data } = await drillService({ target, entry }, url, set, { signal: options.signal, tell });
      restoreSeconds = Math.max(restoreSeconds, secondsBetween(started, restoredAt));
      const { problems } = data;
      return { data, detail: problems.length === 0 ? 'restored as it was' : countOf(problems.length, 'problem') };
    });
    const restored = items.map(({ target, url }) => ({ ...target, admin: url, database: url.database }));
    const orphans = doneRows(rows).length < rows.length ? [] : await findOrphans(references, restored);
    const problems = [
      ...rows.flatMap(problemsOf),
      ...orphans.map(({ from, to, count }) => `${countOf(count, 'id')} of ${from} not in ${to}`),
    ];
    const ok = problems.length === 0;
    // A part that holds does not prove the whole, and an interruption says nothing of the set.
    const isWhole = pairs.length === set.manifest.databases.length;
    const isKept = options.signal?.aborted !== true && (isWhole || !ok);
    const verification = { ok, restoreSeconds, problems };
    if (isKept) await writeVerification(set, verification);
    return { rows, verification: { ...verification, isKept } };
  });
}

/** A file that is missing or not what was written, in words. */
async function damageOf(set: OpenedSet, pairs: readonly Pair[]): Promise<string | undefined> {
  try {
    await checkFiles(set, pairs);
    return undefined;
  } catch (error) {
    if (error instanceof SuiteError && DAMAGE.includes(error.code))
      return `${error.message}. ${error.why ?? ''}`.trim();
    throw error;
  }
}

async function drillService(
  { target, entry }: Pair,
  url: DatabaseUrl,
  set: OpenedSet,
  options: RunOptions & { readonly tell: (detail: string) => void },
): Promise<DrilledService & { readonly restoredAt: number }> {
  await loadDatabase({ set, entry, url, oneSession: target.server === 'companion' }, options);
  const restoredAt = performance.now();
  options.tell('comparing');
  const problems = await withClient(url, async (client) => [
    ...(await compareContents(client, entry)),
    ...(await compareSchema(client, set, entry)),
    ...(await runChecks(client, target.service)),
    ...(await checkRecall(client)),
  ]);
  return { rows: entry.tables.reduce((sum, { rows }) => sum + rows, 0), problems, restoredAt };
}

/** Reads everything again: what came back is what was stored, in number, content and order. */
async function compareContents(client: Client, entry: DatabaseEntry): Promise<readonly string[]> {
  const problems: string[] = [];
  await takeSnapshot(client, await beginBackup(client), { share: false });
  for (const table of entry.tables) {
    const { rows, sha256 } = await readContents(client, { ...table, sizeBytes: 0 });
    if (rows !== table.rows) problems.push(`${table.name} has ${rows} rows and not ${table.rows}`);
    else if (sha256 !== table.contentSha256) problems.push(`${table.name} has other contents`);
  }
  if ((await hasDrifted(client)) !== true && !entry.drifted) return problems;
  return entry.drifted ? problems : [...problems, 'the catalog is not as its migrations made it'];
}

/** pg_dump words what was restored as it worded the original, on a server of the same version. */
async function compareSchema(client: Client, set: OpenedSet, entry: DatabaseEntry): Promise<readonly string[]> {
  const { rows } = await client.query<{ version: string }>(`SELECT current_setting('server_version') AS version`);
  if (rows[0]?.version !== entry.serverVersion) return [];
  const { preData, postData } = await dumpSchema(client);
  await client.query('ROLLBACK');
  const stored = (file: FileEntry) => readSetFile(set.storage, set.manifest.id, file, set.key, textOf);
  const same = preData === (await stored(entry.schema.preData)) && postData === (await stored(entry.schema.postData));
  return same ? [] : ['the schema is not the one that was stored'];
}

async function checkRecall(client: Client): Promise<readonly string[]> {
  const measured = await readRecall(client);
  return measured
    .filter(({ recall }) => recall < LEAST_RECALL)
    .map(({ index, recall }) => `${index} finds ${Math.round(recall * 100)} % of the nearest vectors`);
}

function secondsBetween(from: number, to: number): number {
  return Math.round((to - from) / 100) / 10;
}

function problemsOf(row: ServiceRow<DrilledService>): readonly string[] {
  if (row.state === 'done') return row.data.problems.map((problem) => `${row.service}: ${problem}`);
  return [`${row.service}: ${row.state === 'failed' ? row.error.message : 'was not tried'}`];
}
