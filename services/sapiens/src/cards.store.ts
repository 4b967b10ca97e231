import { newId, requestHash } from '@azora/db-core';
import { idInput } from '@azora/db-core/input';
import { type Page, type PageInput, pageFields } from '@azora/db-core/paging';
import { z } from 'zod';
import type { Sapiens } from './client';
import { cardNotFound, readInput } from './errors';
import { $Enums, type ReviewRating } from './generated/client';
import { keyInput, longTextInput } from './input';
import { fsrsCardOf, RATINGS, scheduler } from './replay';
import { type Card, type CardReview, callFunction, listRows, modelOf, type Row } from './rows';

export interface AddCardInput {
  /** An auth.User. */
  readonly studentId: string;
  readonly front: string;
  readonly back: string;
  readonly skillId?: string;
  readonly idempotencyKey: string;
}

export interface GetCardInput {
  readonly cardId: string;
}

export type DeleteCardInput = GetCardInput;
export type RestoreCardInput = GetCardInput;
export type PreviewReviewInput = GetCardInput;

export interface ReviewCardInput extends GetCardInput {
  /** The number of the review, which is one more than the `reviews` of the card that the student saw. It names the review. */
  readonly number: number;
  readonly rating: ReviewRating;
}

export interface ListCardsInput extends PageInput {
  readonly studentId: string;
  readonly skillId?: string;
}

export interface ListDueCardsInput extends PageInput {
  readonly studentId: string;
}

export interface ListReviewsInput extends PageInput, GetCardInput {}

/** What a rating would do to a card now. */
export interface ReviewPreview {
  readonly rating: ReviewRating;
  readonly dueAt: Date;
  /** 0 when the card would be due after minutes. */
  readonly scheduledDays: number;
  /** Days until the probability of recall is 0.9. */
  readonly stability: number;
}

const addInput = z.strictObject({
  studentId: idInput,
  front: longTextInput,
  back: longTextInput,
  skillId: idInput.optional(),
  idempotencyKey: keyInput,
});
const cardInput = z.strictObject({ cardId: idInput });
const reviewInput = z.strictObject({
  cardId: idInput,
  number: z.int().min(1).max(1_000_000),
  rating: z.enum($Enums.ReviewRating),
});
const listInput = z.strictObject({ studentId: idInput, skillId: idInput.optional(), ...pageFields });
const dueInput = z.strictObject({ studentId: idInput, ...pageFields });
const reviewsInput = z.strictObject({ cardId: idInput, ...pageFields });

/**
 * Adds a card, once per key. It is due at once.
 * @throws {SuiteError} `SAPIENS.INVALID_INPUT`, `SAPIENS.KEY_REUSED`, `SAPIENS.SKILL_NOT_FOUND`
 */
export async function addCard(sapiens: Sapiens, input: AddCardInput): Promise<Card> {
  const { idempotencyKey, ...body } = readInput(addInput, input);
  const { studentId, skillId = null, front, back } = body;
  const values = [idempotencyKey, requestHash(body), newId(), studentId, skillId, front, back];
  return callFunction(sapiens, 'add_card', values);
}

/**
 * Records a review of a card and schedules the next one by FSRS-6. A review counts once, however many devices report it: the same
 * rating with the same number again returns the card as it is.
 * @throws {SuiteError} `SAPIENS.INVALID_INPUT`, `SAPIENS.CARD_NOT_FOUND`, `SAPIENS.REVIEW_ORDER`: a review before this one is missing,
 *   `SAPIENS.ALREADY_REVIEWED`: another rating with this number came first
 */
export async function reviewCard(sapiens: Sapiens, input: ReviewCardInput): Promise<Card> {
  const { cardId, number, rating } = readInput(reviewInput, input);
  return callFunction(sapiens, 'review_card', [cardId, number, rating]);
}

/**
 * What each rating would do to a card now, from `again` to `easy`, as the student's buttons show it.
 * @throws {SuiteError} `SAPIENS.INVALID_INPUT`, `SAPIENS.CARD_NOT_FOUND`
 */
