import { type DatabaseUrl, SuiteError } from '@azora/db-core';
import { hasDrifted, withClient } from '@azora/db-migrate';
import type { Client } from 'pg';
import { readSetFile, textOf } from '../../backup-store/file';
import type { DatabaseEntry, FileEntry } from '../../backup-store/manifest';
import type { OpenedSet } from '../../backup-store/set';
import { type Verification, writeVerification } from '../../backup-store/verification';
import { readContents } from '../../postgres/dump/rows';
import { dumpSchema } from '../../postgres/dump/schema';
import { beginBackup, takeSnapshot } from '../../postgres/dump/snapshot';
import { measureVectorRecall } from '../../postgres/dump/vector-recall';
import { withScratchDatabases } from '../../postgres/scratch';
import type { Reference } from '../../schema/schema-model';
import type { Environment } from '../../system/child-environment';
import { countOf, doneRows, eachService, type RunOptions, type ServiceRow } from '../fleet';
import { findOrphans } from '../references';
import { scratchPlace, type Target } from '../targets';
import { runChecks } from './integrity-checks';
import { loadDatabase } from './load';
import { type Pair, pairUp, requireRestorable } from './preflight';
import { checkFiles } from './restore';

export interface VerifyRequest {
  readonly set: OpenedSet;
  readonly home: string;
  /** References between services. Those with both ends in the set are checked. */
  readonly references: readonly Reference[];
  /** Where pg_restore is looked for, when the set holds an archive. */
  readonly environment: Environment;
}

export interface VerifiedDatabase {
  readonly rows: number;
  readonly problems: readonly string[];
}

export interface VerifyReport {
  readonly rows: readonly ServiceRow<VerifiedDatabase>[];
  readonly verification: Pick<Verification, 'ok' | 'restoreSeconds' | 'problems'> & {
    /**
     * Whether the result was stored with the set. It is not stored when only a part of the set was verified without a
     * problem, or when an interruption or a failing server prevented the verification.
     */
    readonly isKept: boolean;
  };
}

type Outcome = Omit<Verification, 'at' | 'manifestSha256'>;

/** The least average share of the ten nearest vectors that an index must find. */
const LEAST_RECALL = 0.9;

/**
 * Verifies a set by restoring it into scratch databases: its files, rows, schema, the checks of each service, references
 * between services, and the recall of vector indexes. The result is stored with the set.
 * @throws {SuiteError} `RESTORE.…`, `BACKUP.STORAGE_FAILED` before anything is restored; later failures are in the rows. The
 *   reason of the signal when it was aborted before all databases were verified
 */
export async function verifySet(
  targets: readonly Target[],
  { set, home, references, environment }: VerifyRequest,
  options: RunOptions,
): Promise<VerifyReport> {
  const pairs = pairUp(targets, set.manifest);
  const damage = await findDamage(set, pairs);
  if (damage !== undefined) {
    return { rows: [], verification: await keep(set, { ok: false, restoreSeconds: 0, problems: [damage] }) };
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
    const rows = await eachService(items, options, async ({ target, entry, url }, onProgress) => {
      const request = { set, entry, url, oneSession: target.server === 'companion', environment };
      await loadDatabase(request, { signal: options.signal, onProgress });
      restoreSeconds = Math.max(restoreSeconds, secondsBetween(started, performance.now()));
      options.signal?.throwIfAborted();
      onProgress('comparing');
      const data = await examine({ target, entry }, url, set);
      return { data, detail: data.problems.length === 0 ? 'verified' : countOf(data.problems.length, 'problem') };
    });
    // A part of a set proves nothing about the set.
    if (doneRows(rows).length < rows.length) options.signal?.throwIfAborted();
    const restored = items.map(({ target, url }) => ({ ...target, admin: url, database: url.database }));
    const orphans = doneRows(rows).length < rows.length ? [] : await findOrphans(references, restored);
    const problems = [
      ...rows.flatMap(problemsOf),
      ...orphans.map(({ from, to, count }) => `${countOf(count, 'id')} of ${from} missing in ${to}`),
    ];
    const outcome = { ok: problems.length === 0, restoreSeconds, problems };
    const isWhole = pairs.length === set.manifest.databases.length;
    const isFinding = orphans.length > 0 || rows.some(isAboutSet);
    const isConclusive = options.signal?.aborted !== true && (outcome.ok ? isWhole : isFinding);
    return { rows, verification: isConclusive ? await keep(set, outcome) : { ...outcome, isKept: false } };
  });
}

