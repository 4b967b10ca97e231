import path from 'node:path';
import { readCsv } from '../readers/csv';
import { readJsonDocument } from '../readers/json-document';
import { readJsonLines } from '../readers/json-lines';
import { openSqlite, type SqliteSource } from '../readers/sqlite';
import { type LegacyRecord, Rejection, type SourceItem } from '../source';
import type { ImportSource, Stage, StageRow } from '../stage';
import { booleanOf, bytesOf, type ColumnValue, integerOf, jsonOf, numberOf, textOf, timeOf } from '../values';
import { invalidMap, type MappedColumn, readTableMap, type TableMap } from './map';

const READERS = { integer: integerOf, number: numberOf, boolean: booleanOf, time: timeOf, json: jsonOf };

/**
 * Opens the file that a mapping names, as one stage.
 * @throws {SuiteError} `IMPORT.CANNOT_READ`, `IMPORT.INVALID_MAP`, `IMPORT.CORRUPT_DATABASE`, `IMPORT.SOURCE_CHANGED`
 */
export async function openTable(file: string): Promise<ImportSource> {
  const map = await readTableMap(file);
  const name = path.basename(map.source);
  const sqlite = map.format === 'sqlite' ? await openSqlite(map.source, name) : undefined;
  if (sqlite !== undefined && !sqlite.tables.has(map.sourceTable ?? '')) {
    await sqlite.close();
    const why = `The source has the tables ${[...sqlite.tables.keys()].join(', ')}, and not ${map.sourceTable}.`;
    throw invalidMap(file, why, 'Correct "sourceTable"');
  }
  const stage: Stage = {
    name: `${name} into ${map.table}`,
    service: map.service,
    table: map.table,
    key: map.key,
    columns: Object.keys(map.columns),
    sources: [{ name, files: [...(sqlite?.copies ?? [map.source]), file], read: () => readSource(map, name, sqlite) }],
    map: (record) => [rowOf(map, record)],
  };
  return {
    kind: 'table',
    origin: path.resolve(file),
    stages: [stage],
    skipped: [],
    close: async () => sqlite?.close(),
  };
}

async function* readSource(map: TableMap, name: string, sqlite: SqliteSource | undefined): AsyncGenerator<SourceItem> {
  if (sqlite !== undefined) yield* sqlite.read(map.sourceTable ?? '');
  else if (map.format === 'csv') yield* readCsv(map.source, name, map.delimiter);
  else if (map.format === 'json') yield* readJsonDocument(map.source, name);
  else yield* readJsonLines(map.source, name);
}

function rowOf({ columns, key }: TableMap, record: LegacyRecord): StageRow {
  const row = Object.fromEntries(
    Object.entries(columns).map(([name, column]) => [name, columnValueOf(column, record)]),
  );
  const absent = key.find((name) => row[name] === null);
  if (absent !== undefined) {
    throw new Rejection('INVALID_VALUE', `The record has no value for the key column ${absent}`);
  }
  return row;
}

function columnValueOf(column: MappedColumn, record: LegacyRecord): ColumnValue {
  if (typeof column === 'string') return plainOf(record, column);
  if ('value' in column) return column.value;
  const value = column.as === 'text' ? plainOf(record, column.field) : READERS[column.as](record, column.field);
  if (column.required && value === null) throw new Rejection('INVALID_VALUE', `${column.field} is missing`);
  return value;
}

/** Text as it is, bytes in PostgreSQL's form, and objects as JSON. */
function plainOf(record: LegacyRecord, field: string): ColumnValue {
  const value = record[field];
  if (value instanceof Uint8Array) return bytesOf(record, field);
  return typeof value === 'object' && value !== null ? jsonOf(record, field) : textOf(record, field);
}
