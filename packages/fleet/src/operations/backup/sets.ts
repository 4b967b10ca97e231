import { SuiteError } from '@azora/db-core';
import type { Secret } from '../../backup-store/encryption';
import { filesOf } from '../../backup-store/manifest';
import { keptSets, type RetainedSet, type Retention } from '../../backup-store/retention';
import { type ReadSet, readManifest } from '../../backup-store/set';
import { type Storage, startOfSet } from '../../backup-store/storage';
import { readVerification, type Verification } from '../../backup-store/verification';

export interface ListedSet {
  readonly id: string;
  readonly startedAt: string;
  readonly services: readonly string[];
  /** The services that the backup could not include. */
  readonly missing: readonly string[];
  readonly rows: number;
  readonly storedBytes: number;
  readonly encrypted: boolean;
  readonly masked: boolean;
  /** Whether it claims to begin in the future: a clock was wrong, so that its age says nothing. */
  readonly isFuture: boolean;
  /** The result of the last verification; null when the set was never verified. */
  readonly verified: Pick<Verification, 'at' | 'ok' | 'restoreSeconds' | 'warnings'> | null;
  /** Why the manifest or the verification is not valid; null when both are. */
  readonly problem: string | null;
}

/**
 * Lists all complete sets, newest first. The secret checks who verified them. A set with a manifest that is not valid is listed with the reason.
 * @throws {SuiteError} `BACKUP.STORAGE_FAILED` when a set cannot be read: nothing is known about it
 */
export async function listSets(
  storage: Storage,
  secret: Secret | undefined,
  now = new Date(),
): Promise<readonly ListedSet[]> {
  const ids = await storage.list();
  return Promise.all(ids.toReversed().map((id) => describeSet(storage, id, secret, now)));
}

/** Clocks of two machines may differ by so much. */
const CLOCK_DIFFERENCE_MS = 10 * 60_000;

function isAfter(now: Date, times: readonly string[]): boolean {
  return times.some((time) => Date.parse(time) > now.getTime() + CLOCK_DIFFERENCE_MS);
}

/** Describes one set. @throws {SuiteError} `BACKUP.STORAGE_FAILED` */
export async function describeSet(
  storage: Storage,
  id: string,
  secret: Secret | undefined,
  now = new Date(),
): Promise<ListedSet> {
  const read = await orFinding(() => readManifest(storage, id));
  if (read instanceof SuiteError) {
    const unknown = { services: [], missing: [], rows: 0, storedBytes: 0, encrypted: false, masked: false };
    const isFuture = isAfter(now, [startOfSet(id)]);
    return { id, startedAt: startOfSet(id), ...unknown, isFuture, verified: null, problem: read.message };
  }
  const facts = { ...factsOf(read), isFuture: isAfter(now, [startOfSet(id), read.manifest.startedAt]) };
  const verification = await orFinding(() => readVerification(storage, read, secret));
  if (verification instanceof SuiteError) {
    return { id, ...facts, verified: null, problem: verification.message };
  }
  if (verification === undefined) return { id, ...facts, verified: null, problem: null };
  const { at, ok, restoreSeconds, warnings } = verification;
  return { id, ...facts, verified: { at, ok, restoreSeconds, warnings }, problem: null };
}

function factsOf({ manifest }: ReadSet) {
  const tables = manifest.databases.flatMap((database) => database.tables);
  return {
    startedAt: manifest.startedAt,
    services: manifest.databases.map(({ service }) => service),
    missing: manifest.missing.map(({ service }) => service),
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

/** How recent the backups of each service are. */
export interface BackupState {
  readonly location: string;
  /** The newest set, verified or not, that neither failed its verification nor claims to begin in the future. */
  readonly newest: NamedSet | null;
  readonly services: readonly ServiceBackupState[];
  /** The ids of sets that claim to begin in the future. They count for no service. */
  readonly future: readonly string[];
  /** Whether a service has no verified set that is recent enough. */
  readonly isStale: boolean;
}

export interface ServiceBackupState {
  readonly service: string;
  /** The newest set with the service whose verification succeeded. Masked sets do not count, because they lack data. */
  readonly newestVerified: NamedSet | null;
  /** Whether that set is older than allowed, or there is none. */
  readonly isStale: boolean;
}

interface NamedSet {
  readonly id: string;
  readonly startedAt: string;
}

/** Finds the newest verified set of each service, and whether it is recent enough. */
export async function readBackupState(
  storage: Storage,
  services: readonly string[],
  { secret, maxAgeMs, now }: { readonly secret: Secret | undefined; readonly maxAgeMs: number; readonly now: Date },
): Promise<BackupState> {
  const sets = await listSets(storage, secret, now);
  const states = services.map((service): ServiceBackupState => {
    const verified = sets.find((set) => isProof(set) && set.services.includes(service));
    const isStale = verified === undefined || now.getTime() - Date.parse(verified.startedAt) > maxAgeMs;
    return { service, newestVerified: nameOf(verified), isStale };
  });
  const isStale = states.some((state) => state.isStale);
  const newest = sets.find(({ isFuture, verified }) => !isFuture && verified?.ok !== false);
  const future = sets.filter(({ isFuture: is }) => is).map(({ id }) => id);
  return { location: storage.location, newest: nameOf(newest), services: states, future, isStale };
}

/** Whether the set proves that its databases can be restored as they were. */
export function isProof({ masked, isFuture, verified }: ListedSet): boolean {
  return !masked && !isFuture && verified?.ok === true;
}

function nameOf(set: ListedSet | undefined): NamedSet | null {
  return set === undefined ? null : { id: set.id, startedAt: set.startedAt };
}

export interface PrunedSets {
  readonly kept: readonly string[];
  readonly removed: readonly string[];
}

/**
 * Removes the sets that a retention does not keep; without `yes` only says which. The newest verified set of each database
 * is always kept.
 * @throws {SuiteError} `BACKUP.STORAGE_FAILED` before anything is removed when a set cannot be read: it could be that set
 */
export async function pruneSets(
  storage: Storage,
  retention: Retention,
  { secret, yes }: { readonly secret: Secret | undefined; readonly yes: boolean },
): Promise<PrunedSets> {
  const sets = await listSets(storage, secret);
  const kept = keptSets(
    sets.map((set) => ({ ...set, state: stateOf(set) })),
    retention,
  );
  const removed = sets.map(({ id }) => id).filter((id) => !kept.includes(id));
  if (yes) for (const id of removed) await storage.remove(id);
  return { kept, removed };
}

function stateOf({ services, isFuture, verified, problem }: ListedSet): RetainedSet['state'] {
  if (isFuture) return 'future';
  if (problem !== null && services.length === 0) return 'unreadable';
  if (verified === null) return 'unverified';
  return verified.ok ? 'verified' : 'failed';
}
