import { microsOf, type Page, pageOf, timeOfMicros } from '@azora/db-core/paging';
import type { z } from 'zod';
import type { Stories } from './client';
import type { Prisma } from './generated/client';
import type {
  Approval,
  AutomationMode,
  DispatchTarget,
  GateMode,
  IssueProvider,
  Priority,
  pageFields,
  StorySource,
  StoryStatus,
  WorkStatus,
} from './input';
import type { AnalyzedContext, ChatMessage, ExecutionPlan, GateResult, VerificationResult } from './shapes';

/** A unit of development work. */
export interface Story
  extends Omit<
    Prisma.StoryModel,
    | 'status'
    | 'automationMode'
    | 'dispatchTarget'
    | 'source'
    | 'priority'
    | 'gateMode'
    | 'issueProvider'
    | 'analyzedContext'
    | 'executionPlan'
    | 'chatHistory'
    | 'verificationResult'
    | 'gateResult'
  > {
  readonly status: StoryStatus;
  readonly automationMode: AutomationMode;
  readonly dispatchTarget: DispatchTarget;
  readonly source: StorySource;
  readonly priority: Priority;
  readonly gateMode: GateMode;
  readonly issueProvider: IssueProvider | null;
  readonly analyzedContext: AnalyzedContext | null;
  readonly executionPlan: ExecutionPlan | null;
  readonly chatHistory: readonly ChatMessage[] | null;
  readonly verificationResult: VerificationResult | null;
  readonly gateResult: GateResult | null;
}

/** A piece of work of a story. */
export interface StoryStep extends Omit<Prisma.StoryStepModel, 'status' | 'approval' | 'claimId'> {
  readonly status: WorkStatus;
  readonly approval: Approval | null;
}

export interface StoryTask extends Omit<Prisma.StoryTaskModel, 'status'> {
  readonly status: WorkStatus;
}

/** One attempt at a step, from its claim to its outcome. Only the worker that has claimed it knows its id. */
export interface StepAttempt extends Omit<Prisma.StepAttemptModel, 'id' | 'outcome' | 'outcomeHash'> {
  /** Null while it runs. */
  readonly outcome: 'Completed' | 'Failed' | 'Lapsed' | 'Revoked' | null;
}

/** A row as `pg` returns it: with the names of columns. */
export interface Row {
  readonly [column: string]: unknown;
}

/** The model of a row whose columns are those of the model, without those that the store keeps for itself. */
export function modelOf<Model>(row: Row, hidden: readonly string[] = ['claim_id', 'micros']): Model {
  const fields = Object.entries(row)
    .filter(([column]) => !hidden.includes(column))
    .map(([column, value]) => [column.replace(/_([a-z])/g, (_match, letter: string) => letter.toUpperCase()), value]);
  return Object.fromEntries(fields) as Model;
}

/** The rows of a function. */
export function callForRows(stories: Stories, call: string, values: readonly unknown[]): Promise<readonly Row[]> {
  const places = values.map((_value, index) => `$${index + 1}`).join(', ');
  return stories.query<Row>({ text: `SELECT * FROM ${call}(${places})`, values });
}

/** The model of the row of a function that returns exactly one. */
export async function callFunction<Model>(stories: Stories, call: string, values: readonly unknown[]): Promise<Model> {
  return modelOf<Model>(onlyRow(await callForRows(stories, call, values)));
}

/** The row of a statement that returns exactly one. */
export function onlyRow<Found>(rows: readonly Found[]): Found {
  const [row] = rows;
  if (row === undefined || rows.length > 1)
    throw new Error(`the statement returned ${rows.length} rows instead of one`);
  return row;
}

/** SQL with `?` for its value. */
export type Condition = readonly [sql: string, value: unknown];

/** A page of the rows of a table that meet the conditions, newest first. Conditions with an undefined value are left out. */
export async function listRows<Model>(
  stories: Stories,
  table: string,
  conditions: readonly Condition[],
  { limit, cursor }: z.output<z.ZodObject<typeof pageFields>>,
  hidden?: readonly string[],
): Promise<Page<Model>> {
  const values: unknown[] = [limit + 1];
  const terms: string[] = [];
  for (const [sql, value] of conditions.filter(([, given]) => given !== undefined)) {
    values.push(value);
    terms.push(sql.replace('?', `$${values.length}`));
  }
  if (cursor !== undefined) {
    values.push(cursor.micros, cursor.id);
    terms.push(`(created_at, id) < (${timeOfMicros(`$${values.length - 1}`)}, $${values.length}::uuid)`);
  }
  const where = terms.length === 0 ? '' : `WHERE ${terms.join(' AND ')}`;
  const rows = await stories.query<Row & { readonly id: string; readonly micros: string }>({
    text: `SELECT *, ${microsOf('created_at')} AS micros FROM ${table} ${where} ORDER BY created_at DESC, id DESC LIMIT $1`,
    values,
  });
  const page = pageOf(rows, limit);
  return { items: page.rows.map((row) => modelOf<Model>(row, hidden)), nextCursor: page.nextCursor };
}
