import { newId } from '@azora/db-core';
import { idInput } from '@azora/db-core/input';
import { type Page, type PageInput, pageFields } from '@azora/db-core/paging';
import { z } from 'zod';
import type { Forge } from './client';
import { readInput } from './errors';
import { Prisma } from './generated/client';
import { keyInput, longText } from './input';
import { callFor, listRows, onlyRow, type Rating } from './rows';

export interface RateContractInput {
  readonly contractId: string;
  /** One of the parties; the rating is about the other. */
  readonly authorId: string;
  /** A whole number from 1, the worst, to 5. */
  readonly score: number;
  readonly comment?: string;
  readonly idempotencyKey: string;
}

export interface ListRatingsInput extends PageInput {
  /** The person who was rated. */
  readonly rateeId: string;
}

export interface GetReputationInput {
  readonly userId: string;
}

/** The ratings that a person received in one of the parts. */
export interface Score {
  readonly count: number;
  /** With two decimals; null before the first rating. */
  readonly mean: Prisma.Decimal | null;
}

export interface Reputation {
  readonly asEmployer: Score;
  readonly asFreelancer: Score;
}

const rateInput = z.strictObject({
  contractId: idInput,
  authorId: idInput,
  score: z.int().min(1).max(5),
  comment: longText.optional(),
  idempotencyKey: keyInput,
});
const listInput = z.strictObject({ rateeId: idInput, ...pageFields });
const reputationInput = z.strictObject({ userId: idInput });

/**
 * Rates the other party of a contract that has ended and paid something, once per contract and party. The rating of a freelancer
 * counts in the skill profile at once.
 * @throws {SuiteError} `FORGE.INVALID_INPUT`, `FORGE.KEY_REUSED`, `FORGE.CONTRACT_NOT_FOUND`, `FORGE.NOT_ALLOWED`,
 *   `FORGE.NOT_RATABLE`, `FORGE.ALREADY_RATED`
 */
export async function rateContract(forge: Forge, input: RateContractInput): Promise<Rating> {
  const { idempotencyKey, ...body } = readInput(rateInput, input);
  return callFor(forge, 'SELECT * FROM rate_contract($1, $2, $3)', [idempotencyKey, newId(), JSON.stringify(body)]);
}

/**
 * A page of the ratings of a person, newest first.
 * @throws {SuiteError} `FORGE.INVALID_INPUT`
 */
export async function listRatings(forge: Forge, input: ListRatingsInput): Promise<Page<Rating>> {
  const { rateeId, limit, cursor } = readInput(listInput, input);
  return listRows<Rating>(forge, { table: 'ratings', where: { ratee_id: rateeId }, limit, cursor });
}

const REPUTATION = `
  SELECT count(*) FILTER (WHERE ratee_role = 'employer')::int AS employer_count,
    round(avg(score) FILTER (WHERE ratee_role = 'employer'), 2) AS employer_mean,
    count(*) FILTER (WHERE ratee_role = 'freelancer')::int AS freelancer_count,
    round(avg(score) FILTER (WHERE ratee_role = 'freelancer'), 2) AS freelancer_mean
  FROM ratings WHERE ratee_id = $1`;

interface ReputationRow {
  readonly employer_count: number;
  readonly employer_mean: string | null;
  readonly freelancer_count: number;
  readonly freelancer_mean: string | null;
}

/**
 * What others think of a person, as employer and as freelancer.
 * @throws {SuiteError} `FORGE.INVALID_INPUT`
 */
export async function getReputation(forge: Forge, input: GetReputationInput): Promise<Reputation> {
  const { userId } = readInput(reputationInput, input);
  const row = onlyRow(await forge.query<ReputationRow>({ text: REPUTATION, values: [userId] }));
  const score = (count: number, mean: string | null): Score => ({
    count,
    mean: mean === null ? null : new Prisma.Decimal(mean),
  });
  return {
    asEmployer: score(row.employer_count, row.employer_mean),
    asFreelancer: score(row.freelancer_count, row.freelancer_mean),
  };
}
