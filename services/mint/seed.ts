import { createHash } from 'node:crypto';
import { defineSeed, seedId } from '@azora/db-core';
import { volume } from './seed/volume';
import { $Enums, type MintTransaction, openMint, type Prisma } from './src/index';

type Payment = Pick<Prisma.TransactionCreateManyInput, 'type' | 'fromId' | 'toId' | 'stakeId' | 'description'> & {
  readonly amount: string;
  readonly daysAgo: number;
};

const DAY_MS = 86_400_000;
const daysBefore = (now: Date, days: number) => new Date(now.getTime() - days * DAY_MS);

const STUDENT = seedId('mint.Wallet.student');
const EDUCATOR = seedId('mint.Wallet.educator');
const EMPLOYER = seedId('mint.Wallet.employer');
const STAKE = seedId('mint.Stake.student');
const HOLD = seedId('mint.Hold.employer-deposit');
const PYTHON = seedId('education.Course.python');

const OPENING = 'Opening balance';
const CARRIED_OVER = 'Earlier rewards, carried over';
const WELCOME = 'Welcome bonus';
const KNOWLEDGE = 'Proof of Knowledge';
const COMPLETION = 'Course completion';
const DEPOSIT_KEY = 'seed:employer-deposit';

/** The ids of the system wallets: every database has these wallets, but older ones have other ids. */
interface SystemWallets {
  readonly treasury: string;
  readonly staking: string;
}

/** All transactions behind the seeded balances: each person ends with 1000, and 500 of it is earned. */
function payments({ treasury, staking }: SystemWallets): Readonly<Record<string, Payment>> {
  const issued = (
    type: 'mint' | 'reward' | 'mining',
    toId: string,
    amount: string,
    description: string,
    daysAgo: number,
  ) => {
    return { type, fromId: treasury, toId, amount, description, daysAgo };
  };
  return {
    'student-opening': issued('mint', STUDENT, '100', OPENING, 60),
    'student-carried-over': issued('reward', STUDENT, '425', CARRIED_OVER, 60),
    'student-welcome': issued('mint', STUDENT, '500', WELCOME, 60),
    'student-stake': {
      type: 'stake',
      fromId: STUDENT,
      toId: staking,
      stakeId: STAKE,
      amount: '100',
      description: 'Stake',
      daysAgo: 30,
    },
    'student-mining': issued('mining', STUDENT, '25', KNOWLEDGE, 12),
    'student-completion': issued('reward', STUDENT, '50', COMPLETION, 10),
    'educator-opening': issued('mint', EDUCATOR, '500', OPENING, 60),
    'educator-carried-over': issued('reward', EDUCATOR, '500', CARRIED_OVER, 60),
    'employer-opening': issued('mint', EMPLOYER, '500', OPENING, 60),
    'employer-carried-over': issued('reward', EMPLOYER, '500', CARRIED_OVER, 60),
  };
}

export const seed = defineSeed({
  open: openMint,
  async base(mint, { now, people }) {
    const opened = { createdAt: daysBefore(now, 90), updatedAt: now };
    // A stake must be committed together with the transaction that funds it.
    await mint.transaction(async (tx) => {
      // The migration inserts them, but a reset deletes all rows.
      await tx.wallet.createMany({ data: systemWalletRows(), skipDuplicates: true });
      const system = await systemWallets(tx);
      await tx.wallet.createMany({
        data: [
          { id: STUDENT, userId: people.student.id, ...opened },
          { id: EDUCATOR, userId: people.educator.id, ...opened },
          { id: EMPLOYER, userId: people.employer.id, ...opened },
        ],
        skipDuplicates: true,
      });
      await tx.stake.createMany({ data: [stakeRow(now)], skipDuplicates: true });
      const entries = Object.entries(payments(system));
      await tx.request.createMany({
        data: [...entries.map(([slug, payment]) => paymentRequest(slug, payment, now)), depositRequest(now)],
        skipDuplicates: true,
      });
      await tx.transaction.createMany({
        data: entries.map(([slug, { daysAgo, ...payment }]) => ({
          id: seedId(`mint.Transaction.${slug}`),
          requestKey: `seed:${slug}`,
          createdAt: daysBefore(now, daysAgo),
          ...payment,
        })),
        skipDuplicates: true,
      });
      await tx.hold.createMany({ data: [depositRow(now)], skipDuplicates: true });
      await tx.miningRecord.createMany({ data: [miningRow(now)], skipDuplicates: true });
      await tx.economicMetrics.createMany({ data: [metricsRow(now, entries.length)], skipDuplicates: true });
    });
  },
  volume,
});

