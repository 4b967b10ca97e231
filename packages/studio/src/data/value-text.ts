import type { AdapterIntrospectResult, Column, Query, Table } from '@prisma/studio-core/data';
import type { StudioBFFClient } from '@prisma/studio-core/data/bff';

/** A text as the column would store it, or why the column does not accept it. */
export type CheckedValue = { readonly stored: string } | { readonly problem: string };

/** Asks the database what a column makes of a text. */
export type CheckValue = (column: Column, text: string) => Promise<CheckedValue>;

type Values = Readonly<Record<string, unknown>>;

/**
 * Describes the columns to Studio so that it takes every value as text. It would parse documents and lists as JSON, and
 * fill required columns of a new row with values of its own: an empty text, zero, the year 1970.
 */
export function asTextColumns(introspected: AdapterIntrospectResult): AdapterIntrospectResult {
  const schemas = Object.entries(introspected.schemas).map(([name, schema]) => {
    const tables = Object.entries(schema.tables).map(
      ([key, table]) => [key, withColumns(table, asTextColumn)] as const,
    );
    return [name, { ...schema, tables: Object.fromEntries(tables) }] as const;
  });
  return { ...introspected, schemas: Object.fromEntries(schemas) };
}

function asTextColumn(column: Column): Column {
  const { datatype } = column;
  const isParsed = datatype.isArray || datatype.group === 'json';
  if (!isParsed) return { ...column, isRequired: false };
  // Studio casts values of other types than PostgreSQL's own to this name: `_mood` is the type that SQL writes `mood[]`.
  const name = datatype.isArray && !datatype.isNative ? `_${datatype.name.replace(/\[\]$/, '')}` : datatype.name;
  return { ...column, isRequired: false, datatype: { ...datatype, group: 'string', isArray: false, name } };
}

/** Keeps Studio from saving an empty text as NULL or as the default of its column. */
export function withEmptyTexts(table: Table, ...rows: readonly Values[]): Table {
  return withColumns(table, (column) =>
    rows.some((row) => row[column.name] === '') ? { ...column, nullable: false, defaultValue: null } : column,
  );
}

function withColumns(table: Table, change: (column: Column) => Column): Table {
  const columns = Object.entries(table.columns).map(([name, column]) => [name, change(column)] as const);
  return { ...table, columns: Object.fromEntries(columns) };
}

type Execute = StudioBFFClient['execute'];

/** Parses the documents in the answer to Studio's introspection, which the server sends as text like all documents. */
export function withParsedDocuments(execute: Execute): Execute {
  return async (query, options) => {
    const [error, rows] = await execute(query, options);
    if (error !== null) return [error];
    return [null, (rows as unknown as Values[]).map(parsed) as unknown as typeof rows];
  };
}

function parsed(row: Values): Values {
  const { columns } = row;
  return typeof columns === 'string' ? { ...row, columns: JSON.parse(columns) as unknown } : row;
}

/** PostgreSQL shortens a text that is cast to one of these, and rejects it when it is stored. */
const LIMITED = /^(character|bit)/;

/** Lets the database read a text as a value of a column, and returns the text of the value that it would store. */
export function createValueCheck(execute: Execute): CheckValue {
  return async ({ schema, table, name }, text) => {
    const relation = [schema, table].map(quoted).join('.');
    const [typeError, types] = await execute(
      queryOf(
        `SELECT format_type(atttypid, atttypmod) AS type FROM pg_catalog.pg_attribute
         WHERE attrelid = CAST($1 AS regclass) AND attname = $2`,
        [relation, name],
      ),
    );
    if (typeError !== null) return { problem: typeError.message };
    const type = String(types[0]?.['type'] ?? 'text');
    const [error, values] = await execute(queryOf(`SELECT concat(CAST(CAST($1 AS text) AS ${type})) AS value`, [text]));
    if (error !== null) return { problem: error.message };
    const stored = String(values[0]?.['value'] ?? '');
    if (LIMITED.test(type) && stored.length < text.length) return { problem: `value too long for type ${type}` };
    return { stored: type === 'boolean' ? text : stored };
  };
}

function queryOf(sql: string, parameters: readonly unknown[]): Query {
  return { sql, parameters };
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
