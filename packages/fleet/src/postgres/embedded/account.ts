import { execFile, type SpawnOptions } from 'node:child_process';
import { chown } from 'node:fs/promises';
import { promisify } from 'node:util';
import { codeOf, noAccount, reasonOf } from './errors';

const run = promisify(execFile);

/** The account that runs the server where the command itself is run by root. */
export interface Account {
  readonly uid: number;
  readonly gid: number;
}

/** In this order: an installed PostgreSQL brings the first, every system has the second. */
const ACCOUNTS = ['postgres', 'nobody'];

/** PostgreSQL refuses to run as root, and only as root is there a choice. */
export function isRoot(): boolean {
  return process.getuid?.() === 0;
}

/**
 * Who is to own a new server: an account without rights for root, otherwise (undefined) whoever runs the command.
 * @throws {SuiteError} `EMBEDDED.NO_ACCOUNT`
 */
export async function newAccount(): Promise<Account | undefined> {
  if (!isRoot()) return undefined;
  for (const name of ACCOUNTS) {
    const account = await findAccount(name);
    if (account !== undefined && account.uid !== 0) return account;
  }
  throw noAccount(`there is neither an account ${ACCOUNTS.join(' nor ')}`);
}

/** By `id`, not from /etc/passwd, which does not hold all accounts on macOS or with a directory service. */
async function findAccount(name: string): Promise<Account | undefined> {
  try {
    const [uid, gid] = await Promise.all(
      ['-u', '-g'].map(async (flag) => Number((await run('id', [flag, name])).stdout)),
    );
    return uid === undefined || gid === undefined || Number.isNaN(uid + gid) ? undefined : { uid, gid };
  } catch {
    return undefined;
  }
}

/** The options that make a child run as the account; macOS counts some of its accounts from below zero. */
export function asAccount(account: Account | undefined): Pick<SpawnOptions, 'uid' | 'gid'> {
  return account === undefined ? {} : { uid: account.uid | 0, gid: account.gid | 0 };
}

/** Makes the account the owner of what was created for it. */
export async function giveTo(account: Account | undefined, ...paths: readonly string[]): Promise<void> {
  if (account === undefined) return;
  try {
    await Promise.all(paths.map((path) => chown(path, account.uid, account.gid)));
  } catch (error) {
    throw noAccount(reasonOf(error));
  }
}

/** Whether the account can enter the directory: asked of the kernel, by entering it as that account. */
export async function canEnter(account: Account, directory: string): Promise<boolean> {
  try {
    await run('/bin/sh', ['-c', 'cd "$1"', 'sh', directory], { cwd: '/', ...asAccount(account) });
    return true;
  } catch (error) {
    // The shell's own exit code is a no; whatever else failed is that no program can be run as this account.
    if (typeof codeOf(error) === 'number') return false;
    throw noAccount(reasonOf(error));
  }
}
