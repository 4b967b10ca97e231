import { type Cursor, microsOf, type Page, pageOf, timeOfMicros } from '@azora/db-core/paging';
import type { Workflows } from './client';
import type { Prisma } from './generated/client';
import { type Connection, connectionsOf, type WorkflowNode, type WorkflowSettings } from './shapes';

export type WorkflowStatus = 'draft' | 'published' | 'archived';
export type RunStatus = 'running' | 'completed' | 'failed' | 'cancelled';
export type StepStatus = 'waiting' | 'ready' | 'running' | 'completed' | 'failed' | 'cancelled';
export type LogLevel = 'info' | 'warn' | 'error';

/** The graph of a workflow or of a version of it. */
interface Graph {
  readonly nodes: readonly WorkflowNode[];
  readonly connections: readonly Connection[];
  readonly settings: WorkflowSettings;
}

export type Workflow = Omit<Prisma.WorkflowModel, keyof Graph | 'status'> & Graph & { readonly status: WorkflowStatus };
/** A plugin as it was when a version was published. */
export interface VersionPlugin {
  readonly id: number;
  readonly name: string;
  readonly version: string;
  readonly configSchema: Prisma.JsonObject | null;
}
export type WorkflowVersion = Omit<Prisma.WorkflowVersionModel, keyof Graph | 'plugins' | 'plan'> &
  Graph & { readonly plugins: readonly VersionPlugin[] };
export type Plugin = Omit<Prisma.PluginModel, 'configSchema'> & { readonly configSchema: Prisma.JsonObject | null };
export type Log = Omit<Prisma.LogModel, 'level'> & { readonly level: LogLevel };
export type Run = Omit<Prisma.WorkflowRunModel, 'status'> & { readonly status: RunStatus };
export type RunStep = Omit<Prisma.RunStepModel, 'status'> & { readonly status: StepStatus };

/** A row as `pg` returns it: with the names of columns. */
export type Row = Readonly<Record<string, unknown>>;

/** Columns that no result of the store has: the place of a cursor, and what is computed from the graph. */
const HIDDEN = new Set(['micros', 'plan']);

/** The model of a row of its table: fields for columns. The generated types describe the same columns. */
export function modelOf<Model>(row: Row): Model {
  const fields = Object.entries(row)
    .filter(([column]) => !HIDDEN.has(column))
    .map(([column, value]) => [
      column.replace(/_([a-z])/g, (_match, letter: string) => letter.toUpperCase()),
      column === 'connections' ? connectionsOf(value) : value,
    ]);
  return Object.fromEntries(fields) as Model;
}

/** Runs a statement that returns one row of a table. */
export async function callFor<Model>(workflows: Workflows, text: string, values: readonly unknown[]): Promise<Model> {
  return modelOf<Model>(onlyRow(await workflows.query<Row>({ text, values })));
}

interface ListQuery {
  readonly table: string;
  /** The column that orders rows of the same time. */
  readonly id?: string;
  /** Conditions with `?` for their value; one whose value is undefined does not restrict. */
  readonly where: readonly (readonly [condition: string, value: unknown])[];
  readonly limit: number;
  readonly cursor: Cursor | undefined;
}

/** A page of the rows of a table, newest first. */
export async function listRows<Model>(workflows: Workflows, query: ListQuery): Promise<Page<Model>> {
  const { table, id = 'id', where, limit, cursor } = query;
  const given = where.filter(([, value]) => value !== undefined);
  const conditions = given.map(([condition], n) => condition.replace('?', `$${n + 4}`));
  const after = `($1::bigint IS NULL OR (created_at, ${id}) < (${timeOfMicros('$1')}, $2))`;
  const found = await workflows.query<Row & Cursor>({
    text: `SELECT *, ${microsOf('created_at')} AS micros FROM ${table}
      WHERE ${[...conditions, after].join(' AND ')} ORDER BY created_at DESC, ${id} DESC LIMIT $3`,
    values: [cursor?.micros ?? null, cursor?.id ?? null, limit + 1, ...given.map(([, value]) => value)],
  });
  const { rows, nextCursor } = pageOf(
    found.map((row) => ({ row, micros: row.micros, id: String(row[id]) })),
    limit,
  );
  return { items: rows.map(({ row }) => modelOf<Model>(row)), nextCursor };
}

/** The row of a statement that returns exactly one. */
export function onlyRow<Found>(rows: readonly Found[]): Found {
  const [row] = rows;
  if (row === undefined || rows.length > 1)
    throw new Error(`the statement returned ${rows.length} rows instead of one`);
  return row;
}
