import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { serverEnvironment, usableBinaries } from './binaries';
import { codeOf, reasonOf, stopFailed } from './errors';
import type { Place } from './place';
import { findPostmaster, readPidFile } from './postmaster';
import { isPostmasterOf, processStart } from './process';

const run = promisify(execFile);

const STOP_TIMEOUT_MS = 60_000;
const POLL_MS = 25;

/**
 * Stops the server of that data, waiting until it has ended; false when none was running.
 * @throws {SuiteError} `EMBEDDED.STOP_FAILED`
 */
export async function stopPlace(place: Place): Promise<boolean> {
  const pid = await runningPid(place);
  if (pid === undefined) return false;
  const start = await processStart(pid);
  await interrupt(place, pid);
  for (const deadline = Date.now() + STOP_TIMEOUT_MS; Date.now() < deadline; await sleep(POLL_MS)) {
    if ((await processStart(pid)) !== start) return true;
  }
  throw stopFailed(pid, `It was told to, and has not ended within ${STOP_TIMEOUT_MS / 1000} s`);
}

/** The pid of a server that is this one's, also while it starts, stops or recovers and takes no connections. */
export async function runningPid(place: Place): Promise<number | undefined> {
  const found = await readPidFile(place);
  if (found === undefined) return undefined;
  if (process.platform === 'win32') return (await findPostmaster(place))?.pid;
  return (await isPostmasterOf(found.pid, place.data)) ? found.pid : undefined;
}

/** Ends sessions and writes everything to the disk: what PostgreSQL calls a fast shutdown. */
async function interrupt(place: Place, pid: number): Promise<void> {
  try {
    if (process.platform === 'win32') {
      const { pgCtl } = await usableBinaries(place.base, undefined);
      await run(pgCtl, ['stop', '-D', place.data, '-m', 'fast', '-W'], { env: serverEnvironment() });
    } else process.kill(pid, 'SIGINT');
  } catch (error) {
    if (codeOf(error) === 'ESRCH') return;
    throw stopFailed(pid, reasonOf(error));
  }
}
