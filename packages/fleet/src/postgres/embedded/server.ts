import { setTimeout as sleep } from 'node:timers/promises';
import type { DatabaseUrl } from '@azora/db-core';
import type { Environment } from '../../system/child-environment';
import { lastLines, NO_SPACE } from '../../system/logs';
import { reasonOf } from '../../system/system-errors';
import { type Account, newAccount } from './account';
import { type Binaries, usableBinaries } from './binaries';
import { createCluster, dataVersion, requireVersion } from './cluster';
import { diskFull, homeUnusable, notReady, startFailed } from './errors';
import { type Launch, launch, verdictOf } from './launch';
import { claimPlace } from './ownership';
import { choosePlace, findPlace, locatePlace, ownerOf, type Place } from './place';
import { findPostmaster, type Postmaster, readPidFile, runningPid, stopPlace, stopPostmaster } from './postmaster';
import { isSwapping, settleSwap } from './swap';

export interface StartOptions {
  /** The suite's own directory in the checkout, `.azora`. */
  readonly home: string;
  /** The environment of the command; the server's programs get the few variables that every program needs. */
  readonly environment?: Environment | undefined;
  readonly onProgress?: ((line: string) => void) | undefined;
  /** How long a server may recover before the start fails. */
  readonly readyTimeoutMs?: number;
  /** Once aborted, the call no longer waits for the server, which may continue to start. */
  readonly signal?: AbortSignal | undefined;
}

export interface StartedServer {
  /** The administrator's URL. */
  readonly url: DatabaseUrl;
  /** Whether this call started the server. */
  readonly started: boolean;
  readonly pid: number;
}

export interface EmbeddedState {
  readonly state: 'running' | 'stopped' | 'absent';
  readonly pid?: number;
  readonly port?: number;
  readonly version?: string;
  readonly dataDirectory?: string;
}

const READY_TIMEOUT_MS = 60_000;
const POLL_MS = 25;
/** The pause after an attempt that another server prevented. */
const CONTENDED_PAUSE_MS = 500;

/**
 * Starts the server, and creates it first when it does not exist. Returns a running server as it is, unless it was moved:
 * then it is restarted. Of several calls at once, one starts it.
 * @throws {SuiteError} `EMBEDDED.…`; the reason of the signal when it was aborted before the server was ready
 */
export async function startEmbedded(options: StartOptions): Promise<StartedServer> {
  const { home, environment = {}, onProgress = () => undefined, readyTimeoutMs = READY_TIMEOUT_MS, signal } = options;
  await settleSwap(await locatePlace(home), readyTimeoutMs);
  const known = await findPlace(home);
  const copiedFrom = known === undefined ? undefined : await claimPlace(known, home);
  if (copiedFrom !== undefined) onProgress(copiedText(copiedFrom));
  const running = known === undefined ? undefined : await findPostmaster(known);
  if (known !== undefined && running?.isMoved === true) {
    onProgress('restarting the embedded server, because it was moved');
    await stopPostmaster(known, running.pid);
  } else if (running !== undefined) return { url: running.url, started: false, pid: running.pid };

  const account = known === undefined ? await newAccount(environment) : await ownerOf(known);
  const place = known ?? (await choosePlace(home, account));
  const binaries = await usableBinaries(place.base, account, environment);
  if (known === undefined) {
    onProgress(`creating the embedded PostgreSQL ${binaries.major} server in ${place.directory}`);
    await createCluster(place, account, binaries);
    await claimPlace(place, home);
  }
  await requireVersion(place, binaries);
  signal?.throwIfAborted();
  onProgress('starting the embedded server');
  return launchUntilReady(place, account, binaries, { timeoutMs: readyTimeoutMs, signal });
}

function copiedText(original: string): string {
  return (
    `the data of this server was copied from ${original} while the server there was running, and may be damaged. For an ` +
    'exact copy, run "npx azora-db backup --out <directory>" in the original checkout and ' +
    '"npx azora-db restore latest --from <directory>" here'
  );
}

/**
 * Stops the server and waits until it has ended; false when none was running.
 * @throws {SuiteError} `EMBEDDED.STOP_FAILED`
 */
export async function stopEmbedded({ home }: { readonly home: string }): Promise<boolean> {
  const place = await findPlace(home);
  return place === undefined ? false : stopPlace(place);
}

/** Reads the state of the server without starting or creating anything. */
export async function embeddedState({ home }: { readonly home: string }): Promise<EmbeddedState> {
  const place = await findPlace(home);
  if (place === undefined) return { state: 'absent' };
  const [postmaster, version] = await Promise.all([findPostmaster(place), dataVersion(place)]);
  const found = { version, dataDirectory: place.data };
  if (postmaster !== undefined) {
    return { ...found, state: 'running', pid: postmaster.pid, port: postmaster.port, version: postmaster.version };
  }
  const pid = await runningPid(place);
  return pid === undefined ? { ...found, state: 'stopped' } : { ...found, state: 'running', pid };
}

/**
 * Starts the server on the data of a place and waits until it accepts connections.
 * @throws {SuiteError} `EMBEDDED.NOT_READY`, `EMBEDDED.START_FAILED`, `EMBEDDED.DISK_FULL`, `EMBEDDED.HOME_UNUSABLE`
 */
export async function launchUntilReady(
  place: Place,
  account: Account | undefined,
  binaries: Binaries,
  { timeoutMs, signal }: { readonly timeoutMs: number; readonly signal?: AbortSignal | undefined },
): Promise<StartedServer> {
  let attempt: Launch | undefined;
  let nextAttempt = 0;
  for (const deadline = Date.now() + timeoutMs; Date.now() < deadline; await sleep(POLL_MS)) {
    const running = await findPostmaster(place);
    if (running !== undefined) return { url: running.url, started: isOwn(running, attempt), pid: running.pid };
    // Without its pid file the caller could not stop the server that was just launched.
    if (attempt === undefined || (await readPidFile(place)) !== undefined) signal?.throwIfAborted();
    if (attempt?.ended() === true) {
      nextAttempt = await pauseAfter(place, attempt);
      attempt = undefined;
    }
    if (attempt !== undefined || Date.now() < nextAttempt) continue;
    if (await isSwapping(place)) await settleSwap(place, deadline - Date.now());
    else attempt = await launchIn(place, account, binaries);
  }
  throw notReady(
    place.log,
    timeoutMs / 1000,
    lastLines((await attempt?.log()) ?? 'Another start of the server was in progress.'),
  );
}

function isOwn(running: Postmaster, attempt: Launch | undefined): boolean {
  return attempt !== undefined && (process.platform === 'win32' || attempt.pid === running.pid);
}

async function launchIn(place: Place, account: Account | undefined, binaries: Binaries): Promise<Launch> {
  try {
    return await launch(place, account, binaries);
  } catch (error) {
    const full = NO_SPACE.test(reasonOf(error));
    throw full ? diskFull(place.base, 'The log could not be written.') : homeUnusable(place.base, error);
  }
}

/** The time of the next attempt, when another server or a taken port ended this one; throws its error otherwise. */
async function pauseAfter(place: Place, attempt: Launch): Promise<number> {
  const log = await attempt.log();
  const verdict = verdictOf(log);
  if (verdict === 'port-taken') return 0;
  if (verdict === 'contended' || (await isSwapping(place))) return Date.now() + CONTENDED_PAUSE_MS;
  throw NO_SPACE.test(log) ? diskFull(place.base, lastLines(log)) : startFailed(place.log, lastLines(log));
}
