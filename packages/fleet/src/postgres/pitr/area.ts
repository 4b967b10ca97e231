import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { codeOf } from '../../system/system-errors';
import { type Account, giveTo } from '../embedded/account';
import type { Place } from '../embedded/place';
import { notEnabled, unwritable } from './errors';

/** The directories of the archive. They lie beside the server's, and so stay good when a checkout is moved. */
export interface Area {
  readonly directory: string;
  readonly wal: string;
  readonly base: string;
  readonly programs: string;
}

/** What is remembered of the server whose log this is. */
export interface ArchiveRecord {
  readonly systemId: string;
  /** The timeline that the server was last seen on: asked for when it does not start any more. */
  readonly timeline: number;
  readonly segmentBytes: number;
}

const RECORD = 'archive.json';

export function areaOf(place: Place): Area {
  const directory = path.join(place.base, 'pitr');
  return {
    directory,
    wal: path.join(directory, 'wal'),
    base: path.join(directory, 'base'),
    programs: path.join(directory, 'bin'),
  };
}

/**
 * Makes the directories, which are the server's account's: it writes the segments.
 * @throws {SuiteError} `PITR.UNWRITABLE`
 */
export async function makeArea(area: Area, account: Account | undefined): Promise<void> {
  for (const directory of [area.directory, area.wal, area.base, area.programs]) {
    await mkdir(directory, { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw unwritable(area.directory, error);
    });
    await giveTo(account, directory);
  }
}

export async function findRecord(area: Area): Promise<ArchiveRecord | undefined> {
  try {
    return JSON.parse(await readFile(path.join(area.directory, RECORD), 'utf8')) as ArchiveRecord;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** @throws {SuiteError} `PITR.NOT_ENABLED` */
export async function getRecord(area: Area): Promise<ArchiveRecord> {
  const record = await findRecord(area);
  if (record === undefined) throw notEnabled(area.directory);
  return record;
}

export async function writeRecord(area: Area, record: ArchiveRecord, account: Account | undefined): Promise<void> {
  const draft = path.join(area.directory, `${RECORD}.${process.pid}`);
  await writeFile(draft, `${JSON.stringify(record)}\n`, { mode: 0o600, flush: true });
  await giveTo(account, draft);
  await rename(draft, path.join(area.directory, RECORD));
}

/** The names in the archive of what is whole there. */
export async function archivedNames(area: Area): Promise<ReadonlySet<string>> {
  const names = await readdir(area.wal).catch((): string[] => []);
  return new Set(names.filter((name) => !name.includes('.part-')));
}
