import { type Cursor, microsOf, type Page, pageOf, timeOfMicros } from '@azora/db-core/paging';
import type { Family } from './client';
import type { Prisma } from './generated/client';

export type Member = Prisma.FamilyMemberModel;
export type Conversation = Prisma.ConversationModel;
export type Message = Omit<Prisma.MessageModel, 'idempotencyKey' | 'bodyHash'>;
export type Interaction = Omit<Prisma.FamilyInteractionModel, 'idempotencyKey' | 'bodyHash'>;

/** A row as `pg` returns it, or as a JSON object: with the names of columns. */
export type Row = Readonly<Record<string, unknown>>;

/** Columns that only the database needs. */
const INTERNAL = new Set(['search', 'idempotency_key', 'body_hash', 'micros']);
const TIMES = new Set(['created_at', 'updated_at', 'started_at', 'ended_at', 'as_of']);

/** The model of a row of its table. In a JSON object, times are text. */
export function modelOf<Model>(row: Row): Model {
  const fields = Object.entries(row)
    .filter(([column]) => !INTERNAL.has(column))
    .map(([column, value]) => [
      column.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()),
      TIMES.has(column) && typeof value === 'string' ? new Date(value) : value,
    ]);
  return Object.fromEntries(fields) as Model;
}

/** Runs a statement that returns one row of a table. */
export async function callFor<Model>(family: Family, text: string, values: readonly unknown[]): Promise<Model> {
  return modelOf<Model>(onlyRow(await family.query<Row>({ text, values })));
}

interface ListQuery {
  readonly table: string;
  /** Conditions of columns; one whose value is undefined does not restrict. */
  readonly where: Readonly<Record<string, unknown>>;
  readonly limit: number;
  readonly cursor: Cursor | undefined;
}

/** A page of the rows of a table, newest first. */
export async function listRows<Model>(
  family: Family,
  { table, where, limit, cursor }: ListQuery,
): Promise<Page<Model>> {
  const given = Object.entries(where).filter(([, value]) => value !== undefined);
  const conditions = given.map(([column], index) => `${column} = $${index + 4}`);
  const found = await family.query<Row & Cursor>({
    text: `SELECT *, ${microsOf('created_at')} AS micros FROM ${table}
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
