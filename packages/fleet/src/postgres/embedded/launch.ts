import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, fchownSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import net from 'node:net';
import path from 'node:path';
import { type Account, asAccount } from './account';
import { type Binaries, serverEnvironment } from './binaries';
import { openLog, readLog } from './log';
import type { Place } from './place';
import { readPidFile } from './postmaster';
import { isPostmasterOf, pidExists } from './process';

/** One attempt to start the server: PostgreSQL's own lock decides which of several attempts at once wins. */
export interface Launch {
  readonly pid: number | undefined;
  /** Whether the attempt is over; a winner never ends. */
  ended(): boolean;
  /** What it wrote into the log. */
  log(): Promise<string>;
}

/** Why an attempt ended. */
export type Verdict = 'contended' | 'port-taken' | 'failed';

/** Below the ports that systems give to outgoing connections: the last used one is then still free at the next start. */
const FIRST_PORT = 20_000;
const PORTS = 10_000;
const PORT_TRIES = 20;

/** Starts a postmaster that outlives this process. */
export async function launch(place: Place, account: Account | undefined, binaries: Binaries): Promise<Launch> {
  const port = await choosePort(place);
  const environment = await lockEnvironment(place);
  const { fd, begin } = openLog(place.log);
  try {
    if (account !== undefined) fchownSync(fd, account.uid, account.gid);
    const options = ['-c', `port=${port}`, '-c', 'listen_addresses=127.0.0.1', '-c', 'unix_socket_directories='];
    const [program, args] = command(place, binaries, options);
    const child = spawn(program, args, {
      detached: true,
      windowsHide: true,
      stdio: ['ignore', fd, fd],
      cwd: place.directory,
      env: { ...serverEnvironment(), ...environment },
      ...asAccount(account),
    });
    return watch(child, place.log, begin);
  } finally {
    closeSync(fd);
  }
}

/** Reads from its log why an attempt ended. */
export function verdictOf(log: string): Verdict {
  if (/lock file "postmaster\.pid" already exists|lock file "postmaster\.pid" is empty/.test(log)) return 'contended';
  // The children of a killed postmaster live on for a moment, and PostgreSQL waits for nobody.
  if (/pre-existing shared memory block/.test(log)) return 'contended';
  if (/could not create any TCP\/IP sockets|could not bind IPv4 address/.test(log)) return 'port-taken';
  return 'failed';
}

/** postgres.exe refuses administrators, whom pg_ctl deprives of their rights first. */
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
    // pg_ctl ends when it has started the server.
    isOver = process.platform !== 'win32' || code !== 0;
  });
  child.unref();
  return {
    pid: child.pid,
    ended: () => isOver || failure !== undefined,
    log: async () => (failure === undefined ? ownLines(await readLog(logFile, begin), child.pid) : failure.message),
  };
}

/** Without the lines of others who started at the same time: each line begins with a time and `[pid]`. */
function ownLines(log: string, pid: number | undefined): string {
  const lines = log.split('\n').filter((line) => {
    const writer = /^\d{4}-\d\d-\d\d [\d:.]+ \S+ \[(\d+)\]/.exec(line)?.[1];
    return process.platform === 'win32' || writer === undefined || Number(writer) === pid;
  });
  return lines.join('\n');
}

/**
 * PostgreSQL takes a leftover postmaster.pid for a running server's when any process of its account has that pid by
 * now, or is a zombie of that pid: likely in a container, where pids are few. It makes an exception for the pid in this
 * variable (meant for its own parent). Removing the file instead could remove that of a server just started by another.
 */
async function lockEnvironment(place: Place): Promise<NodeJS.ProcessEnv> {
  const found = await readPidFile(place);
  if (process.platform === 'win32' || found === undefined || !pidExists(found.pid)) return {};
  return (await isPostmasterOf(found.pid, place.data)) ? {} : { PG_GRANDPARENT_PID: String(found.pid) };
}

/** The port of the last start, so that URLs stay good; else any free one. */
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
