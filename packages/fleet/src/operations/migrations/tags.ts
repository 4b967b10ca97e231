import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { isRecord, SuiteError } from '@azora/db-core';
import { compareHistory, readHistory, readMigrations, withClient } from '@azora/db-migrate';
import { doneRows, eachService, type RunOptions, type ServiceRow } from '../fleet';
import type { Target } from '../targets';

/** The newest migration of each service; null for a database without migrations. */
export type Heads = Readonly<Record<string, string | null>>;

/** The outcome of tagging: the file and its heads, or no file because a database could not be read. */
export interface TagReport {
  readonly rows: readonly ServiceRow<{ readonly head: string | null }>[];
  readonly written: { readonly file: string; readonly heads: Heads } | undefined;
}

const NAME = /^[A-Za-z0-9][\w.-]{0,99}$/;

/**
 * Records the newest migration of every database under a name. Writes nothing unless every database was read, because a tag
 * without a service would leave that service out of a later `--to`.
 * @throws {SuiteError} `USAGE.BAD_TAG`, `MIGRATION.TAG_EXISTS`, `MIGRATION.BAD_TAG_FILE`
 */
export async function tagFleet(
  root: string,
  name: string,
  targets: readonly Target[],
  options: RunOptions,
): Promise<TagReport> {
  rejectBadName(name);
  const rows = await readHeads(targets, options);
  options.signal?.throwIfAborted();
  const done = doneRows(rows);
  if (done.length < rows.length) return { rows, written: undefined };
  const heads = Object.fromEntries(done.map(({ service, data }) => [service, data.head]));
  return { rows, written: { file: await writeTag(root, name, heads), heads } };
}

/** Reads the newest applied migration of every database. */
export async function readHeads(
  targets: readonly Target[],
  options: RunOptions,
): Promise<readonly ServiceRow<{ readonly head: string | null }>[]> {
  return eachService(targets, options, async ({ service, admin }) => {
    const files = await readMigrations(service.migrationsPath);
    const { applied } = compareHistory(files, await withClient(admin, readHistory));
    const head = applied.at(-1) ?? null;
    return { data: { head }, detail: head ?? 'no migration applied' };
  });
}

function rejectBadName(name: string): void {
  if (NAME.test(name)) return;
  throw new SuiteError('USAGE.BAD_TAG', `${JSON.stringify(name)} is not a valid name of a tag`, {
    kind: 'usage',
    next: 'Use letters, digits, dots, dashes and underscores',
  });
}

/**
 * Stores heads under a name, in a file that belongs in version control: `prisma/tags/<name>.json`. Storing the same heads
 * again changes nothing. Returns the file.
 * @throws {SuiteError} `USAGE.BAD_TAG`, `MIGRATION.TAG_EXISTS`, `MIGRATION.BAD_TAG_FILE`
 */
export async function writeTag(root: string, name: string, heads: Heads): Promise<string> {
  rejectBadName(name);
  const file = fileOf(root, name);
  const text = `${JSON.stringify({ heads }, undefined, 2)}\n`;
  try {
    await mkdir(path.dirname(file), { recursive: true });
    await writeFile(file, text, { flag: 'wx' });
    return file;
  } catch (error) {
    const existing = errnoOf(error) === 'EEXIST' ? await readIfExists(file) : undefined;
    if (existing === text) return file;
    if (existing === undefined) throw badTagFile(file, 'cannot be written', error);
    throw new SuiteError('MIGRATION.TAG_EXISTS', `The tag ${name} already exists with other heads`, {
      kind: 'usage',
      next: `Choose another name, or remove ${file}`,
      meta: { file },
    });
  }
}

/**
 * The heads of a tag; undefined if there is no such tag.
 * @throws {SuiteError} `MIGRATION.BAD_TAG_FILE` if the file cannot be read, or does not contain heads
 */
export async function readTag(root: string, name: string): Promise<Heads | undefined> {
  if (!NAME.test(name)) return undefined;
  const file = fileOf(root, name);
  const text = await readIfExists(file);
  if (text === undefined) return undefined;
  const heads = headsOf(text);
  if (heads === undefined) throw badTagFile(file, 'does not contain heads');
  return heads;
}

/**
 * The names of all tags.
 * @throws {SuiteError} `MIGRATION.BAD_TAG_FILE` if the directory cannot be read
 */
export async function tagNames(root: string): Promise<readonly string[]> {
  const directory = path.dirname(fileOf(root, '_'));
  const files = await readdir(directory).catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return [];
    throw badTagFile(directory, 'cannot be read', error);
  });
  return files.filter((file) => file.endsWith('.json')).map((file) => file.slice(0, -'.json'.length));
}

async function readIfExists(file: string): Promise<string | undefined> {
  return readFile(file, 'utf8').catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw badTagFile(file, 'cannot be read', error);
  });
}

function headsOf(text: string): Heads | undefined {
  try {
    const parsed: unknown = JSON.parse(text);
    const heads = isRecord(parsed) ? parsed['heads'] : undefined;
    return isHeads(heads) ? heads : undefined;
  } catch {
    return undefined;
  }
}

function isHeads(value: unknown): value is Heads {
  return (
    isRecord(value) &&
    !Array.isArray(value) &&
    Object.values(value).every((head) => head === null || typeof head === 'string')
  );
}

function errnoOf(error: unknown): string {
  return isRecord(error) ? String(error['code'] ?? '') : '';
}

function badTagFile(file: string, problem: string, cause?: unknown): SuiteError {
  return new SuiteError('MIGRATION.BAD_TAG_FILE', `${file} ${problem}`, {
    kind: 'configuration',
    ...(isRecord(cause) ? { why: `${cause['message']}.` } : {}),
    next:
      cause === undefined ? 'Restore it from version control, or remove it and tag again' : 'Correct its permissions',
    meta: { file },
    cause,
  });
}

function fileOf(root: string, name: string): string {
  return path.join(root, 'prisma', 'tags', `${name}.json`);
}
