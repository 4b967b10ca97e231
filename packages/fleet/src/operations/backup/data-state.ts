import { findDatabaseError, isConnectionLoss } from '@azora/db-core';
import type { Client, ClientBase } from 'pg';
import type { DatabaseEntry, Manifest } from '../../backup-store/manifest';
import type { Service } from '../../config/registry';
import { maskOf } from '../../postgres/dump/mask';
import type { Reference, SchemaModel } from '../../schema/schema-model';
import { countOf, isInterruption, toSuiteError } from '../fleet';
import { columnsOf, lookUpInside, type Orphans } from '../references';
import { readChecks, runChecks } from './integrity-checks';
import type { FrozenDatabase } from './snapshots';

/** Problems of a restored database: those of the copy, and those that the data had when the set was made. */
export interface Compared {
  readonly problems: readonly string[];
  readonly warnings: readonly string[];
}

export const NOTHING_FOUND: Compared = { problems: [], warnings: [] };

interface ReferenceOptions {
  /** Once aborted, no further reference is looked up. */
  readonly signal?: AbortSignal | undefined;
  readonly log: (line: string) => void;
}

const SHOW = 'run "npx azora-db check" to see the problems of the live databases';
/** The state in which a check or a lookup began. Rolling back to it also restores the settings. */
const SAVEPOINT = 'azora_state';

/**
 * Counts the orphans between the snapshots of a backup, in the order of the references. Left out are references whose
 * other service has no snapshot, masked columns, and references that could not be looked up, which the log names: a lookup
 * never fails a backup, and leaves its transactions as they were.
 */
export async function countReferences(
  databases: readonly FrozenDatabase[],
  references: readonly Reference[],
  masks: SchemaModel | undefined,
  options: ReferenceOptions,
): Promise<Manifest['references']> {
  const clients = new Map(databases.map(({ target, client }) => [target.service.name, client]));
  const isMasked = (service: string, { table, column }: { readonly table: string; readonly column: string }) =>
    masks !== undefined && maskOf(masks, service)({ schema: 'public', name: table }).columns.has(column);
  const counted: Manifest['references'] = [];
  // One after another: two lookups in one transaction would mix their savepoints.
  for (const reference of references) {
    const [source, owner] = [clients.get(reference.service), clients.get(reference.target.service)];
    if (source === undefined || owner === undefined || options.signal?.aborted) continue;
    if (isMasked(reference.service, reference) || isMasked(reference.target.service, reference.target)) continue;
    const orphans = await lookUpApart(reference, source, owner, options);
    if (orphans !== undefined) counted.push({ ...columnsOf(reference), orphans: orphans.count });
  }
  return counted;
}

/** Looks up a reference behind savepoints. Undefined when one of its columns does not exist, or when the lookup failed. */
async function lookUpApart(
  reference: Reference,
  source: Client,
  owner: Client,
  { signal, log }: ReferenceOptions,
): Promise<Orphans | undefined> {
  const clients = [...new Set([source, owner])];
  try {
    for (const client of clients) await client.query(`SAVEPOINT ${SAVEPOINT}`);
    return await lookUpInside(reference, source, owner, { signal });
  } catch (error) {
    // The backup of the database reports a lost connection, and an interrupted backup stores nothing.
    if (!isConnectionLoss(error) && !isInterruption(error, signal)) log(notLookedUp(reference, error));
    return undefined;
  } finally {
    for (const client of clients) await client.query(`ROLLBACK TO SAVEPOINT ${SAVEPOINT}`).catch(() => undefined);
  }
}

function notLookedUp(reference: Reference, error: unknown): string {
  const { from, to } = columnsOf(reference);
  return `warning: the ids of ${from} were not looked up in ${to}: ${toSuiteError(error).message}. The set will not record how many are missing; run "npx azora-db check" to look them up in the live databases`;
}

/**
 * Counts the problems that a service's `checks.sql` finds in the transaction of a backup. Null when the service has no
 * queries, or when they cannot run, for example because a migration is pending.
 */
export async function countProblems(client: ClientBase, service: Service): Promise<DatabaseEntry['checks']> {
  const checks = await readChecks(service);
  if (checks === undefined) return null;
  await client.query(`SAVEPOINT ${SAVEPOINT}; SET LOCAL search_path = public`);
  try {
    return { sha256: checks.sha256, problems: (await runChecks(client, checks)).length };
  } catch (error) {
    if (findDatabaseError(error) === undefined || isConnectionLoss(error)) throw error;
    return null;
  } finally {
    await client.query(`ROLLBACK TO SAVEPOINT ${SAVEPOINT}`).catch(() => undefined);
  }
}

/** Runs a service's `checks.sql` on a restored database and compares the number of problems with the manifest. */
export async function compareChecks(client: ClientBase, service: Service, entry: DatabaseEntry): Promise<Compared> {
  const checks = await readChecks(service);
  if (checks === undefined) return NOTHING_FOUND;
  // Other queries than those of the backup may find problems that the data had before.
  const recorded = entry.checks?.sha256 === checks.sha256 ? entry.checks : undefined;
  let found: readonly string[];
  try {
    found = await runChecks(client, checks);
  } catch (error) {
    const known = findDatabaseError(error);
    if (recorded !== undefined || known === undefined || isConnectionLoss(error)) throw error;
    return { problems: [], warnings: [`prisma/checks.sql cannot run on this set: ${known.message}`] };
  }
  const [first] = found;
  if (recorded !== undefined && recorded.problems !== found.length) {
    const counts = `prisma/checks.sql finds ${countOf(found.length, 'problem')}, and found ${recorded.problems} when the set was made`;
    return { problems: [counts, ...found], warnings: [] };
  }
  if (first === undefined) return NOTHING_FOUND;
  const more = found.length === 1 ? '' : ` and ${countOf(found.length - 1, 'more problem')}`;
  const when = recorded === undefined ? 'perhaps already' : 'already';
  return { problems: [], warnings: [`${first}${more}, ${when} when the set was made; ${SHOW}`] };
}

/** Compares the orphans between the restored databases with those between the snapshots. */
export function compareOrphans(lookedUp: readonly Orphans[], { references, fence }: Manifest): Compared {
  const recordOf = new Map(references.map(({ from, to, orphans }) => [`${from} ${to}`, orphans]));
  const problems: string[] = [];
  const warnings: string[] = [];
  const late = fence === null ? ', or because its row was written between two snapshots (see --fence)' : '';
  for (const { from, to, count } of lookedUp) {
    const recorded = recordOf.get(`${from} ${to}`);
    const text = `${countOf(count, 'id')} of ${from} missing in ${to}`;
    if (recorded !== undefined && recorded !== count) {
      problems.push(`${text}; ${recorded.toLocaleString('en')} were missing when the set was made`);
    } else if (count > 0) {
      const when = recorded === undefined ? 'perhaps already' : 'already';
      warnings.push(`${text}, ${when} when the set was made${late}; ${SHOW}`);
    }
  }
  return { problems, warnings };
}
