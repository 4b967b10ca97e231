import { type Cursor, microsOf, type Page, pageOf, timeOfMicros } from '@azora/db-core/paging';
import type { Agent } from './client';
import { Prisma } from './generated/client';

export type MessageRole = 'user' | 'assistant' | 'system';
export type ChatRole = 'user' | 'aurora';
export type TaskStatus = 'pending' | 'in_progress' | 'completed' | 'failed' | 'cancelled';
export type TaskPriority = 'low' | 'normal' | 'medium' | 'high' | 'critical';

export type Conversation = Prisma.ConversationModel;
export type Message = Omit<Prisma.MessageModel, 'role'> & { readonly role: MessageRole };
/** A chunk as it was when it was retrieved for a message. */
export type RagContext = Prisma.MessageRagContextModel;
export type Execution = Prisma.AgentExecutionModel;
export type ModelPrice = Prisma.ModelPriceModel;
export type Task = Omit<Prisma.TaskModel, 'status' | 'priority'> & {
  readonly status: TaskStatus;
  readonly priority: TaskPriority;
};
export type ChatMessage = Omit<Prisma.ChatMessageModel, 'role'> & { readonly role: ChatRole };

/** A row as `pg` returns it: with the names of columns, and numeric as text. */
export type Row = Readonly<Record<string, unknown>>;

/** Columns that no result of the store has: the index of the search, and the place of a cursor. */
const HIDDEN = new Set(['search', 'micros']);
const AMOUNTS = new Set(['prompt_price', 'completion_price', 'cost']);

/** The columns of a message, without the index of the search, which is as long as the text. */
export const MESSAGE_COLUMNS = 'id, conversation_id, role, content, model, tokens_used, created_at, position, user_id';

/** The model of a row of its table: fields for columns, and Decimal for amounts. The generated types describe the same columns. */
export function modelOf<Model>(row: Row): Model {
  const fields = Object.entries(row)
    .filter(([column]) => !HIDDEN.has(column))
    .map(([column, value]) => [
      column.replace(/_([a-z])/g, (_match, letter: string) => letter.toUpperCase()),
      AMOUNTS.has(column) && typeof value === 'string' ? new Prisma.Decimal(value) : value,
    ]);
  return Object.fromEntries(fields) as Model;
}

/** Runs a statement that returns one row of a table. */
export async function callFor<Model>(agent: Agent, text: string, values: readonly unknown[]): Promise<Model> {
  return modelOf<Model>(onlyRow(await agent.query<Row>({ text, values })));
}

interface ListQuery {
  readonly table: string;
  /** Conditions of columns; one whose value is undefined does not restrict. */
  readonly where: Readonly<Record<string, unknown>>;
  /** Another condition, without parameters. */
  readonly condition?: string;
  readonly limit: number;
  readonly cursor: Cursor | undefined;
}

/** A page of the rows of a table, newest first. */
export async function listRows<Model>(agent: Agent, query: ListQuery): Promise<Page<Model>> {
  const { table, where, condition = 'true', limit, cursor } = query;
  const given = Object.entries(where).filter(([, value]) => value !== undefined);
  const values = given.map(([, value]) => value).filter((value) => value !== null);
  let place = 3;
  const conditions = given.map(([column, value]) => `${column} ${value === null ? 'IS NULL' : `= $${++place}`}`);
  const found = await agent.query<Row & Cursor>({
    text: `SELECT *, ${microsOf('created_at')} AS micros FROM ${table}
      WHERE ${[...conditions, condition, `($1::bigint IS NULL OR (created_at, id) < (${timeOfMicros('$1')}, $2))`].join(' AND ')}
      ORDER BY created_at DESC, id DESC LIMIT $3`,
    values: [cursor?.micros ?? null, cursor?.id ?? null, limit + 1, ...values],
  });
  return pageFrom<Model>(found, limit);
}

/** A page of rows that were read with a limit of one more, with the place of each row in `micros`. */
export function pageFrom<Model>(found: readonly (Row & Cursor)[], limit: number): Page<Model> {
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
