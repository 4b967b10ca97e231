import type { Storage } from '../../backup-store/storage';
import { listSets } from './list';

/** How fresh the backups are. */
export interface BackupState {
  readonly location: string;
  /** The newest set, proven or not. */
  readonly newest: { readonly id: string; readonly startedAt: string } | null;
  /** The newest that a restore drill has proven. */
  readonly newestVerified: { readonly id: string; readonly startedAt: string } | null;
  /** Whether the newest proven one is older than it may be, or there is none. */
  readonly isStale: boolean;
}

/** Finds the newest sets, and whether what is proven is young enough. */
export async function readBackupState(storage: Storage, maxAgeMs: number, now: Date): Promise<BackupState> {
  const sets = await listSets(storage);
  const proven = sets.find(({ verified }) => verified?.ok === true);
  const name = (set: (typeof sets)[number] | undefined) =>
    set === undefined ? null : { id: set.id, startedAt: set.startedAt };
  const isStale = proven === undefined || now.getTime() - Date.parse(proven.startedAt) > maxAgeMs;
  return { location: storage.location, newest: name(sets[0]), newestVerified: name(proven), isStale };
}
