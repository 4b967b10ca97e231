import { microsOf, type Page, type pageFields, pageOf, timeOfMicros } from '@azora/db-core/paging';
import type { z } from 'zod';
import type { Education } from './client';
import { Prisma } from './generated/client';

export type Student = Prisma.StudentModel;
export type Course = Prisma.CourseModel;
export type CoursePrerequisite = Prisma.CoursePrerequisiteModel;
export type Module = Prisma.ModuleModel;
export type SeatReservation = Omit<Prisma.SeatReservationModel, 'requestKey'>;
export type Enrollment = Omit<Prisma.EnrollmentModel, 'refundKeyHash'>;
export type LearningProgress = Prisma.LearningProgressModel;
export type Assessment = Prisma.AssessmentModel;
export type Submission = Prisma.AssessmentSubmissionModel;
export type Grade = Prisma.GradeModel;
export type Certificate = Prisma.CertificateModel;
export type Wallet = Prisma.WalletModel;
export type Transaction = Prisma.TransactionModel;

/** Columns that are numeric in SQL, by their names there: `pg` returns their values as text. */
const DECIMALS = new Set([
  ...[
    'price',
    'refund_max_progress',
    'refund_amount',
    'progress',
    'max_score',
    'pass_score',
    'score',
    'balance',
    'amount',
  ],
]);
/** Columns that no result of the store has: the index of the search, keys of requests, and the time of a cursor. */
const HIDDEN = new Set(['search', 'request_key', 'refund_key_hash', 'micros']);

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
      DECIMALS.has(column) && typeof value === 'string' ? new Prisma.Decimal(value) : value,
    ]);
  return Object.fromEntries(fields) as Model;
}

/** The model of the row of a function that returns exactly one. */
export async function callFunction<Model>(
  education: Education,
  call: string,
  values: readonly unknown[],
): Promise<Model> {
  const places = values.map((_value, index) => `$${index + 1}`).join(', ');
  return onlyModel(call, await education.query<Row>({ text: `SELECT * FROM ${call}(${places})`, values }));
}

/** The model of the only row of a call. */
export function onlyModel<Model>(call: string, rows: readonly Row[]): Model {
  const [row] = rows;
  if (row === undefined || rows.length > 1) throw new Error(`${call} returned ${rows.length} rows instead of one`);
  return modelOf<Model>(row);
}

/** The models of the rows of a function. */
export async function callForRows<Model>(
  education: Education,
  call: string,
  values: readonly unknown[],
): Promise<readonly Model[]> {
  const places = values.map((_value, index) => `$${index + 1}`).join(', ');
  const rows = await education.query<Row>({ text: `SELECT * FROM ${call}(${places})`, values });
  return rows.map((row) => modelOf<Model>(row));
}

/** The row of a table by a unique column, or undefined. */
export async function findRow<Model>(
  education: Education,
  table: string,
  column: string,
  value: string,
): Promise<Model | undefined> {
  const rows = await education.query<Row>({ text: `SELECT * FROM ${table} WHERE ${column} = $1`, values: [value] });
  return rows.map((row) => modelOf<Model>(row))[0];
}

/** SQL with `?` for its value. */
export type Condition = readonly [sql: string, value: unknown];

/** A page of the rows of a table that meet the conditions, newest first. Conditions with an undefined value are left out. */
export async function listRows<Model>(
  education: Education,
  table: string,
  conditions: readonly Condition[],
  { limit, cursor, time = 'created_at' }: z.output<z.ZodObject<typeof pageFields>> & { readonly time?: string },
): Promise<Page<Model>> {
  const values: unknown[] = [limit + 1];
  const terms: string[] = [];
  for (const [sql, value] of conditions.filter(([, given]) => given !== undefined)) {
    values.push(value);
    terms.push(sql.replace('?', `$${values.length}`));
  }
  if (cursor !== undefined) {
    values.push(cursor.micros, cursor.id);
    terms.push(`(${time}, id) < (${timeOfMicros(`$${values.length - 1}`)}, $${values.length})`);
  }
  const where = terms.length === 0 ? '' : `WHERE ${terms.join(' AND ')}`;
  const rows = await education.query<Row & { readonly id: string; readonly micros: string }>({
    text: `SELECT *, ${microsOf(time)} AS micros FROM ${table} ${where} ORDER BY ${time} DESC, id DESC LIMIT $1`,
    values,
  });
  const page = pageOf(rows, limit);
  return { items: page.rows.map((row) => modelOf<Model>(row)), nextCursor: page.nextCursor };
}
