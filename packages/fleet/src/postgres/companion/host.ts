import { existsSync, statSync } from 'node:fs';
import path from 'node:path';
import type { PGlite } from '@electric-sql/pglite';
import { type DirectoryIdentity, identityOf } from '../../system/directory-identity';
import { lockDirectory } from '../../system/lock-file';
import { isListening, listenIn, readAddress } from './address';
import type { Gateway } from './gateway';
import { OWNED_EXIT_CODE } from './layout';

/** How often the host checks that its directory is still in place. */
const WATCH_INTERVAL_MS = 1_000;
/** The number of ENOSPC in WebAssembly's system interface. */
const NO_SPACE_ERRNO = 51;

/** The companion server's process: `node host.js <directory>`. It runs until a signal ends it or its directory is removed. */
async function main(directory: string): Promise<void> {
  process.umask(0o077);
  const lock = await lockDirectory(directory, 'host', async () => isListening(await readAddress(directory)));
  if (lock === undefined) {
    process.exitCode = OWNED_EXIT_CODE;
    return;
  }
  // Loaded only now: a host that finds the directory owned must end fast.
  const [{ openDatabase }, { openGateway }] = await Promise.all([import('./database.js'), import('./gateway.js')]);
  const database = await openDatabase(directory, log);
  const gateway = await openGateway(database, fail);
  const address = await listenIn(directory, gateway.server);
  log(`listening on ${'port' in address ? `port ${address.port}` : address.socketDirectory}`);

  const end = endOnce(database, gateway);
  const identity = await identityOf(directory);
  const endIfGone = (): void => {
    if (existsSync(lock) && isInPlace(identity)) return;
    // PGlite opens files by path, and a new directory of the same name may belong to another process. Nothing may be
    // written there, so the database is not closed: the next start of a moved directory recovers it.
    log('ending: the directory was moved or removed');
    process.exit(0);
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      endIfGone();
      end(signal);
    });
  }
  setInterval(endIfGone, WATCH_INTERVAL_MS);
}

function isInPlace({ path: directory, inode }: DirectoryIdentity): boolean {
  return String(statSync(directory, { bigint: true, throwIfNoEntry: false })?.ino) === inode;
}

function endOnce(database: PGlite, gateway: Gateway): (reason: string) => void {
  let isEnding = false;
  return (reason) => {
    if (isEnding) return;
    isEnding = true;
    log(`ending: ${reason}`);
    gateway
      .close()
      .then(() => database.close())
      .then(() => process.exit(0), fail);
  };
}

function fail(error: unknown): void {
  if (error instanceof Error && error.stack !== undefined) log(error.stack);
  log(`ended by an error: ${describe(error)}`);
  process.exit(1);
}

/** PGlite's file system throws objects with a number, not errors. */
function describe(error: unknown): string {
  if (error instanceof Error) return error.message.split('\n')[0] ?? error.name;
  const isFull = typeof error === 'object' && error !== null && 'errno' in error && error.errno === NO_SPACE_ERRNO;
  return isFull ? 'No space left on device' : JSON.stringify(error);
}

function log(line: string): void {
  process.stdout.write(`${new Date().toISOString()} [${process.pid}] ${line}\n`);
}

process.on('uncaughtException', fail);
process.on('unhandledRejection', fail);
main(path.resolve(process.argv[2] ?? '')).catch(fail);
