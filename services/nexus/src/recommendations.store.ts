import { newId } from '@azora/db-core';
import { idInput, textInput } from '@azora/db-core/input';
import { type Page, type PageInput, pageFields } from '@azora/db-core/paging';
import { z } from 'zod';
import type { Nexus } from './client';
import { readInput, recommendationNotFound } from './errors';
import { $Enums, type RecommendationStatus } from './generated/client';
import { itemTypesInput, topicsInput } from './input';
import { callFor, listRows, modelOf, type Recommendation, type Row } from './rows';

const MAX_RECOMMENDATIONS = 100;
const DAY_MS = 86_400_000;
const MAX_EXPIRES_IN_MS = 90 * DAY_MS;

/** Where the recommendations are wanted; it is stored with them. */
export interface RecommendationContext {
  /** The place in the product, such as dashboard. */
  readonly page?: string;
  /** Recommend only items of these types. */
  readonly itemTypes?: readonly string[];
  /** Recommend only items that have all of these tags. */
  readonly tags?: readonly string[];
}

export interface RecommendInput {
  /** An auth.User; makes the profile if it is missing. */
  readonly userId: string;
  readonly context?: RecommendationContext;
  /** 1 to 100; 10 when absent. */
  readonly limit?: number;
  /** Milliseconds until the recommendations expire; 7 days when absent, at most 90 days. */
  readonly expiresIn?: number;
}

export interface RecommendationInput {
  readonly userId: string;
  readonly recommendationId: string;
}

export interface MarkShownInput {
  readonly userId: string;
  /** 1 to 100. */
  readonly recommendationIds: readonly string[];
}

export interface ListRecommendationsInput extends PageInput {
  readonly userId: string;
  readonly status?: RecommendationStatus;
}

const recommendInput = z.strictObject({
  userId: idInput,
  context: z
    .strictObject({
      page: textInput(200).optional(),
      itemTypes: itemTypesInput.optional(),
      tags: topicsInput.optional(),
    })
    .default({}),
  limit: z.int().min(1).max(MAX_RECOMMENDATIONS).default(10),
  expiresIn: z
    .int()
    .min(1)
    .max(MAX_EXPIRES_IN_MS)
    .default(7 * DAY_MS),
});
const oneInput = z.strictObject({ userId: idInput, recommendationId: idInput });
const shownInput = z.strictObject({
  userId: idInput,
  recommendationIds: z.array(idInput).min(1).max(MAX_RECOMMENDATIONS),
});
const listInput = z.strictObject({
  userId: idInput,
  status: z.enum($Enums.RecommendationStatus).optional(),
  ...pageFields,
});

/**
 * Recommends items to a person, the best first, and stores each with its reason: items that others use together with the latest
 * 20 items of the person (score 0.5 to 1), popular items with a tag among the interests (0.25 to 0.5), and popular items (up to 0.25).
 * Items that the person has used or dismissed, and items of another language, are left out. An item that is open to the person already
 * keeps its id and its status. The README says how similarity and decay are computed.
 * @throws {SuiteError} `NEXUS.INVALID_INPUT`
 */
export async function recommend(nexus: Nexus, input: RecommendInput): Promise<readonly Recommendation[]> {
  const { userId, context, limit, expiresIn } = readInput(recommendInput, input);
  const ids = Array.from({ length: limit }, () => newId());
  const rows = await nexus.query<Row>({
    text: 'SELECT * FROM recommend_items($1, $2, $3, $4, $5)',
    values: [newId(), userId, ids, JSON.stringify(context), `${expiresIn} milliseconds`],
  });
  return rows.map((row) => modelOf<Recommendation>(row));
}

/**
 * Marks recommendations of a person as shown, and returns them, the best first; those that were shown or answered before stay as they
 * are.
 * @throws {SuiteError} `NEXUS.INVALID_INPUT`, `NEXUS.RECOMMENDATION_NOT_FOUND`
 */
export async function markShown(nexus: Nexus, input: MarkShownInput): Promise<readonly Recommendation[]> {
  const { userId, recommendationIds } = readInput(shownInput, input);
  const rows = await nexus.query<Row>({
    text: 'SELECT * FROM show_recommendations($1, $2)',
    values: [userId, recommendationIds],
  });
  return rows.map((row) => modelOf<Recommendation>(row));
}

/**
 * Records that the person followed a recommendation: its item counts as chosen by the person. A repeated call returns it unchanged.
 * @throws {SuiteError} `NEXUS.INVALID_INPUT`, `NEXUS.RECOMMENDATION_NOT_FOUND`, `NEXUS.ILLEGAL_TRANSITION`
 */
export function acceptRecommendation(nexus: Nexus, input: RecommendationInput): Promise<Recommendation> {
  return answer(nexus, input, 'accepted');
}

/**
 * Records that the person does not want a recommendation: its item is not recommended again, and items like it come later. A repeated
 * call returns it unchanged.
 * @throws {SuiteError} as {@link acceptRecommendation}
 */
export function dismissRecommendation(nexus: Nexus, input: RecommendationInput): Promise<Recommendation> {
  return answer(nexus, input, 'dismissed');
}

async function answer(nexus: Nexus, input: RecommendationInput, to: RecommendationStatus): Promise<Recommendation> {
  const { userId, recommendationId } = readInput(oneInput, input);
  const values = [userId, recommendationId, to, newId()];
  return callFor(nexus, 'SELECT * FROM answer_recommendation($1, $2, $3, $4)', values);
}

const OF_USER = '(SELECT r.*, u.user_id FROM recommendations AS r JOIN user_profiles AS u ON u.id = r.profile_id) AS r';

/**
 * A recommendation of a person by its id.
 * @throws {SuiteError} `NEXUS.INVALID_INPUT`, `NEXUS.RECOMMENDATION_NOT_FOUND`
 */
export async function getRecommendation(nexus: Nexus, input: RecommendationInput): Promise<Recommendation> {
  const { userId, recommendationId } = readInput(oneInput, input);
  const [row] = await nexus.query<Row>({
    text: `SELECT * FROM ${OF_USER} WHERE id = $1 AND user_id = $2`,
    values: [recommendationId, userId],
  });
  if (row === undefined) throw recommendationNotFound({ recommendationId });
  return withoutUser(modelOf(row));
}

/**
 * A page of the recommendations of a person, newest first.
 * @throws {SuiteError} `NEXUS.INVALID_INPUT`
 */
export async function listRecommendations(
  nexus: Nexus,
  input: ListRecommendationsInput,
): Promise<Page<Recommendation>> {
  const { userId, status, limit, cursor } = readInput(listInput, input);
  const page = await listRows<Recommendation & { userId?: string }>(nexus, {
    from: OF_USER,
    where: { user_id: userId, status },
    limit,
    cursor,
  });
  return { ...page, items: page.items.map(withoutUser) };
}

function withoutUser({ userId: _userId, ...recommendation }: Recommendation & { userId?: string }): Recommendation {
  return recommendation;
}
