import { newId } from '@azora/db-core';
import { idInput, timeInput } from '@azora/db-core/input';
import { type Page, type PageInput, pageFields } from '@azora/db-core/paging';
import { z } from 'zod';
import type { Family } from './client';
import { readInput } from './errors';
import type { InteractionKind, Mood, Prisma } from './generated/client';
import { contentText, factsInput, keyInput, kindInput, moodInput } from './input';
import { callFor, type Interaction, listRows } from './rows';
import { analyzeSentiment } from './sentiment/vader';

export interface RecordInteractionInput {
  /** An auth.User. */
  readonly userId: string;
  readonly memberId: string;
  readonly kind: InteractionKind;
  readonly mood?: Mood;
  /** What the user said: only its sentiment is stored, and counts in the affinity. */
  readonly text?: string;
  /** Facts about the interaction, at most 16 KB. */
  readonly metadata?: Prisma.InputJsonObject;
  readonly idempotencyKey: string;
}

export interface ListInteractionsInput extends PageInput {
  readonly userId: string;
  readonly memberId?: string;
}

export interface ListAffinitiesInput {
  readonly userId: string;
}

/** How close a user and a member are. */
export interface Affinity {
  readonly memberId: string;
  /** Above -1 and below 1; 0 is neutral. */
  readonly score: number;
  readonly interactions: number;
  readonly lastAt: Date;
}

export interface AffinityCourseInput {
  readonly userId: string;
  readonly memberId: string;
  /** 1 to 400 times. */
  readonly at: readonly Date[];
}

/** The affinity at one time. */
export interface AffinityPoint {
  readonly at: Date;
  readonly score: number;
  /** The interactions until this time. */
  readonly interactions: number;
}

const recordInput = z.strictObject({
  userId: idInput,
  memberId: idInput,
  kind: kindInput,
  mood: moodInput.optional(),
  text: contentText.optional(),
  metadata: factsInput.default({}),
  idempotencyKey: keyInput,
});
const listInput = z.strictObject({ userId: idInput, memberId: idInput.optional(), ...pageFields });
const affinitiesInput = z.strictObject({ userId: idInput });
const courseInput = z.strictObject({
  userId: idInput,
  memberId: idInput,
  at: z.array(timeInput).min(1).max(400),
});

/**
 * Records an interaction outside of a conversation, once per user and key; answerMessage() records those of conversations.
 * @throws {SuiteError} `FAMILY.INVALID_INPUT`, `FAMILY.MEMBER_NOT_FOUND`, `FAMILY.MEMBER_INACTIVE`, `FAMILY.KEY_REUSED`
 */
export async function recordInteraction(family: Family, input: RecordInteractionInput): Promise<Interaction> {
  const { idempotencyKey, text, ...body } = readInput(recordInput, input);
  const met = text === undefined ? body : { ...body, sentiment: analyzeSentiment(text).compound };
  return callFor(family, 'SELECT * FROM record_interaction($1, $2, $3)', [
    idempotencyKey,
    newId(),
    JSON.stringify(met),
  ]);
}

/**
 * A page of the interactions of a user, newest first.
 * @throws {SuiteError} `FAMILY.INVALID_INPUT`
 */
export async function listInteractions(family: Family, input: ListInteractionsInput): Promise<Page<Interaction>> {
  const { userId, memberId, limit, cursor } = readInput(listInput, input);
  const where = { user_id: userId, member_id: memberId };
  return listRows<Interaction>(family, { table: 'family_interactions', where, limit, cursor });
}

const AFFINITIES = `SELECT member_id AS "memberId", affinity_score(warmth, weight, database_time() - as_of) AS score,
    interactions, as_of AS "lastAt"
  FROM affinities WHERE user_id = $1 ORDER BY score DESC, member_id`;

/**
 * How close a user is to each member whom the user has met, the closest first: the mean sentiment of the interactions, each
 * counting half after 30 days, drawn to 0 as three neutral interactions would draw it. The time is the database's.
 * @throws {SuiteError} `FAMILY.INVALID_INPUT`
 */
export async function listAffinities(family: Family, input: ListAffinitiesInput): Promise<readonly Affinity[]> {
  const { userId } = readInput(affinitiesInput, input);
  return family.query<Affinity>({ text: AFFINITIES, values: [userId] });
}

/**
 * The course of an affinity over time: the score at each of the times, computed from the interactions until then.
 * @throws {SuiteError} `FAMILY.INVALID_INPUT`
 */
export async function affinityCourse(family: Family, input: AffinityCourseInput): Promise<readonly AffinityPoint[]> {
  const { userId, memberId, at } = readInput(courseInput, input);
  const text = 'SELECT * FROM affinity_course($1, $2, $3)';
  return family.query<AffinityPoint>({
    text,
    values: [userId, memberId, [...new Set(at.map((time) => time.toISOString()))]],
  });
}
