import type { SqliteSource } from '../readers/sqlite';
import type { LegacyRecord, SourceItem } from '../source';
import type { Stage, StageRow, StageSource } from '../stage';
import type { ReadColumn } from './columns';
import type { LegacyFile } from './folder';

/** A SQLite file of a legacy folder, opened. */
export interface LegacyDatabase {
  readonly file: LegacyFile;
  readonly sqlite: SqliteSource;
}

/** How the rows of a legacy table become rows of a table of the suite. */
export interface LegacyTable extends Omit<Stage, 'columns' | 'sources' | 'map'> {
  /** The legacy table; by default the one with the name of the target. */
  readonly from?: string;
  readonly values: Readonly<Record<string, ReadColumn>>;
  /** The fields of the record that the values come from, besides those with the name of a value. */
  readonly fields?: readonly string[];
}

/** A stage, and the fields of the legacy table that it takes. */
export interface LegacyStage {
  readonly from: string;
  readonly fields: readonly string[];
  readonly stage: Stage;
}

/** The field for the rowid of a legacy table without a column `id`. */
const ROWID = 'id';

/** The name of a table in positions and reports. */
export const tableName = ({ file }: LegacyDatabase, table: string) => `${file.name}, table ${table}`;

/** The databases that have a table. */
export function databasesWith(databases: readonly LegacyDatabase[], table: string): readonly LegacyDatabase[] {
  return databases.filter(({ sqlite }) => sqlite.tables.has(table));
}

/** A source for each database that has the table. */
export function sourcesOf(
  databases: readonly LegacyDatabase[],
  table: string,
  read: (database: LegacyDatabase) => AsyncIterable<SourceItem> = (it) => readTable(it, table),
): readonly StageSource[] {
  return databasesWith(databases, table).map((database) => ({
    name: tableName(database, table),
    files: database.sqlite.copies,
    read: () => read(database),
  }));
}

/** The rows of a legacy table; `id` is the rowid in a table without such a column. */
export async function* readTable({ sqlite }: LegacyDatabase, table: string): AsyncGenerator<SourceItem> {
  yield* sqlite.read(table, ROWID);
}

/** The stage that moves a legacy table. */
export function tableStage(
  databases: readonly LegacyDatabase[],
  { from: legacy, values, fields = [], ...stage }: LegacyTable,
): LegacyStage {
  const { inputs = [], expressions = {} } = stage;
  const own = Object.keys(values).filter((name) => !inputs.includes(name) && name !== 'legacy');
  const from = legacy ?? stage.table;
  return {
    from,
    fields: [...Object.keys(values), ...fields],
    stage: {
      ...stage,
      columns: [...own, ...Object.keys(expressions)],
      sources: sourcesOf(databases, from),
      map: (record) => [rowOf(values, record)],
    },
  };
}

/** The row that a record becomes. */
export function rowOf(values: LegacyTable['values'], record: LegacyRecord): StageRow {
  return Object.fromEntries(Object.entries(values).map(([name, read]) => [name, read(record, name)]));
}
