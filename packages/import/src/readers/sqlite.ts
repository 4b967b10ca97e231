import { copyFile, mkdtemp, open, rm, stat } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { TextDecoder } from 'node:util';
import { quoteIdentifier } from '@azora/db-core';
import type { Database as SqliteDatabase } from 'node-sqlite3-wasm';
import {
  cannotRead,
  corruptDatabase,
  nodeErrorCode,
  sourceChanged,
  sqliteMessage,
  unfinishedTransaction,
} from '../errors';
import type { LegacyRecord, SourceItem } from '../source';

/** The files of a database: the write-ahead log holds committed rows, and a rollback journal the pages to undo, if there are any. */
const PARTS = ['', '-wal', '-journal'];
const COPY_ATTEMPTS = 3;

/** A copy of a SQLite database that was opened for an import. */
export interface SqliteSource {
  /** The columns of each table. Virtual tables are not among them: they index the rows of others. */
  readonly tables: ReadonlyMap<string, readonly string[]>;
  /** The files of the copy, which a program that writes to the source does not change. */
  readonly copies: readonly string[];
  /**
   * The rows of a table in the order of their rowids or keys. A row whose text is not valid is a reject.
   * @param rowid the field for the rowid, in a table that has no such column
   */
  read(table: string, rowid?: string): Generator<SourceItem>;
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
    if (await isHot(`${copy}-journal`)) throw unfinishedTransaction(name);
    database = await openCopy(copy, name);
    const opened = database;
    const tables = asSound(name, () => readTables(opened));
    return {
      tables: new Map([...tables].map(([table, { columns }]) => [table, columns])),
      copies: PARTS.map((part) => `${copy}${part}`),
      read: (table, rowid) => readRows(opened, table, name, tables.get(table), rowid),
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

/**
 * Whether a transaction was cut off, or has not ended. The library does not undo it: it takes its own lock for the one of a program
 * that is still writing.
 */
async function isHot(journal: string): Promise<boolean> {
  const handle = await open(journal).catch(() => undefined);
  if (handle === undefined) return false;
  try {
    const { bytesRead, buffer } = await handle.read(Buffer.alloc(1));
    // A journal that is kept for the next transaction begins with zeros.
    return bytesRead === 1 && buffer[0] !== 0;
  } finally {
    await handle.close();
  }
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

/** @throws {SuiteError} `IMPORT.CORRUPT_DATABASE` for an error of SQLite */
function asSound<Result>(name: string, work: () => Result): Result {
  try {
    return work();
  } catch (error) {
    const message = sqliteMessage(error);
    if (message !== undefined) throw corruptDatabase(name, message);
    throw error;
  }
}

interface SqliteTable {
  readonly columns: readonly string[];
  readonly hasRowid: boolean;
}

function readTables(database: SqliteDatabase): ReadonlyMap<string, SqliteTable> {
  const tables = database.all(`SELECT name, wr FROM pragma_table_list
    WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name`);
  return new Map(
    tables.map(({ name, wr }) => {
      const columns = database.all('SELECT name FROM pragma_table_info(?) ORDER BY cid', [String(name)]);
      return [String(name), { columns: columns.map((column) => String(column['name'])), hasRowid: wr === 0 }];
    }),
  );
}

const NO_TABLE: SqliteTable = { columns: [], hasRowid: false };

function* readRows(
  database: SqliteDatabase,
  table: string,
  name: string,
  { columns, hasRowid }: SqliteTable = NO_TABLE,
  rowid?: string,
): Generator<SourceItem> {
  const isAdded = rowid !== undefined && hasRowid && !columns.includes(rowid);
  const fields = isAdded ? [rowid, ...columns] : columns;
  const expressions = isAdded ? ['rowid', ...columns.map(quoteIdentifier)] : columns.map(quoteIdentifier);
  // A table WITHOUT ROWID is stored in the order of its key.
  const statement = asSound(name, () =>
    database.prepare(`SELECT ${expressions.map(typedValue).join(', ')} FROM ${quoteIdentifier(table)}`),
  );
  const rows = statement.iterate();
  let record = 0;
  try {
    for (;;) {
      const next = asSound(name, () => rows.next());
      if (next.done === true) return;
      record += 1;
      yield itemOf(next.value, fields, { file: name, table, record });
    }
  } finally {
    statement.finalize();
  }
}

/**
 * Text as its bytes, with the type beside it: the library would end a text at its first zero byte, and replace what is not valid
 * UTF-8.
 */
const typedValue = (expression: string, at: number) =>
  `typeof(${expression}) AS t${at}, CASE typeof(${expression}) WHEN 'text' THEN CAST(${expression} AS BLOB) ELSE ${expression} END AS v${at}`;

/** The library opens no database in another encoding. */
const DECODER = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function itemOf(row: LegacyRecord, fields: readonly string[], position: SourceItem['position']): SourceItem {
  const value: Record<string, unknown> = {};
  for (const [at, field] of fields.entries()) {
    const found = row[`v${at}`];
    try {
      value[field] = row[`t${at}`] === 'text' ? DECODER.decode(found as Uint8Array) : found;
    } catch {
      return { position, code: 'INVALID_UTF8', reason: `${field} is not valid UTF-8` };
    }
  }
  return { position, value };
}
