import { keptSets, type Retention } from '../../backup-store/retention';
import type { Storage } from '../../backup-store/storage';
import { listSets } from './list';

export interface PrunedSets {
  readonly kept: readonly string[];
  readonly removed: readonly string[];
}

/**
 * Removes the sets that a retention does not keep; without `yes` it tells which. The newest set that a drill has proven
 * stays in any case.
 */
export async function pruneSets(storage: Storage, retention: Retention, yes: boolean): Promise<PrunedSets> {
  const sets = await listSets(storage);
  const proven = sets.find(({ verified }) => verified?.ok === true);
  const kept = new Set([...keptSets(sets, retention), ...(proven === undefined ? [] : [proven.id])]);
  const removed = sets.map(({ id }) => id).filter((id) => !kept.has(id));
  if (yes) for (const id of removed) await storage.remove(id);
  return { kept: sets.map(({ id }) => id).filter((id) => kept.has(id)), removed };
}
