import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readdir, realpath, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DatabaseUrl } from '@azora/db-core';
import { makeDirectory } from '../../system/atomic-files';
import { childEnvironment, type Environment } from '../../system/child-environment';
import { orAbsent } from '../../system/leftovers';
import { findLockOwner, type LockOwner, lockDirectory, unlockDirectory } from '../../system/lock-file';
import { lastLines, NO_SPACE, readLog, withLog } from '../../system/logs';
import { processStart } from '../../system/processes';
import { codeOf } from '../../system/system-errors';
import { makeHome } from '../embedded/place';
import {
  type Address,
  addressUrl,
  callCompanion,
  isListening,
  type Reply,
  readAddress,
  removeSocketDirectory,
} from './address';
import { dataInUse, diskFull, homeUnusable, notReady, startFailed, stopFailed } from './errors';
import { companionDirectory, dataOf, idleFileOf, logFileOf, OWNED_EXIT_CODE } from './layout';

export interface CompanionOptions {
  /** The suite's own directory in the checkout, `.azora`. */
  readonly home: string;
  readonly service: string;
}

export interface StartCompanionOptions extends CompanionOptions {
  /** The database name in the URL; the companion has one database and accepts any name. */
  readonly database: string;
  /** The environment of the command; the companion gets the few variables that every program needs. */
  readonly environment?: Environment | undefined;
  readonly readyTimeoutMs?: number;
  /** Once aborted, the call no longer waits for the companion, which may continue to start. */
  readonly signal?: AbortSignal | undefined;
}

export interface StartedCompanion {
  /** The administrator's URL; a companion has no other role. */
  readonly url: DatabaseUrl;
  /** Whether this call started the companion. */
  readonly started: boolean;
  readonly pid: number;
}

export interface CompanionState {
  /** `idle`: the process runs, and starts the database for the next client. */
  readonly state: 'running' | 'idle' | 'stopped' | 'absent';
  readonly pid?: number;
  readonly dataDirectory?: string;
}

interface Host {
  readonly child: ChildProcess;
  log(): Promise<string>;
}

/** The host is a program of its own. Node runs the compiled one also when a test runs this file from src. */
const HOST_PROGRAM = path.resolve(__dirname, '..', '..', '..', 'dist', 'postgres', 'companion', 'host.js');
const READY_TIMEOUT_MS = 120_000;
const POLL_MS = 25;
/** The last line of the log contains the error. */
const LOG_LINES = 1;
/** PGlite handles no signal while it runs a statement; after a kill it recovers at the next start. */
const STOP_TIMEOUT_MS = 10_000;
const KILL_TIMEOUT_MS = 5_000;
const LOCK_TRIES = 5;
/** More than a restore needs to copy its data. */
const COMMAND_TIMEOUT_MS = 120_000;

/**
 * Starts the companion of a service that needs an extension which the embedded server lacks. Returns a running companion
 * as it is, unless its directory was moved: then it is restarted. Of several calls at once, one starts it.
 * @throws {SuiteError} `COMPANION.…`; the reason of the signal when it was aborted before the companion was ready
 */
export async function startCompanion(options: StartCompanionOptions): Promise<StartedCompanion> {
  const { home, service, database, environment = {}, readyTimeoutMs = READY_TIMEOUT_MS, signal } = options;
  const directory = await makeCompanionDirectory(home, service);
  const real = await realpath(directory);
  let host: Host | undefined;
  for (const deadline = Date.now() + readyTimeoutMs; Date.now() < deadline; await sleep(POLL_MS)) {
    const address = await readAddress(directory);
    const reply = await callCompanion(address);
    // Read after the reply: the companion that answered had locked the directory by then.
    const owner = await findLockOwner(directory);
    if (owner?.kind === 'host' && owner.directory !== undefined && owner.directory !== real) {
      // The checkout was moved: PGlite opens files by their former paths.
      await endHost(service, directory, owner);
      continue;
    }
    if (isRunning(address, reply, owner)) {
      const pid = owner?.pid ?? 0;
      const started = pid === host?.child.pid;
      // A second host that has not yet noticed the first could take over when the first is stopped.
      if (!started) host?.child.kill();
      return { url: addressUrl(address, database, service), started, pid };
    }
    signal?.throwIfAborted();
    await requireStarting(service, directory, host);
    if (owner === undefined && (host === undefined || hasExited(host))) host = startHost(directory, environment);
  }
  const log = (await host?.log()) ?? 'Another command is starting it.';
  throw notReady(service, logFileOf(directory), readyTimeoutMs / 1000, log);
}

/**
 * Stops the companion and waits until it has ended; false when none was running. Waits for a command that works on its
 * data.
 * @throws {SuiteError} `COMPANION.STOP_FAILED`, `COMPANION.IN_USE`
 */
export async function stopCompanion({ home, service }: CompanionOptions): Promise<boolean> {
  const directory = companionDirectory(home, service);
  const owner = await awaitHost(service, directory);
  if (owner === undefined) return false;
  await endHost(service, directory, owner);
  return true;
}

async function endHost(service: string, directory: string, owner: LockOwner): Promise<void> {
  try {
    process.kill(owner.pid, 'SIGTERM');
    if (await hasEnded(directory, owner, STOP_TIMEOUT_MS)) return;
    process.kill(owner.pid, 'SIGKILL');
    if (await hasEnded(directory, owner, KILL_TIMEOUT_MS)) return;
  } catch (error) {
    if (codeOf(error) === 'ESRCH') return;
    throw stopFailed(service, owner.pid, error);
  }
  throw stopFailed(service, owner.pid, 'It was killed and has not ended');
}

