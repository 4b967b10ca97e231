import { Prisma, type Stake } from './generated/client';
import type { Row } from './rows';

export type StakeRow = Row<Stake>;

export function stakeOf(row: StakeRow): Stake {
  return {
    id: row.id,
    walletId: row.wallet_id,
    amount: new Prisma.Decimal(row.amount),
    annualRate: new Prisma.Decimal(row.annual_rate),
    accruedUntil: row.accrued_until,
    rewardsAccrued: new Prisma.Decimal(row.rewards_accrued),
    rewardsEarned: new Prisma.Decimal(row.rewards_earned),
    status: row.status,
    startedAt: row.started_at,
    lockedUntil: row.locked_until,
    withdrawnAt: row.withdrawn_at,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}
