import { SuiteError } from '@azora/db-core';
import { withClient } from '@azora/db-migrate';
import { measureVectorRecall, recallProblems, type VectorRecall } from '../postgres/dump/vector-recall';
import type { Reference } from '../schema/schema-model';
import { findProblems } from './backup/integrity-checks';
import { countOf, eachService, type RunOptions, type ServiceRow } from './fleet';
import { columnsOf, lookUp, type Orphans } from './references';
import type { Target } from './targets';

/** The findings about the data of one service. */
export interface CheckedService {
  /** The number of references whose ids were looked up. */
  readonly references: number;
  readonly orphans: readonly Orphans[];
  /** References whose ids could not be looked up, with the reason as a sentence. */
  readonly unchecked: readonly { readonly from: string; readonly to: string; readonly why: string }[];
  /** What the queries in the service's `prisma/checks.sql` found. */
  readonly problems: readonly string[];
  /** What searches by each index of vectors find; absent for a service without the extension. */
  readonly recall?: readonly VectorRecall[];
}

export interface CheckRequest {
  /** The services to check. */
  readonly targets: readonly Target[];
  /** The services in whose databases ids are looked up. */
  readonly owners: readonly Target[];
  readonly references: readonly Reference[];
}

/**
 * Checks the data of each service: the ids of other services that it contains, the rules in `prisma/checks.sql`, and what searches by
 * its indexes of vectors find. Changes nothing.
 */
export async function checkFleet(
  { targets, owners, references }: CheckRequest,
  options: RunOptions,
): Promise<readonly ServiceRow<CheckedService>[]> {
  const ownerOf = new Map(owners.map((target) => [target.service.name, target]));
  return eachService(targets, options, async (target, onProgress) => {
    const { signal } = options;
    const found: { orphans: Orphans[]; unchecked: CheckedService['unchecked'][number][]; references: number } = {
      ...{ orphans: [], unchecked: [], references: 0 },
    };
    onProgress('checks.sql');
    const problems = await withClient(target.admin, (client) => findProblems(client, target.service));
    const recall = await recallOf(target);
    for (const reference of references.filter(({ service }) => service === target.service.name)) {
      signal?.throwIfAborted();
      const { from, to } = columnsOf(reference);
      onProgress(from);
      const checked = await lookUpIn(ownerOf.get(reference.target.service), reference, target, signal);
      if (typeof checked === 'string') found.unchecked.push({ from, to, why: checked });
      else found.references += 1;
      if (typeof checked !== 'string' && checked.count > 0) found.orphans.push(checked);
    }
    const missing = found.orphans.reduce((sum, { count }) => sum + count, 0);
    const parts = [
      countOf(found.references, 'reference'),
      ...(missing === 0 ? [] : [`${countOf(missing, 'missing id')}`]),
      ...(problems.length === 0 ? [] : [countOf(problems.length, 'problem')]),
      ...(recall === undefined || recall.length === 0 ? [] : [`recall ${leastOf(recall).toFixed(2)}`]),
    ];
    return { data: { ...found, problems, ...(recall && { recall }) }, detail: parts.join(', ') };
  });
}

/** Indexes without rows are left out. */
async function recallOf({ service, admin }: Target): Promise<readonly VectorRecall[] | undefined> {
  return service.extensions.includes('vector') ? withClient(admin, measureVectorRecall) : undefined;
}

function leastOf(measured: readonly VectorRecall[]): number {
  return Math.min(...measured.map(({ recall }) => recall));
}

/** Whether the check found a problem in the data of the service. */
export function hasFindings(row: ServiceRow<CheckedService>): boolean {
  if (row.state !== 'done') return false;
  const { orphans, problems, recall = [] } = row.data;
  return orphans.length > 0 || problems.length > 0 || recallProblems(recall).length > 0;
}

/** The orphans of one reference, or the reason why its ids cannot be looked up. */
async function lookUpIn(
  owner: Target | undefined,
  reference: Reference,
  target: Target,
  signal: AbortSignal | undefined,
): Promise<Orphans | string> {
  if (owner === undefined) return `${reference.target.service} is not set up here.`;
  try {
    return (await lookUp(reference, target, owner, { signal })) ?? 'A pending migration adds one of the columns.';
  } catch (error) {
    // The service is not set up, which says nothing about the ids in this one.
    if (error instanceof SuiteError && error.code === 'SERVER.NO_DATABASE') return `${error.message}.`;
    throw error;
  }
}