/** The companion's own process, once no command owns its directory. */
async function awaitHost(service: string, directory: string): Promise<LockOwner | undefined> {
  for (const deadline = Date.now() + COMMAND_TIMEOUT_MS; ; await sleep(POLL_MS)) {
    const owner = await findLockOwner(directory);
    if (owner?.kind !== 'command') return owner;
    if (Date.now() > deadline) throw dataInUse(service, owner.pid, COMMAND_TIMEOUT_MS / 1_000);
  }
}

/**
 * Stops the companion and removes its data; false when it had none.
 * @throws {SuiteError} `COMPANION.STOP_FAILED`, `COMPANION.IN_USE`
 */
export async function removeCompanion(options: CompanionOptions): Promise<boolean> {
  const directory = companionDirectory(options.home, options.service);
  if (!existsSync(directory)) return false;
  return whileStopped(options, async () => {
    const { data, draft } = dataOf(directory);
    const existed = existsSync(data);
    // Renamed first: when this process is killed, the next start removes the rest as an unfinished creation.
    if (existed) await rename(data, draft);
    await rm(draft, { recursive: true, force: true });
    return existed;
  });
}

/**
 * Stops and removes every companion of a scratch home, and then the home.
 * @throws {SuiteError} `COMPANION.STOP_FAILED`, `COMPANION.IN_USE`
 */
export async function removeScratchCompanions(home: string): Promise<void> {
  const services = (await orAbsent(readdir(path.join(home, 'companion')))) ?? [];
  await Promise.all(
    services.map(async (service) => {
      await removeCompanion({ home, service });
      await removeSocketDirectory(companionDirectory(home, service));
    }),
  );
  await rm(home, { recursive: true, force: true });
}

/**
 * Runs `work` while the companion is stopped and this process owns its directory. A command that starts the companion at
 * the same time waits, and then starts it on the result.
 */
export async function whileStopped<Result>(options: CompanionOptions, work: () => Promise<Result>): Promise<Result> {
  const directory = companionDirectory(options.home, options.service);
  let lock: string | undefined;
  for (let tries = 0; lock === undefined; tries += 1) {
    if (tries === LOCK_TRIES) throw stopFailed(options.service, process.pid, 'Other commands keep starting it');
    await stopCompanion(options);
    lock = await lockDirectory(directory, 'command', async () => false);
  }
  try {
    return await work();
  } finally {
    await unlockDirectory(lock);
  }
}

/** Reads the companion's state without starting or creating anything. */
export async function companionState({ home, service }: CompanionOptions): Promise<CompanionState> {
  const directory = companionDirectory(home, service);
  const dataDirectory = dataOf(directory).data;
  const owner = await findLockOwner(directory);
  const isIdle = existsSync(idleFileOf(directory));
  if (owner?.kind === 'host') return { state: isIdle ? 'idle' : 'running', pid: owner.pid, dataDirectory };
  return existsSync(dataDirectory) ? { state: 'stopped', dataDirectory } : { state: 'absent' };
}

/**
 * A socket in the directory belongs to its owner, also when the owner runs in another container and its pid is unknown
 * here. A port may belong to any program, and a server that does not answer may be dying: these need an owner who lives.
 */
function isRunning(address: Address | undefined, reply: Reply, owner: LockOwner | undefined): address is Address {
  if (address === undefined || reply === 'none') return false;
  return owner !== undefined || (reply === 'answer' && !('port' in address));
}

/** Throws when the host has ended, unless it ended because another host owns the directory. */
async function requireStarting(service: string, directory: string, host: Host | undefined): Promise<void> {
  if (host === undefined || !hasExited(host) || host.child.exitCode === OWNED_EXIT_CODE) return;
  const log = await host.log();
  throw NO_SPACE.test(log) ? diskFull(directory, log) : startFailed(service, logFileOf(directory), log);
}

function hasExited({ child }: Host): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

function startHost(directory: string, environment: Environment): Host {
  const logFile = logFileOf(directory);
  try {
    return withLog(logFile, ({ fd, begin }) => {
      const child = spawn(process.execPath, [HOST_PROGRAM, directory], {
        detached: true,
        windowsHide: true,
        stdio: ['ignore', fd, fd],
        cwd: directory,
        env: childEnvironment(environment),
      });
      child.on('error', () => undefined);
      child.unref();
      return { child, log: async () => lastLines(await readLog(logFile, begin), LOG_LINES) };
    });
  } catch (error) {
    throw homeUnusable(directory, error);
  }
}

export async function makeCompanionDirectory(home: string, service: string): Promise<string> {
  const directory = companionDirectory(home, service);
  try {
    await makeHome(home);
    await makeDirectory(path.dirname(directory), 0o700);
    await makeDirectory(directory, 0o700);
    return directory;
  } catch (error) {
    throw homeUnusable(directory, error);
  }
}

/** A process whose main thread has ended is a zombie, while its other threads keep the socket open for a moment. */
async function hasEnded(directory: string, { pid, start }: LockOwner, timeoutMs: number): Promise<boolean> {
  for (const deadline = Date.now() + timeoutMs; Date.now() < deadline; await sleep(POLL_MS)) {
    if ((await processStart(pid)) === start) continue;
    const successor = await findLockOwner(directory);
    if (successor !== undefined || !(await isListening(await readAddress(directory)))) return true;
  }
  return false;
}
