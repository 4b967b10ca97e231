import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { SuiteError } from '@azora/db-core';

/** How a migration is taken back: by SQL, or not at all and why. */
export type Down = { readonly file: string; readonly sql: string } | { readonly irreversible: string };

/** One migration folder, read. */
export interface Migration {
  readonly name: string;
  /** Path of migration.sql. */
  readonly file: string;
  readonly sql: string;
  /** SHA-256 of migration.sql's bytes, hexadecimal, as Prisma keeps it in its history. */
  readonly checksum: string;
  /** False when the first line is `-- no-transaction`. */
  readonly transactional: boolean;
  readonly down: Down;
}

const NAME = /^\d{14}_[A-Za-z0-9_-]+$/;
const IRREVERSIBLE = /^--\s*irreversible:[ \t]*(\S.*)$/;
const NO_TRANSACTION = /^--\s*no-transaction\s*$/;

/**
 * Reads a service's migrations, oldest first.
 * @throws {SuiteError} `MIGRATION.BAD_NAME`, `MIGRATION.NO_SQL`, `MIGRATION.NO_DOWN`
 */
export async function readMigrations(directory: string): Promise<readonly Migration[]> {
  const entries = await readdir(directory, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  const names = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  return Promise.all(names.sort().map((name) => readMigration(path.join(directory, name), name)));
}

async function readMigration(directory: string, name: string): Promise<Migration> {
  if (!NAME.test(name)) {
    throw new SuiteError('MIGRATION.BAD_NAME', `${directory} is not named like a migration`, {
      next: 'Name it <14 digits of time>_<what it does>, such as 20260131120000_add_nickname',
      meta: { directory },
    });
  }
  const file = path.join(directory, 'migration.sql');
  const bytes = await readFile(file).catch(() => undefined);
  if (bytes === undefined) {
    throw new SuiteError('MIGRATION.NO_SQL', `${directory} has no migration.sql`, {
      next: 'Write it, or remove the folder',
      meta: { directory },
    });
  }
  const sql = bytes.toString('utf8');
  return {
    name,
    file,
    sql,
    checksum: createHash('sha256').update(bytes).digest('hex'),
    transactional: !NO_TRANSACTION.test(firstLine(sql)),
    down: await readDown(path.join(directory, 'down.sql')),
  };
}

/** A way back that does nothing is none: it would take the history row away and leave the tables. */
async function readDown(file: string): Promise<Down> {
  const sql = await readFile(file, 'utf8').catch(() => undefined);
  const irreversible = IRREVERSIBLE.exec(firstLine(sql ?? ''))?.[1];
  if (irreversible !== undefined) return { irreversible: irreversible.trim() };
  if (sql !== undefined && withoutComments(sql).trim() !== '') return { file, sql };
  throw new SuiteError('MIGRATION.NO_DOWN', `${file} ${sql === undefined ? 'is missing' : 'does nothing'}`, {
    next: 'Write the SQL that takes the migration back, or "-- irreversible: <reason>" as its first line',
    meta: { file },
  });
}

function firstLine(sql: string): string {
  return (sql.replace(/^\uFEFF/, '').split('\n', 1)[0] ?? '').trim();
}

/** Enough to tell an empty file: a comment that begins inside a string leaves the string's beginning behind. */
function withoutComments(sql: string): string {
  return sql
    .replaceAll(/--.*$/gm, '')
    .replaceAll(/\/\*[\s\S]*?\*\//g, '')
    .replaceAll(/[\uFEFF;]/g, '');
}
