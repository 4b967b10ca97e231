import type { SuiteError } from '@azora/db-core';
import {
  type BurnInput,
  burn,
  type CaptureInput,
  type ClaimRewardsInput,
  capture,
  claimRewards,
  type HoldInput,
  hold,
  mint as issue,
  type Mint,
  type MintInput,
  type ReleaseInput,
  release,
  type StakeInput,
  type SubmitKnowledgeInput,
  stake,
  submitKnowledge,
  type Transaction,
  type TransferInput,
  type TransferManyInput,
  transfer,
  transferMany,
  type UnstakeInput,
  unstake,
} from '../../src';
import { type Entry, entryOf, type Facts, unitsOf } from './acknowledged';

/** A request of a client under one key, which may be sent any number of times. */
export interface Operation {
  readonly kind: string;
  readonly key: string;
  /** Codes of rejections that are not problems. */
  readonly expected: readonly string[];
  readonly send: (mint: Mint) => Promise<Answer>;
}

export interface Answer {
  readonly facts: Facts;
  /** The whole answer; a repeat must get the same. */
  readonly text: string;
  /** When the request took effect, in milliseconds since 1970. Some answers have no time. */
  readonly at: number | undefined;
}

/** The system wallets of a currency. */
export interface SystemWallets {
  readonly treasury: string;
  readonly staking: string;
}

const PAYMENT = ['MINT.INSUFFICIENT_FUNDS', 'MINT.CURRENCY_MISMATCH', 'MINT.SAME_WALLET'];

/** In these tests amounts are text or Decimal; the types of the store allow more. */
const units = (amount: unknown) => unitsOf(amount as Parameters<typeof unitsOf>[0]);

/** Compares an answer with its request: an answer to another request is a problem. */
function requireFit(asked: object, answered: object): void {
  for (const [field, value] of Object.entries(asked)) {
    const found = (answered as Record<string, unknown>)[field];
    const isSame = typeof value === 'bigint' ? units(found) === value : found === value;
    if (!isSame) throw new Error(`the answer has ${field} ${String(found)} instead of ${String(value)}`);
  }
}

function paid(transaction: Transaction, asked: object, ended?: Facts['ended']): Answer {
  requireFit(asked, transaction);
  return {
    facts: { entries: [entryOf(transaction)], ...(ended === undefined ? {} : { ended }) },
    text: JSON.stringify(transaction),
    at: transaction.createdAt.getTime(),
  };
}

export function transferOf(input: TransferInput): Operation {
  const { from: fromId, to: toId, amount, idempotencyKey: requestKey } = input;
  const asked = { type: 'transfer', fromId, toId, amount: units(amount), requestKey };
  const send = async (mint: Mint) => paid(await transfer(mint, input), asked);
  return { kind: 'transfer', key: requestKey, expected: PAYMENT, send };
}

export function transferManyOf(input: TransferManyInput): Operation {
  const { transfers, idempotencyKey: requestKey } = input;
  const send = async (mint: Mint): Promise<Answer> => {
    const made = await transferMany(mint, input);
    requireFit({ length: transfers.length }, made);
    const answers = made.map((transaction, index) => {
      const { from: fromId, to: toId, amount } = transfers[index] ?? { from: '', to: '', amount: '0' };
      return paid(transaction, { type: 'transfer', fromId, toId, amount: units(amount), requestKey });
    });
    const entries = answers.flatMap(({ facts }) => facts.entries);
    return { facts: { entries }, text: JSON.stringify(made), at: answers[0]?.at };
  };
  return { kind: 'transferMany', key: requestKey, expected: PAYMENT, send };
}

export function issueOf(input: MintInput): Operation {
  const { to: toId, type = 'mint', amount, idempotencyKey: requestKey } = input;
  const asked = { type, toId, amount: units(amount), requestKey };
  const send = async (mint: Mint) => paid(await issue(mint, input), asked);
  return { kind: type, key: requestKey, expected: [], send };
}

export function burnOf(input: BurnInput): Operation {
  const { from: fromId, amount, idempotencyKey: requestKey } = input;
  const send = async (mint: Mint) =>
    paid(await burn(mint, input), { type: 'burn', fromId, amount: units(amount), requestKey });
  return { kind: 'burn', key: requestKey, expected: ['MINT.INSUFFICIENT_FUNDS'], send };
}

export function holdOf(input: HoldInput): Operation {
  const { from: walletId, to: toId = null, amount, idempotencyKey: requestKey } = input;
  const asked = {
    walletId,
    toId,
    amount: units(amount),
    status: 'held',
    capturedAmount: 0n,
    resolvedAt: null,
    requestKey,
  };
  const send = async (mint: Mint): Promise<Answer> => {
    const made = await hold(mint, input);
    requireFit(asked, made);
    return { facts: { entries: [], hold: made }, text: JSON.stringify(made), at: made.createdAt.getTime() };
  };
  return { kind: 'hold', key: requestKey, expected: PAYMENT, send };
}

