import { existsSync } from 'node:fs';
import { readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createFile, draftName, isAbandoned, ownerOfDraft, syncDirectory } from '../../system/atomic-files';
import { ownerState } from '../../system/owners';
import { swapUnderWay } from './errors';
import type { Place } from './place';
import { runningPid, stopPlace } from './postmaster';

/** One replacement of the server's data. `swap.json` records it from before the server stops until it is complete. */
export interface Swap {
  /** The draft that becomes the data; its name contains the process that does the work. */
  readonly next: string;
  /** The new name of the former data. */
  readonly kept: string;
}

/** The points at which a test ends the process. */
export type SwapStep = 'announced' | 'stopped' | 'moved-away' | 'moved-in' | 'settled';

const JOURNAL = 'swap.json';
const NEXT = /^data\.new-/;
/** A server without this file ends its start at once. */
const CONTROL = path.join('global', 'pg_control');
const CONTROL_ASIDE = path.join('global', 'pg_control.aside');
const GRACE_MS = 500;
const UNKNOWN_SWAP_MS = 600_000;
const POLL_MS = 25;

/** A name for new data beside the server's. */
export function nextDataName(): Promise<string> {
  return draftName('data', 'new');
}

/** The server's files with the new data and a log of its own. */
export function placeOfNext(place: Place, next: string): Place {
  return { ...place, data: path.join(place.directory, next), log: path.join(place.directory, `${next}.log`) };
}

/**
 * Stops the server and replaces its data with the draft. While the journal exists no other command starts the server. When
 * the process is killed, the next command finishes or undoes the swap.
 * @throws {SuiteError} `EMBEDDED.SWAP_UNDER_WAY`, `EMBEDDED.STOP_FAILED`
 */
export async function swapData(
  place: Place,
  swap: Swap,
  onStep: (step: SwapStep) => Promise<void> | void,
): Promise<void> {
  await writeJournal(place, swap);
  await onStep('announced');
  const kept = path.join(place.directory, swap.kept);
  try {
    await stopForGood(place);
    await onStep('stopped');
    await moveIfThere(place.data, kept);
    await onStep('moved-away');
    await rename(path.join(place.directory, swap.next), place.data);
  } catch (error) {
    if (!existsSync(place.data)) await moveIfThere(kept, place.data);
    await enableStart(place.data);
    await rm(path.join(place.directory, JOURNAL), { force: true });
    throw error;
  }
  await syncDirectory(place.directory);
  await onStep('moved-in');
  // A start that was in the directory when it was moved ends by itself within this time.
  await sleep(GRACE_MS);
  await enableStart(kept);
  await rm(path.join(place.directory, JOURNAL), { force: true });
  await onStep('settled');
}

/**
 * Waits for a swap in progress. When its process has ended, finishes the swap if the old data was already moved away, and
 * undoes it otherwise. Removes new data that was never used.
 * @throws {SuiteError} `EMBEDDED.SWAP_UNDER_WAY`
 */
export async function settleSwap(place: Place, timeoutMs: number): Promise<void> {
  const names = await readdir(place.directory).catch(orAbsent([] as string[]));
  if (names.includes(JOURNAL)) await settleJournal(place, timeoutMs);
  await Promise.all(names.filter((name) => NEXT.test(name)).map((name) => sweep(place, name)));
}

/** Whether a swap is in progress; a start that fails meanwhile must be tried again. */
export async function isSwapping(place: Place): Promise<boolean> {
  return (await readJournal(place)) !== undefined;
}

/** The drafts whose processes are alive. */
export async function liveDrafts(place: Place): Promise<readonly string[]> {
  const names = (await readdir(place.directory)).filter((name) => NEXT.test(name) && !name.endsWith('.log'));
  const abandoned = await Promise.all(names.map((name) => isAbandoned(place.directory, name)));
  return names.filter((_, index) => abandoned[index] === false);
}

/**
 * Stops the server and moves its control file away, until no server runs there. Another command may have begun a start at
 * this moment, and a server whose directory is moved would write its control file, which it opens by the full path, into
 * the new data. A start that has read the control file shows in `postmaster.pid`.
 */
async function stopForGood(place: Place): Promise<void> {
  for (;;) {
    await stopPlace(place);
    await moveIfThere(path.join(place.data, CONTROL), path.join(place.data, CONTROL_ASIDE));
    if ((await runningPid(place)) === undefined) return;
    await enableStart(place.data);
  }
}

function enableStart(data: string): Promise<void> {
  return moveIfThere(path.join(data, CONTROL_ASIDE), path.join(data, CONTROL));
}

async function settleJournal(place: Place, timeoutMs: number): Promise<void> {
  for (const deadline = Date.now() + timeoutMs; Date.now() < deadline; await sleep(POLL_MS)) {
    const swap = await readJournal(place);
    if (swap === undefined) return;
    if (!(await hasEnded(place, swap))) continue;
    // When the data is still there, nothing was moved, and the draft is removed later. Another command may be faster.
    if (!existsSync(place.data)) await moveIfThere(path.join(place.directory, swap.next), place.data);
    await Promise.all([place.data, path.join(place.directory, swap.kept)].map(enableStart));
    await syncDirectory(place.directory);
    await rm(path.join(place.directory, JOURNAL), { force: true });
    return;
  }
  throw swapUnderWay(place.directory);
}

/** Whether the process of the swap has ended. One on another machine counts as ended when the swap is older than any swap takes. */
async function hasEnded(place: Place, { next }: Swap): Promise<boolean> {
  const state = await ownerState(ownerOfDraft(next) ?? '');
  if (state !== 'unknown') return state === 'ended';
  const journal = await stat(path.join(place.directory, JOURNAL)).catch(orAbsent(undefined));
  return journal === undefined || Date.now() - journal.mtimeMs > UNKNOWN_SWAP_MS;
}

/** Stops the draft's server first, which may outlive the process that started it. */
async function sweep(place: Place, name: string): Promise<void> {
  const draft = name.replace(/\.log$/, '');
  if (!(await isAbandoned(place.directory, draft))) return;
  await stopPlace(placeOfNext(place, draft));
  await rm(path.join(place.directory, name), { recursive: true, force: true });
}

/** Fails when another swap has a journal. */
async function writeJournal(place: Place, swap: Swap): Promise<void> {
  if (!(await createFile(path.join(place.directory, JOURNAL), JSON.stringify(swap))))
    throw swapUnderWay(place.directory);
  await syncDirectory(place.directory);
}

async function readJournal(place: Place): Promise<Swap | undefined> {
  const text = await readFile(path.join(place.directory, JOURNAL), 'utf8').catch(orAbsent(undefined));
  return text === undefined ? undefined : (JSON.parse(text) as Swap);
}

/** A file that does not exist counts as absent; one that cannot be read does not. */
function orAbsent<Value>(absent: Value): (error: NodeJS.ErrnoException) => Value {
  return (error) => {
    if (error.code === 'ENOENT') return absent;
    throw error;
  };
}

async function moveIfThere(from: string, to: string): Promise<void> {
  await rename(from, to).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
}
