import { existsSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { type DirectoryIdentity, identityOf } from '../../system/directory-identity';
import { lockDirectory } from '../../system/lock-file';
import { isListening, listenIn, readAddress } from './address';
import { describeFailure } from './database-protocol';
import type { Gateway } from './gateway';
import { idleFileOf, OWNED_EXIT_CODE } from './layout';

/** How often the host checks that its directory is still in place. */
const WATCH_INTERVAL_MS = 1_000;

/** The companion server's process: `node host.js <directory>`. It runs until a signal ends it or its directory is removed. */
async function main(directory: string): Promise<void> {
  process.umask(0o077);
  const lock = await lockDirectory(directory, 'host', async () => isListening(await readAddress(directory)));
  if (lock === undefined) {
    process.exitCode = OWNED_EXIT_CODE;
    return;
  }
  // Loaded only now: a host that finds the directory owned must end fast.
  const [{ openEngine }, { openGateway }] = await Promise.all([import('./engine.js'), import('./gateway.js')]);
  const engine = await openEngine({ directory, log, onChange: (isRunning) => markIdle(directory, !isRunning) });
  const gateway = openGateway(engine, log);
  const address = await listenIn(directory, gateway.server);
  log(`listening on ${'port' in address ? `port ${address.port}` : address.socketDirectory}`);

  const end = endOnce(gateway);
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

/** Lets other processes see, without a connection, that no database is in memory. */
function markIdle(directory: string, isIdle: boolean): void {
  const file = idleFileOf(directory);
  if (isIdle && existsSync(directory)) writeFileSync(file, '');
  else rmSync(file, { force: true });
}

function endOnce(gateway: Gateway): (reason: string) => void {
  let isEnding = false;
  return (reason) => {
    if (isEnding) return;
    isEnding = true;
    log(`ending: ${reason}`);
    gateway.close().then(() => process.exit(0), fail);
  };
}

function fail(error: unknown): void {
  if (error instanceof Error && error.stack !== undefined) log(error.stack);
  log(`ended by an error: ${describeFailure(error)}`);
  process.exit(1);
}

function log(line: string): void {
  process.stdout.write(`${new Date().toISOString()} [${process.pid}] ${line}\n`);
}

process.on('uncaughtException', fail);
process.on('unhandledRejection', fail);
main(path.resolve(process.argv[2] ?? '')).catch(fail);
