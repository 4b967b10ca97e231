import { type ChildProcess, spawn } from 'node:child_process';
import { fchownSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import net from 'node:net';
import path from 'node:path';
import { readLog, withLog } from '../../system/logs';
import { pidExists, runsIn } from '../../system/processes';
import { type Account, asAccount } from './account';
import type { Binaries } from './binaries';
import type { Place } from './place';
import { readPidFile } from './postmaster';

/** One attempt to start the server. PostgreSQL's own lock decides which of several attempts at once succeeds. */
export interface Launch {
  readonly pid: number | undefined;
  /** Whether the attempt has failed; a successful one never ends. */
  ended(): boolean;
  /** The lines that this attempt wrote to the log. */
  log(): Promise<string>;
}

/** Why an attempt ended. */
export type Verdict = 'contended' | 'port-taken' | 'failed';

/** Systems give higher ports to outgoing connections, so a port in this range is still free at the next start. */
const FIRST_PORT = 20_000;
const PORTS = 10_000;
const PORT_TRIES = 20;

/** Starts a postmaster that outlives this process. */
export async function launch(place: Place, account: Account | undefined, binaries: Binaries): Promise<Launch> {
  const port = await choosePort(place);
  const environment = await lockEnvironment(place);
  return withLog(place.log, ({ fd, begin }) => {
    if (account !== undefined) fchownSync(fd, account.uid, account.gid);
    const options = ['-c', `port=${port}`, '-c', 'listen_addresses=127.0.0.1', '-c', 'unix_socket_directories='];
    const [program, args] = command(place, binaries, options);
    const child = spawn(program, args, {
      detached: true,
      windowsHide: true,
      stdio: ['ignore', fd, fd],
      cwd: place.directory,
      env: { ...binaries.environment, ...environment },
      ...asAccount(account),
    });
    return watch(child, place.log, begin);
  });
}

/** Reads in its log why an attempt ended. */
export function verdictOf(log: string): Verdict {
  if (/lock file "postmaster\.pid" already exists|lock file "postmaster\.pid" is empty/.test(log)) return 'contended';
  // The children of a killed postmaster live a moment longer, and PostgreSQL does not wait for them.
  if (/pre-existing shared memory block/.test(log)) return 'contended';
  if (/could not create any TCP\/IP sockets|could not bind IPv4 address/.test(log)) return 'port-taken';
  return 'failed';
}

/** On Windows postgres.exe refuses to run as an administrator, so pg_ctl starts it with reduced rights. */
function command(place: Place, binaries: Binaries, options: readonly string[]): [string, string[]] {
  if (process.platform !== 'win32') return [binaries.postgres, ['-D', place.data, ...options]];
  return [binaries.pgCtl, ['start', '-W', '-D', place.data, '-o', options.map((option) => `"${option}"`).join(' ')]];
}

function watch(child: ChildProcess, logFile: string, begin: number): Launch {
  let failure: Error | undefined;
  let isOver = false;
  child.on('error', (error) => {
    failure = error;
  });
  child.on('exit', (code) => {
    // pg_ctl ends with 0 when it has started the server.
    isOver = process.platform !== 'win32' || code !== 0;
  });
  child.unref();
  return {
    pid: child.pid,
    ended: () => isOver || failure !== undefined,
    log: async () => (failure === undefined ? ownLines(await readLog(logFile, begin), child.pid) : failure.message),
  };
}

/** Leaves out the lines of other attempts at the same time. Each line begins with a time and `[pid]`. */
function ownLines(log: string, pid: number | undefined): string {
  const lines = log.split('\n').filter((line) => {
    const writer = /^\d{4}-\d\d-\d\d [\d:.]+ \S+ \[(\d+)\]/.exec(line)?.[1];
    return process.platform === 'win32' || writer === undefined || Number(writer) === pid;
  });
  return lines.join('\n');
}

/**
 * PostgreSQL takes a stale postmaster.pid for a running server's when any process of its account, or a zombie, has that
 * pid now. That is likely in a container, where pids are few. PostgreSQL ignores the pid in this variable, which is meant
 * for its own parent. Removing the file instead could remove the file of a server that another command just started.
 */
async function lockEnvironment(place: Place): Promise<Record<string, string>> {
  const found = await readPidFile(place);
  if (process.platform === 'win32' || found === undefined || !pidExists(found.pid)) return {};
  return (await runsIn(found.pid, place.data)) ? {} : { PG_GRANDPARENT_PID: String(found.pid) };
}

/** The port of the last start, so that URLs stay valid; otherwise any free port. */
async function choosePort(place: Place): Promise<number> {
  const opts = await readFile(path.join(place.data, 'postmaster.opts'), 'utf8').catch(() => '');
  const last = Number(/"port=(\d+)"/.exec(opts)?.[1] ?? 0);
  if (last > 0 && (await listenOn(last)) !== undefined) return last;
  for (let tries = 0; tries < PORT_TRIES; tries += 1) {
    const port = await listenOn(FIRST_PORT + Math.floor(Math.random() * PORTS));
    if (port !== undefined) return port;
  }
  return (await listenOn(0)) ?? FIRST_PORT;
}

function listenOn(port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const server = net.createServer();
    server.once('error', () => resolve(undefined));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : undefined));
    });
  });
}
