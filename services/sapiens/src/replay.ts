import { createEmptyCard, type Card as FsrsCard, fsrs, Rating, State } from 'ts-fsrs';
import type { CardState, ReviewRating } from './generated/client';
import type { Card, Skill } from './rows';

/**
 * The scheduler of FSRS-6 with its default parameters, as the SQL function fsrs_next: retention 0.9, learning steps of 1 and 10
 * minutes, a relearning step of 10 minutes, no fuzz.
 */
export const scheduler = fsrs({});

export const RATINGS = {
  again: Rating.Again,
  hard: Rating.Hard,
  good: Rating.Good,
  easy: Rating.Easy,
} as const satisfies Record<ReviewRating, Rating>;

const STATES: Readonly<Record<CardState, State>> = {
  new: State.New,
  learning: State.Learning,
  review: State.Review,
  relearning: State.Relearning,
};

/** The card of ts-fsrs with the state of a card. */
export function fsrsCardOf(card: Card): FsrsCard {
  return {
    ...createEmptyCard(card.createdAt),
    due: card.dueAt,
    stability: card.stability,
    difficulty: card.difficulty,
    scheduled_days: card.scheduledDays,
    learning_steps: card.step,
    reps: card.reviews,
    lapses: card.lapses,
    state: STATES[card.state],
    ...(card.lastReviewedAt === null ? {} : { last_review: card.lastReviewedAt }),
  };
}

export interface LoggedReview {
  readonly rating: ReviewRating;
  readonly reviewedAt: Date;
}

/** The card of ts-fsrs after the reviews of a log. */
export function replayReviews(createdAt: Date, log: readonly LoggedReview[]): FsrsCard {
  return log.reduce<FsrsCard>(
    (card, { rating, reviewedAt }) => scheduler.next(card, reviewedAt, RATINGS[rating]).card,
    createEmptyCard(createdAt),
  );
}

/** Whether a card has the state of a card of ts-fsrs; numbers may differ by 1e-6 of their size, times by a second. */
export function isSameCard(card: Card, expected: FsrsCard): boolean {
  const isNear = (left: number, right: number) => Math.abs(left - right) <= 1e-6 * Math.max(1, Math.abs(right));
  return (
    STATES[card.state] === expected.state &&
    card.step === expected.learning_steps &&
    card.reviews === expected.reps &&
    card.lapses === expected.lapses &&
    card.scheduledDays === expected.scheduled_days &&
    Math.abs(card.dueAt.getTime() - expected.due.getTime()) < 1_000 &&
    isNear(card.stability, expected.stability) &&
    isNear(card.difficulty, expected.difficulty)
  );
}

/** The mastery after a log of attempts: Bayesian knowledge tracing without forgetting (Corbett and Anderson, 1995). */
export function replayAttempts(
  { prior, learn, guess, slip }: Pick<Skill, 'prior' | 'learn' | 'guess' | 'slip'>,
  log: readonly boolean[],
): number {
  return log.reduce((known, isCorrect) => {
    const [ofKnown, ofUnknown] = isCorrect ? [1 - slip, guess] : [slip, 1 - guess];
    const evidence = known * ofKnown + (1 - known) * ofUnknown;
    // An observation that the parameters exclude says nothing.
    const posterior = evidence === 0 ? known : (known * ofKnown) / evidence;
    return Math.min(1, posterior + (1 - posterior) * learn);
  }, prior);
}

export interface LoggedAnswer {
  readonly discrimination: number;
  readonly location: number;
  readonly isCorrect: boolean;
}

/**
 * The expected a posteriori ability and its standard error: the two-parameter logistic model, a standard normal prior, and sums over
 * points from -6 to 6 that are `step` apart.
 */
export function abilityOf(
  log: readonly LoggedAnswer[],
  step = 0.1,
): { readonly ability: number; readonly standardError: number } {
  let [sum, first, second] = [0, 0, 0];
  for (let index = 0; index <= 12 / step; index += 1) {
    const theta = -6 + index * step;
    const likelihood = log.reduce((product, { discrimination, location, isCorrect }) => {
      const sign = isCorrect ? -1 : 1;
      return product / (1 + Math.exp(sign * discrimination * (theta - location)));
    }, 1);
    const weight = likelihood * Math.exp((-theta * theta) / 2);
    sum += weight;
    first += weight * theta;
    second += weight * theta * theta;
  }
  const ability = first / sum;
  return { ability, standardError: Math.sqrt(second / sum - ability * ability) };
}
