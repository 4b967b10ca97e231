import { copyFile, mkdtemp, rm, stat } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { quoteIdentifier } from '@azora/db-core';
import type { Database as SqliteDatabase } from 'node-sqlite3-wasm';
import { cannotRead, corruptDatabase, nodeErrorCode, sourceChanged, sqliteMessage } from '../errors';
import type { SourceItem } from '../source';

/** The files of a database: the write-ahead log holds committed rows, and a rollback journal the pages to undo. */
const PARTS = ['', '-wal', '-journal'];
const COPY_ATTEMPTS = 3;

/** A copy of a SQLite database that was opened for an import. */
export interface SqliteSource {
  readonly tables: ReadonlyMap<string, readonly string[]>;
  /** The rows of a table in the order of their rowids or keys. */
  read(table: string): Generator<SourceItem>;
  close(): Promise<void>;
}

/**
 * Copies a SQLite database with its write-ahead log and opens the copy, so that the source is never written to.
 * @param name the file in positions
 * @throws {SuiteError} `IMPORT.CANNOT_READ`, `IMPORT.CORRUPT_DATABASE`, `IMPORT.SOURCE_CHANGED`
 */
export async function openSqlite(file: string, name: string): Promise<SqliteSource> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'azora-import-'));
  const close = () => rm(folder, { recursive: true, force: true });
  let database: SqliteDatabase | undefined;
  try {
    const copy = path.join(folder, 'copy.db');
    await copyParts(file, copy);
    database = await openCopy(copy, name);
    const opened = database;
    return {
      tables: readTables(opened),
      read: (table) => readRows(opened, table, name),
      close: async () => {
        opened.close();
        await close();
      },
    };
  } catch (error) {
    database?.close();
    await close();
    throw error;
  }
}

/** A copy counts if none of the files changed while it was made. */
async function copyParts(file: string, copy: string): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    const before = await stateOf(file);
    for (const part of PARTS) {
      try {
        await copyFile(`${file}${part}`, `${copy}${part}`);
      } catch (error) {
        if (nodeErrorCode(error) !== 'ENOENT' || part === '') throw cannotRead(`${file}${part}`, error);
        await rm(`${copy}${part}`, { force: true });
      }
    }
    if ((await stateOf(file)) === before) return;
    if (attempt === COPY_ATTEMPTS) throw sourceChanged(file);
  }
}

async function stateOf(file: string): Promise<string> {
  const states = PARTS.map(async (part) => {
    const found = await stat(`${file}${part}`, { bigint: true }).catch(() => undefined);
    return found === undefined ? 'absent' : `${found.size} ${found.mtimeNs} ${found.ino}`;
  });
  return (await Promise.all(states)).join();
}

async function openCopy(copy: string, name: string): Promise<SqliteDatabase> {
  const { Database } = await import('node-sqlite3-wasm');
  let database: SqliteDatabase | undefined;
  try {
    database = new Database(copy, { fileMustExist: true });
    // Without shared memory, SQLite reads a write-ahead log only in this mode, and only if it is the first statement.
    database.exec('PRAGMA locking_mode = EXCLUSIVE');
    const result = database.all('PRAGMA integrity_check(1)')[0]?.['integrity_check'];
    if (result !== 'ok') throw corruptDatabase(name, 'PRAGMA integrity_check found a damaged page');
    return database;
  } catch (error) {
    database?.close();
    const message = sqliteMessage(error);
    if (message !== undefined) throw corruptDatabase(name, message);
    throw error;
  }
}

function readTables(database: SqliteDatabase): ReadonlyMap<string, readonly string[]> {
  const tables = database.all(
    "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name",
  );
  return new Map(
    tables.map(({ name }) => {
      const columns = database.all('SELECT name FROM pragma_table_info(?) ORDER BY cid', [String(name)]);
      return [String(name), columns.map((column) => String(column['name']))];
    }),
  );
}

function* readRows(database: SqliteDatabase, table: string, name: string): Generator<SourceItem> {
  // A table WITHOUT ROWID is stored in the order of its key.
  const statement = database.prepare(`SELECT * FROM ${quoteIdentifier(table)}`);
  let record = 0;
  try {
    for (const value of statement.iterate()) {
      record += 1;
      yield { position: { file: name, table, record }, value };
    }
  } catch (error) {
    const message = sqliteMessage(error);
    if (message !== undefined) throw corruptDatabase(name, message);
    throw error;
  } finally {
    statement.finalize();
  }
}
