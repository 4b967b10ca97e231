import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { SuiteError } from '@azora/db-core';
import { codeOf, reasonOf } from '../../system/system-errors';
import { type Account, giveTo } from '../embedded/account';
import type { Place } from '../embedded/place';

/** The directories of the archive. They lie next to the server's directory, so that a checkout can be moved. */
export interface ArchiveLayout {
  readonly directory: string;
  readonly wal: string;
  readonly base: string;
  readonly programs: string;
}

/** The server to which the archive belongs. */
export interface ArchiveRecord {
  readonly systemId: string;
  /** The last known timeline of the server, for the time when it does not start any more. */
  readonly timeline: number;
  readonly segmentBytes: number;
}

const RECORD = 'archive.json';

export function archiveLayout(place: Place): ArchiveLayout {
  const directory = path.join(place.base, 'pitr');
  return {
    directory,
    wal: path.join(directory, 'wal'),
    base: path.join(directory, 'base'),
    programs: path.join(directory, 'bin'),
  };
}

/**
 * Creates the directories for the server's account, which writes the segments.
 * @throws {SuiteError} `PITR.UNWRITABLE`
 */
export async function createArchive(layout: ArchiveLayout, account: Account | undefined): Promise<void> {
  for (const directory of [layout.directory, layout.wal, layout.base, layout.programs]) {
    await mkdir(directory, { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw unwritable(layout.directory, error);
    });
    await giveTo(account, directory);
  }
}

export async function findRecord(layout: ArchiveLayout): Promise<ArchiveRecord | undefined> {
  const text = await ifExists(() => readFile(path.join(layout.directory, RECORD), 'utf8'));
  return text === undefined ? undefined : (JSON.parse(text) as ArchiveRecord);
}

/** @throws {SuiteError} `PITR.NOT_ENABLED` */
export async function getRecord(layout: ArchiveLayout): Promise<ArchiveRecord> {
  const record = await findRecord(layout);
  if (record === undefined) throw notEnabled(layout.directory);
  return record;
}

export async function writeRecord(
  layout: ArchiveLayout,
  record: ArchiveRecord,
  account: Account | undefined,
): Promise<void> {
  const draft = path.join(layout.directory, `${RECORD}.${process.pid}`);
  await writeOwned(draft, `${JSON.stringify(record)}\n`, account);
  await rename(draft, path.join(layout.directory, RECORD));
}

/** The names of the complete files in the archive of the log. */
export async function archivedNames(layout: ArchiveLayout): Promise<ReadonlySet<string>> {
  const names = (await ifExists(() => readdir(layout.wal))) ?? [];
  return new Set(names.filter((name) => !/\.part-|\.sha256$/.test(name)));
}

/** Writes a file of the server's account, and waits until it is on the disk. */
export async function writeOwned(file: string, text: string, account: Account | undefined): Promise<void> {
  await writeFile(file, text, { mode: 0o600, flush: true });
  await giveTo(account, file);
}

/** Undefined only when the file or directory does not exist. One that cannot be read is an error. */
export async function ifExists<Result>(read: () => Promise<Result>): Promise<Result | undefined> {
  try {
    return await read();
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** `PITR.NOT_ENABLED`: the archive is off or does not exist. */
export function notEnabled(directory: string): SuiteError {
  return new SuiteError('PITR.NOT_ENABLED', 'The embedded server does not archive its write-ahead log', {
    kind: 'configuration',
    why: `There is no active archive in ${directory}.`,
    next: 'Run "npx azora-db pitr enable", then "npx azora-db pitr base"',
    meta: { directory },
  });
}

/** `PITR.FOREIGN_ARCHIVE`: the archive belongs to a server that no longer exists. */
export function foreignArchive(directory: string): SuiteError {
  return new SuiteError('PITR.FOREIGN_ARCHIVE', `The archive in ${directory} belongs to another server`, {
    kind: 'configuration',
    why: 'The embedded server was created again after the archive, and the logs of two servers cannot be combined.',
    next: 'Move the directory away, or remove it if you no longer need the former server',
    meta: { directory },
  });
}

/** `PITR.UNWRITABLE`: an error of the file system while the archive, a base backup or a restored copy is written. */
export function unwritable(directory: string, cause: unknown): SuiteError {
  return new SuiteError('PITR.UNWRITABLE', `Cannot write to ${directory}`, {
    why: `${reasonOf(cause)}.`,
    next: 'Correct the cause, for example by freeing space: a restore needs as much as the data; the server is unchanged',
    meta: { directory },
    cause,
  });
}
