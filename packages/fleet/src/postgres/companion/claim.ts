import { randomBytes } from 'node:crypto';
import { link, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { codeOf } from '../embedded/errors';
import { processStart } from '../embedded/process';

/** `host`: the companion's own process. `command`: one that works on its data while it is stopped; not to be ended. */
export type HolderKind = 'host' | 'command';

/** The process that has, or had, the directory. */
export interface Holder {
  readonly kind: HolderKind;
  readonly pid: number;
  /** Tells it from a later process with the same pid. */
  readonly start: string;
}

const CLAIM = /^claim\.(\d+)$/;
const DRAFT = /^claim-draft\./;
const DRAFT_KEPT_MS = 60_000;
/** Claims of dead holders that stay: see `claimDirectory`. */
const KEPT = 8;

/**
 * Makes this process the only one that may open the directory; undefined while another one may.
 *
 * PGlite locks nothing, two of them in one directory destroy it, and Node has no lock that the kernel lifts when its
 * holder is killed. So holders are numbered. `claim.<n>` names the n-th, and the highest number is the one that counts.
 * Who finds its process dead claims the next number by `link()`, which creates a whole file or fails: of any number of
 * processes that saw the same holder dead, one gets it. No claim is ever taken over or removed to make room, so the
 * usual race of pid files (removing, as stale, the claim that a faster one has just made) has no place to happen. A claim
 * ends when its process does: by kill -9 as well as in an orderly way.
 *
 * Old claims are swept by holders, but not the last few: a process that had looked before they came could otherwise
 * link a number that is free again. It also looks once more after linking, and gives way to a higher number.
 */
export async function claimDirectory(
  directory: string,
  kind: HolderKind,
  isAnswering: () => Promise<boolean>,
): Promise<string | undefined> {
  const self = { kind, pid: process.pid, start: (await processStart(process.pid)) ?? 'unknown' };
  for (;;) {
    const highest = Math.max(0, ...(await claimNumbers(directory)));
    if (highest > 0 && (await isAlive(await readClaim(directory, highest)))) return undefined;
    // A holder in another container that shares the directory: its pid says nothing here, but its socket does.
    if (await isAnswering()) return undefined;
    const claim = await linkClaim(directory, highest + 1, self);
    if (claim === undefined) continue;
    if (Math.max(...(await claimNumbers(directory))) === highest + 1) {
      await sweep(directory, highest + 1 - KEPT);
      return claim;
    }
    await rm(claim, { force: true });
  }
}

/** Gives the directory up while this process lives on: only its own, last claim is ever taken back. */
export async function releaseClaim(claim: string): Promise<void> {
  await rm(claim, { force: true });
}

/** The process that has the directory now. */
export async function findHolder(directory: string): Promise<Holder | undefined> {
  const highest = Math.max(0, ...(await claimNumbers(directory)));
  const holder = highest === 0 ? undefined : await readClaim(directory, highest);
  return holder !== undefined && (await isAlive(holder)) ? holder : undefined;
}

async function claimNumbers(directory: string): Promise<readonly number[]> {
  const names = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  return names.flatMap((name) => CLAIM.exec(name)?.[1] ?? []).map(Number);
}

async function readClaim(directory: string, number: number): Promise<Holder | undefined> {
  const text = await readFile(claimPath(directory, number), 'utf8').catch(() => '');
  const [, pid, start, kind] = /^(\d+) (\S+)(?: (host|command))?\n$/.exec(text) ?? [];
  if (pid === undefined || start === undefined) return undefined;
  return { kind: kind === 'command' ? 'command' : 'host', pid: Number(pid), start };
}

async function isAlive(holder: Holder | undefined): Promise<boolean> {
  return holder !== undefined && (await processStart(holder.pid)) === holder.start;
}

async function linkClaim(directory: string, number: number, { kind, pid, start }: Holder): Promise<string | undefined> {
  const draft = path.join(directory, `claim-draft.${pid}-${randomBytes(4).toString('hex')}`);
  const claim = claimPath(directory, number);
  try {
    await writeFile(draft, `${pid} ${start} ${kind}\n`, { flag: 'wx', mode: 0o600, flush: true });
    await link(draft, claim);
    return claim;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return undefined;
    throw error;
  } finally {
    await rm(draft, { force: true });
  }
}

async function sweep(directory: string, upTo: number): Promise<void> {
  for (const name of await readdir(directory)) {
    const number = Number(CLAIM.exec(name)?.[1] ?? Number.POSITIVE_INFINITY);
    const file = path.join(directory, name);
    if (number <= upTo || (DRAFT.test(name) && (await isOld(file)))) await rm(file, { force: true });
  }
}

async function isOld(file: string): Promise<boolean> {
  const found = await stat(file).catch(() => undefined);
  return found !== undefined && Date.now() - found.mtimeMs > DRAFT_KEPT_MS;
}

function claimPath(directory: string, number: number): string {
  return path.join(directory, `claim.${number}`);
}
