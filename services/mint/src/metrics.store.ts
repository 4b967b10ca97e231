import { newId } from '@azora/db-core';
import { z } from 'zod';
import type { Mint } from './client';
import { invalidField, readInput } from './errors';
import type { EconomicMetrics } from './generated/client';
import { momentInput } from './input';
import { SNAPSHOT } from './metrics-snapshot';

export interface SnapshotMetricsInput {
  /** The moment that is described, not after the clock's present, which is taken without it. */
  readonly capturedAt?: Date;
}

const snapshotMetricsInput = z.strictObject({ capturedAt: momentInput.optional() });

/**
 * Describes the AZR economy at one moment and keeps that, once per moment: asked again, it is answered as it was kept.
 * All amounts are in AZR.
 *
 * Total supply is what the treasury issued less what came back, circulating what is in users' wallets, staked what is
 * in the staking wallet. Velocity is what users transferred to users in the 30 days before, over the total supply; 0
 * without one. Gini is the inequality of the balances of users' open wallets, empty ones too, what is staked left out;
 * 0 when nobody has anything. It is Σ (2i − n − 1) xᵢ / (n Σ xᵢ) over the n balances x in rising order: Dixon, Weiner,
 * Mitchell-Olds and Woodley, «Bootstrapping the Gini coefficient of inequality», Ecology 68 (1987), 1548–1551. Both are
 * half-even to 8 decimals.
 * @throws {SuiteError} `MINT.INVALID_INPUT`
 */
export async function snapshotMetrics(mint: Mint, input: SnapshotMetricsInput = {}): Promise<EconomicMetrics> {
  const now = mint.clock();
  const { capturedAt = now } = readInput(snapshotMetricsInput, input);
  if (capturedAt > now) throw invalidField('capturedAt', 'is after the present');
  await mint.query({ text: SNAPSHOT, values: [newId(), capturedAt, now] });
  return mint.prisma.economicMetrics.findUniqueOrThrow({ where: { capturedAt } });
}
