import { randomBytes } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { syncDirectory } from '../system/atomic-files';
import { processStart } from '../system/processes';
import { fileMissing, storageFailed } from './errors';
import { SET_ID } from './set-id';
import { storeSource } from './source';
import type { Chunks, SetWriter, Storage } from './storage';

/** `<set>.part-<pid>-<when that process started>`: a set in the making, or what a killed process left of one. */
const PART = /^(.+)\.part-(\d+)-([\w-]+)$/;

/** Backup sets in a directory, which is made when the first one is begun; only its owner can read them. */
export function directoryStorage(directory: string): Storage {
  const at = (set: string, file: string): string => path.join(directory, set, ...file.split('/'));
  return {
    location: directory,
    list: async () => (await names(directory)).filter((name) => SET_ID.test(name)).sort(),
    begin: (set) => guarded(directory, () => beginSet(directory, set)),
    read: async (set, file) => {
      await requireFile(at(set, file), set, file);
      return createReadStream(at(set, file));
    },
    readText: (set, file) =>
      readFile(at(set, file), 'utf8').catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
        throw storageFailed(directory, error);
      }),
    writeText: (set, file, text) => guarded(directory, () => replaceFile(at(set, file), text)),
    remove: (set) => guarded(directory, () => removeSet(directory, set)),
  };
}

async function beginSet(directory: string, set: string): Promise<SetWriter> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await sweep(directory);
  const start = (await processStart(process.pid)) ?? 'unknown';
  const part = path.join(directory, `${set}.part-${process.pid}-${start}`);
  await mkdir(part, { mode: 0o700 });
  return {
    write: (file, source) =>
      storeSource(source, (chunks) =>
        guarded(directory, () => writeStream(path.join(part, ...file.split('/')), chunks)),
      ),
    finish: () =>
      guarded(directory, async () => {
        for (const folder of [part, ...(await subfolders(part))]) await syncDirectory(folder);
        await rename(part, path.join(directory, set));
        await syncDirectory(directory);
      }),
    abandon: () => rm(part, { recursive: true, force: true }),
  };
}

async function writeStream(file: string, source: Chunks): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
  await pipeline(source, createWriteStream(file, { flags: 'wx', mode: 0o600, flush: true }));
}

/** Under another name first: a reader finds the old one or the new one. */
async function replaceFile(file: string, text: string): Promise<void> {
  const draft = `${file}.${randomBytes(4).toString('hex')}`;
  try {
    await writeFile(draft, text, { flag: 'wx', mode: 0o600, flush: true });
    await rename(draft, file);
  } finally {
    await rm(draft, { force: true });
  }
}

/** Out of sight first: what is left of a removal that was cut off does not look like a set. */
async function removeSet(directory: string, set: string): Promise<void> {
  const start = (await processStart(process.pid)) ?? 'unknown';
  const part = path.join(directory, `${set}.part-${process.pid}-${start}`);
  await rename(path.join(directory, set), part);
  await rm(part, { recursive: true });
}

async function sweep(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    const [, set = '', pid, start] = PART.exec(name) ?? [];
    if (!SET_ID.test(set) || (await processStart(Number(pid))) === start) continue;
    await rm(path.join(directory, name), { recursive: true, force: true });
  }
}

async function names(directory: string): Promise<readonly string[]> {
  return readdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw storageFailed(directory, error);
  });
}

async function subfolders(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => path.join(folder, name));
}

async function requireFile(file: string, set: string, name: string): Promise<void> {
  const found = await stat(file).catch(() => undefined);
  if (found?.isFile() !== true) throw fileMissing(set, name);
}

/** An error of the file system, as the suite's. */
async function guarded<Result>(directory: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    throw storageFailed(directory, error);
  }
}
