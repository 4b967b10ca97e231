import { type Cursor, microsOf, type Page, pageOf, timeOfMicros } from '@azora/db-core/paging';
import type { Nexus } from './client';
import type { Prisma } from './generated/client';

export type Profile = Omit<Prisma.UserProfileModel, 'staleSince'>;
export type Recommendation = Prisma.RecommendationModel;
export type Interaction = Prisma.InteractionModel;
export type AuditEntry = Prisma.AuditLogModel;
/** An item of the catalog. */
export type Item = Omit<Prisma.ItemModel, 'id' | 'popularity'>;

/** A row as `pg` returns it, with the names of columns. */
export type Row = Readonly<Record<string, unknown>>;

/** Columns that only the database needs. */
const INTERNAL = new Set(['stale_since', 'popularity', 'micros', 'page_id']);

const fieldOf = (column: string) => column.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());

/** The model of a row of its table: fields for columns. The generated types describe the same columns. */
export function modelOf<Model>(row: Row): Model {
  const fields = Object.entries(row).filter(([column]) => !INTERNAL.has(column));
  return Object.fromEntries(fields.map(([column, value]) => [fieldOf(column), value])) as Model;
}

/** Runs a statement that returns one row of a table. */
export async function callFor<Model>(nexus: Nexus, text: string, values: readonly unknown[]): Promise<Model> {
  return modelOf<Model>(onlyRow(await nexus.query<Row>({ text, values })));
}

interface ListQuery {
  /** A table or a subquery in parentheses, with the columns `created_at` and `id`. */
  readonly from: string;
  /** Conditions of columns; one whose value is undefined does not restrict. */
  readonly where: Readonly<Record<string, unknown>>;
  readonly limit: number;
  readonly cursor: Cursor | undefined;
}

/** A page of rows, newest first. */
export async function listRows<Model>(nexus: Nexus, { from, where, limit, cursor }: ListQuery): Promise<Page<Model>> {
  const given = Object.entries(where).filter(([, value]) => value !== undefined);
  const conditions = given.map(([column], index) => `${column} = $${index + 4}`);
  const found = await nexus.query<Row & Cursor>({
    text: `SELECT *, ${microsOf('created_at')} AS micros FROM ${from}
      WHERE ${[...conditions, `($1::bigint IS NULL OR (created_at, id) < (${timeOfMicros('$1')}, $2))`].join(' AND ')}
      ORDER BY created_at DESC, id DESC LIMIT $3`,
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
