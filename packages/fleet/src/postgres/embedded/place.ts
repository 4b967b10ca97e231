import { createHash } from 'node:crypto';
import { chmod, readdir, readFile, realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { makeDirectory, replaceFile } from '../../system/atomic-files';
import {
  type DirectoryIdentity,
  identityOf,
  identityText,
  isSameDirectory,
  parseIdentity,
  stillExists,
} from '../../system/directory-identity';
import { isFileError } from '../../system/system-errors';
import { type Account, canEnter, giveTo, giveTree, isRoot, newAccount } from './account';
import { foreignData, homeUnusable } from './errors';

/** The files of one embedded server. */
export interface Place {
  /** Contains all other files, and whatever else the server's account must reach. */
  readonly base: string;
  /** Created by a rename, so it never contains half a server. */
  readonly directory: string;
  readonly data: string;
  readonly password: string;
  readonly log: string;
}

/** Contains the servers of root whose account cannot reach the home. It survives a reboot. */
const SYSTEM_DIRECTORY = '/var/lib/azora';
const POINTER = 'embedded.location';
const HASH_LENGTH = 16;
/** Names the home to which the server belongs. A checkout is moved or copied with its home, and two homes must not share a server. */
export const OWNER = 'owner';
/** The names of files that the suite creates in a home. */
const OURS = /^(credentials\.json|companion$|embedded|binaries-|pitr$)/;

export function placeIn(base: string): Place {
  const directory = path.join(base, 'embedded');
  return {
    base,
    directory,
    data: path.join(directory, 'data'),
    password: path.join(directory, 'password'),
    log: path.join(directory, 'server.log'),
  };
}

/**
 * The place of the home's server, whether or not it exists.
 * @throws {SuiteError} `EMBEDDED.HOME_UNUSABLE`
 */
export async function locatePlace(home: string): Promise<Place> {
  const pointer = await readFile(path.join(home, POINTER), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw homeUnusable(home, error);
  });
  if (pointer.trim() !== '') {
    const place = placeIn(pointer.trim());
    // A copied checkout has the pointer of the original.
    if (!(await belongsToOther(place, home))) return place;
  }
  return placeIn(await realpath(home).catch(() => home));
}

/** Whether the server in the place belongs to another home, which still exists. */
async function belongsToOther(place: Place, home: string): Promise<boolean> {
  const owner = await readOwner(place);
  if (owner === undefined || isSameDirectory(owner, await identityOf(home))) return false;
  return stillExists(owner);
}

/** The home to which the server belongs; undefined when it was not recorded. */
export async function readOwner({ directory }: Place): Promise<DirectoryIdentity | undefined> {
  return parseIdentity(await readFile(path.join(directory, OWNER), 'utf8').catch(() => ''));
}

/**
 * The place of the home's server; undefined when it was never created.
 * @throws {SuiteError} `EMBEDDED.HOME_UNUSABLE`, `EMBEDDED.FOREIGN_DATA`
 */
export async function findPlace(home: string): Promise<Place | undefined> {
  const place = await locatePlace(home);
  const found = await stat(place.data).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error.code === 'EACCES' ? foreignData(place.directory) : homeUnusable(home, error);
  });
  return found === undefined ? undefined : place;
}

/**
 * The account that owns the server's data and must run it. Undefined stands for the user of the command.
 * @throws {SuiteError} `EMBEDDED.FOREIGN_DATA`, `EMBEDDED.NO_ACCOUNT`
 */
export async function ownerOf(place: Place): Promise<Account | undefined> {
  if (process.getuid === undefined) return undefined;
  const { uid, gid } = await stat(place.data);
  if (isRoot() && uid === 0) {
    // A copy that root made with cp -r. PostgreSQL refuses to run as root.
    const account = await newAccount();
    if (account !== undefined) await giveTree(account, place.directory);
    return account;
  }
  if (isRoot()) return { uid, gid };
  if (uid !== process.getuid()) throw foreignData(place.directory);
  return undefined;
}

/**
 * The place for a new server: in the home, or under {@link SYSTEM_DIRECTORY} when the account cannot reach the home, as
 * under /root. A file in the home then points there.
 * @throws {SuiteError} `EMBEDDED.HOME_UNUSABLE`, `EMBEDDED.NO_ACCOUNT`
 */
export async function choosePlace(home: string, account: Account | undefined): Promise<Place> {
  try {
    await makeHome(home);
    const real = await realpath(home);
    if (account === undefined) return placeIn(real);
    if (!(await canEnter(account, real))) await openForPassing(real);
    return placeIn((await canEnter(account, real)) ? real : await systemBase(home, real, account));
  } catch (error) {
    throw isFileError(error) ? homeUnusable(home, error) : error;
  }
}

/** Creates the home. When root creates it, other accounts can pass through it; the files in it have their own modes. */
export async function makeHome(home: string): Promise<void> {
  await makeDirectory(home, isRoot() ? 0o711 : 0o700);
}

/**
 * Lets other accounts pass through the home without listing it. A home with other files stays as it is, because
 * AZORA_HOME may name a directory that serves other purposes too.
 */
async function openForPassing(home: string): Promise<void> {
  if (!(await readdir(home)).every((name) => OURS.test(name))) return;
  const { mode } = await stat(home);
  await chmod(home, (mode & 0o777) | 0o011);
}

/** Derives its name from the home's path, so that two commands at once, and one after a lost pointer, find the same. */
async function systemBase(home: string, real: string, account: Account): Promise<string> {
  const nameOf = (text: string) => createHash('sha256').update(text).digest('hex').slice(0, HASH_LENGTH);
  const usual = path.join(SYSTEM_DIRECTORY, nameOf(real));
  // The former home of this path may have been moved elsewhere with its server.
  const isTaken = await belongsToOther(placeIn(usual), real);
  const base = isTaken ? path.join(SYSTEM_DIRECTORY, nameOf(identityText(await identityOf(real)))) : usual;
  await makeDirectory(SYSTEM_DIRECTORY, 0o711);
  await makeDirectory(base, 0o700);
  await giveTo(account, base);
  await replaceFile(path.join(home, POINTER), `${base}\n`, { mode: 0o644 });
  return base;
}
