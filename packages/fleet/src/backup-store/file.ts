import type { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { SuiteError } from '@azora/db-core';
import { Meter } from '../system/meter';
import { compressorFor, decompressorFor, isDamage } from './compression';
import { decrypt, encrypt, type SetKey } from './encryption';
import type { FileEntry } from './manifest';
import { type Chunks, fileDamaged, keepSourceError, type SetWriter, type Storage } from './storage';

/** How a stream fails when its reader has left. */
const ENDED_BY_READER = ['ABORT_ERR', 'ERR_STREAM_PREMATURE_CLOSE'];

/** The compression and the encryption, at the end of a name. */
const SUFFIXES = /(\.gz|\.zst)?(\.age)?$/;

/** Stores the chunks: compressed when the name ends in `.gz` or `.zst`, encrypted when there is a key. */
export async function writeSetFile(
  writer: SetWriter,
  name: string,
  key: SetKey | undefined,
  chunks: Chunks,
): Promise<FileEntry> {
  const path = key === undefined ? name : `${name}.age`;
  const meter = new Meter();
  const store = (stored: Chunks) => writer.write(path, meter.count(key === undefined ? stored : encrypt(key, stored)));
  const compressor = compressorFor(name);
  await (compressor === undefined ? store(chunks) : pipeline(chunks, compressor, store));
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
      const rows = decompressorFor(entry.path.replace(/\.age$/, ''));
      return rows === undefined ? take(opened) : decompress(opened, rows, damaged, take);
    });
  } finally {
    source.destroy();
  }
}

async function decompress<Result>(
  compressed: Chunks,
  rows: Transform,
  damaged: (error: Error) => Error,
  take: (chunks: Chunks) => Promise<Result>,
): Promise<Result> {
  // A reader that fails before its first row would leave the stream open, and the pipeline would never end.
  const taking = take(rows).finally(() => rows.destroy());
  const [read, taken] = await Promise.allSettled([pipeline(compressed, rows), taking]);
  // The side that fails first ends the other side, whose error then says nothing else.
  if (read.status === 'rejected' && !ENDED_BY_READER.includes(read.reason.code)) {
    throw isDamage(read.reason) ? damaged(read.reason) : read.reason;
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

/**
 * Takes a file of a finished set over into a new one with the same key, after comparing it with its checksum.
 * @param stem the new path without the suffixes of compression and encryption
 * @returns undefined when the file is missing or damaged, or when the storage cannot copy it
 */
export async function adoptSetFile(
  storage: Storage,
  writer: SetWriter,
  { set, file, stem }: { readonly set: string; readonly file: FileEntry; readonly stem: string },
): Promise<FileEntry | undefined> {
  const path = `${stem}${SUFFIXES.exec(file.path)?.[0] ?? ''}`;
  try {
    await checkSetFile(storage, set, file);
    return (await writer.adopt(set, file, path)) ? { ...file, path } : undefined;
  } catch (error) {
    if (error instanceof SuiteError && error.kind === 'finding') return undefined;
    throw error;
  }
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
