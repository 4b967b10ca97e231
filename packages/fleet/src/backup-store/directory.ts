import { randomBytes } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { access, link, lstat, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { SuiteError } from '@azora/db-core';
import { syncDirectory } from '../system/atomic-files';
import { keepFresh } from '../system/heartbeat';
import { fileRemnantsIn, type Leftover, orAbsent, ownedRemnant } from '../system/leftovers';
import { OWNER_MARK, ownerMark } from '../system/owners';
import { codeOf, isFileError, reasonOf } from '../system/system-errors';
import { type Chunks, fileMissing, filesLost, keepSourceError, SET_ID, type SetWriter, type Storage } from './storage';

const ID = SET_ID.source.slice(1, -1);
/** `<set>.part-<pid>-<start time of that process>@<machine>`: a set in progress, or the remains of a killed process. */
const PART = new RegExp(`^${ID}\\.part-(?<mark>${OWNER_MARK})$`);
/** The draft of a file in a finished set. */
const DRAFT = /^verified\.json\.[0-9a-f]{8}$/;

/** Keeps backup sets in a directory that only its owner can read. The first backup creates the directory. */
export function directoryStorage(directory: string): Storage {
  const at = (set: string, file: string): string => path.join(directory, set, ...file.split('/'));
  return {
    location: directory,
    list: async () => {
      const names = await ifExists(directory, ['ENOENT'], () => readdir(directory));
      return (names ?? []).filter((name) => SET_ID.test(name)).sort();
    },
    begin: (set) => guarded(directory, () => beginSet(directory, set)),
    read: async (set, file) => {
      const found = await ifExists(directory, NO_FILE, () => access(at(set, file)).then(() => true));
      if (found === undefined) throw fileMissing(set, file);
      return Readable.from(
        guardedChunks(directory, () => createReadStream(at(set, file))),
        { objectMode: false },
      );
    },
    readText: (set, file) => ifExists(directory, NO_FILE, () => readFile(at(set, file), 'utf8')),
    writeText: (set, file, text) => guarded(directory, () => replaceFile(at(set, file), text)),
    remove: (set) => guarded(directory, () => removeSet(directory, set)),
    unfinished: (report) =>
      guarded(directory, () => findUnfinished(directory, (error) => report(storageFailed(directory, error)))),
  };
}

async function beginSet(directory: string, set: string): Promise<SetWriter> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await removeUnfinished(directory);
  const part = await partOf(directory, set);
  await mkdir(part, { mode: 0o700 });
  const rest = keepFresh(part);
  const written = new Map<string, number>();
  return {
    write: (file, source) =>
      keepSourceError(source, (chunks) =>
        guarded(directory, async () => {
          written.set(file, await writeStream(path.join(part, ...file.split('/')), chunks));
        }),
      ),
    adopt: async (from, file, as) => {
      const source = path.join(directory, from, ...file.path.split('/'));
      await guarded(directory, async () => {
        const bytes = await linkFile(source, path.join(part, ...as.split('/')));
        if (bytes === undefined) throw fileMissing(from, file.path);
        written.set(as, bytes);
      });
      return true;
    },
    remove: async (service) => {
      for (const file of written.keys()) if (file.startsWith(`${service}/`)) written.delete(file);
      await guarded(directory, () => rm(path.join(part, service), { recursive: true, force: true }));
    },
    finish: () =>
      guarded(directory, async () => {
        const lost = await lostFiles(part, written);
        if (lost.length > 0) throw filesLost(directory, set, lost);
        for (const folder of [part, ...(await subfolders(part))]) await syncDirectory(folder);
        await rest();
        await rename(part, path.join(directory, set));
        await syncDirectory(directory);
      }),
    abandon: async () => {
      await rest();
      await guarded(directory, () => rm(part, { recursive: true, force: true }));
    },
  };
}

/** Never fails: what killed backups left must not prevent a new one. "cleanup" reports what cannot be removed. */
async function removeUnfinished(directory: string): Promise<void> {
  const found = await findUnfinished(directory, () => undefined).catch((): readonly Leftover[] => []);
  for (const { state, remove } of found) if (state === 'unused') await remove().catch(() => undefined);
}

async function partOf(directory: string, set: string): Promise<string> {
  return path.join(directory, `${set}.part-${await ownerMark()}`);
}

/** Returns the number of bytes. */
async function writeStream(file: string, source: Chunks): Promise<number> {
  await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
  const target = createWriteStream(file, { flags: 'wx', mode: 0o600, flush: true });
  await pipeline(source, target);
  return target.bytesWritten;
}

