import { existsSync } from 'node:fs';
import path from 'node:path';
import type { PGlite } from '@electric-sql/pglite';
import { isListening, listenIn, readAddress } from './address';
import { claimDirectory } from './claim';
import { HELD_EXIT_CODE } from './exit-codes';
import type { Gateway } from './gateway';

/** How often the host looks whether the directory is still there and its own. */
const WATCH_MS = 5_000;
/** ENOSPC, as WebAssembly's system interface numbers it. */
const NO_SPACE_ERRNO = 51;

/** The companion server's process: `node host.js <directory>`. It runs until it is told to end or its directory goes. */
async function main(directory: string): Promise<void> {
  process.umask(0o077);
  const claim = await claimDirectory(directory, 'host', async () => isListening(await readAddress(directory)));
  if (claim === undefined) {
    process.exitCode = HELD_EXIT_CODE;
    return;
  }
  // Loaded only now: who finds the directory taken is to end fast.
  const [{ openDatabase }, { openGateway }] = await Promise.all([import('./database.js'), import('./gateway.js')]);
  const database = await openDatabase(directory, log);
  const gateway = await openGateway(database, fail);
  const address = await listenIn(directory, gateway.server);
  log(`listening on ${'port' in address ? `port ${address.port}` : address.socketDirectory}`);

  const end = endOnce(database, gateway);
  process.on('SIGTERM', () => end('SIGTERM'));
  process.on('SIGINT', () => end('SIGINT'));
  setInterval(() => {
    if (existsSync(claim)) return;
    // There is nothing to close any more, and what is there by now may be another's.
    log('ending: the directory is gone');
    process.exit(0);
  }, WATCH_MS);
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

/** The file system of PGlite throws numbers. */
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
