import { filesOf } from '../../backup-store/manifest';
import { readManifest } from '../../backup-store/set';
import { startOfSet } from '../../backup-store/set-id';
import type { Storage } from '../../backup-store/storage';
import { readVerification, type Verification } from '../../backup-store/verification';

export interface ListedSet {
  readonly id: string;
  readonly startedAt: string;
  readonly services: readonly string[];
  readonly rows: number;
  readonly storedBytes: number;
  readonly encrypted: boolean;
  readonly masked: boolean;
  /** How the last restore drill came out; null when there was none. */
  readonly verified: Pick<Verification, 'at' | 'ok' | 'restoreSeconds'> | null;
  /** Why its manifest cannot be read; null when it can. */
  readonly problem: string | null;
}

/** All whole sets, newest first. One whose manifest cannot be read is told with the reason. */
export async function listSets(storage: Storage): Promise<readonly ListedSet[]> {
  const ids = await storage.list();
  return Promise.all(ids.toReversed().map((id) => describeSet(storage, id)));
}

/** What one set holds; one whose manifest cannot be read is told with the reason. */
export async function describeSet(storage: Storage, id: string): Promise<ListedSet> {
  try {
    const manifest = await readManifest(storage, id);
    const verification = await readVerification(storage, id);
    const tables = manifest.databases.flatMap((database) => database.tables);
    return {
      id,
      startedAt: manifest.startedAt,
      services: manifest.databases.map(({ service }) => service),
      rows: tables.reduce((sum, { rows }) => sum + rows, 0),
      storedBytes: filesOf(manifest.databases).reduce((sum, { bytes }) => sum + bytes, 0),
      encrypted: manifest.encryption !== null,
      masked: manifest.masked,
      verified:
        verification === undefined
          ? null
          : { at: verification.at, ok: verification.ok, restoreSeconds: verification.restoreSeconds },
      problem: null,
    };
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    const none = { rows: 0, storedBytes: 0, encrypted: false, masked: false, verified: null };
    return { id, startedAt: startOfSet(id), services: [], ...none, problem };
  }
}