/** Stores the result with the set. A problem that was found is reported even when it cannot be stored. */
async function keep(set: OpenedSet, outcome: Outcome): Promise<VerifyReport['verification']> {
  try {
    await writeVerification(set, outcome);
    return { ...outcome, isKept: true };
  } catch (error) {
    if (outcome.ok || !(error instanceof SuiteError)) throw error;
    return { ...outcome, problems: [...outcome.problems, sentencesOf(error)], isKept: false };
  }
}

/** The first file that is missing or damaged. */
async function findDamage(set: OpenedSet, pairs: readonly Pair[]): Promise<string | undefined> {
  try {
    await checkFiles(set, pairs);
    return undefined;
  } catch (error) {
    if (error instanceof SuiteError && error.kind === 'finding') return sentencesOf(error);
    throw error;
  }
}

async function examine({ target, entry }: Pair, url: DatabaseUrl, set: OpenedSet): Promise<VerifiedDatabase> {
  const problems = await withClient(url, async (client) => [
    ...(await compareContents(client, entry)),
    ...(await compareSchema(client, set, entry)),
    ...(await runChecks(client, target.service)),
    ...(await checkRecall(client)),
  ]);
  return { rows: entry.tables.reduce((sum, { rows }) => sum + rows, 0), problems };
}

/** Reads all rows back and compares their number, content and order with the manifest. */
async function compareContents(client: Client, entry: DatabaseEntry): Promise<readonly string[]> {
  const problems: string[] = [];
  await takeSnapshot(client, await beginBackup(client), { share: false });
  for (const table of entry.tables) {
    const { rows, sha256 } = await readContents(client, { ...table, sizeBytes: 0 });
    if (rows !== table.rows) problems.push(`${table.name} has ${rows} rows instead of ${table.rows}`);
    else if (sha256 !== table.contentSha256) problems.push(`the content of ${table.name} differs`);
  }
  if (!entry.drifted && (await hasDrifted(client)) === true)
    problems.push('the schema has drifted from its migrations');
  return problems;
}

/** Compares the output of pg_dump, if the server has the same version: another version prints the same schema differently. */
async function compareSchema(client: Client, set: OpenedSet, entry: DatabaseEntry): Promise<readonly string[]> {
  const { rows } = await client.query<{ version: string }>(`SELECT current_setting('server_version') AS version`);
  if (rows[0]?.version !== entry.serverVersion) return [];
  const { preData, postData } = await dumpSchema(client);
  await client.query('ROLLBACK');
  const stored = (file: FileEntry) => readSetFile(set.storage, set.manifest.id, file, set.key, textOf);
  const same = preData === (await stored(entry.schema.preData)) && postData === (await stored(entry.schema.postData));
  return same ? [] : ['the schema differs from the stored one'];
}

async function checkRecall(client: Client): Promise<readonly string[]> {
  const measured = await measureVectorRecall(client);
  return measured
    .filter(({ recall }) => recall < LEAST_RECALL)
    .map(({ index, recall }) => `${index} finds ${Math.round(recall * 100)} % of the nearest vectors`);
}

function secondsBetween(from: number, to: number): number {
  return Math.round((to - from) / 100) / 10;
}

function problemsOf(row: ServiceRow<VerifiedDatabase>): readonly string[] {
  if (row.state === 'done') return row.data.problems.map((problem) => `${row.service}: ${problem}`);
  return [`${row.service}: ${row.state === 'failed' ? row.error.message : 'was not verified'}`];
}

/** Whether the row shows a problem of the set itself, not of a server, the storage or the network. */
function isAboutSet(row: ServiceRow<VerifiedDatabase>): boolean {
  if (row.state === 'done') return row.data.problems.length > 0;
  if (row.state !== 'failed') return false;
  const { kind, code } = row.error;
  return kind === 'finding' || (kind === 'failure' && code.startsWith('RESTORE.'));
}

function sentencesOf({ message, why = '' }: SuiteError): string {
  return `${message}. ${why}`.trim();
}
