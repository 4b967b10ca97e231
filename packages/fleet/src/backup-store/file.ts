import { pipeline } from 'node:stream/promises';
import { createGunzip, createGzip } from 'node:zlib';
import { Meter } from '../postgres/dump/meter';
import { decrypt, encrypt, type SetKey } from './encryption';
import { fileDamaged } from './errors';
import type { FileEntry } from './manifest';
import type { Chunks, SetWriter, Storage } from './storage';

/** The last of zlib's quick levels: a third of the time of 6, pg_dump's, for files that are a tenth larger. */
const LEVEL = 3;
/** What zlib's thread gives at a time; its own 16 KiB cost a trip to it each. */
const CHUNK_BYTES = 256 * 1024;
/** How a stream ends that its reader has left. */
const ENDED_BY_READER = ['ABORT_ERR', 'ERR_STREAM_PREMATURE_CLOSE'];

/** Stores what the chunks give: compressed where the name ends in `.gz`, encrypted where there is a key. */
export async function writeSetFile(
  writer: SetWriter,
  name: string,
  key: SetKey | undefined,
  chunks: Chunks,
): Promise<FileEntry> {
  const path = key === undefined ? name : `${name}.age`;
  const meter = new Meter();
  const store = (stored: Chunks) => writer.write(path, meter.count(key === undefined ? stored : encrypt(key, stored)));
  if (name.endsWith('.gz')) await pipeline(chunks, createGzip({ level: LEVEL, chunkSize: CHUNK_BYTES }), store);
  else await store(chunks);
  return { path, ...meter.result() };
}

/**
 * Gives `take` what was stored under the entry.
 * @throws {SuiteError} `BACKUP.NO_FILE`, `BACKUP.DAMAGED`
 */
export async function readSetFile<Result>(
  storage: Storage,
  set: string,
  entry: FileEntry,
  key: SetKey | undefined,
  take: (chunks: Chunks) => Promise<Result>,
): Promise<Result> {
  const stored = await storage.read(set, entry.path);
  const damaged = (error: Error) => fileDamaged(set, entry.path, `${error.message}.`);
  const opened = key === undefined ? stored : orElse(decrypt(key, stored), damaged);
  if (!/\.gz(\.age)?$/.test(entry.path)) return take(opened);
  const rows = createGunzip({ chunkSize: CHUNK_BYTES });
  // A reader that fails before its first row leaves the stream standing, and nobody would ever hear of it.
  const taking = take(rows).finally(() => rows.destroy());
  const [read, taken] = await Promise.allSettled([pipeline(opened, rows), taking]);
  // Whoever fails first ends the other, which then tells of nothing but that.
  if (read.status === 'rejected' && !ENDED_BY_READER.includes(read.reason.code)) {
    throw String(read.reason.code).startsWith('Z_') ? damaged(read.reason) : read.reason;
  }
  if (taken.status === 'rejected') throw taken.reason;
  return taken.value;
}

/**
 * Reads a file for nothing but whether it is what was written.
 * @throws {SuiteError} `BACKUP.NO_FILE`, `BACKUP.DAMAGED`
 */
export async function checkSetFile(storage: Storage, set: string, entry: FileEntry): Promise<void> {
  const meter = new Meter();
  for await (const _ of meter.count(await storage.read(set, entry.path)));
  const { bytes, sha256 } = meter.result();
  if (bytes !== entry.bytes) throw fileDamaged(set, entry.path, `It has ${bytes} bytes and not ${entry.bytes}.`);
  if (sha256 !== entry.sha256) throw fileDamaged(set, entry.path, 'Its SHA-256 is not the one in the manifest.');
}

/** A text that is stored as a file. */
export async function* chunksOf(text: string): Chunks {
  yield Buffer.from(text);
}

/** The text that chunks give. */
export async function textOf(chunks: Chunks): Promise<string> {
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  return Buffer.concat(parts).toString();
}

async function* orElse(chunks: Chunks, toError: (error: Error) => Error): Chunks {
  try {
    yield* chunks;
  } catch (error) {
    throw error instanceof Error ? toError(error) : error;
  }
}
