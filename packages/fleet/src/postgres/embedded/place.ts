import { createHash } from 'node:crypto';
import { chmod, mkdir, readdir, readFile, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type Account, canEnter, giveTo, isRoot } from './account';
import { foreignData, homeUnusable, isFileError } from './errors';

/** The files of one embedded server. */
export interface Place {
  /** Holds all the others and whatever else the server's account has to reach. */
  readonly base: string;
  /** Appears whole, by a rename: there is never half a server in it. */
  readonly directory: string;
  readonly data: string;
  readonly password: string;
  readonly log: string;
}

/** Where a server run by root lives when its account cannot reach the home; it survives a reboot. */
const SYSTEM_DIRECTORY = '/var/lib/azora';
const POINTER = 'embedded.location';
const HASH_LENGTH = 16;
/** What the suite puts into a home. */
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
 * Where the home's server is, or would be.
 * @throws {SuiteError} `EMBEDDED.HOME_UNUSABLE`
 */
export async function locatePlace(home: string): Promise<Place> {
  const pointer = await readFile(path.join(home, POINTER), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw homeUnusable(home, error);
  });
  return placeIn(pointer.trim() === '' ? await realpath(home).catch(() => home) : pointer.trim());
}

/**
 * The home's server, if it was ever created.
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

/** Who owns the server's data, and so has to run it. Undefined: whoever runs the command. */
export async function ownerOf(place: Place): Promise<Account | undefined> {
  if (process.getuid === undefined) return undefined;
  const { uid, gid } = await stat(place.data);
  if (isRoot()) return { uid, gid };
  if (uid !== process.getuid()) throw foreignData(place.directory);
  return undefined;
}

/**
 * Where a new server goes: in the home, or beside the system's other data when the account cannot reach the home, as
 * under /root. The home then says so in a file.
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

/** Made by root, it lets the server's account pass through; what is in it has modes of its own. */
export async function makeHome(home: string): Promise<void> {
  await makeDirectory(home, isRoot() ? 0o711 : 0o700);
}

/**
 * Lets others pass through the home, not look into it; the files in it have modes of their own. Only a home that holds
 * nothing but the suite's is changed: AZORA_HOME may name a directory with other things in it.
 */
async function openForPassing(home: string): Promise<void> {
  if (!(await readdir(home)).every((name) => OURS.test(name))) return;
  const { mode } = await stat(home);
  await chmod(home, (mode & 0o777) | 0o011);
}

/** Named by the home's path, so that two commands at once, or one after a lost pointer, find the same. */
async function systemBase(home: string, real: string, account: Account): Promise<string> {
  const name = createHash('sha256').update(real).digest('hex').slice(0, HASH_LENGTH);
  const base = path.join(SYSTEM_DIRECTORY, name);
  await makeDirectory(SYSTEM_DIRECTORY, 0o711);
  await makeDirectory(base, 0o700);
  await giveTo(account, base);
  const draft = path.join(home, `${POINTER}.${process.pid}`);
  try {
    await writeFile(draft, `${base}\n`);
    await rename(draft, path.join(home, POINTER));
  } finally {
    await rm(draft, { force: true });
  }
  return base;
}

/** With its parents. Node's own recursive mkdir tells ENOENT for whatever is wrong, and never returns under /proc. */
export async function makeDirectory(directory: string, mode: number): Promise<void> {
  const make = () =>
    mkdir(directory, { mode }).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
  const parent = path.dirname(directory);
  await make().catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT' || parent === directory) throw error;
    await makeDirectory(parent, 0o755);
    await make();
  });
}
