import { SuiteError } from '@azora/db-core';
import { filesOf } from '../../backup-store/manifest';
import { keptSets, type Retention } from '../../backup-store/retention';
import { type ReadSet, readManifest } from '../../backup-store/set';
import { type Storage, startOfSet } from '../../backup-store/storage';
import { readVerification, type Verification } from '../../backup-store/verification';

export interface ListedSet {
  readonly id: string;
  readonly startedAt: string;
  readonly services: readonly string[];
  readonly rows: number;
  readonly storedBytes: number;
  readonly encrypted: boolean;
  readonly masked: boolean;
  /** The result of the last verification; null when the set was never verified. */
  readonly verified: Pick<Verification, 'at' | 'ok' | 'restoreSeconds'> | null;
  /** Why the manifest or the verification is not valid; null when both are. */
  readonly problem: string | null;
}

/**
 * Lists all complete sets, newest first. A set with a manifest that is not valid is listed with the reason.
 * @throws {SuiteError} `BACKUP.STORAGE_FAILED` when a set cannot be read: nothing is known about it
 */
export async function listSets(storage: Storage): Promise<readonly ListedSet[]> {
  const ids = await storage.list();
  return Promise.all(ids.toReversed().map((id) => describeSet(storage, id)));
}

/** Describes one set. @throws {SuiteError} `BACKUP.STORAGE_FAILED` */
export async function describeSet(storage: Storage, id: string): Promise<ListedSet> {
  const read = await orFinding(() => readManifest(storage, id));
  if (read instanceof SuiteError) {
    const unknown = { services: [], rows: 0, storedBytes: 0, encrypted: false, masked: false, verified: null };
    return { id, startedAt: startOfSet(id), ...unknown, problem: read.message };
  }
  const verification = await orFinding(() => readVerification(storage, read));
  if (verification instanceof SuiteError) {
    return { id, ...factsOf(read), verified: null, problem: verification.message };
  }
  if (verification === undefined) return { id, ...factsOf(read), verified: null, problem: null };
  const { at, ok, restoreSeconds } = verification;
  return { id, ...factsOf(read), verified: { at, ok, restoreSeconds }, problem: null };
}

function factsOf({ manifest }: ReadSet) {
  const tables = manifest.databases.flatMap((database) => database.tables);
  return {
    startedAt: manifest.startedAt,
    services: manifest.databases.map(({ service }) => service),
    rows: tables.reduce((sum, { rows }) => sum + rows, 0),
    storedBytes: filesOf(manifest.databases).reduce((sum, { bytes }) => sum + bytes, 0),
    encrypted: manifest.encryption !== null,
    masked: manifest.masked,
  };
}

/** A finding says something about the set; any other error says that the set could not be examined. */
async function orFinding<Result>(read: () => Promise<Result>): Promise<Result | SuiteError> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof SuiteError && error.kind === 'finding') return error;
    throw error;
  }
}

/** How recent the backups are. */
export interface BackupState {
  readonly location: string;
  /** The newest set, verified or not. */
  readonly newest: { readonly id: string; readonly startedAt: string } | null;
  /** The newest set whose verification succeeded. */
  readonly newestVerified: { readonly id: string; readonly startedAt: string } | null;
  /** Whether the newest verified set is older than allowed, or there is none. */
  readonly isStale: boolean;
}

/** Finds the newest sets, and whether the newest verified one is recent enough. */
export async function readBackupState(storage: Storage, maxAgeMs: number, now: Date): Promise<BackupState> {
  const sets = await listSets(storage);
  const verified = newestVerified(sets);
  const name = (set: ListedSet | undefined) => (set === undefined ? null : { id: set.id, startedAt: set.startedAt });
  const isStale = verified === undefined || now.getTime() - Date.parse(verified.startedAt) > maxAgeMs;
  return { location: storage.location, newest: name(sets[0]), newestVerified: name(verified), isStale };
}

export interface PrunedSets {
  readonly kept: readonly string[];
  readonly removed: readonly string[];
}

/**
 * Removes the sets that a retention does not keep; without `yes` only says which. The newest verified set is always kept.
 * @throws {SuiteError} `BACKUP.STORAGE_FAILED` before anything is removed when a set cannot be read: it could be that set
 */
export async function pruneSets(storage: Storage, retention: Retention, yes: boolean): Promise<PrunedSets> {
  const sets = await listSets(storage);
  const verified = newestVerified(sets);
  const kept = new Set([...keptSets(sets, retention), ...(verified === undefined ? [] : [verified.id])]);
  const removed = sets.map(({ id }) => id).filter((id) => !kept.has(id));
  if (yes) for (const id of removed) await storage.remove(id);
  return { kept: sets.map(({ id }) => id).filter((id) => kept.has(id)), removed };
}

function newestVerified(sets: readonly ListedSet[]): ListedSet | undefined {
  return sets.find(({ verified }) => verified?.ok === true);
}
