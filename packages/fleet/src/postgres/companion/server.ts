import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, existsSync } from 'node:fs';
import { cp, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DatabaseUrl } from '@azora/db-core';
import { codeOf } from '../embedded/errors';
import { lastLines, NO_SPACE, openLog, readLog } from '../embedded/log';
import { makeDirectory, makeHome } from '../embedded/place';
import { processStart } from '../embedded/process';
import { type Address, addressUrl, isListening, readAddress } from './address';
import { claimDirectory, findHolder, type Holder, releaseClaim } from './claim';
import { dataInUse, diskFull, homeUnusable, notReady, startFailed, stopFailed } from './errors';
import { HELD_EXIT_CODE } from './exit-codes';
import { RESTORED } from './names';

export interface CompanionOptions {
  /** The directory of the checkout that belongs to the suite, `.azora`. */
  readonly home: string;
  readonly service: string;
}

export interface StartCompanionOptions extends CompanionOptions {
  /** Any name will do: the companion has one database. */
  readonly database: string;
  readonly readyTimeoutMs?: number;
}

export interface StartedCompanion {
  /** The administrator's, and there is no other. */
  readonly url: DatabaseUrl;
  /** Whether it was started by this call. */
  readonly started: boolean;
  readonly pid: number;
}

export interface CompanionState {
  readonly state: 'running' | 'stopped' | 'absent';
  readonly pid?: number;
  readonly dataDirectory?: string;
}

interface Host {
  readonly child: ChildProcess;
  log(): Promise<string>;
}

/** Also while this file is run from src, by a test: the host is a program of its own, which Node runs from dist. */
const PROGRAM = path.resolve(__dirname, '..', '..', '..', 'dist', 'postgres', 'companion', 'host.js');
const READY_TIMEOUT_MS = 120_000;
const POLL_MS = 25;
/** An error is told in its last line. */
const LOG_LINES = 1;
/** PGlite hears nothing while it runs a statement; killed, it recovers at the next start. */
const PATIENCE_MS = 10_000;
const KILL_TIMEOUT_MS = 5_000;
const REMOVE_TRIES = 5;
/** What a restore takes to copy its data there, and more. */
const COMMAND_PATIENCE_MS = 120_000;

/**
 * Starts the server of a service whose extensions the embedded one lacks; the one that runs is returned as it is, and of
 * any number of calls at once one starts it.
 * @throws {SuiteError} `COMPANION.…`
 */
export async function startCompanion(options: StartCompanionOptions): Promise<StartedCompanion> {
  const { home, service, database, readyTimeoutMs = READY_TIMEOUT_MS } = options;
  const directory = await makeCompanionDirectory(home, service);
  let host: Host | undefined;
  for (const deadline = Date.now() + readyTimeoutMs; Date.now() < deadline; await sleep(POLL_MS)) {
    const holder = await findHolder(directory);
    const address = await findListening(directory, holder);
    if (address !== undefined) {
      const pid = holder?.pid ?? 0;
      const started = pid === host?.child.pid;
      // One that has not yet seen that it came too late could take over when the other is stopped.
      if (!started) host?.child.kill();
      return { url: addressUrl(address, database, service), started, pid };
    }
    await requireStarting(service, directory, host);
    if (holder === undefined && (host === undefined || hasExited(host))) host = startHost(directory);
  }
  const seconds = readyTimeoutMs / 1000;
  throw notReady(service, logOf(directory), seconds, (await host?.log()) ?? 'It is started by another command.');
}

/**
 * Stops it, waiting until it has ended; false when none was running. A command that works on its data is waited for.
 * @throws {SuiteError} `COMPANION.STOP_FAILED`, `COMPANION.IN_USE`
 */
export async function stopCompanion({ home, service }: CompanionOptions): Promise<boolean> {
  const holder = await awaitHost(service, companionDirectory(home, service));
  if (holder === undefined) return false;
  try {
    process.kill(holder.pid, 'SIGTERM');
    if (await hasEnded(holder, PATIENCE_MS)) return true;
    process.kill(holder.pid, 'SIGKILL');
    if (await hasEnded(holder, KILL_TIMEOUT_MS)) return true;
  } catch (error) {
    if (codeOf(error) === 'ESRCH') return true;
    throw stopFailed(service, holder.pid, error);
  }
  throw stopFailed(service, holder.pid, 'It was killed and has not ended');
}

/** The companion's own process, when no command has its directory any more. */
async function awaitHost(service: string, directory: string): Promise<Holder | undefined> {
  for (const deadline = Date.now() + COMMAND_PATIENCE_MS; ; await sleep(POLL_MS)) {
    const holder = await findHolder(directory);
    if (holder?.kind !== 'command') return holder;
    if (Date.now() > deadline) throw dataInUse(service, holder.pid, COMMAND_PATIENCE_MS / 1_000);
  }
}

/**
 * Stops it and removes its data; false when it had none.
 * @throws {SuiteError} `COMPANION.STOP_FAILED`, `COMPANION.IN_USE`
 */
