import { existsSync } from 'node:fs';
import { readFile, realpath } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type DatabaseUrl, parseDatabaseUrl, SuiteError } from '@azora/db-core';
import { withClient } from '@azora/db-migrate';
import { runProgram } from '../../system/children';
import { processStart, runsIn } from '../../system/processes';
import { codeOf, reasonOf } from '../../system/system-errors';
import { usableBinaries } from './binaries';
import { readPassword } from './cluster';
import { stopFailed, wrongPassword } from './errors';
import type { Place } from './place';

/** The content of `postmaster.pid`. A killed server leaves the file behind, so it proves nothing. */
export interface PidFile {
  readonly pid: number;
  readonly port: number;
  /** Whether the server says that it accepts connections: not while it starts, recovers or stops. */
  readonly isReady: boolean;
}

/** A running server that is proven to be the one of its place. */
export interface Postmaster extends PidFile {
  readonly url: DatabaseUrl;
  /** 18.4 */
  readonly version: string;
  /** Whether its files have other paths than at its start: it cannot read its configuration or load an extension. */
  readonly isMoved: boolean;
}

const WRONG_PASSWORD = '28P01';
const PID_LINE = 0;
const PORT_LINE = 3;
const STATUS_LINE = 7;
const STOP_TIMEOUT_MS = 60_000;
const POLL_MS = 25;

export async function readPidFile(place: Place): Promise<PidFile | undefined> {
  const text = await readFile(path.join(place.data, 'postmaster.pid'), 'utf8').catch(() => '');
  const lines = text.split('\n');
  const [pid, port] = [Number(lines[PID_LINE]), Number(lines[PORT_LINE])];
  return pid > 0 && port > 0 ? { pid, port, isReady: lines[STATUS_LINE]?.trim() === 'ready' } : undefined;
}

/**
 * The running server. Two facts prove that it is the one of this place: it accepts the password, and the
 * `postmaster.pid` in its own data directory is the file that was found here. Undefined also while it starts or recovers.
 * @throws {SuiteError} `EMBEDDED.NO_PASSWORD`, `EMBEDDED.WRONG_PASSWORD`
 */
export async function findPostmaster(place: Place): Promise<Postmaster | undefined> {
  const found = await readPidFile(place);
  if (found === undefined || !found.isReady) return undefined;
  // A postmaster's working directory is its data directory, also after the checkout was moved. Another program that
  // listens on the port of a killed server must not be sent the password.
  if (!(await runsIn(found.pid, place.data))) return undefined;
  const password = await readPassword(place);
  const href = `postgresql://postgres:${encodeURIComponent(password)}@127.0.0.1:${found.port}/postgres`;
  const url = parseDatabaseUrl(href, 'the embedded server');
  try {
    return await withClient(url, async (client) => {
      const { rows } = await client.query<{ pid: string; version: string; data: string; share: string }>(
        `SELECT split_part(pg_read_file('postmaster.pid'), E'\\n', 1) AS pid, current_setting('server_version') AS version,
                current_setting('data_directory') AS data,
                (SELECT setting FROM pg_config WHERE name = 'SHAREDIR') AS share`,
      );
      const [row] = rows;
      if (row === undefined || Number(row.pid) !== found.pid) return undefined;
      const isMoved = !(await isSamePath(row.data, place.data)) || !existsSync(row.share);
      return { ...found, url, version: row.version, isMoved };
    });
  } catch (error) {
    const isWrongPassword = error instanceof SuiteError && error.meta['sqlState'] === WRONG_PASSWORD;
    if (isWrongPassword) throw wrongPassword(place.password, found.pid);
    return undefined;
  }
}

async function isSamePath(one: string, other: string): Promise<boolean> {
  const real = await realpath(one).catch(() => undefined);
  return real !== undefined && real === (await realpath(other));
}

/** The pid of the place's server, also while it starts, stops or recovers and accepts no connections. */
export async function runningPid(place: Place): Promise<number | undefined> {
  const found = await readPidFile(place);
  if (found === undefined) return undefined;
  if (process.platform === 'win32') return (await findPostmaster(place))?.pid;
  return (await runsIn(found.pid, place.data)) ? found.pid : undefined;
}

/**
 * Stops the place's server and waits until it has ended; false when none was running.
 * @throws {SuiteError} `EMBEDDED.STOP_FAILED`
 */
export async function stopPlace(place: Place): Promise<boolean> {
  const pid = await runningPid(place);
  if (pid === undefined) return false;
  await stopPostmaster(place, pid);
  return true;
}

/**
 * Stops this process of the place's server, and no later one, and waits until it has ended.
 * @throws {SuiteError} `EMBEDDED.STOP_FAILED`
 */
export async function stopPostmaster(place: Place, pid: number): Promise<void> {
  const start = await processStart(pid);
  if (start === undefined || (await runningPid(place)) !== pid) return;
  await requestFastShutdown(place, pid);
  for (const deadline = Date.now() + STOP_TIMEOUT_MS; Date.now() < deadline; await sleep(POLL_MS)) {
    if ((await processStart(pid)) !== start) return;
  }
  throw stopFailed(pid, `It received the signal to stop, and has not ended within ${STOP_TIMEOUT_MS / 1000} s`);
}

/** PostgreSQL's fast shutdown: ends all sessions and writes everything to the disk. */
async function requestFastShutdown(place: Place, pid: number): Promise<void> {
  try {
    if (process.platform === 'win32') {
      const { pgCtl, environment } = await usableBinaries(place.base, undefined);
      await runProgram(pgCtl, ['stop', '-D', place.data, '-m', 'fast', '-W'], { env: environment });
    } else process.kill(pid, 'SIGINT');
  } catch (error) {
    if (codeOf(error) === 'ESRCH') return;
    throw stopFailed(pid, reasonOf(error));
  }
}
