import { idInput } from '@azora/db-core/input';
import { z } from 'zod';
import type { Mint } from './client';
import { invalidField, readInput } from './errors';
import { Prisma } from './generated/client';
import { momentInput } from './input';
import { onlyRow } from './rows';

/** Stakes that one transaction locks and counts, when it is not told. */
const DEFAULT_BATCH = 1_000;
const MOST_BATCH = 10_000;

export interface AccrueRewardsInput {
  /** Only this stake; without it every active one. */
  readonly stakeId?: string;
  /** Up to this moment, not after the clock's present, which is taken without it. */
  readonly until?: Date;
  /** How many stakes one transaction counts, 1 to 10000; 1000 without it. */
  readonly batchSize?: number;
}

export interface AccruedRewards {
  /** How many stakes were counted further. */
  readonly stakes: number;
  /** What they earned by that, over all currencies: each sum before and after is half-even to 8 decimals. */
  readonly rewards: Prisma.Decimal;
}

interface BatchRow {
  readonly last_id: string | null;
  readonly counted: string;
  readonly gained: string;
}

const accrueRewardsInput = z.strictObject({
  stakeId: idInput.optional(),
  until: momentInput.optional(),
  batchSize: z.int().min(1).max(MOST_BATCH).default(DEFAULT_BATCH),
});

/**
 * Counts what active stakes earned up to a moment. A stake remembers how far it is counted and no second is counted
 * twice: a repeat, another run at the same time and a clock that went back change nothing. A run that broke off is
 * repeated.
 * @throws {SuiteError} `MINT.INVALID_INPUT`, `MINT.STAKE_NOT_FOUND`
 */
export async function accrueRewards(mint: Mint, input: AccrueRewardsInput = {}): Promise<AccruedRewards> {
  const now = mint.clock();
  const { stakeId = null, until = now, batchSize } = readInput(accrueRewardsInput, input);
  if (until > now) throw invalidField('until', 'is after the present');
  let accrued: AccruedRewards = { stakes: 0, rewards: new Prisma.Decimal(0) };
  let afterId: string | null = '';
  do {
    const batch: BatchRow = onlyRow(
      await mint.query<BatchRow>({
        text: 'SELECT * FROM accrue_rewards($1, $2, $3, $4)',
        values: [stakeId, until, afterId, batchSize],
      }),
    );
    accrued = { stakes: accrued.stakes + Number(batch.counted), rewards: accrued.rewards.add(batch.gained) };
    afterId = stakeId === null ? batch.last_id : null;
  } while (afterId !== null);
  return accrued;
}