export async function previewReview(sapiens: Sapiens, input: PreviewReviewInput): Promise<readonly ReviewPreview[]> {
  const { cardId } = readInput(cardInput, input);
  const { card, now } = await readCard(sapiens, cardId);
  return Object.values($Enums.ReviewRating).map((rating) => {
    const { card: next } = scheduler.next(fsrsCardOf(card), now, RATINGS[rating]);
    return { rating, dueAt: next.due, scheduledDays: next.scheduled_days, stability: next.stability };
  });
}

/**
 * A card by id.
 * @throws {SuiteError} `SAPIENS.INVALID_INPUT`, `SAPIENS.CARD_NOT_FOUND`: it does not exist or was deleted
 */
export async function getCard(sapiens: Sapiens, input: GetCardInput): Promise<Card> {
  return (await readCard(sapiens, readInput(cardInput, input).cardId)).card;
}

async function readCard(sapiens: Sapiens, cardId: string): Promise<{ readonly card: Card; readonly now: Date }> {
  const [row] = await sapiens.query<Row>({
    text: 'SELECT c.*, greatest(database_time(), c.last_reviewed_at) AS now FROM cards AS c WHERE id = $1 AND deleted_at IS NULL',
    values: [cardId],
  });
  if (row === undefined) throw cardNotFound({ cardId });
  const { now, ...columns } = row;
  return { card: modelOf<Card>(columns), now: now as Date };
}

/**
 * Deletes a card; its log is kept, and {@link restoreCard} brings the card back. A deleted card stays as it is.
 * @throws {SuiteError} `SAPIENS.INVALID_INPUT`, `SAPIENS.CARD_NOT_FOUND`
 */
export async function deleteCard(sapiens: Sapiens, input: DeleteCardInput): Promise<Card> {
  return callFunction(sapiens, 'set_card_deleted', [readInput(cardInput, input).cardId, true]);
}

/**
 * Brings a deleted card back, with its schedule.
 * @throws {SuiteError} `SAPIENS.INVALID_INPUT`, `SAPIENS.CARD_NOT_FOUND`
 */
export async function restoreCard(sapiens: Sapiens, input: RestoreCardInput): Promise<Card> {
  return callFunction(sapiens, 'set_card_deleted', [readInput(cardInput, input).cardId, false]);
}

/**
 * A page of a student's cards, newest first.
 * @throws {SuiteError} `SAPIENS.INVALID_INPUT`
 */
export async function listCards(sapiens: Sapiens, input: ListCardsInput): Promise<Page<Card>> {
  const { studentId, skillId, ...page } = readInput(listInput, input);
  return listRows(
    sapiens,
    'cards',
    [
      ['deleted_at IS NULL AND student_id = ?', studentId],
      ['skill_id = ?', skillId],
    ],
    page,
  );
}

/**
 * A page of the cards that are due now, the longest due first.
 * @throws {SuiteError} `SAPIENS.INVALID_INPUT`
 */
export async function listDueCards(sapiens: Sapiens, input: ListDueCardsInput): Promise<Page<Card>> {
  const { studentId, ...page } = readInput(dueInput, input);
  return listRows(
    sapiens,
    'cards',
    // A subquery, so that the time is read once and the index is used.
    [['deleted_at IS NULL AND due_at <= (SELECT database_time()) AND student_id = ?', studentId]],
    { ...page, time: 'due_at', oldestFirst: true },
  );
}

/**
 * A page of the log of a card, newest first.
 * @throws {SuiteError} `SAPIENS.INVALID_INPUT`
 */
export async function listReviews(sapiens: Sapiens, input: ListReviewsInput): Promise<Page<CardReview>> {
  const { cardId, ...page } = readInput(reviewsInput, input);
  return listRows(sapiens, 'card_reviews', [['card_id = ?', cardId]], { ...page, time: 'reviewed_at' });
}
