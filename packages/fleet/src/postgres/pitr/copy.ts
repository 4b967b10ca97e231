import { constants, type Dirent } from 'node:fs';
import { chmod, copyFile, mkdir, open, readdir } from 'node:fs/promises';
import path from 'node:path';
import { syncDirectory } from '../../system/atomic-files';
import { type Account, giveTo } from '../embedded/account';

export interface CopyOptions {
  /** The owner of the copy. */
  readonly account: Account | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Whether to leave out a file or directory, by its path relative to the tree. */
  readonly isLeftOut?: (file: string) => boolean;
}

/** Node copies with four threads, while the other files wait for the disk to sync. */
const CONCURRENT_FILES = 16;

/**
 * Copies a tree of files that may change or disappear meanwhile, and waits until the copy is on the disk.
 * @returns the number of bytes copied
 * @throws the reason of the signal when it was aborted
 */
export async function copyTree(from: string, to: string, options: CopyOptions): Promise<number> {
  const { directories, files } = await listTree(from, options.isLeftOut ?? (() => false));
  for (const directory of directories) {
    await mkdir(path.join(to, directory), { mode: 0o700 });
    await giveTo(options.account, path.join(to, directory));
  }
  const queue = files.values();
  let bytes = 0;
  const work = async () => {
    for (const file of queue) {
      options.signal?.throwIfAborted();
      const size = await copyOne(path.join(from, file), path.join(to, file), options.account);
      bytes += size;
    }
  };
  await Promise.all(Array.from({ length: CONCURRENT_FILES }, work));
  for (const directory of directories) await syncDirectory(path.join(to, directory));
  return bytes;
}

async function copyOne(from: string, to: string, account: Account | undefined): Promise<number> {
  try {
    await copyFile(from, to, constants.COPYFILE_FICLONE);
  } catch (error) {
    // The file of a dropped table; the log contains the drop.
    if (isGone(error)) return 0;
    throw error;
  }
  await chmod(to, 0o600);
  const handle = await open(to, 'r+');
  try {
    await handle.sync();
    await giveTo(account, to);
    return (await handle.stat()).size;
  } finally {
    await handle.close();
  }
}

async function listTree(
  root: string,
  isLeftOut: (file: string) => boolean,
): Promise<{ readonly directories: readonly string[]; readonly files: readonly string[] }> {
  const directories = [''];
  const files: string[] = [];
  // The list grows while it is read, so that parents come before their children.
  for (const directory of directories) {
    for (const entry of await entriesOf(path.join(root, directory))) {
      const file = path.join(directory, entry.name);
      if (isLeftOut(file)) continue;
      if (entry.isDirectory()) directories.push(file);
      else if (entry.isFile()) files.push(file);
    }
  }
  return { directories, files };
}

async function entriesOf(directory: string): Promise<readonly Dirent[]> {
  try {
    return await readdir(directory, { withFileTypes: true });
  } catch (error) {
    if (isGone(error)) return [];
    throw error;
  }
}

function isGone(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ENOENT';
}
