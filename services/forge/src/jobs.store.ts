import { type MoneyInput, newId } from '@azora/db-core';
import { amountInput, idInput, textInput } from '@azora/db-core/input';
import { cursorInput, type Page, type PageInput, pageFields, pageOf } from '@azora/db-core/paging';
import { z } from 'zod';
import type { Forge } from './client';
import { jobNotFound, readInput } from './errors';
import { $Enums, type Currency, type JobStatus } from './generated/client';
import { byInput, categoryText, currencyInput, keyInput, longText, skillsInput, timeText, titleText } from './input';
import { callFor, type Job, listRows, modelOf, type Row } from './rows';

export interface PostJobInput {
  /** An auth.User. */
  readonly employerId: string;
  /** An auth.Organization. */
  readonly organizationId?: string;
  readonly title: string;
  readonly description: string;
  readonly category: string;
  readonly skills?: readonly string[];
  /** Above 0, at most 8 decimals. */
  readonly budget: MoneyInput;
  /** AZR when absent. */
  readonly currency?: Currency;
  /** Nobody can apply from this time on. */
  readonly deadline?: Date;
  /** Keep the job to the employer until publishJob(). */
  readonly draft?: boolean;
  readonly idempotencyKey: string;
}

export interface UpdateJobInput {
  readonly jobId: string;
  /** The employer. */
  readonly by: string;
  readonly title?: string;
  readonly description?: string;
  readonly category?: string;
  readonly skills?: readonly string[];
  readonly budget?: MoneyInput;
  /** Null removes the deadline. */
  readonly deadline?: Date | null;
}

export interface JobActionInput {
  readonly jobId: string;
  /** The employer. */
  readonly by: string;
}

export interface GetJobInput {
  readonly jobId: string;
}

export interface ListJobsInput extends PageInput {
  readonly employerId: string;
  readonly status?: JobStatus;
}

export interface SearchJobsInput extends PageInput {
  /** Words of the title, the category and the description, as people type them into a search engine. */
  readonly text?: string;
  /** Jobs that ask for all of these; upper and lower case are the same. */
  readonly skills?: readonly string[];
  readonly category?: string;
  readonly currency?: Currency;
  readonly minBudget?: MoneyInput;
  readonly maxBudget?: MoneyInput;
}

const jobFields = { title: titleText, description: longText, category: categoryText, budget: amountInput };
const postInput = z.strictObject({
  ...jobFields,
  employerId: idInput,
  organizationId: idInput.optional(),
  skills: skillsInput.default([]),
  currency: currencyInput.default('AZR'),
  deadline: timeText.optional(),
  draft: z.boolean().default(false),
  idempotencyKey: keyInput,
});
const updateInput = z.strictObject({
  jobId: idInput,
  by: idInput,
  title: titleText.optional(),
  description: longText.optional(),
  category: categoryText.optional(),
  skills: skillsInput.optional(),
  budget: amountInput.optional(),
  deadline: timeText.nullable().optional(),
});
const actionInput = byInput('jobId');
const getInput = z.strictObject({ jobId: idInput });
const listInput = z.strictObject({
  employerId: idInput,
  status: z.enum($Enums.JobStatus).optional(),
  ...pageFields,
});
const searchInput = z.strictObject({
  text: textInput(500, 0).optional(),
  skills: skillsInput.default([]),
  category: categoryText.optional(),
  currency: currencyInput.optional(),
  minBudget: amountInput.optional(),
  maxBudget: amountInput.optional(),
  limit: pageFields.limit,
  cursor: cursorInput.optional(),
});

/**
 * Posts a job, once per key; it is open to applications at once, unless it is a draft.
 * @throws {SuiteError} `FORGE.INVALID_INPUT`, `MONEY.*`, `FORGE.KEY_REUSED`
 */
export async function postJob(forge: Forge, input: PostJobInput): Promise<Job> {
  const { idempotencyKey, ...body } = readInput(postInput, input);
  return callFor(forge, 'SELECT * FROM post_job($1, $2, $3)', [idempotencyKey, newId(), JSON.stringify(body)]);
}

/**
 * Changes a draft or an open job; fields that are absent stay.
 * @throws {SuiteError} `FORGE.INVALID_INPUT`, `MONEY.*`, `FORGE.JOB_NOT_FOUND`, `FORGE.NOT_ALLOWED`, `FORGE.JOB_FIXED`
 */