/** How systems say that a file cannot have one more name: a file system without links, too many of them, another device. */
const NO_LINK: readonly string[] = ['EPERM', 'EACCES', 'EMLINK', 'EXDEV', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP'];

/**
 * Gives a file another name. It is never written again, and its content stays until its last name is removed. Where the file
 * system has no links, makes a copy. Returns the number of bytes; undefined when there is no such file.
 */
async function linkFile(source: string, target: string): Promise<number | undefined> {
  await mkdir(path.dirname(target), { recursive: true, mode: 0o700 });
  const copied = await orAbsent(
    link(source, target)
      .catch(async (error: unknown) => {
        if (!NO_LINK.includes(String(codeOf(error)))) throw error;
        await writeStream(target, createReadStream(source));
      })
      .then(() => lstat(target)),
  );
  return copied?.size;
}

/** The files that are missing or have another size: a clean-up on another machine may have taken the set for abandoned. */
async function lostFiles(part: string, written: ReadonlyMap<string, number>): Promise<readonly string[]> {
  const lost: string[] = [];
  for (const [file, bytes] of written) {
    const found = await orAbsent(lstat(path.join(part, ...file.split('/'))));
    if (found?.size !== bytes) lost.push(file);
  }
  return lost;
}

/** Writes a draft and renames it, so that a reader finds either the old file or the new one. */
async function replaceFile(file: string, text: string): Promise<void> {
  const draft = `${file}.${randomBytes(4).toString('hex')}`;
  try {
    await writeFile(draft, text, { flag: 'wx', mode: 0o600, flush: true });
    await rename(draft, file);
  } catch (error) {
    // The first error is the one to report; if the disk refuses this too, a small draft stays behind.
    await rm(draft, { force: true }).catch(() => undefined);
    throw error;
  }
}

/** Renames the set before removing it, so that the remains of an interrupted removal do not look like a set. */
async function removeSet(directory: string, set: string): Promise<void> {
  const part = await partOf(directory, set);
  await rename(path.join(directory, set), part);
  await rm(part, { recursive: true });
}

/** Examines each entry by itself, so that one that cannot be read does not hide the others. */
async function findUnfinished(directory: string, report: (error: unknown) => void): Promise<readonly Leftover[]> {
  const names = (await orAbsent(readdir(directory))) ?? [];
  const found = await Promise.allSettled(names.map((name) => findIn(directory, name)));
  return found.flatMap((entry) => {
    if (entry.status === 'fulfilled') return entry.value;
    report(entry.reason);
    return [];
  });
}

async function findIn(directory: string, name: string): Promise<readonly Leftover[]> {
  const at = path.join(directory, name);
  if (SET_ID.test(name)) return fileRemnantsIn(at, DRAFT);
  const mark = PART.exec(name)?.groups?.['mark'];
  return mark === undefined ? [] : [await ownedRemnant(at, mark, 'unfinished backup set')];
}

async function subfolders(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => path.join(folder, name));
}

/** The file does not exist, or a file stands where its folder should be. */
const NO_FILE: readonly string[] = ['ENOENT', 'ENOTDIR'];

/** Undefined only when the error says that there is nothing to read: something that cannot be read is an error. */
async function ifExists<Result>(
  directory: string,
  missing: readonly string[],
  read: () => Promise<Result>,
): Promise<Result | undefined> {
  try {
    return await read();
  } catch (error) {
    if (missing.includes(String(codeOf(error)))) return undefined;
    throw storageFailed(directory, error);
  }
}

async function guarded<Result>(directory: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    throw storageFailed(directory, error);
  }
}

async function* guardedChunks(directory: string, open: () => Chunks): Chunks {
  try {
    yield* open();
  } catch (error) {
    throw storageFailed(directory, error);
  }
}

/** `BACKUP.STORAGE_FAILED` for an error of the file system; any other error as it is. */
function storageFailed(location: string, error: unknown): unknown {
  if (error instanceof SuiteError || !isFileError(error)) return error;
  const code = codeOf(error);
  const isFull = code === 'ENOSPC' || code === 'EDQUOT';
  return new SuiteError('BACKUP.STORAGE_FAILED', `Cannot use the backup directory ${location}`, {
    why: isFull ? 'The disk is full.' : `${reasonOf(error)}.`,
    next: isFull
      ? 'Free some space, remove old sets with "npx azora-db backup prune", or name another directory with --out'
      : 'Correct the permissions of the directory, or name another one with --out',
    meta: { location, code },
    cause: error,
  });
}
