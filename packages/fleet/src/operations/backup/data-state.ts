import { findDatabaseError, isConnectionLoss } from '@azora/db-core';
import type { Client, ClientBase } from 'pg';
import type { DatabaseEntry, Manifest } from '../../backup-store/manifest';
import type { Service } from '../../config/registry';
import { maskOf } from '../../postgres/dump/mask';
import type { Reference, SchemaModel } from '../../schema/schema-model';
import { countOf, eachService, type RunOptions, type ServiceRow } from '../fleet';
import { columnsOf, lookUpInside, type Orphans } from '../references';
import { readChecks, runChecks } from './integrity-checks';
import type { FrozenDatabase } from './snapshots';

/** Problems of a restored database: those of the copy, and those that the data had when the set was made. */
export interface Compared {
  readonly problems: readonly string[];
  readonly warnings: readonly string[];
}

export const NOTHING_FOUND: Compared = { problems: [], warnings: [] };

type ReferenceEntry = Manifest['references'][number];

const SHOW = 'run "npx azora-db check" to see the problems of the live databases';
/** The state in which the check began. Rolling back to it also restores the settings. */
const SAVEPOINT = 'azora_checks';

/**
 * Counts the orphans between the snapshots of a backup, per service with references. Left out are references whose other
 * service has no snapshot, and masked columns.
 */
export async function countReferences(
  databases: readonly FrozenDatabase[],
  references: readonly Reference[],
  masks: SchemaModel | undefined,
  options: RunOptions,
): Promise<readonly ServiceRow<readonly ReferenceEntry[]>[]> {
  const byService = new Map(databases.map((database) => [database.target.service.name, database]));
  const isMasked = (service: string, { table, column }: { readonly table: string; readonly column: string }) =>
    masks !== undefined && maskOf(masks, service)(table).has(column);
  const counted = references.filter(
    (reference) =>
      byService.has(reference.target.service) &&
      !isMasked(reference.service, reference) &&
      !isMasked(reference.target.service, reference.target),
  );
  const items = databases
    .map(({ target, client }) => {
      const own = counted.filter(({ service }) => service === target.service.name);
      return { service: target.service, client, references: own };
    })
    .filter((item) => item.references.length > 0);
  return eachService(items, options, async ({ client, references: own }, onProgress) => {
    const data: ReferenceEntry[] = [];
    for (const reference of own) {
      onProgress(`references of ${reference.table}`);
      const owner = byService.get(reference.target.service)?.client;
      const orphans = owner && (await lookUpUnlessLost(reference, client, owner, options));
      if (orphans !== undefined) data.push({ ...columnsOf(reference), orphans: orphans.count });
    }
    return { data, detail: '' };
  });
}

/** Undefined when a connection was lost: the backup of that database reports it. */
async function lookUpUnlessLost(
  reference: Reference,
  source: Client,
  owner: Client,
  { signal }: RunOptions,
): Promise<Orphans | undefined> {
  try {
    return await lookUpInside(reference, source, owner, { signal });
  } catch (error) {
    if (isConnectionLoss(error)) return undefined;
    throw error;
  }
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
