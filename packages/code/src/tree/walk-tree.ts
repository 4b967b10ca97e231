import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { lstat, stat } from 'node:fs/promises';
import path from 'node:path';
import { TextDecoder } from 'node:util';
import { rootInvalid } from '../errors';
import { listGitFiles } from './git-files';
import type { SkippedFile, Tree, TreeFile } from './tree';
import { listUnignoredFiles } from './unignored-files';

/** Larger files are skipped: no source that people write is larger, and chunks of generated files only hide others. */
export const MAX_FILE_BYTES = 1_048_576;
/** Files that are read at the same time. */
const READERS = 8;

/**
 * The text files of a folder with the hashes of their contents. In a git tree these are the files that
 * `git ls-files -co --exclude-standard` lists; elsewhere those that no `.gitignore` excludes. Symbolic links are not followed. A
 * file that disappears meanwhile is left out; one that cannot be used is in `skipped` with the reason.
 * @throws {SuiteError} CODE.ROOT_INVALID, CODE.GIT_FAILED
 */
export async function walkTree(root: string): Promise<Tree> {
  await assertFolder(root);
  const skipped: SkippedFile[] = [];
  const inGit = await listGitFiles(root);
  const listed = inGit ?? (await listUnignoredFiles(root, (it) => skipped.push(it)));
  const files: TreeFile[] = [];
  const queue = listed.values();
  const read = async () => {
    for (const { path: file, isValid } of queue) {
      const found = isValid ? await readTreeFile(root, file) : { path: file, reason: 'invalid-name' as const };
      if (found === undefined) continue;
      if ('reason' in found) skipped.push(found);
      else files.push(found);
    }
  };
  await Promise.all(Array.from({ length: READERS }, read));
  return { isGitTree: inGit !== undefined, files: files.sort(byPath), skipped: skipped.sort(byPath) };
}

const byPath = (one: { path: string }, other: { path: string }): number => (one.path < other.path ? -1 : 1);

async function assertFolder(root: string): Promise<void> {
  const found = await stat(root).catch((error: unknown) => {
    throw rootInvalid(root, error);
  });
  if (!found.isDirectory()) throw rootInvalid(root, new Error('The path is not a folder'));
}

/** One file of a tree; undefined when it does not exist. */
export async function readTreeFile(root: string, file: string): Promise<TreeFile | SkippedFile | undefined> {
  const absolute = path.join(root, ...file.split('/'));
  try {
    const { size, ...found } = await lstatOf(absolute);
    if (found.isLink) return { path: file, reason: 'symbolic-link' };
    if (!found.isFile) return { path: file, reason: 'not-a-file' };
    if (size > MAX_FILE_BYTES) return { path: file, reason: 'too-large' };
    return await hashFile(absolute, file);
  } catch (error) {
    if (isMissing(error)) return undefined;
    return { path: file, reason: 'unreadable' };
  }
}

async function lstatOf(absolute: string) {
  const found = await lstat(absolute);
  return { size: found.size, isLink: found.isSymbolicLink(), isFile: found.isFile() };
}

function isMissing(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code;
  return code === 'ENOENT' || code === 'ENOTDIR';
}

/** Hashes a file as a stream. It may have grown since its size was read. */
async function hashFile(absolute: string, file: string): Promise<TreeFile | SkippedFile> {
  const hash = createHash('sha256');
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let bytes = 0;
  for await (const part of createReadStream(absolute) as AsyncIterable<Buffer>) {
    // git looks at the first 8,000 bytes only, but no database stores a text with NUL.
    if (part.includes(0)) return { path: file, reason: 'binary' };
    bytes += part.length;
    if (bytes > MAX_FILE_BYTES) return { path: file, reason: 'too-large' };
    if (!isText(decoder, part)) return { path: file, reason: 'invalid-utf-8' };
    hash.update(part);
  }
  if (!isText(decoder, undefined)) return { path: file, reason: 'invalid-utf-8' };
  return { path: file, bytes, hash: hash.digest('hex') };
}

/** Whether the next bytes of a file, or its end, are valid UTF-8. */
function isText(decoder: TextDecoder, part: Buffer | undefined): boolean {
  try {
    decoder.decode(part, { stream: part !== undefined });
    return true;
  } catch {
    return false;
  }
}