export async function updateJob(forge: Forge, input: UpdateJobInput): Promise<Job> {
  const { jobId, by, ...changes } = readInput(updateInput, input);
  return callFor(forge, 'SELECT * FROM update_job($1, $2, $3)', [jobId, by, JSON.stringify(changes)]);
}

/**
 * Opens a draft to applications. Publishing an open job returns it unchanged.
 * @throws {SuiteError} `FORGE.INVALID_INPUT`, `FORGE.JOB_NOT_FOUND`, `FORGE.NOT_ALLOWED`, `FORGE.ILLEGAL_TRANSITION`
 */
export function publishJob(forge: Forge, input: JobActionInput): Promise<Job> {
  return moveJob(forge, input, 'open');
}

/**
 * Ends the search of an open job without a contract, and rejects the undecided applications.
 * @throws {SuiteError} as {@link publishJob}
 */
export function closeJob(forge: Forge, input: JobActionInput): Promise<Job> {
  return moveJob(forge, input, 'closed');
}

/**
 * Withdraws a draft or an open job, and rejects the undecided applications.
 * @throws {SuiteError} as {@link publishJob}
 */
export function cancelJob(forge: Forge, input: JobActionInput): Promise<Job> {
  return moveJob(forge, input, 'cancelled');
}

async function moveJob(forge: Forge, input: JobActionInput, to: JobStatus): Promise<Job> {
  const { jobId, by } = readInput(actionInput, input);
  return callFor(forge, 'SELECT * FROM move_job($1, $2, $3)', [jobId, by, to]);
}

/**
 * Deletes a job softly: only getJob() and lists of its employer show it, with `deletedAt`. An open job and one in progress stay.
 * @throws {SuiteError} `FORGE.INVALID_INPUT`, `FORGE.JOB_NOT_FOUND`, `FORGE.NOT_ALLOWED`, `FORGE.JOB_FIXED`
 */
export async function deleteJob(forge: Forge, input: JobActionInput): Promise<Job> {
  const { jobId, by } = readInput(actionInput, input);
  return callFor(forge, 'SELECT * FROM hide_job($1, $2, true)', [jobId, by]);
}

/**
 * Takes a soft deletion back.
 * @throws {SuiteError} `FORGE.INVALID_INPUT`, `FORGE.JOB_NOT_FOUND`, `FORGE.NOT_ALLOWED`
 */
export async function restoreJob(forge: Forge, input: JobActionInput): Promise<Job> {
  const { jobId, by } = readInput(actionInput, input);
  return callFor(forge, 'SELECT * FROM hide_job($1, $2, false)', [jobId, by]);
}

/**
 * A job by its id.
 * @throws {SuiteError} `FORGE.INVALID_INPUT`, `FORGE.JOB_NOT_FOUND`
 */
export async function getJob(forge: Forge, input: GetJobInput): Promise<Job> {
  const { jobId } = readInput(getInput, input);
  const [row] = await forge.query<Row>({ text: 'SELECT * FROM jobs WHERE id = $1', values: [jobId] });
  if (row === undefined) throw jobNotFound({ jobId });
  return modelOf<Job>(row);
}

/**
 * A page of the jobs of an employer, newest first.
 * @throws {SuiteError} `FORGE.INVALID_INPUT`
 */
export async function listJobs(forge: Forge, input: ListJobsInput): Promise<Page<Job>> {
  const { employerId, status, limit, cursor } = readInput(listInput, input);
  return listRows<Job>(forge, { table: 'jobs', where: { employer_id: employerId, status }, limit, cursor });
}

const SEARCH = `SELECT *, publication::text AS micros
  FROM search_jobs($1, $2, $3, $4::currency, $5, $6, $7::bigint, $8)`;

/**
 * A page of the open jobs that match every given field and can still be applied for, the newest publication first.
 * @throws {SuiteError} `FORGE.INVALID_INPUT`, `MONEY.*`
 */
export async function searchJobs(forge: Forge, input: SearchJobsInput = {}): Promise<Page<Job>> {
  const { text, skills, category, currency, minBudget, maxBudget, limit, cursor } = readInput(searchInput, input);
  const found = await forge.query<Row & { readonly micros: string; readonly id: string }>({
    text: SEARCH,
    // The number of a publication takes the place of the time in a cursor: it is unique and orders the search.
    values: [
      ...[text ?? null, skills, category ?? null, currency ?? null, minBudget ?? null, maxBudget ?? null],
      ...[cursor?.micros ?? null, limit + 1],
    ],
  });
  const { rows, nextCursor } = pageOf(found, limit);
  return { items: rows.map((row) => modelOf<Job>(row)), nextCursor };
}
