// PostgreSQL's archive_command: node archive.cjs <segment> <destination>. It is copied to a place that the server's
// account can read, so it imports nothing of the suite.
import { createHash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';

const BLOCK_BYTES = 64 * 1024;

/**
 * Succeeds only when the complete segment and its checksum are on the archive's disk. Never replaces a different file of the same
 * name.
 */
function archive(from: string, to: string): void {
  const segment = readFileSync(from);
  const checksum = Buffer.from(`${createHash('sha256').update(segment).digest('hex')}\n`);
  // The checksum first: a segment that is there has one. After a crash, PostgreSQL may archive a segment again.
  if (!existsSync(to)) writeWhole(`${to}.sha256`, checksum);
  else if (!readFileSync(to).equals(segment)) throw new Error(`${to} already exists with different content`);
  if (!existsSync(to)) writeWhole(to, segment);
  syncDirectory(path.dirname(to));
}

/** The draft's name has the process id, because the child of a killed server may still be writing the same segment. */
function writeWhole(to: string, segment: Buffer): void {
  const draft = `${to}.part-${process.pid}`;
  const file = openSync(draft, 'w', 0o600);
  try {
    try {
      writeSparse(file, segment);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(draft, to);
  } catch (error) {
    rmSync(draft, { force: true });
    throw error;
  }
}

/** Skips blocks of zeros: a segment that archive_timeout ended early is mostly zeros and then uses little disk space. */
function writeSparse(file: number, segment: Buffer): void {
  const zeros = Buffer.alloc(BLOCK_BYTES);
  for (let at = 0; at < segment.length; at += BLOCK_BYTES) {
    const block = segment.subarray(at, at + BLOCK_BYTES);
    if (block.equals(zeros.subarray(0, block.length))) continue;
    for (let done = 0; done < block.length; ) done += writeSync(file, block, done, block.length - done, at + done);
  }
  ftruncateSync(file, segment.length);
}

/** Makes a rename durable. Windows neither supports nor needs it. */
function syncDirectory(directory: string): void {
  if (process.platform === 'win32') return;
  const handle = openSync(directory, 'r');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

const [from, to] = process.argv.slice(2);
// Without arguments it only proves that the account can run it.
if (from !== undefined && to !== undefined) {
  try {
    archive(from, to);
  } catch (error) {
    console.error(`azora-db: cannot archive ${from}: ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = 1;
  }
}
