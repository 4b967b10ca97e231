import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { pipeline } from 'node:stream/promises';
import { type DatabaseUrl, SuiteError } from '@azora/db-core';
import { childEnvironment, type Environment } from '../../system/child-environment';
import { killAtExit, OWN_GROUP, ProgramError, runProgram } from '../../system/children';
import { codeOf, reasonOf } from '../../system/system-errors';

type Program = 'pg_dump' | 'pg_restore';

export interface ProgramOptions {
  /** Says where the programs are. They see only what every child process needs. */
  readonly environment: Environment;
  readonly signal: AbortSignal | undefined;
}

/**
 * Makes sure that the pg_dump of this machine can read a server of this version.
 * @throws {SuiteError} `BACKUP.NO_PG_DUMP`
 */
export async function requirePgDump(serverVersion: string, environment: Environment): Promise<void> {
  const major = Number.parseInt(serverVersion, 10);
  const refuse = (why: string) =>
    new SuiteError('BACKUP.NO_PG_DUMP', 'No installed pg_dump can read this server', {
      kind: 'configuration',
      why,
      next: `Install the client programs of PostgreSQL ${major} or newer, or back up without --format pg_dump, which needs none`,
      meta: { serverVersion },
    });
  const found = await versionOf('pg_dump', environment);
  if ('missing' in found) throw refuse(found.missing);
  if (Number.parseInt(found.version, 10) < major) {
    throw refuse(`pg_dump ${found.version} cannot read a server of PostgreSQL ${major}.`);
  }
}

/**
 * Backs up a database in pg_dump's custom format, in the state of a snapshot that another session exported.
 * @throws {SuiteError} `BACKUP.PG_DUMP_FAILED`
 */
export async function* pgDump(url: DatabaseUrl, snapshot: string, options: ProgramOptions): AsyncGenerator<Buffer> {
  const args = ['--format=custom', '--no-owner', '--no-privileges', `--snapshot=${snapshot}`];
  const { child, ended } = start('pg_dump', args, url, options);
  yield* child.stdout ?? [];
  const failure = await ended;
  if (failure === undefined) return;
  throw new SuiteError('BACKUP.PG_DUMP_FAILED', `pg_dump failed for the database ${url.database}`, {
    why: failure,
    next: 'Correct the cause, or back up without --format pg_dump',
  });
}

/**
 * Loads the rows of a pg_dump archive into existing, empty tables.
 * @throws {SuiteError} `RESTORE.NO_PG_RESTORE`, `RESTORE.PG_RESTORE_FAILED`
 */
export async function pgRestoreRows(
  url: DatabaseUrl,
  archive: AsyncIterable<Uint8Array>,
  options: ProgramOptions,
): Promise<void> {
  const found = await versionOf('pg_restore', options.environment);
  if ('missing' in found) {
    throw new SuiteError('RESTORE.NO_PG_RESTORE', 'pg_restore is not installed', {
      kind: 'configuration',
      why: found.missing,
      next: 'Install the PostgreSQL client programs of the version that wrote the set, or newer; the live databases are unchanged',
    });
  }
  const args = ['--section=data', '--exit-on-error', '--single-transaction'];
  const { child, ended } = start('pg_restore', args, url, options);
  // When pg_restore ends early, writing fails with EPIPE, and the reason is in its output.
  const [end, written] = await Promise.allSettled([ended, child.stdin && pipeline(archive, child.stdin)]);
  if (end.status === 'rejected') throw end.reason;
  if (end.value !== undefined) {
    throw new SuiteError('RESTORE.PG_RESTORE_FAILED', 'pg_restore could not load the rows of the backup set', {
      why: end.value,
      next: 'Install the PostgreSQL client programs of the version that wrote the set, or newer; the live databases are unchanged',
    });
  }
  if (written.status === 'rejected') throw written.reason;
}

function start(program: Program, args: readonly string[], url: DatabaseUrl, { environment, signal }: ProgramOptions) {
  const { address, password } = withoutPassword(url);
  const child = spawn(program, [...args, '--no-password', `--dbname=${address}`], {
    // Every user can read the arguments of a process, and only its owner the environment.
    env: childEnvironment(environment, { PGPASSWORD: password, LC_ALL: 'C' }),
    stdio: program === 'pg_dump' ? ['ignore', 'pipe', 'pipe'] : ['pipe', 'ignore', 'pipe'],
    signal,
    ...OWN_GROUP,
  });
  killAtExit(child);
  const ended = endOf(child);
  // The callers await it only after the pipe has ended; until then a rejection must not end this process.
  ended.catch(() => undefined);
  return { child, ended };
}

/** Undefined for success, otherwise the last line of the program's output. */
async function endOf(child: ChildProcess): Promise<string | undefined> {
  const output: Buffer[] = [];
  child.stderr?.on('data', (chunk: Buffer) => output.push(chunk));
  const [code, killedBy] = await once(child, 'close');
  if (code === 0) return undefined;
  const last = Buffer.concat(output).toString().trim().split('\n').at(-1) ?? '';
  return last === '' ? `It ended with ${String(killedBy ?? code)}.` : last;
}

function withoutPassword(url: DatabaseUrl): { readonly address: string; readonly password: string } {
  const address = new URL(url.href);
  const password = decodeURIComponent(address.password);
  address.password = '';
  return { address: address.href, password };
}

/** The version, or a sentence that says why the program cannot be used. */
async function versionOf(
  program: Program,
  environment: Environment,
): Promise<{ readonly version: string } | { readonly missing: string }> {
  try {
    const { stdout } = await runProgram(program, ['--version'], {
      env: childEnvironment(environment, { LC_ALL: 'C' }),
    });
    const version = /\d+(\.\d+)?/.exec(stdout)?.[0];
    return version === undefined ? { missing: `"${program} --version" printed no version.` } : { version };
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return { missing: `There is no ${program} on the PATH.` };
    if (error instanceof ProgramError) return { missing: `"${program} --version" failed.` };
    return { missing: `${program} cannot be run: ${reasonOf(error)}.` };
  }
}
