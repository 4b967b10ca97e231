import type { Readable } from 'node:stream';

export type Chunks = AsyncIterable<Uint8Array>;

/** Where backup sets are kept: a directory, or a bucket. Paths are `<file>` or `<service>/<file>` within a set. */
export interface Storage {
  /** For messages. */
  readonly location: string;
  /** The ids of all whole sets, oldest first. */
  list(): Promise<readonly string[]>;
  /** Begins a set, which nobody sees before it is finished; what killed processes left of theirs is removed. */
  begin(set: string): Promise<SetWriter>;
  /** @throws {SuiteError} `BACKUP.NO_FILE` */
  read(set: string, path: string): Promise<Readable>;
  /** A small file, whole; undefined when there is none. */
  readText(set: string, path: string): Promise<string | undefined>;
  /** Adds a file to a finished set, or puts another in its place. */
  writeText(set: string, path: string, text: string): Promise<void>;
  remove(set: string): Promise<void>;
}

export interface SetWriter {
  /** Stores what the chunks give, safe against a loss of power once it resolves. */
  write(path: string, source: Chunks): Promise<void>;
  /** Makes the set seen, whole. */
  finish(): Promise<void>;
  /** Removes what was written. */
  abandon(): Promise<void>;
}
