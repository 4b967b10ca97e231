import { createHash } from 'node:crypto';
import { defineSeed, seedId } from '@azora/db-core';
import { volume } from './seed/volume';
import { openMint, type Prisma } from './src/index';

type Payment = Omit<Prisma.TransactionCreateManyInput, 'id' | 'idempotencyKey' | 'createdAt'> & { daysAgo: number };

const DAY_MS = 86_400_000;
const daysBefore = (now: Date, days: number) => new Date(now.getTime() - days * DAY_MS);

const TREASURY = seedId('mint.Wallet.treasury');
const STUDENT = seedId('mint.Wallet.student');
const EDUCATOR = seedId('mint.Wallet.educator');
const EMPLOYER = seedId('mint.Wallet.employer');
const STAKE = seedId('mint.Stake.student');
const PYTHON = seedId('education.Course.python');

const OPENING = 'Opening balance';
const CARRIED_OVER = 'Earlier rewards, carried over';

/** Every entry behind the seeded balances: each person ends with 1000, of which 500 are earned. */
const PAYMENTS: Readonly<Record<string, Payment>> = {
  'treasury-issuance': {
    type: 'mint',
    toId: TREASURY,
    amount: '1000000',
    description: 'Genesis issuance',
    daysAgo: 90,
  },
  'student-opening': { type: 'mint', toId: STUDENT, amount: '100', description: OPENING, daysAgo: 60 },
  'student-carried-over': {
    type: 'reward',
    fromId: TREASURY,
    toId: STUDENT,
    amount: '425',
    description: CARRIED_OVER,
    daysAgo: 60,
  },
  'student-welcome': { type: 'mint', toId: STUDENT, amount: '500', description: 'Welcome bonus', daysAgo: 60 },
  'student-stake': { type: 'stake', fromId: STUDENT, stakeId: STAKE, amount: '100', description: 'Stake', daysAgo: 30 },
  'student-mining': { type: 'mining', toId: STUDENT, amount: '25', description: 'Proof of Knowledge', daysAgo: 12 },
  'student-completion': {
    type: 'reward',
    fromId: TREASURY,
    toId: STUDENT,
    amount: '50',
    description: 'Course completion',
    daysAgo: 10,
  },
  'educator-opening': { type: 'mint', toId: EDUCATOR, amount: '500', description: OPENING, daysAgo: 60 },
  'educator-carried-over': {
    type: 'reward',
    fromId: TREASURY,
    toId: EDUCATOR,
    amount: '500',
    description: CARRIED_OVER,
    daysAgo: 60,
  },
  'employer-opening': { type: 'mint', toId: EMPLOYER, amount: '500', description: OPENING, daysAgo: 60 },
  'employer-carried-over': {
    type: 'reward',
    fromId: TREASURY,
    toId: EMPLOYER,
    amount: '500',
    description: CARRIED_OVER,
    daysAgo: 60,
  },
};

const TREASURY_BALANCE = '998525';

export const seed = defineSeed({
  open: openMint,
  async base({ prisma }, { now, people }) {
    const opened = { createdAt: daysBefore(now, 90), updatedAt: now };
    const earned = { balance: '1000', earned: '500', ...opened };
    await prisma.wallet.createMany({
      data: [
        { id: TREASURY, kind: 'treasury', balance: TREASURY_BALANCE, ...opened },
        { id: STUDENT, userId: people.student.id, ...earned },
        { id: EDUCATOR, userId: people.educator.id, ...earned },
        { id: EMPLOYER, userId: people.employer.id, ...earned },
      ],
      skipDuplicates: true,
    });
    const stakedAt = daysBefore(now, 30);
    await prisma.stake.createMany({
      data: [
        {
          id: STAKE,
          walletId: STUDENT,
          amount: '100',
          annualRate: '0.08',
          startedAt: stakedAt,
          lockedUntil: daysBefore(now, -60),
          createdAt: stakedAt,
          updatedAt: stakedAt,
        },
      ],
      skipDuplicates: true,
    });
    await prisma.transaction.createMany({
      data: Object.entries(PAYMENTS).map(([slug, { daysAgo, ...payment }]) => ({
        id: seedId(`mint.Transaction.${slug}`),
        idempotencyKey: `seed:${slug}`,
        createdAt: daysBefore(now, daysAgo),
        ...payment,
      })),
      skipDuplicates: true,
    });
    const minedAt = daysBefore(now, 12);
    await prisma.miningRecord.createMany({
      data: [
        {
          id: seedId('mint.MiningRecord.student-python-basics'),
          walletId: STUDENT,
          activity: 'assessment',
          courseId: PYTHON,
          proofHash: proofHash('student-python-basics'),
          knowledgeScore: '0.85',
          difficulty: '1.25',
          reward: '25',
          status: 'rewarded',
          transactionId: seedId('mint.Transaction.student-mining'),
          decidedAt: minedAt,
          createdAt: minedAt,
          updatedAt: minedAt,
        },
      ],
      skipDuplicates: true,
    });
    await prisma.economicMetrics.createMany({
      data: [
        {
          id: seedId('mint.EconomicMetrics.first'),
          capturedAt: now,
          totalSupply: '1001625',
          circulatingSupply: '3000',
          stakedSupply: '100',
          activeWallets: 3,
          transactionCount: Object.keys(PAYMENTS).length,
          createdAt: now,
        },
      ],
      skipDuplicates: true,
    });
  },
  volume,
});

function proofHash(slug: string): string {
  return createHash('sha256').update(slug).digest('hex');
}