function systemWalletRows(): Prisma.WalletCreateManyInput[] {
  const createdAt = new Date('2026-01-01T00:00:00Z');
  return Object.values($Enums.Currency).flatMap((currency) =>
    (['treasury', 'staking'] as const).map((kind) => {
      return { id: `${kind}-${currency}`, kind, currency, createdAt, updatedAt: createdAt };
    }),
  );
}

async function systemWallets(tx: MintTransaction): Promise<SystemWallets> {
  const wallets = await tx.wallet.findMany({ where: { currency: 'AZR', kind: { in: ['treasury', 'staking'] } } });
  const idOf = (wanted: string) => wallets.find(({ kind }) => kind === wanted)?.id ?? `no ${wanted} wallet`;
  return { treasury: idOf('treasury'), staking: idOf('staking') };
}

function paymentRequest(slug: string, { type, daysAgo }: Payment, now: Date): Prisma.RequestCreateManyInput {
  const transactionIds = [seedId(`mint.Transaction.${slug}`)];
  const [key, createdAt] = [`seed:${slug}`, daysBefore(now, daysAgo)];
  return { key, operation: type, bodyHash: sha256(slug), answer: { transactionIds }, createdAt };
}

function stakeRow(now: Date): Prisma.StakeCreateManyInput {
  const stakedAt = daysBefore(now, 30);
  return {
    id: STAKE,
    walletId: STUDENT,
    amount: '100',
    annualRate: '0.08',
    startedAt: stakedAt,
    lockedUntil: daysBefore(now, -60),
    createdAt: stakedAt,
    updatedAt: stakedAt,
  };
}

function depositRequest(now: Date): Prisma.RequestCreateManyInput {
  return {
    key: DEPOSIT_KEY,
    operation: 'hold',
    bodyHash: sha256(DEPOSIT_KEY),
    answer: { transactionIds: [], holdId: HOLD },
    createdAt: daysBefore(now, 5),
  };
}

/** The money is set aside, not spent: the balance stays the same. */
function depositRow(now: Date): Prisma.HoldCreateManyInput {
  return {
    id: HOLD,
    walletId: EMPLOYER,
    toId: EDUCATOR,
    amount: '50',
    description: 'Deposit for a workshop',
    requestKey: DEPOSIT_KEY,
    expiresAt: daysBefore(now, -30),
    createdAt: daysBefore(now, 5),
  };
}

function miningRow(now: Date): Prisma.MiningRecordCreateManyInput {
  const minedAt = daysBefore(now, 12);
  return {
    id: seedId('mint.MiningRecord.student-python-basics'),
    walletId: STUDENT,
    activity: 'assessment',
    courseId: PYTHON,
    proofHash: sha256('student-python-basics'),
    knowledgeScore: '0.85',
    difficulty: '1.25',
    reward: '25',
    status: 'rewarded',
    transactionId: seedId('mint.Transaction.student-mining'),
    decidedAt: minedAt,
    createdAt: minedAt,
    updatedAt: minedAt,
  };
}

function metricsRow(now: Date, transactionCount: number): Prisma.EconomicMetricsCreateManyInput {
  return {
    id: seedId('mint.EconomicMetrics.first'),
    capturedAt: now,
    totalSupply: '3100',
    circulatingSupply: '3000',
    stakedSupply: '100',
    activeWallets: 3,
    transactionCount,
    createdAt: now,
  };
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
