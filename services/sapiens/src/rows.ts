import { microsOf, type Page, type pageFields, pageOf, timeOfMicros } from '@azora/db-core/paging';
import { z } from 'zod';
import type { Sapiens } from './client';
import type { Prisma } from './generated/client';

export type StudentProfile = Prisma.StudentProfileModel;
export type TutoringSession = Omit<Prisma.TutoringSessionModel, 'activeSeconds' | 'tokenCount'> & {
  readonly tokenCount: number;
};
export type Message = Prisma.MessageModel;
export type MessageChunk = Prisma.MessageChunkModel;
export type LearningInsight = Prisma.LearningInsightModel;
export type LearningPath = Prisma.LearningPathModel;
export type PathStep = Prisma.PathStepModel;
export type Progress = Prisma.ProgressModel;
export type Question = Prisma.QuestionModel;
export type Skill = Prisma.SkillModel;
export type Item = Prisma.ItemModel;
export type Assessment = Prisma.AssessmentModel;
export type SkillMastery = Prisma.SkillMasteryModel;
export type SkillAttempt = Prisma.SkillAttemptModel;
export type Card = Prisma.CardModel;
export type CardReview = Prisma.CardReviewModel;

/** Columns that no result of the store has: the index of the search, the clock of a session, and the time of a cursor. */
const HIDDEN = new Set(['search', 'active_seconds', 'micros']);

/** A row as `pg` returns it: with the names of columns. */
export interface Row {
  readonly [column: string]: unknown;
}

/** The model of a row whose columns are those of the model. */
export function modelOf<Model>(row: Row): Model {
  const fields = Object.entries(row)
    .filter(([column]) => !HIDDEN.has(column))
    .map(([column, value]) => [
      column.replace(/_([a-z])/g, (_match, letter: string) => letter.toUpperCase()),
      // A bigint, which `pg` returns as text.
      column === 'token_count' ? Number(value) : value,
    ]);
  return Object.fromEntries(fields) as Model;
}

/** The models of the rows of a function. */
export async function callForRows<Model>(
  sapiens: Sapiens,
  call: string,
  values: readonly unknown[],
): Promise<readonly Model[]> {
  const places = values.map((_value, index) => `$${index + 1}`).join(', ');
  const rows = await sapiens.query<Row>({ text: `SELECT * FROM ${call}(${places})`, values });
  return rows.map((row) => modelOf<Model>(row));
}

/** The model of the row of a function that returns exactly one. */
export async function callFunction<Model>(sapiens: Sapiens, call: string, values: readonly unknown[]): Promise<Model> {
  const rows = await callForRows<Model>(sapiens, call, values);
  const [row] = rows;
  if (row === undefined || rows.length > 1) throw new Error(`${call} returned ${rows.length} rows instead of one`);
  return row;
}

/** The row of a table by a unique column, or undefined. */
export async function findRow<Model>(
  sapiens: Sapiens,
  table: string,
  column: string,
  value: string,
): Promise<Model | undefined> {
  const rows = await sapiens.query<Row>({ text: `SELECT * FROM ${table} WHERE ${column} = $1`, values: [value] });
  return rows.map((row) => modelOf<Model>(row))[0];
}

/** SQL with `?` for its value. */
export type Condition = readonly [sql: string, value: unknown];

/** A page of the rows of a table that meet the conditions, by time. Conditions with an undefined value are left out. */
export async function listRows<Model>(
  sapiens: Sapiens,
  table: string,
  conditions: readonly Condition[],
  {
    limit,
    cursor,
    time = 'created_at',
    oldestFirst = false,
  }: z.output<z.ZodObject<typeof pageFields>> & { readonly time?: string; readonly oldestFirst?: boolean },
): Promise<Page<Model>> {
  const values: unknown[] = [limit + 1];
  const terms: string[] = [];
  for (const [sql, value] of conditions.filter(([, given]) => given !== undefined)) {
    values.push(value);
    terms.push(sql.replace('?', `$${values.length}`));
  }
  if (cursor !== undefined) {
    values.push(cursor.micros, cursor.id);
    const place = `(${timeOfMicros(`$${values.length - 1}`)}, $${values.length})`;
    terms.push(`(${time}, id) ${oldestFirst ? '>' : '<'} ${place}`);
  }
  const where = terms.length === 0 ? '' : `WHERE ${terms.join(' AND ')}`;
  const order = oldestFirst ? 'ASC' : 'DESC';
  const rows = await sapiens.query<Row & { readonly id: string; readonly micros: string }>({
    text: `SELECT *, ${microsOf(time)} AS micros FROM ${table} ${where} ORDER BY ${time} ${order}, id ${order} LIMIT $1`,
    values,
  });
  const page = pageOf(rows, limit);
  return { items: page.rows.map((row) => modelOf<Model>(row)), nextCursor: page.nextCursor };
}

/** A cursor of a list that is ordered by a number. */
export const numberCursorInput = z
  .string()
  .regex(/^\d{1,9}$/, 'is not a cursor of a page')
  .transform(Number);
