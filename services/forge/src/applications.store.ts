import { type MoneyInput, newId } from '@azora/db-core';
import { amountInput, idInput } from '@azora/db-core/input';
import { type Page, type PageInput, pageFields } from '@azora/db-core/paging';
import { z } from 'zod';
import type { Forge } from './client';
import { applicationNotFound, readInput } from './errors';
import { $Enums, type ApplicationStatus } from './generated/client';
import { byInput, keyInput, longText, timeText, titleText } from './input';
import { type Application, type Contract, callFor, listRows, modelOf, type Row } from './rows';

/** More milestones than any contract has. */
const MAX_MILESTONES = 100;

export interface ApplyInput {
  readonly jobId: string;
  /** An auth.User. */
  readonly freelancerId: string;
  readonly coverLetter: string;
  /** In the currency of the job. */
  readonly proposedAmount: MoneyInput;
  readonly estimatedDays?: number;
  readonly idempotencyKey: string;
}

export interface ApplicationActionInput {
  readonly applicationId: string;
  /** The freelancer withdraws; the employer of the job does the rest. */
  readonly by: string;
}

export interface GetApplicationInput {
  readonly applicationId: string;
}

export interface ListApplicationsInput extends PageInput {
  /** Either the applications to this job, or those of this freelancer. */
  readonly jobId?: string;
  readonly freelancerId?: string;
  readonly status?: ApplicationStatus;
}

export interface MilestoneInput {
  readonly title: string;
  readonly description?: string;
  /** In the currency of the job. */
  readonly amount: MoneyInput;
  readonly dueAt?: Date;
}

export interface AcceptInput {
  readonly applicationId: string;
  /** The employer of the job. */
  readonly employerId: string;
  readonly terms: string;
  /** In their order; their amounts add up to the proposed amount. */
  readonly milestones: readonly MilestoneInput[];
  readonly endsAt?: Date;
  readonly idempotencyKey: string;
}

const applyInput = z.strictObject({
  jobId: idInput,
  freelancerId: idInput,
  coverLetter: longText,
  proposedAmount: amountInput,
  estimatedDays: z.int().min(1).max(36_500).optional(),
  idempotencyKey: keyInput,
});
const actionInput = byInput('applicationId');
const getInput = z.strictObject({ applicationId: idInput });
const listInput = z
  .strictObject({
    jobId: idInput.optional(),
    freelancerId: idInput.optional(),
    status: z.enum($Enums.ApplicationStatus).optional(),
    ...pageFields,
  })
  .refine(
    ({ jobId, freelancerId }) => (jobId === undefined) !== (freelancerId === undefined),
    'names not exactly one of jobId and freelancerId',
  );
const milestoneInput = z.strictObject({
  title: titleText,
  description: longText.optional(),
  amount: amountInput,
  dueAt: timeText.optional(),
});
const acceptInput = z.strictObject({
  applicationId: idInput,
  employerId: idInput,
  terms: longText,
  milestones: z.array(milestoneInput).min(1).max(MAX_MILESTONES),
  endsAt: timeText.optional(),
  idempotencyKey: keyInput,
});

/**
 * Applies for an open job, once per key. A person applies to a job once, also after a withdrawal.
 * @throws {SuiteError} `FORGE.INVALID_INPUT`, `MONEY.*`, `FORGE.KEY_REUSED`, `FORGE.JOB_NOT_FOUND`, `FORGE.JOB_NOT_OPEN`,
 *   `FORGE.JOB_EXPIRED`, `FORGE.OWN_JOB`, `FORGE.ALREADY_APPLIED`
 */
export async function applyToJob(forge: Forge, input: ApplyInput): Promise<Application> {
  const { idempotencyKey, ...body } = readInput(applyInput, input);
  return callFor(forge, 'SELECT * FROM apply_to_job($1, $2, $3)', [idempotencyKey, newId(), JSON.stringify(body)]);
}

/**
 * Puts a submitted application on the shortlist of the employer. A repeated call returns it unchanged.
 * @throws {SuiteError} `FORGE.INVALID_INPUT`, `FORGE.APPLICATION_NOT_FOUND`, `FORGE.NOT_ALLOWED`, `FORGE.ILLEGAL_TRANSITION`
 */
export function shortlistApplication(forge: Forge, input: ApplicationActionInput): Promise<Application> {
  return moveApplication(forge, input, 'shortlisted');
}

/**
 * Declines an undecided application for the employer.
 * @throws {SuiteError} as {@link shortlistApplication}
 */
export function rejectApplication(forge: Forge, input: ApplicationActionInput): Promise<Application> {
  return moveApplication(forge, input, 'rejected');
}

/**
 * Takes an undecided application back, for its freelancer.
 * @throws {SuiteError} as {@link shortlistApplication}
 */
export function withdrawApplication(forge: Forge, input: ApplicationActionInput): Promise<Application> {
  return moveApplication(forge, input, 'withdrawn');
}

async function moveApplication(
  forge: Forge,
  input: ApplicationActionInput,
  to: ApplicationStatus,
): Promise<Application> {
  const { applicationId, by } = readInput(actionInput, input);
  return callFor(forge, 'SELECT * FROM move_application($1, $2, $3)', [applicationId, by, to]);
}

/**
 * Accepts an application, once per job and once per key: makes the contract with its milestones, starts it, rejects the other
 * applications, and takes the job off the market, all or nothing.
 * @throws {SuiteError} `FORGE.INVALID_INPUT`, `MONEY.*`, `FORGE.KEY_REUSED`, `FORGE.APPLICATION_NOT_FOUND`, `FORGE.NOT_ALLOWED`,
 *   `FORGE.JOB_NOT_OPEN`, `FORGE.ILLEGAL_TRANSITION`, `FORGE.MILESTONES_TOTAL`
 */
export async function acceptApplication(forge: Forge, input: AcceptInput): Promise<Contract> {
  const { idempotencyKey, ...body } = readInput(acceptInput, input);
  const values = [idempotencyKey, newId(), JSON.stringify(body)];
  return callFor(forge, 'SELECT * FROM accept_application($1, $2, $3)', values);
}

/**
 * An application by its id.
 * @throws {SuiteError} `FORGE.INVALID_INPUT`, `FORGE.APPLICATION_NOT_FOUND`
 */
export async function getApplication(forge: Forge, input: GetApplicationInput): Promise<Application> {
  const { applicationId } = readInput(getInput, input);
  const [row] = await forge.query<Row>({ text: 'SELECT * FROM applications WHERE id = $1', values: [applicationId] });
  if (row === undefined) throw applicationNotFound({ applicationId });
  return modelOf<Application>(row);
}

/**
 * A page of the applications to a job, or of a freelancer, newest first.
 * @throws {SuiteError} `FORGE.INVALID_INPUT`
 */
export async function listApplications(forge: Forge, input: ListApplicationsInput): Promise<Page<Application>> {
  const { jobId, freelancerId, status, limit, cursor } = readInput(listInput, input);
  const where = { job_id: jobId, freelancer_id: freelancerId, status };
  return listRows<Application>(forge, { table: 'applications', where, limit, cursor });
}
