import { pipeline } from 'node:stream/promises';
import { createGunzip, createGzip } from 'node:zlib';
import { Meter } from '../system/meter';
import { decrypt, encrypt, type SetKey } from './encryption';
import type { FileEntry } from './manifest';
import { type Chunks, fileDamaged, keepSourceError, type SetWriter, type Storage } from './storage';

/** The last of zlib's fast levels: a third of the time of level 6, pg_dump's, for files that are a tenth larger. */
const COMPRESSION_LEVEL = 3;
/** The output of zlib's thread per call. Its default of 16 KiB costs a thread switch each. */
const CHUNK_BYTES = 256 * 1024;
/** How a stream fails when its reader has left. */
const ENDED_BY_READER = ['ABORT_ERR', 'ERR_STREAM_PREMATURE_CLOSE'];

/** Stores the chunks: compressed when the name ends in `.gz`, encrypted when there is a key. */
export async function writeSetFile(
  writer: SetWriter,
  name: string,
  key: SetKey | undefined,
  chunks: Chunks,
): Promise<FileEntry> {
  const path = key === undefined ? name : `${name}.age`;
  const meter = new Meter();
  const store = (stored: Chunks) => writer.write(path, meter.count(key === undefined ? stored : encrypt(key, stored)));
  if (name.endsWith('.gz')) {
    await pipeline(chunks, createGzip({ level: COMPRESSION_LEVEL, chunkSize: CHUNK_BYTES }), store);
  } else await store(chunks);
  return { path, ...meter.result() };
}

/**
 * Hands `take` the decrypted and decompressed content of a file.
 * @throws {SuiteError} `BACKUP.NO_FILE`, `BACKUP.DAMAGED`, `BACKUP.STORAGE_FAILED`
 */
export async function readSetFile<Result>(
  storage: Storage,
  set: string,
  entry: FileEntry,
  key: SetKey | undefined,
  take: (chunks: Chunks) => Promise<Result>,
): Promise<Result> {
  const damaged = (error: Error) => fileDamaged(set, entry.path, `${error.message}.`);
  const source = await storage.read(set, entry.path);
  try {
    // A storage that fails while it is read is not a damaged file.
    return await keepSourceError(source, async (stored) => {
      const opened = key === undefined ? stored : orElse(decrypt(key, stored), damaged);
      return /\.gz(\.age)?$/.test(entry.path) ? decompress(opened, damaged, take) : take(opened);
    });
  } finally {
    source.destroy();
  }
}

async function decompress<Result>(
  compressed: Chunks,
  damaged: (error: Error) => Error,
  take: (chunks: Chunks) => Promise<Result>,
): Promise<Result> {
  const rows = createGunzip({ chunkSize: CHUNK_BYTES });
  // A reader that fails before its first row would leave the stream open, and the pipeline would never end.
  const taking = take(rows).finally(() => rows.destroy());
  const [read, taken] = await Promise.allSettled([pipeline(compressed, rows), taking]);
  // The side that fails first ends the other side, whose error then says nothing else.
  if (read.status === 'rejected' && !ENDED_BY_READER.includes(read.reason.code)) {
    throw String(read.reason.code).startsWith('Z_') ? damaged(read.reason) : read.reason;
  }
  if (taken.status === 'rejected') throw taken.reason;
  return taken.value;
}

/**
 * Compares a file with its size and SHA-256 in the manifest.
 * @throws {SuiteError} `BACKUP.NO_FILE`, `BACKUP.DAMAGED`, `BACKUP.STORAGE_FAILED`
 */
export async function checkSetFile(storage: Storage, set: string, entry: FileEntry): Promise<void> {
  const meter = new Meter();
  for await (const _ of meter.count(await storage.read(set, entry.path)));
  const { bytes, sha256 } = meter.result();
  if (bytes !== entry.bytes) {
    throw fileDamaged(set, entry.path, `It has ${bytes} bytes instead of ${entry.bytes}.`);
  }
  if (sha256 !== entry.sha256) throw fileDamaged(set, entry.path, 'Its SHA-256 differs from the one in the manifest.');
}

/** A text as the content of a file. */
export async function* chunksOf(text: string): Chunks {
  yield Buffer.from(text);
}

/** The content of a file as a text. */
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
