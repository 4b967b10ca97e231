import { defineEvent } from '@azora/db-core/events';
import { z } from 'zod';

/** An id of this or another service, as `newId` and the seed make them. */
const id = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9:._|-]{0,254}$/);
/** An amount with the 8 decimals of the ledger. */
const amount = z.string().regex(/^\d{1,10}\.\d{8}$/);
const rate = z.string().regex(/^\d\.\d{6}$/);
const time = z.iso.datetime({ offset: true });
/** SHA-256 in hex of an idempotency key. The key itself is text of the caller. */
const keyHash = z.string().regex(/^[0-9a-f]{64}$/);
/** The number of the event in the chains of its wallets: larger than that of every earlier event of the wallet. */
const seq = z.string().regex(/^[1-9]\d{0,18}$/);
const currency = z.enum(['AZR', 'BTC', 'ETH', 'USD']);

const SPENDING = ['transfer', 'burn', 'stake'] as const;
const RECEIVING = ['mint', 'reward', 'mining', 'unstake', 'staking_reward'] as const;

const mint = { service: 'mint', version: 1 } as const;
/** The user's wallet orders the events. */
const ofWallet = ({ walletId }: { readonly walletId: string }) => walletId;

export const transactionPosted = defineEvent({
  ...mint,
  name: 'transaction-posted',
  about: 'Money moved from one wallet to another: every movement of the ledger, whichever function made it.',
  data: z.strictObject({
    transactionId: id,
    transactionType: z.enum([...SPENDING, ...RECEIVING]),
    fromWalletId: id,
    toWalletId: id,
    currency,
    amount,
    holdId: id.nullable(),
    stakeId: id.nullable(),
    requestKeyHash: keyHash,
    seq,
  }),
  // The system pays many users: if its wallet were the key, one event that fails would hold up the events of all of them.
  key: ({ transactionType, fromWalletId, toWalletId }) =>
    SPENDING.some((type) => type === transactionType) ? fromWalletId : toWalletId,
});

export const holdPlaced = defineEvent({
  ...mint,
  name: 'hold-placed',
  about: 'A part of a balance was set aside, until it is captured or released.',
  data: z.strictObject({
    holdId: id,
    walletId: id,
    toWalletId: id.nullable(),
    currency,
    expiresAt: time,
    requestKeyHash: keyHash,
    seq,
  }),
  key: ofWallet,
});

const resolvedHold = { holdId: id, walletId: id, toWalletId: id.nullable(), currency, seq };

export const holdCaptured = defineEvent({
  ...mint,
  name: 'hold-captured',
  about: 'A hold was paid, wholly or in part; the transaction-posted event with its holdId has the amount.',
  data: z.strictObject(resolvedHold),
  key: ofWallet,
});

export const holdReleased = defineEvent({
  ...mint,
  name: 'hold-released',
  about: 'The money of a hold is available again, because someone released the hold or it was expired.',
  data: z.strictObject({ ...resolvedHold, reason: z.enum(['released', 'expired']) }),
  key: ofWallet,
});

const ofStake = { stakeId: id, walletId: id, currency };

export const stakeOpened = defineEvent({
  ...mint,
  name: 'stake-opened',
  about: 'Money was staked under these terms.',
  data: z.strictObject({ ...ofStake, amount, annualRate: rate, lockedUntil: time }),
  key: ofWallet,
});

export const stakeRewarded = defineEvent({
  ...mint,
  name: 'stake-rewarded',
  about: 'Accrued rewards of a stake were paid; rewardsPaid is their sum so far.',
  data: z.strictObject({ ...ofStake, reward: amount, rewardsPaid: amount }),
  key: ofWallet,
});

export const stakeEnded = defineEvent({
  ...mint,
  name: 'stake-ended',
  about: 'A stake was withdrawn; rewardsPaid is the sum of its rewards so far.',
  data: z.strictObject({ ...ofStake, amount, rewardsPaid: amount }),
  key: ofWallet,
});

const ofOwner = z.strictObject({ walletId: id, userId: id, currency });

export const walletOpened = defineEvent({
  ...mint,
  name: 'wallet-opened',
  about: 'A user has a new wallet in this currency.',
  data: ofOwner,
  key: ofWallet,
});

export const walletClosed = defineEvent({
  ...mint,
  name: 'wallet-closed',
  about: 'A wallet of a user was closed for good.',
  data: ofOwner,
  key: ofWallet,
});

const ofProof = {
  recordId: id,
  walletId: id,
  activity: z.enum(['lesson', 'course', 'assessment', 'tutoring', 'contribution']),
  courseId: id.nullable(),
  seq,
};

export const knowledgeRewarded = defineEvent({
  ...mint,
  name: 'knowledge-rewarded',
  about: 'A Proof of Knowledge was accepted and paid.',
  data: z.strictObject({ ...ofProof, transactionId: id, reward: amount }),
  key: ofWallet,
});

export const knowledgeRejected = defineEvent({
  ...mint,
  name: 'knowledge-rejected',
  about: 'A Proof of Knowledge was rejected; it may be submitted again.',
  data: z.strictObject({
    ...ofProof,
    rejection: z.enum(['score_below_minimum', 'daily_cap', 'nothing_left']).nullable(),
  }),
  key: ofWallet,
});

/** The events that mint publishes; prisma/migrations/20261201000002_publish writes them. */
export const EVENTS = [
  transactionPosted,
  holdPlaced,
  holdCaptured,
  holdReleased,
  stakeOpened,
  stakeRewarded,
  stakeEnded,
  walletOpened,
  walletClosed,
  knowledgeRewarded,
  knowledgeRejected,
] as const;
