import type { SpawnOptions } from 'node:child_process';
import { chown } from 'node:fs/promises';
import { childEnvironment, type Environment } from '../../system/child-environment';
import { runProgram } from '../../system/children';
import { codeOf, reasonOf } from '../../system/system-errors';
import { noAccount } from './errors';

/** The account that runs the server when root runs the command. */
export interface Account {
  readonly uid: number;
  readonly gid: number;
}

/** In order of preference: a PostgreSQL package creates the first, every system has the second. */
const ACCOUNTS = ['postgres', 'nobody'];

/** PostgreSQL refuses to run as root, and only root can run a program as another account. */
export function isRoot(): boolean {
  return process.getuid?.() === 0;
}

/**
 * The owner of a new server: an unprivileged account when root runs the command, otherwise undefined, which stands for
 * the user of the command.
 * @throws {SuiteError} `EMBEDDED.NO_ACCOUNT`
 */
export async function newAccount(environment: Environment = {}): Promise<Account | undefined> {
  if (!isRoot()) return undefined;
  for (const name of ACCOUNTS) {
    const account = await findAccount(name, environment);
    if (account !== undefined && account.uid !== 0) return account;
  }
  throw noAccount(`this system has no account named ${ACCOUNTS.join(' or ')}`);
}

/** Asks `id` because /etc/passwd lacks accounts of macOS and of directory services. */
async function findAccount(name: string, environment: Environment): Promise<Account | undefined> {
  const options = { env: childEnvironment(environment) };
  try {
    const [uid, gid] = await Promise.all(
      ['-u', '-g'].map(async (flag) => Number((await runProgram('id', [flag, name], options)).stdout)),
    );
    return uid === undefined || gid === undefined || Number.isNaN(uid + gid) ? undefined : { uid, gid };
  } catch {
    return undefined;
  }
}

/** The options that start a child process as the account. Some accounts of macOS have negative numbers. */
export function asAccount(account: Account | undefined): Pick<SpawnOptions, 'uid' | 'gid'> {
  return account === undefined ? {} : { uid: account.uid | 0, gid: account.gid | 0 };
}

/**
 * Makes the account the owner of these files.
 * @throws {SuiteError} `EMBEDDED.NO_ACCOUNT`
 */
export async function giveTo(account: Account | undefined, ...paths: readonly string[]): Promise<void> {
  if (account === undefined) return;
  try {
    await Promise.all(paths.map((path) => chown(path, account.uid, account.gid)));
  } catch (error) {
    throw noAccount(reasonOf(error));
  }
}

/**
 * Makes the account the owner of a directory with everything in it.
 * @throws {SuiteError} `EMBEDDED.NO_ACCOUNT`
 */
export async function giveTree(account: Account, directory: string): Promise<void> {
  try {
    await runProgram('chown', ['-R', '-h', `${account.uid}:${account.gid}`, directory], {
      env: childEnvironment({}, PATHS),
    });
  } catch (error) {
    throw noAccount(reasonOf(error));
  }
}

const PATHS = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' };

/**
 * Whether the account can enter the directory. The kernel decides: a shell enters the directory as that account.
 * @throws {SuiteError} `EMBEDDED.NO_ACCOUNT` when no program can run as the account
 */
export async function canEnter(account: Account, directory: string): Promise<boolean> {
  const options = { cwd: '/', env: childEnvironment({}), ...asAccount(account) };
  try {
    await runProgram('/bin/sh', ['-c', 'cd "$1"', 'sh', directory], options);
    return true;
  } catch (error) {
    // A number is the exit code of the shell, which could not enter. Any other failure is about the account.
    if (typeof codeOf(error) === 'number') return false;
    throw noAccount(reasonOf(error));
  }
}