export function captureOf(input: CaptureInput, whole: bigint): Operation {
  const { holdId, to, amount, idempotencyKey: requestKey } = input;
  const captured = amount === undefined ? whole : units(amount);
  const asked = { type: 'transfer', holdId, amount: captured, requestKey, ...(to === undefined ? {} : { toId: to }) };
  const send = async (mint: Mint) => paid(await capture(mint, input), asked, [{ holdId, how: `captured ${captured}` }]);
  const expected = ['MINT.HOLD_RESOLVED', 'MINT.HOLD_EXPIRED', 'MINT.CURRENCY_MISMATCH', 'MINT.SAME_WALLET'];
  return { kind: 'capture', key: requestKey, expected, send };
}

export function releaseOf(input: ReleaseInput): Operation {
  const { holdId, idempotencyKey: key } = input;
  const send = async (mint: Mint): Promise<Answer> => {
    const freed = await release(mint, input);
    requireFit({ id: holdId, status: 'released', capturedAmount: 0n }, freed);
    const facts = { entries: [], ended: [{ holdId, how: 'released 0' }] };
    return { facts, text: JSON.stringify(freed), at: freed.resolvedAt?.getTime() };
  };
  return { kind: 'release', key, expected: ['MINT.HOLD_RESOLVED'], send };
}

export function stakeOf(input: StakeInput, { staking }: SystemWallets): Operation {
  const { walletId, amount, annualRate, idempotencyKey: key } = input;
  const asked = { walletId, amount: units(amount), status: 'active', rewardsEarned: 0n, withdrawnAt: null };
  const send = async (mint: Mint): Promise<Answer> => {
    const made = await stake(mint, input);
    requireFit(annualRate === undefined ? asked : { ...asked, annualRate: units(annualRate) }, made);
    const sides = { type: 'stake', fromId: walletId, toId: staking, stakeId: made.id } as const;
    const entry = entryOf({ ...sides, amount: made.amount, createdAt: made.createdAt });
    return { facts: { entries: [entry], stake: made }, text: JSON.stringify(made), at: entry.at };
  };
  return { kind: 'stake', key, expected: ['MINT.INSUFFICIENT_FUNDS'], send };
}

export function claimOf(input: ClaimRewardsInput): Operation {
  const { stakeId, idempotencyKey: requestKey } = input;
  const send = async (mint: Mint) =>
    paid(await claimRewards(mint, input), { type: 'staking_reward', stakeId, requestKey });
  return { kind: 'claim', key: requestKey, expected: ['MINT.NOTHING_TO_CLAIM'], send };
}

export function unstakeOf(input: UnstakeInput, { treasury, staking }: SystemWallets, whole: bigint): Operation {
  const { stakeId, idempotencyKey: key } = input;
  const send = async (mint: Mint): Promise<Answer> => {
    const given = await unstake(mint, input);
    requireFit({ stakeId, amount: whole }, given);
    const shared = { toId: given.walletId, stakeId, createdAt: given.withdrawnAt };
    const entries: Entry[] = [entryOf({ ...shared, type: 'unstake', fromId: staking, amount: given.amount })];
    if (given.rewards.gt(0)) {
      entries.push(entryOf({ ...shared, type: 'staking_reward', fromId: treasury, amount: given.rewards }));
    }
    return { facts: { entries }, text: JSON.stringify(given), at: given.withdrawnAt.getTime() };
  };
  return { kind: 'unstake', key, expected: ['MINT.STAKE_LOCKED', 'MINT.STAKE_WITHDRAWN'], send };
}

export function knowledgeOf(input: SubmitKnowledgeInput, { treasury }: SystemWallets): Operation {
  const { walletId, activity, idempotencyKey: key } = input;
  const send = async (mint: Mint): Promise<Answer> => {
    const record = await submitKnowledge(mint, input);
    requireFit({ walletId, activity }, record);
    const { transactionId, reward: amount, createdAt, decidedAt } = record;
    const sides = { type: 'mining', fromId: treasury, toId: walletId } as const;
    const entries = transactionId === null ? [] : [entryOf({ ...sides, id: transactionId, amount, createdAt })];
    return { facts: { entries, record }, text: JSON.stringify(record), at: decidedAt?.getTime() };
  };
  return { kind: 'knowledge', key, expected: ['MINT.PROOF_REWARDED'], send };
}

/** The code of an error, or its message. */
export function codeOf(error: unknown): string {
  const { code, message } = error as Partial<SuiteError>;
  return code ?? String(message);
}

/** Whether the outcome of a call with this error is unknown: the call may have taken effect. */
export function isLost(code: string): boolean {
  return code === 'DATABASE.CONNECTION_LOST';
}

/** Whether a call with this error certainly had no effect, because it was not sent or was rolled back. */
export function isWithoutEffect(code: string): boolean {
  return ['DATABASE.NO_CONNECTION', 'DATABASE.TIMEOUT', 'DATABASE.TRANSACTION_TIMEOUT'].includes(code);
}
