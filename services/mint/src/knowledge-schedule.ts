import { type MiningActivity, Prisma } from './generated/client';
import { divideHalfEven, multiplyExact, type Numeric } from './rates';

/** What an activity pays for a score of 1, in AZR, and how hard it is to whoever has mined nothing. */
interface ActivityTerms {
  readonly baseReward: string;
  readonly baseDifficulty: string;
}

/** The schedule of Proof-of-Knowledge. It is ours, as are the formulas below; no other chain's is copied. */
export const KNOWLEDGE_SCHEDULE = {
  activities: {
    lesson: { baseReward: '5', baseDifficulty: '1' },
    course: { baseReward: '50', baseDifficulty: '1' },
    assessment: { baseReward: '20', baseDifficulty: '1.25' },
    tutoring: { baseReward: '15', baseDifficulty: '1.25' },
    contribution: { baseReward: '30', baseDifficulty: '1.5' },
  } satisfies Record<MiningActivity, ActivityTerms>,
  /** Below it a submission is kept as rejected. */
  minimumScore: '0.6',
  /** AZR that one wallet can mine in one day of UTC. */
  dailyCap: '100',
  /** The difficulty is doubled for whoever has mined this much, in AZR, tripled for twice as much, and so on. */
  difficultyStep: '1000',
  /** Each time that all wallets together have mined this much, in AZR, rewards halve. */
  halvingInterval: '1000000',
  /** 2^-64 of the highest reward is nothing at 8 decimals. */
  maximumHalvings: 64,
} as const;

/** What the column of a record's difficulty holds. */
const MAXIMUM_DIFFICULTY = new Prisma.Decimal('99999.9999');
const DIFFICULTY_PLACES = 4;

/**
 * base × (1 + mined by this wallet so far / step), half-even to 4 decimals. The twin of `knowledge_difficulty` in SQL.
 */
export function knowledgeDifficulty(activity: MiningActivity, minedByWallet: Numeric): Prisma.Decimal {
  const { activities, difficultyStep } = KNOWLEDGE_SCHEDULE;
  const grown = new Prisma.Decimal(difficultyStep).add(minedByWallet);
  const difficulty = multiplyExact(activities[activity].baseDifficulty, grown);
  return Prisma.Decimal.min(divideHalfEven(difficulty, difficultyStep, DIFFICULTY_PLACES), MAXIMUM_DIFFICULTY);
}

/**
 * How often rewards have halved once all wallets together have mined this much; the reward that reaches it is still
 * whole.
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
 * base reward × score / (difficulty × 2^halvings) in AZR, half-even to 8 decimals. The twin of `knowledge_reward` in
 * SQL.
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
