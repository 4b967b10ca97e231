import { lstat, readdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { type OwnerState, ownerMark, ownerState } from './owners';
import { codeOf } from './system-errors';

/**
 * Something that a command left behind. `copy`: data that a restore replaced, kept on purpose. `remnant`: the unfinished
 * work of a run.
 */
export interface Leftover {
  readonly kind: 'copy' | 'remnant';
  /** In a few words, such as `scratch database`. */
  readonly what: string;
  /** The name of a database or role, or the path of a file or directory. */
  readonly name: string;
  /** Since when it is not used: when a copy was replaced, or when a remnant changed last. Undefined when that is unknown. */
  readonly since: Date | undefined;
  /** `unknown`: the run may still be at work, on another machine or in another container. */
  readonly state: 'unused' | 'in-use' | 'unknown';
  /** Its size on the disk; undefined when it has none or the size cannot be read. */
  readonly bytes: () => Promise<number | undefined>;
  /** Removes it, and throws when it is in use by now. */
  readonly remove: () => Promise<void>;
}

export interface TreeUsage {
  /** Allocated blocks; links are not followed. */
  readonly bytes: number;
  /** The newest change of a file or directory in it. */
  readonly changedAt: Date;
}

/** An owner that cannot be examined counts as ended when its work has not changed for this long. */
export const UNKNOWN_KEPT_MS = 24 * 3_600_000;
/** A draft of one small file is renamed or removed within moments. */
const DRAFT_KEPT_MS = 60_000;
const DRAFT_FILE = /\.draft-\d+-[0-9a-f]{8}$/;
const BLOCK_BYTES = 512;

/** The size of a file or directory, and its newest change; undefined when it does not exist. */
export async function treeUsage(root: string): Promise<TreeUsage | undefined> {
  const found = await orAbsent(lstat(root));
  if (found === undefined) return undefined;
  const names = found.isDirectory() ? ((await orAbsent(readdir(root))) ?? []) : [];
  const inside = await Promise.all(names.map((name) => treeUsage(path.join(root, name))));
  const own = found.blocks > 0 ? found.blocks * BLOCK_BYTES : found.size;
  return {
    bytes: inside.reduce((sum, usage) => sum + (usage?.bytes ?? 0), own),
    changedAt: new Date(Math.max(found.mtimeMs, ...inside.map((usage) => usage?.changedAt.getTime() ?? 0))),
  };
}

/** Whether unfinished work can be removed: its owner has ended, or is unknown and has changed nothing for a day. */
export async function isAbandonedTree(root: string, mark: string): Promise<boolean> {
  return (await stateOfTree(root, await ownerState(mark))) === 'unused';
}

async function stateOfTree(root: string, owner: OwnerState): Promise<Leftover['state']> {
  if (owner !== 'unknown') return owner === 'ended' ? 'unused' : 'in-use';
  const usage = await treeUsage(root);
  return usage !== undefined && Date.now() - usage.changedAt.getTime() < UNKNOWN_KEPT_MS ? 'unknown' : 'unused';
}

/** The remnant of a run, in a file or directory whose name contains the mark of its owner. */
export async function ownedRemnant(root: string, mark: string, what: string): Promise<Leftover> {
  return {
    ...{ kind: 'remnant', what, name: root, since: (await orAbsent(lstat(root)))?.mtime },
    state: await stateOfTree(root, await ownerState(mark)),
    bytes: async () => (await treeUsage(root))?.bytes,
    remove: () => rm(root, { recursive: true, force: true }),
  };
}

/** The entries of a directory whose names match; the first group of the pattern is the mark of the owner. */
export async function ownedRemnantsIn(directory: string, pattern: RegExp, what: string): Promise<readonly Leftover[]> {
  const names = (await orAbsent(readdir(directory))) ?? [];
  const owned = names.flatMap((name) => {
    const mark = pattern.exec(name)?.[1];
    return mark === undefined ? [] : [ownedRemnant(path.join(directory, name), mark, what)];
  });
  return Promise.all(owned);
}

/** Drafts of single files, and other files that match, which are older than a minute. */
export async function fileRemnantsIn(
  directory: string,
  pattern: RegExp = DRAFT_FILE,
  keptMs = DRAFT_KEPT_MS,
): Promise<readonly Leftover[]> {
  const found: Leftover[] = [];
  for (const name of (await orAbsent(readdir(directory))) ?? []) {
    const file = path.join(directory, name);
    const stats = pattern.test(name) ? await orAbsent(lstat(file)) : undefined;
    if (stats === undefined || Date.now() - stats.mtimeMs < keptMs) continue;
    found.push({
      ...{ kind: 'remnant', what: 'unfinished file', name: file, since: stats.mtime, state: 'unused' },
      bytes: async () => stats.size,
      remove: () => rm(file, { recursive: true, force: true }),
    });
  }
  return found;
}

/** Removes a directory. It gets the name of a draft first: the remains of an interrupted removal are a remnant, not a copy. */
export async function removeTree(directory: string): Promise<void> {
  const draft = `${directory}.removed-${await ownerMark()}`;
  if ((await orAbsent(rename(directory, draft).then(() => true))) === true)
    await rm(draft, { recursive: true, force: true });
}

/** The result, or undefined when the file or directory does not exist (any more). */
export async function orAbsent<Result>(work: Promise<Result>): Promise<Result | undefined> {
  try {
    return await work;
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return undefined;
    throw error;
  }
}
