import { newId } from '@azora/db-core';
import { z } from 'zod';
import type { Mint } from './client';
import { invalidField, readInput } from './errors';
import type { EconomicMetrics } from './generated/client';
import { timeInput } from './input';

export interface SnapshotMetricsInput {
  /** The time that the snapshot describes: not in the future; now when absent. */
  readonly capturedAt?: Date;
}

const snapshotMetricsInput = z.strictObject({ capturedAt: timeInput.optional() });

/**
 * Stores a snapshot of the AZR economy at one time, once: for a time that has a snapshot, returns that one. All amounts are
 * in AZR.
 *
 * Total supply is what the treasury has issued minus what came back; circulating supply is the money in users' wallets,
 * staked supply the money in the staking wallet. Velocity is what users transferred to users in the last 30 days divided by
 * the total supply, or 0 without a supply. Gini is the inequality of the balances of users' open wallets, empty ones
 * included and staked money excluded, or 0 without any money: Σ (2i − n − 1) xᵢ / (n Σ xᵢ) over the n balances x in
 * ascending order (Dixon, Weiner, Mitchell-Olds and Woodley, "Bootstrapping the Gini coefficient of inequality", Ecology
 * 68 (1987), 1548–1551). Both are rounded half-even to 8 decimals.
 * @throws {SuiteError} `MINT.INVALID_INPUT`
 */
export async function snapshotMetrics(mint: Mint, input: SnapshotMetricsInput = {}): Promise<EconomicMetrics> {
  const now = mint.clock();
  const { capturedAt = now } = readInput(snapshotMetricsInput, input);
  if (capturedAt > now) throw invalidField('capturedAt', 'is in the future');
  await mint.query({ text: SNAPSHOT, values: [newId(), capturedAt, now] });
  return mint.prisma.economicMetrics.findUniqueOrThrow({ where: { capturedAt } });
}

/**
 * One statement, so that it sees one snapshot of the database. $1 is the id, $2 the described time, $3 the present. A past
 * balance is the present one minus what moved since. Where the clocks of two processes differ, it can be below zero.
 */
const SNAPSHOT = `
  WITH later AS (
    SELECT wallet_id, sum(amount) AS amount
    FROM (
      SELECT to_id AS wallet_id, amount FROM transactions WHERE currency = 'AZR' AND created_at > $2
      UNION ALL
      SELECT from_id, -amount FROM transactions WHERE currency = 'AZR' AND created_at > $2
    ) AS movements
    GROUP BY wallet_id
  ), holders AS (
    SELECT wallets.kind, wallets.balance - coalesce(later.amount, 0) AS balance,
           wallets.created_at <= $2 AND (wallets.closed_at IS NULL OR wallets.closed_at > $2) AS is_open
    FROM wallets LEFT JOIN later ON later.wallet_id = wallets.id
    WHERE wallets.currency = 'AZR'
  ), supply AS (
    SELECT coalesce(-sum(balance) FILTER (WHERE kind = 'treasury'), 0) AS total,
           coalesce(sum(balance) FILTER (WHERE kind = 'user'), 0) AS circulating,
           coalesce(sum(balance) FILTER (WHERE kind = 'staking'), 0) AS staked,
           count(*) FILTER (WHERE kind = 'user' AND balance > 0) AS active
    FROM holders
  ), ranked AS (
    SELECT greatest(balance, 0) AS balance, row_number() OVER (ORDER BY balance) AS position
    FROM holders WHERE kind = 'user' AND (is_open OR balance <> 0)
  ), inequality AS (
    SELECT count(*) AS n, coalesce(sum(balance), 0) AS total,
           coalesce(2 * sum(position * balance), 0) - (count(*) + 1) * coalesce(sum(balance), 0) AS spread
    FROM ranked
  ), flow AS (
    SELECT count(*) AS transactions,
           coalesce(sum(amount) FILTER (WHERE type = 'burn'), 0) AS burned,
           coalesce(sum(amount) FILTER (WHERE type = 'transfer' AND created_at > $2 - interval '720 hours'), 0)
             AS volume
    FROM transactions WHERE currency = 'AZR' AND created_at <= $2
  )
  INSERT INTO economic_metrics (id, captured_at, total_supply, circulating_supply, staked_supply, burned_supply,
                                active_wallets, transaction_count, velocity, gini, created_at)
  SELECT $1, $2, supply.total, supply.circulating, supply.staked, flow.burned, supply.active, flow.transactions,
         CASE WHEN supply.total > 0 THEN divide_half_even(flow.volume, supply.total, 8) ELSE 0 END,
         CASE WHEN inequality.total > 0
              THEN divide_half_even(inequality.spread, inequality.n * inequality.total, 8) ELSE 0 END,
         $3
  FROM supply, inequality, flow
  ON CONFLICT (captured_at) DO NOTHING`;
