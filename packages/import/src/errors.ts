import { isRecord, SuiteError } from '@azora/db-core';

/** The codes of the errors of an import. */
export type ImportErrorCode =
  | 'IMPORT.ALREADY_RUNNING'
  | 'IMPORT.CANNOT_READ'
  | 'IMPORT.CORRUPT_DATABASE'
  | 'IMPORT.INVALID_MAP'
  | 'IMPORT.NO_SOURCE'
  | 'IMPORT.NOT_PERMITTED'
  | 'IMPORT.SOURCE_CHANGED'
  | 'IMPORT.UNKNOWN_COLUMN'
  | 'IMPORT.UNKNOWN_IMPORT'
  | 'IMPORT.UNKNOWN_TABLE';

/** The code of an error of Node, such as `ENOENT`. By shape, because the error may come from another realm. */
export function nodeErrorCode(error: unknown): string | undefined {
  return isRecord(error) && typeof error['code'] === 'string' ? error['code'] : undefined;
}

/** The message of an error of SQLite; undefined for another error. */
export function sqliteMessage(error: unknown): string | undefined {
  return isRecord(error) && error['name'] === 'SQLite3Error' ? String(error['message']) : undefined;
}

/** A file of the source could not be opened or read. */
export function cannotRead(file: string, cause: unknown): SuiteError {
  return new SuiteError('IMPORT.CANNOT_READ', `Cannot read ${file}`, {
    kind: 'configuration',
    why: `${nodeErrorCode(cause) ?? 'The system reports an error'}.`,
    next: 'Make the file readable, or close the program that locks it, and run the command again',
    meta: { file },
    cause,
  });
}

/** A SQLite database without a write-ahead log is in the middle of a transaction. */
export function unfinishedTransaction(file: string): SuiteError {
  return new SuiteError('IMPORT.CANNOT_READ', `${file} is in the middle of a transaction`, {
    kind: 'configuration',
    why: 'Its rollback journal holds pages to undo: a program writes to it, or was cut off while it did.',
    next: 'Close the program; if it was killed, open a copy of both files with "sqlite3 FILE .schema", which undoes the transaction, and import that',
    meta: { file },
  });
}

/** SQLite reports that the file is damaged or is not a database. */
export function corruptDatabase(file: string, reason: string): SuiteError {
  return new SuiteError('IMPORT.CORRUPT_DATABASE', `${file} is not a sound SQLite database`, {
    kind: 'finding',
    why: `${reason}.`,
    next: 'Recover it with "sqlite3 FILE .recover", or restore it from a backup of the legacy system',
    meta: { file },
  });
}

/** The source holds nothing that this kind of import reads. */
export function noSource(folder: string, expected: string): SuiteError {
  return new SuiteError('IMPORT.NO_SOURCE', `${folder} holds nothing to import`, {
    kind: 'usage',
    why: `Expected ${expected}.`,
    next: 'Name the folder of the legacy system',
    meta: { folder },
  });
}

/** Somebody writes to the source while it is read. */
export function sourceChanged(file: string): SuiteError {
  return new SuiteError('IMPORT.SOURCE_CHANGED', `${file} changed while it was read`, {
    why: 'A program writes to it.',
    next: 'Stop the legacy system, or import a copy of its files, and run the command again',
    meta: { file },
  });
}
