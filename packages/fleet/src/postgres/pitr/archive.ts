// PostgreSQL's archive_command: node archive.cjs <segment> <where to>. It is copied to where the server's account can
// read it, so it imports nothing of ours.
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

/** Succeeds only when the segment is in the archive, on the disk and whole; never replaces another of the same name. */
function archive(from: string, to: string): void {
  const segment = readFileSync(from);
  if (existsSync(to)) {
    // After a crash PostgreSQL archives again what it did not note as archived.
    if (!readFileSync(to).equals(segment)) throw new Error(`${to} is there already, and is another file`);
  } else writeWhole(to, segment);
  syncDirectory(path.dirname(to));
}

/** With the process in its name: the child of a killed server may still be writing the same segment. */
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

/** Leaves blocks of zeros out: a segment that ends early by archive_timeout is mostly zeros, and then takes little room. */
function writeSparse(file: number, segment: Buffer): void {
  const zeros = Buffer.alloc(BLOCK_BYTES);
  for (let at = 0; at < segment.length; at += BLOCK_BYTES) {
    const block = segment.subarray(at, at + BLOCK_BYTES);
    if (block.equals(zeros.subarray(0, block.length))) continue;
    for (let done = 0; done < block.length; ) done += writeSync(file, block, done, block.length - done, at + done);
  }
  ftruncateSync(file, segment.length);
}

/** A rename lasts once its directory is on the disk; Windows cannot do that, and need not. */
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
// Without arguments it only shows that the account can run it.
if (from !== undefined && to !== undefined) {
  try {
    archive(from, to);
  } catch (error) {
    console.error(`azora-db: ${from} is not archived: ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = 1;
  }
}
