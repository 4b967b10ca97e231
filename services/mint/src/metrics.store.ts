import { newId } from '@azora/db-core';
import { timeInput } from '@azora/db-core/input';
import { z } from 'zod';
import type { Mint } from './client';
import { readInput } from './errors';
import { Prisma } from './generated/client';
import { type EconomicMetrics, onlyRow, type Row } from './rows';

export interface SnapshotMetricsInput {
  /** The time that the snapshot describes, from 2000 to the present; now when absent. */
  readonly capturedAt?: Date;
}

/** The first time that the ledger stores. */
const FIRST_TIME = new Date('2000-01-01T00:00:00Z');

const snapshotMetricsInput = z.strictObject({ capturedAt: timeInput.min(FIRST_TIME).optional() });

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
  const { capturedAt = null } = readInput(snapshotMetricsInput, input);
  const rows = await mint.query<Row<EconomicMetrics>>({
    text: 'SELECT * FROM snapshot_metrics($1, $2)',
    values: [newId(), capturedAt],
  });
  return metricsOf(onlyRow(rows));
}

function metricsOf(row: Row<EconomicMetrics>): EconomicMetrics {
  return {
    id: row.id,
    capturedAt: row.captured_at,
    totalSupply: new Prisma.Decimal(row.total_supply),
    circulatingSupply: new Prisma.Decimal(row.circulating_supply),
    stakedSupply: new Prisma.Decimal(row.staked_supply),
    burnedSupply: new Prisma.Decimal(row.burned_supply),
    activeWallets: row.active_wallets,
    // pg returns a bigint as text.
    transactionCount: BigInt(row.transaction_count),
    velocity: row.velocity === null ? null : new Prisma.Decimal(row.velocity),
    gini: row.gini === null ? null : new Prisma.Decimal(row.gini),
    createdAt: row.created_at,
  };
}
