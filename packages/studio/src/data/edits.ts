import type {
  Adapter,
  AdapterError,
  AdapterUpdateDetails,
  AdapterUpdateResult,
  Column,
  Either,
  Query,
  Table,
} from '@prisma/studio-core/data';
import type { StudioBFFClient } from '@prisma/studio-core/data/bff';
import type { FilledColumn } from '../api/answers';
import { withFilledColumns, withUpdateTimes } from './filled-columns';
import { withEmptyTexts } from './value-text';

type Values = Readonly<Record<string, unknown>>;
type Edits = Pick<Adapter, 'insert' | 'update' | 'delete'> & Required<Pick<Adapter, 'updateMany'>>;

/**
 * Saves changes of rows. Studio's own statements name a row by its primary key alone, and so overwrite what somebody else
 * changed since the page read it. These change and delete a row only as long as it is as the page shows it, and the old
 * values become part of the audit entry together with the new ones.
 */
export function createEdits(adapter: Adapter, client: StudioBFFClient, filled: readonly FilledColumn[]): Edits {
  const updateMany = async (
    updates: readonly AdapterUpdateDetails[],
  ): Promise<Either<AdapterError, { rows: AdapterUpdateResult['row'][]; queries: Query[] }>> => {
    const queries = updates.map((update) =>
      updateQuery({ ...update, changes: withUpdateTimes(update.table.name, update.changes, filled) }),
    );
    const [error, results] = await client.executeTransaction(queries);
    if (error !== null) return [await explain(client, updates, error)];
    return [null, { rows: results.map(([row]) => row as AdapterUpdateResult['row']), queries }];
  };
  return {
    insert: (details, options) => {
      const rows = details.rows.map((row) => withFilledColumns(details.table.name, row, filled));
      return adapter.insert({ ...details, rows, table: withEmptyTexts(details.table, ...rows) }, options);
    },
    update: async (details) => {
      const [error, result] = await updateMany([details]);
      if (error !== null) return [error];
      const [row, query] = [result.rows[0], result.queries[0]];
      return row === undefined || query === undefined ? [new Error('The row was not saved')] : [null, { row, query }];
    },
    updateMany: ({ updates }) => updateMany(updates),
    delete: async (details) => {
      const queries = details.rows.map((row) => deleteQuery(details.table, row));
      const [error] = await client.executeTransaction(queries);
      const [query] = queries;
      if (error !== null) {
        const { table } = details;
        return [
          await explain(
            client,
            details.rows.map((row) => ({ table, row })),
            error,
          ),
        ];
      }
      return query === undefined ? [new Error('No row was chosen')] : [null, { ...details, query }];
    },
  };
}

/** Changes a row as long as it has the values that the page shows. */
export function updateQuery({ table, row, changes }: AdapterUpdateDetails): Query {
  const parameters: unknown[] = [];
  const set = Object.entries(changes).map(([name, value]) =>
    value === undefined ? `${quoted(name)} = default` : `${quoted(name)} = ${parameter(parameters, value)}`,
  );
  const columns = Object.keys(table.columns).map(quoted).join(', ');
  const now = 'cast(floor(extract(epoch from now()) * 1000) as text) as "__ps_updated_at__"';
  return queryOf(
    `update ${relationOf(table)} set ${set.join(', ')} where ${asSeen(table, row, parameters)} returning ${columns}, ${now}`,
    parameters,
  );
}

function deleteQuery(table: Table, row: Values): Query {
  const parameters: unknown[] = [];
  return queryOf(`delete from ${relationOf(table)} where ${asSeen(table, row, parameters)}`, parameters);
}

function asSeen(table: Table, row: Values, parameters: unknown[]): string {
  const conditions = Object.values(table.columns)
    .filter(({ name }) => row[name] !== undefined)
    .map((column) => condition(column, row[column.name], parameters));
  return conditions.join(' and ');
}

/** `format` prints a value as the page shows it, also of types that cannot be compared, such as json. */
function condition({ name, pkPosition }: Column, value: unknown, parameters: unknown[]): string {
  if (value === null) return `${quoted(name)} is null`;
  if (pkPosition !== null) return `${quoted(name)} = ${parameter(parameters, value)}`;
  return `${quoted(name)} is not null and ${printed(name)} = ${parameter(parameters, printedValue(value))}`;
}

function printed(name: string): string {
  return `format('%s', ${quoted(name)})`;
}

/** PostgreSQL prints a boolean as one letter. */
function printedValue(value: unknown): unknown {
  return typeof value === 'boolean' ? String(value).slice(0, 1) : value;
}

interface SeenRow {
  readonly table: Table;
  readonly row: Values;
}

/** Says what somebody else made of the rows, if that is why they were not saved. */
async function explain(client: StudioBFFClient, seen: readonly SeenRow[], error: Error): Promise<AdapterError> {
  for (const { table, row } of seen) {
    const parameters: unknown[] = [];
    const keys = Object.values(table.columns).filter(({ pkPosition }) => pkPosition !== null);
    const where = keys.map((column) => condition(column, row[column.name], parameters)).join(' and ');
    const columns = Object.keys(table.columns).map(quoted).join(', ');
    const [failed, rows] = await client.execute(
      queryOf(`select ${columns} from ${relationOf(table)} where ${where}`, parameters),
    );
    if (failed !== null) return error;
    const [current] = rows;
    const key = keys.map(({ name }) => String(row[name])).join(', ');
    if (current === undefined) return new Error(`Nothing was saved: somebody has deleted the row ${key}`);
    const changed = Object.keys(table.columns).filter((name) => row[name] !== undefined && row[name] !== current[name]);
    if (changed.length === 0) continue;
    const both = changed.map((name) => `${name} is now ${shown(current[name])} and was ${shown(row[name])}`);
    return new Error(`Nothing was saved: somebody has changed the row ${key}: ${both.join('; ')}`);
  }
  return error;
}

const MOST_CHARACTERS = 80;

function shown(value: unknown): string {
  if (value === null) return 'NULL';
  const text = String(value);
  return `"${text.length > MOST_CHARACTERS ? `${text.slice(0, MOST_CHARACTERS)}…` : text}"`;
}

function parameter(parameters: unknown[], value: unknown): string {
  parameters.push(value);
  return `$${parameters.length}`;
}

function queryOf(sql: string, parameters: readonly unknown[]): Query {
  return { sql, parameters };
}

function relationOf({ schema, name }: Table): string {
  return `${quoted(schema)}.${quoted(name)}`;
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
