import { randomBytes } from 'node:crypto';
import { link, mkdir, open, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { isAbandonedTree } from './leftovers';
import { OWNER_MARK, ownerMark } from './owners';
import { codeOf } from './system-errors';

export interface FileOptions {
  /** 0600 without it: the file is its owner's alone. */
  readonly mode?: number;
}

/** Replaces a file in one step: a reader finds the old text or the new one, also after a crash. */
export async function replaceFile(file: string, text: string, options: FileOptions = {}): Promise<void> {
  await withDraftOf(file, text, options, (draft) => rename(draft, file));
}

/** Creates a file in one step; false when it exists. Of several processes at once, one creates it. */
export async function createFile(file: string, text: string, options: FileOptions = {}): Promise<boolean> {
  try {
    // Unlike a rename, a link fails when its name is taken.
    await withDraftOf(file, text, options, (draft) => link(draft, file));
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw error;
  }
}

/** The draft is on the disk before it gets its name: a crash must not leave the name with an empty file. */
async function withDraftOf(
  file: string,
  text: string,
  { mode = 0o600 }: FileOptions,
  finish: (draft: string) => Promise<void>,
): Promise<void> {
  const draft = `${file}.draft-${process.pid}-${randomBytes(4).toString('hex')}`;
  try {
    await writeFile(draft, text, { flag: 'wx', mode, flush: true });
    await finish(draft);
  } finally {
    await rm(draft, { force: true });
  }
}

/** Makes the renames in a directory durable. Windows cannot sync a directory and does not need it. */
export async function syncDirectory(directory: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/**
 * Creates a directory with its parents; an existing one stays as it is. Node's recursive `mkdir` reports ENOENT for
 * every failure and never returns for a path under /proc.
 */
export async function makeDirectory(directory: string, mode: number): Promise<void> {
  const make = () =>
    mkdir(directory, { mode }).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
  const parent = path.dirname(directory);
  await make().catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT' || parent === directory) throw error;
    await makeDirectory(parent, 0o755);
    await make();
  });
}

const DRAFT = new RegExp(`\\.(?:new|part)-(${OWNER_MARK})-[0-9a-f]{8}$`);

/** A name for unfinished work. It contains the process that does the work, so a later one can tell abandoned drafts. */
export async function draftName(name: string, kind: 'new' | 'part'): Promise<string> {
  return `${name}.${kind}-${await ownerMark()}-${randomBytes(4).toString('hex')}`;
}

export function isDraft(name: string): boolean {
  return DRAFT.test(name);
}

/** The mark of the process that made the draft; undefined for a name of another form. */
export function ownerOfDraft(name: string): string | undefined {
  return DRAFT.exec(name)?.[1];
}

/** Whether the name is a draft's whose process has ended, or is unknown and has changed nothing for a day. */
export async function isAbandoned(directory: string, name: string): Promise<boolean> {
  const mark = ownerOfDraft(name);
  return mark !== undefined && (await isAbandonedTree(path.join(directory, name), mark));
}
