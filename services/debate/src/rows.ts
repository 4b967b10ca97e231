import { type Cursor, microsOf, type Page, pageOf, timeOfMicros } from '@azora/db-core/paging';
import type { Debate } from './client';
import { Prisma } from './generated/client';

/** One phase of one cycle. */
export type CyclePhase = Prisma.NomicCycleModel;
/** A debate with its transcript, its votes and its result. */
export type Artifact = Prisma.DebateArtifactModel;
export type StreamEvent = Prisma.StreamEventModel;
export type AgentMetric = Prisma.AgentMetricModel;
export type Rating = Prisma.AgentRatingModel;
export type Match = Prisma.RatingMatchModel;
export type RatingChange = Prisma.RatingHistoryModel;
export type Position = Prisma.AgentPositionModel;
export type UsageMonth = Prisma.UsageMonthModel;
export type ShareLink = Omit<Prisma.ShareLinkModel, 'token'>;
export type Webhook = Omit<Prisma.WebhookConfigModel, 'secret' | 'eventsJson'> & {
  readonly eventTypes: readonly string[];
};
export type WebhookDelivery = Omit<Prisma.WebhookDeliveryModel, 'claimId'>;
export type Memory = Omit<Prisma.MemoryEntryModel, 'semanticCentroid'>;
export type MemoryMove = Prisma.MemoryTransitionModel;
export type Replay = Prisma.DebateReplayModel;
export type Rollback = Prisma.NomicRollbackModel;
export type Evolution = Prisma.CycleEvolutionModel;
export type FileChange = Prisma.CycleFileChangeModel;

/** A row as `pg` returns it: with the names of columns, and numeric and bigint as text. */
export type Row = Readonly<Record<string, unknown>>;

/** Columns that only the database needs, and secrets. */
const INTERNAL = new Set([
  ...['search_vector', 'semantic_centroid', 'claim_id', 'token', 'secret', 'micros', 'page_id'],
]);
const DECIMALS = new Set(['elo', 'domain_elo', 'calibration_brier_sum', 'k_factor']);
const BIGINTS = new Set(['sequence', 'random_seed', 'count']);
const RENAMED: Readonly<Record<string, string>> = { events_json: 'eventTypes' };

const fieldOf = (column: string) =>
  RENAMED[column] ?? column.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());

function fieldValue(column: string, value: unknown): unknown {
  if (typeof value !== 'string') return value;
  if (DECIMALS.has(column)) return new Prisma.Decimal(value);
  return BIGINTS.has(column) ? BigInt(value) : value;
}

/** The model of a row of its table: fields for columns, Decimal and bigint for numbers. The generated types describe the same columns. */
export function modelOf<Model>(row: Row): Model {
  const fields = Object.entries(row)
    .filter(([column]) => !INTERNAL.has(column))
    .map(([column, value]) => [fieldOf(column), fieldValue(column, value)]);
  return Object.fromEntries(fields) as Model;
}

/** Runs a statement that returns one row of a table. */
export async function callFor<Model>(debate: Debate, text: string, values: readonly unknown[]): Promise<Model> {
  return modelOf<Model>(onlyRow(await debate.query<Row>({ text, values })));
}

/** Runs a statement that returns one value, as the column `value`. */
export async function valueFor<Value>(debate: Debate, text: string, values: readonly unknown[]): Promise<Value> {
  return onlyRow(await debate.query<{ readonly value: Value }>({ text, values })).value;
}

/** The row of a table, or undefined. */
export async function findRow<Model>(debate: Debate, table: string, where: Row): Promise<Model | undefined> {
  const conditions = Object.keys(where).map((column, index) => `${column} = $${index + 1}`);
  const [row] = await debate.query<Row>({
    text: `SELECT * FROM ${table} WHERE ${conditions.join(' AND ')}`,
    values: Object.values(where),
  });
  return row === undefined ? undefined : modelOf<Model>(row);
}

interface ListQuery {
  readonly table: string;
  /** Conditions of columns; one whose value is undefined does not restrict. */
  readonly where: Row;
  /** A condition without parameters. */
  readonly only?: string;
  /** The column that is unique, as text when absent. */
  readonly key?: string;
  readonly limit: number;
  readonly cursor: Cursor | undefined;
}

/** A page of the rows of a table, newest first. */
export async function listRows<Model>(
  debate: Debate,
  { table, where, only, key = 'id', limit, cursor }: ListQuery,
): Promise<Page<Model>> {
  const given = Object.entries(where).filter(([, value]) => value !== undefined);
  const conditions = [
    ...given.map(([column], index) => `${column} = $${index + 4}`),
    ...(only === undefined ? [] : [only]),
    `($1::bigint IS NULL OR (created_at, ${key}) < (${timeOfMicros('$1')}, $2))`,
  ];
  const found = await debate.query<Row & Cursor & { readonly page_id: string }>({
    text: `SELECT *, ${microsOf('created_at')} AS micros, ${key}::text AS page_id FROM ${table}
      WHERE ${conditions.join(' AND ')} ORDER BY created_at DESC, ${key} DESC LIMIT $3`,
    values: [cursor?.micros ?? null, cursor?.id ?? null, limit + 1, ...given.map(([, value]) => value)],
  });
  const places = found.map((row) => ({ row, micros: row.micros, id: row.page_id }));
  const { rows, nextCursor } = pageOf(places, limit);
  return { items: rows.map(({ row }) => modelOf<Model>(row)), nextCursor };
}

/** The row of a statement that returns exactly one. */
export function onlyRow<Found>(rows: readonly Found[]): Found {
  const [row] = rows;
  if (row === undefined || rows.length > 1)
    throw new Error(`the statement returned ${rows.length} rows instead of one`);
  return row;
}
