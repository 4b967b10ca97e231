import { existsSync } from 'node:fs';
import path from 'node:path';
import type { PGlite } from '@electric-sql/pglite';
import { isListening, listenIn, readAddress } from './address';
import { claimDirectory } from './claim';
import { HELD_EXIT_CODE } from './exit-codes';
import type { Gateway } from './gateway';

/** How often the host looks whether the directory is still there and its own. */
const WATCH_MS = 5_000;

/** The companion server's process: `node host.js <directory>`. It runs until it is told to end or its directory goes. */
async function main(directory: string): Promise<void> {
  process.umask(0o077);
  const claim = await claimDirectory(directory, async () => isListening(await readAddress(directory)));
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
    if (!existsSync(claim)) end('the directory is gone');
  }, WATCH_MS).unref();
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
  log(error instanceof Error ? (error.stack ?? error.message) : JSON.stringify(error));
  process.exit(1);
}

function log(line: string): void {
  process.stdout.write(`${new Date().toISOString()} [${process.pid}] ${line}\n`);
}

process.on('uncaughtException', fail);
process.on('unhandledRejection', fail);
main(path.resolve(process.argv[2] ?? '')).catch(fail);
