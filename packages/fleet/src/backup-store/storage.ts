import { randomBytes } from 'node:crypto';
import type { Readable } from 'node:stream';
import { SuiteError } from '@azora/db-core';
import type { Leftover } from '../system/leftovers';

export type Chunks = AsyncIterable<Uint8Array>;

/** A place that keeps backup sets: a directory or a bucket. Paths are `<file>` or `<service>/<file>` within a set. */
export interface Storage {
  /** For messages. */
  readonly location: string;
  /** The ids of all complete sets, oldest first. */
  list(): Promise<readonly string[]>;
  /** Begins a set, which stays invisible until it is finished. Removes the unfinished sets of killed processes. */
  begin(set: string): Promise<SetWriter>;
  /** @throws {SuiteError} `BACKUP.NO_FILE`, `BACKUP.STORAGE_FAILED`; the stream fails with `BACKUP.STORAGE_FAILED` */
  read(set: string, path: string): Promise<Readable>;
  /** Reads a small file; undefined when it does not exist. @throws {SuiteError} `BACKUP.STORAGE_FAILED` */
  readText(set: string, path: string): Promise<string | undefined>;
  /** Adds a file to a finished set, or replaces one. */
  writeText(set: string, path: string, text: string): Promise<void>;
  remove(set: string): Promise<void>;
  /** The unfinished sets and files of other processes. An entry that cannot be examined is left out and reported. */
  unfinished(report: (error: unknown) => void): Promise<readonly Leftover[]>;
}

/** A file of a finished set. */
export interface StoredFile {
  readonly path: string;
  readonly bytes: number;
}

export interface SetWriter {
  /** Stores the chunks. The file survives a power failure once the promise resolves. Throws the source's own errors. */
  write(path: string, source: Chunks): Promise<void>;
  /**
   * Takes a file of a finished set over, under another path: without sending it, and without more space where the storage can
   * share it. The new set does not need the other one. False when the storage cannot copy a file of its size.
   * @throws {SuiteError} `BACKUP.NO_FILE`, `BACKUP.STORAGE_FAILED`
   */
  adopt(set: string, file: StoredFile, path: string): Promise<boolean>;
  /** Removes the files of a service that were written, when no file of it is being written. */
  remove(service: string): Promise<void>;
  /**
   * Makes the set visible as a whole, if each file that was written is there with its size.
   * @throws {SuiteError} `BACKUP.STORAGE_FAILED`
   */
  finish(): Promise<void>;
  /** Removes everything that was written. */
  abandon(): Promise<void>;
}

/** The checksum of the manifest. In a bucket, its presence marks a complete set. */
export const CHECKSUM_FILE = 'manifest.seal';

/** The id of a set: the time at which the backup began, in UTC to the millisecond, and six random hexadecimal digits. */
export const SET_ID = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)(\d{3})Z-[0-9a-f]{6}$/;

/** Makes the id of a set that begins at the given time. Ids sort by time. */
export function newSetId(now: Date): string {
  return `${now.toISOString().replace(/[-:.]/g, '')}-${randomBytes(3).toString('hex')}`;
}

/** The time at which the set began, in ISO 8601. */
export function startOfSet(id: string): string {
  return id.replace(SET_ID, '$1-$2-$3T$4:$5:$6.$7Z');
}

/**
 * Hands a source to `store` and throws the source's own error when the source fails. Streams often replace that error
 * with one of their own, which would be taken for a failure of the storage.
 */
export async function keepSourceError<Result>(
  source: Chunks,
  store: (source: Chunks) => Promise<Result>,
): Promise<Result> {
  let broken: { readonly error: unknown } | undefined;
  async function* watched(): Chunks {
    try {
      yield* source;
    } catch (error) {
      broken = { error };
      throw error;
    }
  }
  try {
    return await store(watched());
  } catch (error) {
    throw broken === undefined ? error : broken.error;
  }
}

/** `BACKUP.NO_FILE`: the set lacks a file that every set has, or that its manifest names. */
export function fileMissing(set: string, file: string): SuiteError {
  return new SuiteError('BACKUP.NO_FILE', `${file} is missing from the backup set ${set}`, {
    kind: 'finding',
    why: 'The file was deleted, or the set was not copied completely.',
    next: 'Use another set, or another copy of this set',
    meta: { set, file },
  });
}

/** `BACKUP.DAMAGED`: a file of the set differs from what the backup wrote. */
export function fileDamaged(set: string, file: string, why: string): SuiteError {
  return new SuiteError('BACKUP.DAMAGED', `${file} in the backup set ${set} is damaged`, {
    kind: 'finding',
    why,
    next: 'Use another set, or another copy of this set',
    meta: { set, file },
  });
}

/** `BACKUP.STORAGE_FAILED`: files that were stored are missing at the end, or have another size. */
export function filesLost(location: string, set: string, files: readonly string[]): SuiteError {
  return new SuiteError('BACKUP.STORAGE_FAILED', `The backup set ${set} lost files in ${location} during the backup`, {
    why: `Missing or changed: ${files.slice(0, 3).join(', ')}${files.length > 3 ? ', …' : ''}.`,
    next: 'Check that nothing deletes new files there, such as a lifecycle rule or a clean-up, and back up again',
    meta: { location, set, files },
  });
}
