import { type DatabaseUrl, SuiteError } from '@azora/db-core';
import { hasDrifted, withClient } from '@azora/db-migrate';
import type { Client } from 'pg';
import { isHash } from '../../backup-store/encryption';
import { readSetFile, textOf } from '../../backup-store/file';
import type { DatabaseEntry, FileEntry } from '../../backup-store/manifest';
import type { OpenedSet } from '../../backup-store/set';
import { type Verification, writeVerification } from '../../backup-store/verification';
import { readAccess, rolesAt } from '../../postgres/dump/access';
import { compareAccess } from '../../postgres/dump/access-statements';
import { readContents } from '../../postgres/dump/rows';
import { dumpSchema, settledSchema } from '../../postgres/dump/schema';
import { beginBackup, takeSnapshot } from '../../postgres/dump/snapshot';
import { measureVectorRecall, recallProblems } from '../../postgres/dump/vector-recall';
import { withScratchDatabases } from '../../postgres/scratch';
import type { Reference } from '../../schema/schema-model';
import type { Environment } from '../../system/child-environment';
import { countOf, doneRows, eachService, type RunOptions, type ServiceRow } from '../fleet';
import { lookUpAll } from '../references';
import type { Target } from '../targets';
import { localeNotes, placesFor, readSetAccess, requireOwners } from './access';
import { type Compared, compareChecks, compareOrphans } from './data-state';
import { loadDatabase } from './load';
import { type Pair, pairUp, requireRestorable } from './preflight';
import { checkFiles, giveSettings } from './restore';

export interface VerifyRequest {
  readonly set: OpenedSet;
  readonly home: string;
  /** References between services. Those with both ends in the set are checked. */
  readonly references: readonly Reference[];
  /** Where pg_restore is looked for, when the set holds an archive. */
  readonly environment: Environment;
}

export interface VerifiedDatabase extends Compared {
  readonly rows: number;
}

export interface VerifyReport {
  readonly rows: readonly ServiceRow<VerifiedDatabase>[];
  readonly verification: Pick<Verification, 'ok' | 'restoreSeconds' | 'problems' | 'warnings'> & {
    /** Whether the result was stored with the set. */
    readonly isKept: boolean;
    /** Why the result was not stored; null when it was. */
    readonly notKeptBecause: NotKept | null;
  };
}

/**
 * Only a part of the set was verified without a problem, Ctrl-C was pressed, a server or the storage failed during the
 * verification, or the storage did not accept the result.
 */
export type NotKept = 'part' | 'interrupted' | 'failed' | 'not-stored';

type Outcome = Omit<Verification, 'at' | 'manifestSha256' | 'details' | 'signature'>;

