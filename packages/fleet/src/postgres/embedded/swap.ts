import { link, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { draftName, isAbandoned } from './drafts';
import { codeOf, swapUnderWay } from './errors';
import type { Place } from './place';
import { runningPid, stopPlace } from './stop';
import { syncDirectory } from './sync-directory';

/** One exchange of the server's data for other data, in `swap.json` from before the server stops until it is done. */
export interface Swap {
  /** The draft that takes the place; its name says who is at it. */
  readonly next: string;
  /** What the former data is called from then on. */
  readonly kept: string;
}

/** Where a test ends the process. */
export type SwapStep = 'announced' | 'stopped' | 'moved-away' | 'moved-in' | 'settled';

const JOURNAL = 'swap.json';
const NEXT = /^data\.new-/;
/** Without it a start ends at once. */
const CONTROL = path.join('global', 'pg_control');
const CONTROL_ASIDE = path.join('global', 'pg_control.aside');
const GRACE_MS = 500;
const POLL_MS = 25;

/** A new name for data that is being made beside the server's. */
export function nextDataName(): Promise<string> {
  return draftName('data', 'new');
}

/** The server's files with other data, and a log apart. */
export function placeOfNext(place: Place, next: string): Place {
  return { ...place, data: path.join(place.directory, next), log: path.join(place.directory, `${next}.log`) };
}

/**
 * Stops the server and puts the draft in the place of its data. While the journal is there nobody else starts it, and
 * whoever comes after a process that was killed in between finishes or undoes the swap.
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
    if (!(await isThere(place.data))) await moveIfThere(kept, place.data);
    await enableStart(place.data);
    await rm(path.join(place.directory, JOURNAL), { force: true });
    throw error;
  }
  await syncDirectory(place.directory);
  await onStep('moved-in');
  // A start that was already in the directory when it was moved ends by itself, and must have by then.
  await sleep(GRACE_MS);
  await enableStart(kept);
  await rm(path.join(place.directory, JOURNAL), { force: true });
  await onStep('settled');
}

/**
 * Waits for a swap that is under way, finishes one whose process is gone once the old data is moved away and undoes it
 * before, and removes data that was never put in place.
 * @throws {SuiteError} `EMBEDDED.SWAP_UNDER_WAY`
 */
export async function settleSwap(place: Place, timeoutMs: number): Promise<void> {
  const names = await readdir(place.directory).catch((): string[] => []);
  if (names.includes(JOURNAL)) await settleJournal(place, timeoutMs);
  await Promise.all(names.filter((name) => NEXT.test(name)).map((name) => sweep(place, name)));
}

/** Whether data is being exchanged: what fails to start then is to be tried again. */
export async function isSwapping(place: Place): Promise<boolean> {
  return (await readJournal(place)) !== undefined;
}

/** The drafts at which a process is. */
export async function liveDrafts(place: Place): Promise<readonly string[]> {
  const names = (await readdir(place.directory)).filter((name) => NEXT.test(name) && !name.endsWith('.log'));
  const abandoned = await Promise.all(names.map(isAbandoned));
  return names.filter((_, index) => abandoned[index] === false);
}

/**
 * Stops the server and takes from its data what a start needs, until it is certain that none is running there. Others
 * may just have begun a start; and a server whose directory is moved under it would write its control file, which it
 * opens by the full path, into the data that takes the place. A start that has read the file shows in `postmaster.pid`.
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
    if (!(await isAbandoned(swap.next))) continue;
    // With the data there it had not begun, and the draft is swept. Another who settles the same swap may be quicker.
    if (!(await isThere(place.data))) await moveIfThere(path.join(place.directory, swap.next), place.data);
    await Promise.all([place.data, path.join(place.directory, swap.kept)].map(enableStart));
    await syncDirectory(place.directory);
    await rm(path.join(place.directory, JOURNAL), { force: true });
    return;
  }
  throw swapUnderWay(place.directory);
}

/** Its server may outlive the process that started it. */
async function sweep(place: Place, name: string): Promise<void> {
  const draft = name.replace(/\.log$/, '');
  if (!(await isAbandoned(draft))) return;
  await stopPlace(placeOfNext(place, draft));
  await rm(path.join(place.directory, name), { recursive: true, force: true });
}

/** By a link, which refuses a second journal where a rename would replace it. */
async function writeJournal(place: Place, swap: Swap): Promise<void> {
  const draft = path.join(place.directory, `${JOURNAL}.${process.pid}`);
  const handle = await open(draft, 'w', 0o600);
  try {
    await handle.writeFile(JSON.stringify(swap));
    await handle.sync();
  } finally {
    await handle.close();
  }
  try {
    await link(draft, path.join(place.directory, JOURNAL));
  } catch (error) {
    throw codeOf(error) === 'EEXIST' ? swapUnderWay(place.directory) : error;
  } finally {
    await rm(draft, { force: true });
  }
  await syncDirectory(place.directory);
}

async function readJournal(place: Place): Promise<Swap | undefined> {
  const text = await readFile(path.join(place.directory, JOURNAL), 'utf8').catch(() => undefined);
  return text === undefined ? undefined : (JSON.parse(text) as Swap);
}

async function moveIfThere(from: string, to: string): Promise<void> {
  await rename(from, to).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
}

async function isThere(directory: string): Promise<boolean> {
  return readdir(directory).then(
    () => true,
    () => false,
  );
}
