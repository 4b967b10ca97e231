import { isUtf8 } from 'node:buffer';
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { SuiteError } from '@azora/db-core/errors';
import { splitStatements } from './sql';

/** The SQL file that a migration runs. */
export interface Script {
  readonly file: string;
  readonly sql: string;
  /** False when the first line is `-- no-transaction`. */
  readonly transactional: boolean;
}

/** The SQL that reverts a migration, or the reason why it cannot be reverted; null when it has no down.sql, as with Prisma. */
export type Down = Script | { readonly irreversible: string | null };

/** One migration folder, read: `migration.sql` and `down.sql`. */
export interface Migration extends Script {
  readonly name: string;
  readonly directory: string;
  /** SHA-256 of the bytes of migration.sql in hexadecimal, as Prisma's history table holds it. */
  readonly checksum: string;
  readonly down: Down;
  /** The migrations that this one replaces; a database that has applied all of them has applied this one. */
  readonly squashes: readonly string[];
}

/** Prisma takes any name. The digits at the beginning give the order; the rest may be anything that a line of text can hold. */
const NAME = /^\d[^\p{Cc}]{0,254}$/u;
const IRREVERSIBLE = /^--\s*irreversible:[ \t]*(\S.*)$/;
/** A line of the comment at the beginning of migration.sql. */
const SQUASHES = /^-- squashes: (.+?)\r?$/gm;
const NO_TRANSACTION = /^--\s*no-transaction\s*$/;

/**
 * Reads a service's migrations, oldest first. Files beside the folders, such as `migration_lock.toml`, are ignored.
 * @throws {SuiteError} `MIGRATION.BAD_NAME`, `MIGRATION.NO_SQL`, `MIGRATION.NO_DOWN`, `MIGRATION.UNREADABLE`
 */
export async function readMigrations(directory: string): Promise<readonly Migration[]> {
  const entries = await readdir(directory, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw unreadable(directory, `${error.code ?? error.message}.`, error);
  });
  const folders = entries.filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'));
  const names = folders.map((folder) => folder.name).sort();
  const migrations = await Promise.all(names.map((name) => readMigration(path.join(directory, name), name)));
  // Both are there while a squash replaces the folders, and after it was interrupted.
  const replaced = new Set(migrations.flatMap(({ squashes }) => squashes));
  return migrations.filter(({ name }) => !replaced.has(name));
}

async function readMigration(directory: string, name: string): Promise<Migration> {
  if (!NAME.test(name)) {
    throw new SuiteError('MIGRATION.BAD_NAME', `${directory} does not have the name of a migration`, {
      kind: 'configuration',
      next: 'Rename the folder to <timestamp>_<slug>, such as 20260131120000_add_nickname',
      meta: { directory },
    });
  }
  const file = path.join(directory, 'migration.sql');
  const bytes = await readBytes(file);
  if (bytes === undefined) {
    throw new SuiteError('MIGRATION.NO_SQL', `${directory} has no migration.sql`, {
      kind: 'configuration',
      next: 'Add the file, or remove the folder',
      meta: { directory },
    });
  }
  const script = scriptOf(file, bytes);
  return {
    name,
    directory,
    ...script,
    squashes: squashesOf(script.sql),
    checksum: createHash('sha256').update(bytes).digest('hex'),
    down: await readDown(path.join(directory, 'down.sql')),
  };
}

/** A down.sql that does nothing is rejected: reverting would remove the history row and leave the tables. */
async function readDown(file: string): Promise<Down> {
  const bytes = await readBytes(file);
  if (bytes === undefined) return { irreversible: null };
  const script = scriptOf(file, bytes);
  const irreversible = IRREVERSIBLE.exec(firstLine(script.sql))?.[1];
  if (irreversible !== undefined) return { irreversible: irreversible.trim() };
  if (splitStatements(script.sql).length > 0) return script;
  throw new SuiteError('MIGRATION.NO_DOWN', `${file} does nothing`, {
    kind: 'configuration',
    next: 'Write the SQL that reverts the migration, or "-- irreversible: <reason>" as the first line',
    meta: { file },
  });
}

async function readBytes(file: string): Promise<Buffer | undefined> {
  return readFile(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw unreadable(file, `${error.code ?? error.message}.`, error);
  });
}

function scriptOf(file: string, bytes: Buffer): Script {
  // A NUL ends the text in the protocol: the SQL after it would silently not run.
  if (!isUtf8(bytes) || bytes.includes(0)) throw unreadable(file, 'The file is not UTF-8 text.');
  const sql = bytes.toString('utf8');
  return { file, sql, transactional: !NO_TRANSACTION.test(firstLine(sql)) };
}

function squashesOf(sql: string): readonly string[] {
  const [comment = ''] = /^\uFEFF?(?:--.*(?:\n|$))*/.exec(sql) ?? [];
  return [...comment.matchAll(SQUASHES)].map(([, name = '']) => name);
}

function firstLine(sql: string): string {
  return (sql.replace(/^\uFEFF/, '').split('\n', 1)[0] ?? '').trim();
}

function unreadable(file: string, why: string, cause?: unknown): SuiteError {
  const next = 'Make the file readable, and save it as UTF-8';
  return new SuiteError('MIGRATION.UNREADABLE', `${file} cannot be read`, {
    kind: 'configuration',
    why,
    next,
    meta: { file },
    cause,
  });
}
