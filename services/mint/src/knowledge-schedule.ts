import { type MiningActivity, Prisma } from './generated/client';
import { divideHalfEven, multiplyExact, type Numeric } from './rates';

/** The reward of an activity for a score of 1, in AZR, and its difficulty for a wallet that has mined nothing. */
interface ActivityTerms {
  readonly baseReward: string;
  readonly baseDifficulty: string;
}

/** The schedule of Proof of Knowledge. The schedule and the formulas below are our own, not those of another chain. */
export const KNOWLEDGE_SCHEDULE = {
  activities: {
    lesson: { baseReward: '5', baseDifficulty: '1' },
    course: { baseReward: '50', baseDifficulty: '1' },
    assessment: { baseReward: '20', baseDifficulty: '1.25' },
    tutoring: { baseReward: '15', baseDifficulty: '1.25' },
    contribution: { baseReward: '30', baseDifficulty: '1.5' },
  } satisfies Record<MiningActivity, ActivityTerms>,
  /** A submission with a lower score is stored as rejected. */
  minimumScore: '0.6',
  /** The AZR that one wallet can mine in one UTC day. */
  dailyCap: '100',
  /** A wallet that has mined this much, in AZR, mines at twice the difficulty, at twice as much at three times, and so on. */
  difficultyStep: '1000',
  /** Rewards halve each time all wallets together have mined this much, in AZR. */
  halvingInterval: '1000000',
  /** 2^-64 of the highest reward rounds to 0 at 8 decimals. */
  maximumHalvings: 64,
} as const;

/** The largest value of the column `difficulty`. */
const MAXIMUM_DIFFICULTY = new Prisma.Decimal('99999.9999');
const DIFFICULTY_PLACES = 4;

/**
 * base × (1 + mined by this wallet so far / step), half-even to 4 decimals. The SQL function `knowledge_difficulty` computes
 * the same.
 */
export function knowledgeDifficulty(activity: MiningActivity, minedByWallet: Numeric): Prisma.Decimal {
  const { activities, difficultyStep } = KNOWLEDGE_SCHEDULE;
  const grown = new Prisma.Decimal(difficultyStep).add(minedByWallet);
  const difficulty = multiplyExact(activities[activity].baseDifficulty, grown);
  return Prisma.Decimal.min(divideHalfEven(difficulty, difficultyStep, DIFFICULTY_PLACES), MAXIMUM_DIFFICULTY);
}

/**
 * The number of halvings after all wallets together have mined this much. The reward that reaches an interval is not halved
 * itself.
 */
export function halvings(minedByAll: Numeric): number {
  const { halvingInterval, maximumHalvings } = KNOWLEDGE_SCHEDULE;
  return Math.min(new Prisma.Decimal(minedByAll).divToInt(halvingInterval).toNumber(), maximumHalvings);
}

export interface KnowledgeRewardInput {
  readonly activity: MiningActivity;
  /** 0 to 1, with at most 4 decimals. */
  readonly score: Numeric;
  readonly difficulty: Numeric;
  readonly halvings: number;
}

/**
 * base reward × score / (difficulty × 2^halvings) in AZR, half-even to 8 decimals. The SQL function `knowledge_reward`
 * computes the same.
 */
export function knowledgeReward({
  activity,
  score,
  difficulty,
  halvings: times,
}: KnowledgeRewardInput): Prisma.Decimal {
  const { baseReward } = KNOWLEDGE_SCHEDULE.activities[activity];
  return divideHalfEven(multiplyExact(baseReward, score), multiplyExact(difficulty, new Prisma.Decimal(2).pow(times)));
}