/**
 * Verifies a set by restoring it into scratch databases: its files, rows, schema, the checks of each service, references
 * between services, and the recall of vector indexes. Problems of the data are warnings if the data had them when the set was
 * made. The result is stored with the set.
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
    return {
      rows: [],
      verification: await keep(set, { ok: false, restoreSeconds: 0, problems: [damage], warnings: [] }),
    };
  }
  await requireRestorable(pairs, home);
  const notRestored = await requireOwners(set, pairs);
  return withScratchDatabases(await placesFor(set, pairs), async (sides) => {
    const items = pairs.flatMap((pair, index) => {
      const side = sides[index];
      return side === undefined ? [] : [{ ...pair, url: side.url, service: pair.target.service }];
    });
    const started = performance.now();
    let restoreSeconds = 0;
    const rows = await eachService(items, options, async ({ target, entry, url }, onProgress) => {
      const oneSession = target.server === 'companion';
      const request = { set, entry, url, oneSession, role: target.role, environment };
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
    const isComplete = doneRows(rows).length === rows.length;
    const lookedUp = isComplete ? await lookUpAll(references, restored, { signal: options.signal }) : [];
    if (lookedUp === undefined) options.signal?.throwIfAborted();
    const orphans = compareOrphans(lookedUp ?? [], set.manifest);
    const problems = [...rows.flatMap(problemsOf), ...orphans.problems];
    const warnings = [...notRestored, ...doneRows(rows).flatMap(warningsOf), ...orphans.warnings];
    const outcome = { ok: problems.length === 0, restoreSeconds, problems, warnings };
    const isWhole = pairs.length === set.manifest.databases.length;
    const isFinding = orphans.problems.length > 0 || rows.some(isAboutSet);
    const reason = reasonNotToKeep(outcome, { isWhole, isFinding, isInterrupted: options.signal?.aborted === true });
    if (reason === null) return { rows, verification: await keep(set, outcome) };
    return { rows, verification: { ...outcome, isKept: false, notKeptBecause: reason } };
  });
}

function reasonNotToKeep(
  { ok }: Outcome,
  given: { readonly isWhole: boolean; readonly isFinding: boolean; readonly isInterrupted: boolean },
): NotKept | null {
  if (given.isInterrupted) return 'interrupted';
  if (ok) return given.isWhole ? null : 'part';
  return given.isFinding ? null : 'failed';
}

/** Stores the result with the set. A problem that was found is reported even when it cannot be stored. */
async function keep(set: OpenedSet, outcome: Outcome): Promise<VerifyReport['verification']> {
  try {
    await writeVerification(set, outcome);
    return { ...outcome, isKept: true, notKeptBecause: null };
  } catch (error) {
    if (outcome.ok || !(error instanceof SuiteError)) throw error;
    const problems = [...outcome.problems, sentencesOf(error)];
    return { ...outcome, problems, isKept: false, notKeptBecause: 'not-stored' };
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
  return withClient(url, async (client) => {
    const contents = await compareContents(client, set, entry);
    const schema = await compareSchema(client, set, entry);
    const checks = await compareChecks(client, target.service, entry);
    const rights = target.server === 'companion' ? [] : await compareRights(client, set, { target, entry });
    const problems = [...contents, ...schema, ...rights, ...checks.problems, ...(await checkRecall(client))];
    const warnings = [...checks.warnings, ...(await localeNotes(client, set, { target, entry }))];
    return { rows: entry.tables.reduce((sum, { rows }) => sum + rows, 0), problems, warnings };
  });
}

/** Reads all rows back and compares their number, content and order with the manifest. */
async function compareContents(client: Client, { key }: OpenedSet, entry: DatabaseEntry): Promise<readonly string[]> {
  const problems: string[] = [];
  await takeSnapshot(client, await beginBackup(client), { share: false });
  for (const table of entry.tables) {
    const { rows, sha256 } = await readContents(client, { ...table, sizeBytes: 0 });
    if (rows !== table.rows) problems.push(`${table.name} has ${rows} rows instead of ${table.rows}`);
    else if (!isHash(table.contentSha256, sha256, key)) problems.push(`the content of ${table.name} differs`);
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
  const before = `${await stored(entry.schema.preData)}${await stored(entry.schema.postData)}`;
  const isSame = settledSchema(`${preData}${postData}`) === settledSchema(before);
  return isSame ? [] : ['the schema differs from the stored one'];
}

/** Gives the scratch database the settings of the set, and compares owners, rights and settings. */
async function compareRights(client: Client, set: OpenedSet, { target, entry }: Pair): Promise<readonly string[]> {
  const access = await readSetAccess(set, entry);
  if (access === undefined) return [];
  await giveSettings(client, { target, entry }, set);
  const roleOf = await rolesAt(client, access, target.role);
  return compareAccess(access, await readAccess(client, target.role), roleOf);
}

async function checkRecall(client: Client): Promise<readonly string[]> {
  return recallProblems(await measureVectorRecall(client));
}

function secondsBetween(from: number, to: number): number {
  return Math.round((to - from) / 100) / 10;
}

function problemsOf(row: ServiceRow<VerifiedDatabase>): readonly string[] {
  if (row.state === 'done') return row.data.problems.map((problem) => `${row.service}: ${problem}`);
  return [`${row.service}: ${row.state === 'failed' ? sentencesOf(row.error) : 'was not verified'}`];
}

function warningsOf({
  service,
  data,
}: {
  readonly service: string;
  readonly data: VerifiedDatabase;
}): readonly string[] {
  return data.warnings.map((warning) => `${service}: ${warning}`);
}

/** Failures of the set, unless their SQLSTATE is of a class that speaks of the server, its limits or other sessions. */
const OF_SET = ['RESTORE.SQL_FAILED', 'RESTORE.ROWS_REJECTED', 'RESTORE.PG_RESTORE_FAILED'];
const OF_SERVER = /^(08|25|40|53|55|57|58|F0|XX)/;

/** Whether the row shows a problem of the set itself, not of a server, the storage or the network. */
function isAboutSet(row: ServiceRow<VerifiedDatabase>): boolean {
  if (row.state === 'done') return row.data.problems.length > 0;
  if (row.state !== 'failed') return false;
  const { kind, code, meta } = row.error;
  if (kind === 'finding') return true;
  return OF_SET.includes(code) && !OF_SERVER.test(String(meta['sqlState']));
}

function sentencesOf({ message, why = '' }: SuiteError): string {
  return `${message}. ${why}`.trim();
}
