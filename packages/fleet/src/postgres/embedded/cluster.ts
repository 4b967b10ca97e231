import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { draftName, isAbandoned } from '../../system/atomic-files';
import { runProgram } from '../../system/children';
import { lastLines, NO_SPACE } from '../../system/logs';
import { codeOf, isFileError } from '../../system/system-errors';
import { type Account, asAccount, giveTo } from './account';
import type { Binaries } from './binaries';
import { diskFull, homeUnusable, initFailed, noPassword, otherVersion } from './errors';
import type { Place } from './place';

const PASSWORD_BYTES = 24;

/** Settings for postgresql.conf; `ALTER SYSTEM` overrides them. */
const SETTINGS: Readonly<Record<string, string>> = {
  max_connections: '200',
  shared_buffers: '128MB',
  timezone: 'UTC',
  log_timezone: 'UTC',
  log_checkpoints: 'off',
};

/**
 * Creates the server's data and password under another name and renames the directory into place. Of several processes
 * at once the first rename wins, and a killed process leaves nothing that looks like a server.
 * @throws {SuiteError} `EMBEDDED.INIT_FAILED`, `EMBEDDED.DISK_FULL`, `EMBEDDED.HOME_UNUSABLE`
 */
export async function createCluster(place: Place, account: Account | undefined, binaries: Binaries): Promise<void> {
  await sweepDrafts(place.base);
  const draft = path.join(place.base, await draftName('embedded', 'new'));
  try {
    const [data, password] = [path.join(draft, 'data'), path.join(draft, 'password')];
    await mkdir(draft, { mode: 0o700 });
    // Synced before the server exists: without its password the server would be lost.
    const text = `${randomBytes(PASSWORD_BYTES).toString('base64url')}\n`;
    await writeFile(password, text, { flag: 'wx', mode: 0o600, flush: true });
    await giveTo(account, draft, password);
    await runInitdb({ base: place.base, draft, data, password }, account, binaries);
    await rename(draft, place.directory).catch((error: NodeJS.ErrnoException) => {
      if (!existsSync(place.data)) throw error;
    });
  } catch (error) {
    if (codeOf(error) === 'ENOSPC') throw diskFull(place.base, 'No space left on device.');
    throw isFileError(error) ? homeUnusable(place.base, error) : error;
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

/**
 * The administrator's password.
 * @throws {SuiteError} `EMBEDDED.NO_PASSWORD`
 */
export async function readPassword(place: Place): Promise<string> {
  const password = (await readFile(place.password, 'utf8').catch(() => '')).trim();
  if (password === '') throw noPassword(place.password);
  return password;
}

/**
 * Rejects data that another major version of PostgreSQL made.
 * @throws {SuiteError} `EMBEDDED.OTHER_VERSION`
 */
export async function requireVersion(place: Place, { major }: Binaries): Promise<void> {
  const found = await dataVersion(place);
  if (found !== major) throw otherVersion(place.data, found, major);
}

/** The major version of PostgreSQL that made the data. */
export async function dataVersion(place: Place): Promise<string> {
  return (await readFile(path.join(place.data, 'PG_VERSION'), 'utf8').catch(() => 'an unknown version')).trim();
}

interface Draft extends Pick<Place, 'base' | 'data' | 'password'> {
  readonly draft: string;
}

async function runInitdb(place: Draft, account: Account | undefined, binaries: Binaries): Promise<void> {
  const args = [
    ...['-D', place.data, '-U', 'postgres', `--pwfile=${place.password}`, '--auth=scram-sha-256'],
    // The builtin locale: a system may lack others, and an update of their rules would corrupt indexes.
    ...['--encoding=UTF8', '--locale-provider=builtin', '--builtin-locale=C.UTF-8', '--locale=C'],
    ...['--data-checksums', '--no-instructions'],
    ...Object.entries(SETTINGS).map(([name, value]) => `--set=${name}=${value}`),
  ];
  try {
    await runProgram(binaries.initdb, args, {
      cwd: place.draft,
      env: binaries.environment,
      ...asAccount(account),
    });
  } catch (error) {
    const { stderr } = error as { stderr?: string };
    const log = lastLines(stderr === undefined || stderr === '' ? String(error) : stderr);
    throw NO_SPACE.test(log) ? diskFull(place.base, log) : initFailed(place.base, log);
  }
}

/** Removes the unfinished servers of killed processes. */
async function sweepDrafts(base: string): Promise<void> {
  for (const name of await readdir(base)) {
    if (!name.startsWith('embedded.') || !(await isAbandoned(base, name))) continue;
    // An initdb whose parent was killed may still write there; the next start then removes the rest.
    await rm(path.join(base, name), { recursive: true, force: true }).catch(() => undefined);
  }
}