export async function removeCompanion(options: CompanionOptions): Promise<boolean> {
  const directory = companionDirectory(options.home, options.service);
  if (!existsSync(directory)) return false;
  return whileStopped(options, async (data) => {
    const existed = existsSync(data);
    // Under the name of an unfinished creation, which the next start sweeps if this is killed half-way.
    if (existed) await rename(data, `${data}.new`);
    await rm(`${data}.new`, { recursive: true, force: true });
    return existed;
  });
}

/**
 * Puts another companion's data in the place of this one's, as one step: killed half-way, the next start has the one or
 * the other. Both are stopped.
 * @param kept what the data that was there is called from then on, beside it
 * @returns where it is kept; undefined when there was none
 * @throws {SuiteError} `COMPANION.STOP_FAILED`, `COMPANION.IN_USE`, `COMPANION.HOME_UNUSABLE`
 */
export async function replaceCompanion(
  options: CompanionOptions,
  from: CompanionOptions,
  kept: string,
): Promise<string | undefined> {
  await makeCompanionDirectory(options.home, options.service);
  return whileStopped(from, (source) =>
    whileStopped(options, async (data) => {
      const draft = `${data}.new`;
      await rm(draft, { recursive: true, force: true });
      await cp(source, draft, { recursive: true });
      // From here on it is whole: openDatabase would put it in place if the data were missing.
      await rename(draft, `${data}${RESTORED}`);
      const existed = existsSync(data);
      const keptData = freeName(path.join(path.dirname(data), kept));
      if (existed) await rename(data, keptData);
      await rename(`${data}${RESTORED}`, data);
      return existed ? keptData : undefined;
    }),
  );
}

/**
 * It is this process that has the directory meanwhile: a command which starts the companion at the same time waits, and
 * finds what was made of it.
 */
async function whileStopped<Result>(
  options: CompanionOptions,
  work: (data: string) => Promise<Result>,
): Promise<Result> {
  const directory = companionDirectory(options.home, options.service);
  let claim: string | undefined;
  for (let tries = 0; claim === undefined; tries += 1) {
    if (tries === REMOVE_TRIES) throw stopFailed(options.service, process.pid, 'Others start it again and again');
    await stopCompanion(options);
    claim = await claimDirectory(directory, 'command', async () => false);
  }
  try {
    return await work(path.join(directory, 'data'));
  } finally {
    await releaseClaim(claim);
  }
}

function freeName(directory: string): string {
  for (let number = 1; ; number += 1) {
    const name = number === 1 ? directory : `${directory}_${number}`;
    if (!existsSync(name)) return name;
  }
}

/** Looks at it without starting or creating anything. */
export async function companionState({ home, service }: CompanionOptions): Promise<CompanionState> {
  const directory = companionDirectory(home, service);
  const dataDirectory = path.join(directory, 'data');
  const holder = await findHolder(directory);
  if (holder?.kind === 'host') return { state: 'running', pid: holder.pid, dataDirectory };
  return existsSync(dataDirectory) ? { state: 'stopped', dataDirectory } : { state: 'absent' };
}

/** A socket is its holder's even when that is in another container, where its pid is not known; a port is not. */
async function findListening(directory: string, holder: Holder | undefined): Promise<Address | undefined> {
  const address = await readAddress(directory);
  if (address === undefined || ('port' in address && holder === undefined)) return undefined;
  return (await isListening(address)) ? address : undefined;
}

/** Throws when the host has ended for any other reason than that another one came first. */
async function requireStarting(service: string, directory: string, host: Host | undefined): Promise<void> {
  if (host === undefined || !hasExited(host) || host.child.exitCode === HELD_EXIT_CODE) return;
  const log = await host.log();
  throw NO_SPACE.test(log) ? diskFull(directory, log) : startFailed(service, logOf(directory), log);
}

function hasExited({ child }: Host): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

function startHost(directory: string): Host {
  try {
    const { fd, begin } = openLog(logOf(directory));
    const child = spawn(process.execPath, [PROGRAM, directory], {
      detached: true,
      windowsHide: true,
      stdio: ['ignore', fd, fd],
      cwd: directory,
    });
    closeSync(fd);
    child.on('error', () => undefined);
    child.unref();
    return { child, log: async () => lastLines(await readLog(logOf(directory), begin), LOG_LINES) };
  } catch (error) {
    throw homeUnusable(directory, error);
  }
}

async function makeCompanionDirectory(home: string, service: string): Promise<string> {
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

async function hasEnded({ pid, start }: Holder, timeoutMs: number): Promise<boolean> {
  for (const deadline = Date.now() + timeoutMs; Date.now() < deadline; await sleep(POLL_MS)) {
    if ((await processStart(pid)) !== start) return true;
  }
  return false;
}

function companionDirectory(home: string, service: string): string {
  return path.resolve(home, 'companion', service);
}

function logOf(directory: string): string {
  return path.join(directory, 'server.log');
}
