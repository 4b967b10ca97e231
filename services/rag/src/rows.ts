import { type Cursor, microsOf, type Page, pageOf, timeOfMicros } from '@azora/db-core/paging';
import type { Rag } from './client';
import type { Prisma } from './generated/client';

export type Workspace = Prisma.WorkspaceModel;
export type IndexEntry = Prisma.IndexMetadataModel;
export type CodeNode = Prisma.CodeNodeModel;
export type CodeEdge = Prisma.CodeEdgeModel;
/** A function of the corpus, with the results of its tests. */
export type CorpusEntry = Omit<Prisma.CorpusEntryModel, 'entryKey'>;

/** A row as `pg` returns it: with the names of columns. */
export type Row = Readonly<Record<string, unknown>>;

/** Columns that only the database needs. */
const INTERNAL = new Set(['entry_key', 'micros', 'page_id']);

const fieldOf = (column: string) => column.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());

/** The model of a row of its table. The generated types describe the same columns. */
export function modelOf<Model>(row: Row): Model {
  const fields = Object.entries(row).filter(([column]) => !INTERNAL.has(column));
  return Object.fromEntries(fields.map(([column, value]) => [fieldOf(column), value])) as Model;
}

/** Runs a statement that returns rows of a table. */
export async function rowsFor<Model>(rag: Rag, text: string, values: readonly unknown[]): Promise<readonly Model[]> {
  return (await rag.query<Row>({ text, values })).map((row) => modelOf<Model>(row));
}

/** Runs a statement that returns one row of a table. */
export async function callFor<Model>(rag: Rag, text: string, values: readonly unknown[]): Promise<Model> {
  return onlyRow(await rowsFor<Model>(rag, text, values));
}

interface ListQuery {
  readonly table: string;
  /** The column of time, newest first. */
  readonly time: string;
  /** Conditions of columns; one whose value is undefined does not restrict. */
  readonly where: Readonly<Record<string, unknown>>;
  readonly limit: number;
  readonly cursor: Cursor | undefined;
}

/** A page of the rows of a table, newest first. */
export async function listRows<Model>(
  rag: Rag,
  { table, time, where, limit, cursor }: ListQuery,
): Promise<Page<Model>> {
  const given = Object.entries(where).filter(([, value]) => value !== undefined);
  const conditions = given.map(([column], index) => `${column} = $${index + 4}`);
  const found = await rag.query<Row & Cursor>({
    text: `SELECT *, ${microsOf(time)} AS micros FROM ${table}
      WHERE ${[...conditions, `($1::bigint IS NULL OR (${time}, id::text) < (${timeOfMicros('$1')}, $2))`].join(' AND ')}
      ORDER BY ${time} DESC, id::text DESC LIMIT $3`,
    values: [cursor?.micros ?? null, cursor?.id ?? null, limit + 1, ...given.map(([, value]) => value)],
  });
  const { rows, nextCursor } = pageOf(found, limit);
  return { items: rows.map((row) => modelOf<Model>(row)), nextCursor };
}

/** The row of a statement that returns exactly one. */
export function onlyRow<Found>(rows: readonly Found[]): Found {
  const [row] = rows;
  if (row === undefined || rows.length > 1)
    throw new Error(`the statement returned ${rows.length} rows instead of one`);
  return row;
}
