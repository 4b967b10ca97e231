import { readdir, readFile, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { createFile } from './atomic-files';
import { identityOf, identityText, isSameDirectory, parseIdentity } from './directory-identity';
import { processStart } from './processes';

/** `host`: a server that runs on the directory's data. `command`: a command that works on the data of a stopped server. */
export type OwnerKind = 'host' | 'command';

/** The process that owns, or owned, the directory. */
export interface LockOwner {
  readonly kind: OwnerKind;
  readonly pid: number;
  /** Tells the process from a later one with the same pid. */
  readonly start: string;
  /** The directory's path when it was locked; undefined for a version that did not record it. */
  readonly directory: string | undefined;
}

/** `claim`: the name that versions before 0.2 use; a server that one of them started still owns its directory. */
const LOCK = /^(?:lock|claim)\.(\d+)$/;
const DRAFT = /^(?:lock\.\d+\.draft-|claim-draft\.)/;
const DRAFT_KEPT_MS = 60_000;
/** How many lock files of dead owners stay: see `lockDirectory`. */
const KEPT = 8;

/**
 * Makes this process the only owner of a directory and returns its lock file; undefined while another process owns it.
 *
 * Node offers no lock that the kernel releases when its owner is killed, so owners are numbered: `lock.<n>` names the
 * n-th owner, and the highest number counts. A process that finds the highest owner dead creates the next number, which
 * succeeds for one of several. No lock file is ever taken over or removed to make room. That rules out the usual race of
 * pid files, where a slow process removes as stale the file that a faster one has just made. A lock ends with its
 * process, also by kill -9.
 *
 * Owners remove old lock files but keep the last few: a process that read the directory before those were made could
 * otherwise create a number that is free again. After creating its file it also reads the directory once more, and gives
 * way to a higher number.
 *
 * A lock file names its directory. In a copy of the directory it means nothing: its owner works on the original.
 */
export async function lockDirectory(
  directory: string,
  kind: OwnerKind,
  isAnswering: () => Promise<boolean>,
): Promise<string | undefined> {
  const start = (await processStart(process.pid)) ?? 'unknown';
  const identity = identityText(await identityOf(directory));
  for (;;) {
    const newest = await newestLock(directory);
    if (newest !== undefined && (await isAlive(await readOwner(newest.file)))) return undefined;
    // The pid of an owner in another container that shares the directory means nothing here, but its socket answers.
    if (await isAnswering()) return undefined;
    const number = (newest?.number ?? 0) + 1;
    const lock = path.join(directory, `lock.${number}`);
    if (!(await createFile(lock, `${process.pid} ${start} ${kind} ${identity}\n`))) continue;
    if ((await newestLock(directory))?.number === number) {
      await removeOldLocks(directory, number - KEPT);
      return lock;
    }
    await rm(lock, { force: true });
  }
}

/** Gives the directory up while this process lives on; `lock` is what {@link lockDirectory} returned. */
export async function unlockDirectory(lock: string): Promise<void> {
  await rm(lock, { force: true });
}

/** The living process that owns the directory. */
export async function findLockOwner(directory: string): Promise<LockOwner | undefined> {
  const newest = await newestLock(directory);
  const owner = newest === undefined ? undefined : await readOwner(newest.file);
  return (await isAlive(owner)) ? owner : undefined;
}

async function newestLock(directory: string): Promise<{ readonly file: string; readonly number: number } | undefined> {
  const names = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  const locks = names.flatMap((name) => {
    const number = LOCK.exec(name)?.[1];
    return number === undefined ? [] : [{ file: path.join(directory, name), number: Number(number) }];
  });
  return locks.sort((one, other) => other.number - one.number)[0];
}

async function readOwner(file: string): Promise<LockOwner | undefined> {
  const text = await readFile(file, 'utf8').catch(() => '');
  const [, pid, start, kind, named] = /^(\d+) (\S+)(?: (host|command))?(?: (\d+ \S+))?\n$/.exec(text) ?? [];
  if (pid === undefined || start === undefined) return undefined;
  const locked = named === undefined ? undefined : parseIdentity(named);
  if (locked !== undefined) {
    const identity = await identityOf(path.dirname(file)).catch(() => undefined);
    if (identity === undefined || !isSameDirectory(locked, identity)) return undefined;
  }
  return { kind: kind === 'command' ? 'command' : 'host', pid: Number(pid), start, directory: locked?.path };
}

async function isAlive(owner: LockOwner | undefined): Promise<boolean> {
  return owner !== undefined && (await processStart(owner.pid)) === owner.start;
}

async function removeOldLocks(directory: string, upTo: number): Promise<void> {
  for (const name of await readdir(directory)) {
    const number = Number(LOCK.exec(name)?.[1] ?? Number.POSITIVE_INFINITY);
    const file = path.join(directory, name);
    if (number <= upTo || (DRAFT.test(name) && (await isOld(file)))) await rm(file, { force: true });
  }
}

async function isOld(file: string): Promise<boolean> {
  const found = await stat(file).catch(() => undefined);
  return found !== undefined && Date.now() - found.mtimeMs > DRAFT_KEPT_MS;
}
