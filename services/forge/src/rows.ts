import { type Cursor, microsOf, type Page, pageOf, timeOfMicros } from '@azora/db-core/paging';
import type { Forge } from './client';
import { Prisma } from './generated/client';

/** An advertised piece of work. */
export type Job = Omit<Prisma.JobModel, 'publication'>;
export type Application = Prisma.ApplicationModel;
export type Contract = Prisma.ContractModel;
export type Milestone = Prisma.MilestoneModel;
export type Escrow = Prisma.EscrowModel;
export type Dispute = Prisma.DisputeModel;
export type Rating = Prisma.RatingModel;
export type SkillProfile = Omit<Prisma.SkillProfileModel, 'ratingTotal'>;

/** A row as `pg` returns it: with the names of columns, and numeric as text. */
export type Row = Readonly<Record<string, unknown>>;

/** Columns that only the database needs. */
const INTERNAL = new Set(['search', 'publication', 'rating_total', 'micros', 'page_id']);
const AMOUNTS = new Set([
  ...['budget', 'proposed_amount', 'amount', 'payout_amount', 'refund_amount', 'hourly_rate', 'rating', 'total_earned'],
]);

const fieldOf = (column: string) => column.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());

/** The model of a row of its table: fields for columns, and Decimal for amounts. The generated types describe the same columns. */
export function modelOf<Model>(row: Row): Model {
  const fields = Object.entries(row)
    .filter(([column]) => !INTERNAL.has(column))
    .map(([column, value]) => [
      fieldOf(column),
      AMOUNTS.has(column) && typeof value === 'string' ? new Prisma.Decimal(value) : value,
    ]);
  return Object.fromEntries(fields) as Model;
}

/** Runs a statement that returns one row of a table. */
export async function callFor<Model>(forge: Forge, text: string, values: readonly unknown[]): Promise<Model> {
  return modelOf<Model>(onlyRow(await forge.query<Row>({ text, values })));
}

interface ListQuery {
  readonly table: string;
  /** Conditions of columns; one whose value is undefined does not restrict. */
  readonly where: Readonly<Record<string, unknown>>;
  readonly limit: number;
  readonly cursor: Cursor | undefined;
}

/** A page of the rows of a table, newest first. */
export async function listRows<Model>(forge: Forge, { table, where, limit, cursor }: ListQuery): Promise<Page<Model>> {
  const given = Object.entries(where).filter(([, value]) => value !== undefined);
  const conditions = given.map(([column], index) => `${column} = $${index + 4}`);
  const found = await forge.query<Row & Cursor>({
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
