import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { SuiteError } from '@azora/db-core';
import { compareHistory, readHistory, readMigrations, withClient } from '@azora/db-migrate';
import { eachService, type RunOptions, type ServiceRow } from './fleet';
import type { Target } from './targets';

/** The newest migration of each service; null for a database without any. */
export type Heads = Readonly<Record<string, string | null>>;

const NAME = /^[A-Za-z0-9][\w.-]{0,99}$/;

/** Reads the newest applied migration of every database. */
export async function readHeads(
  targets: readonly Target[],
  options: RunOptions,
): Promise<readonly ServiceRow<{ readonly head: string | null }>[]> {
  return eachService(targets, options, async ({ service, admin }) => {
    const files = await readMigrations(service.migrationsPath);
    const { applied } = compareHistory(files, await withClient(admin, readHistory));
    const head = applied.at(-1) ?? null;
    return { data: { head }, detail: head ?? 'nothing applied' };
  });
}

/**
 * Keeps heads under a name, in a file that belongs into version control: `prisma/tags/<name>.json`. The same heads again
 * change nothing.
 * @throws {SuiteError} `USAGE.BAD_TAG`, `MIGRATION.TAG_EXISTS`
 */
export async function writeTag(root: string, name: string, heads: Heads): Promise<string> {
  if (!NAME.test(name)) {
    throw new SuiteError('USAGE.BAD_TAG', `${JSON.stringify(name)} cannot be the name of a tag`, {
      kind: 'usage',
      next: 'Use letters, digits, dots, dashes and underscores',
    });
  }
  const file = fileOf(root, name);
  const text = `${JSON.stringify({ heads }, undefined, 2)}\n`;
  await mkdir(path.dirname(file), { recursive: true });
  try {
    await writeFile(file, text, { flag: 'wx' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    if ((await readFile(file, 'utf8')) === text) return file;
    throw new SuiteError('MIGRATION.TAG_EXISTS', `There is a tag ${name} of other heads`, {
      kind: 'usage',
      next: `Choose another name, or remove ${file}`,
      meta: { file },
    });
  }
  return file;
}

/**
 * The heads that a tag holds; undefined when there is no such tag.
 * @throws {SuiteError} `MIGRATION.BAD_TAG_FILE`
 */
export async function readTag(root: string, name: string): Promise<Heads | undefined> {
  const file = fileOf(root, name);
  if (!NAME.test(name)) return undefined;
  const text = await readFile(file, 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  const heads = headsOf(text);
  if (heads !== undefined) return heads;
  throw new SuiteError('MIGRATION.BAD_TAG_FILE', `${file} holds no heads`, {
    kind: 'configuration',
    next: 'Restore it from version control, or remove it and tag again',
    meta: { file },
  });
}

export async function tagNames(root: string): Promise<readonly string[]> {
  const files = await readdir(path.dirname(fileOf(root, '_'))).catch(() => []);
  return files.filter((file) => file.endsWith('.json')).map((file) => file.slice(0, -'.json'.length));
}

function headsOf(text: string): Heads | undefined {
  try {
    const { heads } = JSON.parse(text);
    const all = Object.entries(heads).every(([, head]) => head === null || typeof head === 'string');
    return all ? heads : undefined;
  } catch {
    return undefined;
  }
}

function fileOf(root: string, name: string): string {
  return path.join(root, 'prisma', 'tags', `${name}.json`);
}
