import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { type Account, asAccount, giveTo } from './account';
import { type Binaries, serverEnvironment } from './binaries';
import { draftName, isAbandoned } from './drafts';
import { codeOf, diskFull, homeUnusable, initFailed, isFileError, noPassword, otherVersion } from './errors';
import { lastLines, NO_SPACE } from './log';
import type { Place } from './place';

const run = promisify(execFile);

const PASSWORD_BYTES = 24;

/** Written into postgresql.conf, where `ALTER SYSTEM` can still overrule them. */
const SETTINGS: Readonly<Record<string, string>> = {
  max_connections: '200',
  shared_buffers: '128MB',
  timezone: 'UTC',
  log_timezone: 'UTC',
  log_checkpoints: 'off',
};

/**
 * Creates the server's data and password in a directory of another name and renames that into place: whoever renames
 * first wins, and a process that is killed half-way leaves nothing that looks like a server.
 * @throws {SuiteError} `EMBEDDED.INIT_FAILED`, `EMBEDDED.DISK_FULL`, `EMBEDDED.HOME_UNUSABLE`
 */
export async function createCluster(place: Place, account: Account | undefined, binaries: Binaries): Promise<void> {
  await sweepDrafts(place.base);
  const draft = path.join(place.base, await draftName('embedded', 'new'));
  try {
    const [data, password] = [path.join(draft, 'data'), path.join(draft, 'password')];
    await mkdir(draft, { mode: 0o700 });
    await writePassword(password);
    await giveTo(account, draft, password);
    await runInitdb({ base: place.base, draft, data, password }, account, binaries);
    await rename(draft, place.directory).catch(async (error: NodeJS.ErrnoException) => {
      if (!(await isThere(place.data))) throw error;
    });
  } catch (error) {
    if (codeOf(error) === 'ENOSPC') throw diskFull(place.base, 'No space left on device.');
    throw isFileError(error) ? homeUnusable(place.base, error) : error;
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

/** @throws {SuiteError} `EMBEDDED.NO_PASSWORD` */
export async function readPassword(place: Place): Promise<string> {
  const password = (await readFile(place.password, 'utf8').catch(() => '')).trim();
  if (password === '') throw noPassword(place.password);
  return password;
}

/** @throws {SuiteError} `EMBEDDED.OTHER_VERSION` */
export async function requireVersion(place: Place, { major }: Binaries): Promise<void> {
  const found = await dataVersion(place);
  if (found !== major) throw otherVersion(place.data, found, major);
}

/** The major version that the data is of. */
export async function dataVersion(place: Place): Promise<string> {
  return (await readFile(path.join(place.data, 'PG_VERSION'), 'utf8').catch(() => 'an unknown version')).trim();
}

interface Draft extends Pick<Place, 'base' | 'data' | 'password'> {
  readonly draft: string;
}

async function runInitdb(place: Draft, account: Account | undefined, binaries: Binaries): Promise<void> {
  const args = [
    ...['-D', place.data, '-U', 'postgres', `--pwfile=${place.password}`, '--auth=scram-sha-256'],
    // No locale of the system: it might lack one, and an update of its rules would corrupt indexes.
    ...['--encoding=UTF8', '--locale-provider=builtin', '--builtin-locale=C.UTF-8', '--locale=C'],
    ...['--data-checksums', '--no-instructions'],
    ...Object.entries(SETTINGS).map(([name, value]) => `--set=${name}=${value}`),
  ];
  try {
    await run(binaries.initdb, args, {
      cwd: place.draft,
      env: serverEnvironment(),
      ...asAccount(account),
    });
  } catch (error) {
    const { stderr } = error as { stderr?: string };
    const log = lastLines(stderr === undefined || stderr === '' ? String(error) : stderr);
    throw NO_SPACE.test(log) ? diskFull(place.base, log) : initFailed(place.base, log);
  }
}

/** On the disk before its name is: a server without its password would be lost. */
async function writePassword(file: string): Promise<void> {
  const handle = await open(file, 'wx', 0o600);
  try {
    await handle.writeFile(`${randomBytes(PASSWORD_BYTES).toString('base64url')}\n`);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Removes what a killed process left half-made. */
async function sweepDrafts(base: string): Promise<void> {
  for (const name of await readdir(base)) {
    if (!name.startsWith('embedded.') || !(await isAbandoned(name))) continue;
    // An initdb whose parent was killed may still be writing there: then the next start gets it.
    await rm(path.join(base, name), { recursive: true, force: true }).catch(() => undefined);
  }
}

async function isThere(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    () => false,
  );
}
