import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { pipeline } from 'node:stream/promises';
import { type DatabaseUrl, SuiteError } from '@azora/db-core';

type Program = 'pg_dump' | 'pg_restore';

/**
 * Makes sure that this machine's pg_dump can read a server of this version.
 * @throws {SuiteError} `BACKUP.NO_PG_DUMP`
 */
export async function requirePgDump(serverVersion: string): Promise<void> {
  const version = await versionOf('pg_dump');
  if (version === undefined) throw noPgDump('There is no program pg_dump on the PATH.', serverVersion);
  if (Number.parseInt(version, 10) >= Number.parseInt(serverVersion, 10)) return;
  throw noPgDump(`pg_dump is of PostgreSQL ${version} and reads no newer server.`, serverVersion);
}

/**
 * What pg_dump writes of a database, in its custom format, in the state of a snapshot that another session exported.
 * @throws {SuiteError} `BACKUP.PG_DUMP_FAILED`
 */
export async function* pgDump(
  url: DatabaseUrl,
  snapshot: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<Buffer> {
  const args = ['--format=custom', '--no-owner', '--no-privileges', `--snapshot=${snapshot}`];
  const { child, ended } = start('pg_dump', args, url, signal);
  yield* child.stdout ?? [];
  const failure = await ended;
  if (failure === undefined) return;
  throw new SuiteError('BACKUP.PG_DUMP_FAILED', `pg_dump could not store ${url.database}`, {
    why: failure,
    next: 'Put right what it names, or back up without --format pg_dump',
  });
}

/**
 * Loads the rows of an archive of pg_dump into tables that are there and empty.
 * @throws {SuiteError} `RESTORE.PG_RESTORE_FAILED`
 */
export async function pgRestoreRows(
  url: DatabaseUrl,
  archive: AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
): Promise<void> {
  if ((await versionOf('pg_restore')) === undefined) throw restoreFailed('There is no program pg_restore on the PATH.');
  const args = ['--section=data', '--exit-on-error', '--single-transaction'];
  const { child, ended } = start('pg_restore', args, url, signal);
  // When it ends early, writing fails with EPIPE; what it says is the reason.
  const [end, written] = await Promise.allSettled([ended, child.stdin && pipeline(archive, child.stdin)]);
  if (end.status === 'rejected') throw end.reason;
  if (end.value !== undefined) throw restoreFailed(end.value);
  if (written.status === 'rejected') throw written.reason;
}

function start(program: Program, args: readonly string[], url: DatabaseUrl, signal: AbortSignal | undefined) {
  const { address, password } = withoutPassword(url);
  const child = spawn(program, [...args, '--no-password', `--dbname=${address}`], {
    // A list of processes shows arguments; the environment is its owner's.
    env: { ...process.env, PGPASSWORD: password, LC_ALL: 'C' },
    stdio: program === 'pg_dump' ? ['ignore', 'pipe', 'pipe'] : ['pipe', 'ignore', 'pipe'],
    signal,
  });
  const ended = endOf(child);
  // It is awaited when the other end of the pipe has ended.
  ended.catch(() => undefined);
  return { child, ended };
}

/** Undefined when all went well, else what the program said last. */
async function endOf(child: ChildProcess): Promise<string | undefined> {
  const said: Buffer[] = [];
  child.stderr?.on('data', (chunk: Buffer) => said.push(chunk));
  const [code, killedBy] = await once(child, 'close');
  if (code === 0) return undefined;
  const last = Buffer.concat(said).toString().trim().split('\n').at(-1) ?? '';
  return last === '' ? `It ended with ${String(killedBy ?? code)}.` : last;
}

function withoutPassword(url: DatabaseUrl): { readonly address: string; readonly password: string } {
  const address = new URL(url.href);
  const password = decodeURIComponent(address.password);
  address.password = '';
  return { address: address.href, password };
}

async function versionOf(program: Program): Promise<string | undefined> {
  const child = spawn(program, ['--version'], { env: process.env, stdio: ['ignore', 'pipe', 'ignore'] });
  const said: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => said.push(chunk));
  const [code] = await once(child, 'close').catch(() => [undefined]);
  return code === 0 ? /\d+(\.\d+)?/.exec(Buffer.concat(said).toString())?.[0] : undefined;
}

function noPgDump(why: string, serverVersion: string): SuiteError {
  return new SuiteError('BACKUP.NO_PG_DUMP', 'There is no pg_dump that can read this server', {
    kind: 'configuration',
    why,
    next: `Install the client programs of PostgreSQL ${Number.parseInt(serverVersion, 10)} or newer, or back up without --format pg_dump, which needs none`,
    meta: { serverVersion },
  });
}

function restoreFailed(why: string): SuiteError {
  return new SuiteError('RESTORE.PG_RESTORE_FAILED', 'pg_restore could not load the rows of the set', {
    why,
    next: 'Install the client programs of the version that wrote the set, or newer; the live database is as it was',
  });
}
