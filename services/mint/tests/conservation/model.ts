import { knowledgeDifficulty, knowledgeReward, Prisma, stakingReward } from '../../src';

/** A model of the ledger in memory. Amounts are Decimals with at most 8 places. */
export interface Model {
  /** Milliseconds since 1970. */
  now: number;
  readonly wallets: ModelWallet[];
  readonly holds: ModelHold[];
  readonly stakes: ModelStake[];
  /** Wallet, activity and proof of the rewarded submissions. */
  readonly proofs: Set<string>;
}

export interface ModelWallet {
  readonly currency: 'AZR' | 'USD';
  balance: Prisma.Decimal;
  held: Prisma.Decimal;
  earned: Prisma.Decimal;
  mined: Prisma.Decimal;
  /** The mined amount by day. */
  readonly minedOn: Map<string, Prisma.Decimal>;
  isClosed: boolean;
}

export interface ModelHold {
  readonly from: number;
  readonly to: number | undefined;
  readonly amount: Prisma.Decimal;
  readonly expiresAt: number;
  status: 'held' | 'captured' | 'released' | 'expired';
}

export interface ModelStake {
  readonly wallet: number;
  readonly amount: Prisma.Decimal;
  readonly annualRate: string;
  readonly startedAt: number;
  readonly lockedUntil: number;
  accruedUntil: number;
  paid: Prisma.Decimal;
  isWithdrawn: boolean;
}

export const money = (amount: string | number) => new Prisma.Decimal(amount);
const NOTHING = money(0);
const MINIMUM_SCORE = '0.6';
const DAILY_CAP = 100;

/** The wallets of a run: two with a balance and two that can be closed. */
export const WALLETS = [
  { currency: 'AZR', welcome: '100' },
  { currency: 'AZR', welcome: '100' },
  { currency: 'AZR', welcome: '0' },
  { currency: 'USD', welcome: '0' },
] as const;

export function newModel(now: number): Model {
  const wallet = ({ currency, welcome }: (typeof WALLETS)[number]): ModelWallet => ({
    ...{
      currency,
      balance: money(welcome),
      held: NOTHING,
      earned: NOTHING,
      mined: NOTHING,
      minedOn: new Map(),
      isClosed: false,
    },
  });
  return {
    now,
    wallets: WALLETS.map(wallet),
    holds: [],
    stakes: [],
    proofs: new Set(),
  };
}

/** The element at an index that must exist. */
export function at<Item>(items: readonly Item[], index: number): Item {
  const item = items[index];
  if (item === undefined) throw new Error(`the model has no ${index}`);
  return item;
}

export interface Payment {
  readonly from: number;
  readonly to: number;
  readonly amount: string;
}

/** The error code of a rejected operation; undefined when it takes effect. */
export type Refusal = string | undefined;

const available = ({ balance, held }: ModelWallet) => balance.sub(held);

function refusalOfSides({ wallets }: Model, from: number, to: number): Refusal {
  if (from === to) return 'MINT.SAME_WALLET';
  const [payer, receiver] = [at(wallets, from), at(wallets, to)];
  if (payer.isClosed || receiver.isClosed) return 'MINT.WALLET_CLOSED';
  return payer.currency === receiver.currency ? undefined : 'MINT.CURRENCY_MISMATCH';
}

function give(model: Model, wallet: number, amount: Prisma.Decimal | string | number): void {
  const receiver = at(model.wallets, wallet);
  receiver.balance = receiver.balance.add(amount);
}

/** Makes all payments or none; only the balances after all of them count. */
export function pay(model: Model, payments: readonly Payment[]): Refusal {
  const refused = payments.map(({ from, to }) => refusalOfSides(model, from, to)).find((code) => code !== undefined);
  if (refused !== undefined) return refused;
  const changes = model.wallets.map(() => NOTHING);
  for (const { from, to, amount } of payments) {
    changes[from] = at(changes, from).sub(amount);
    changes[to] = at(changes, to).add(amount);
  }
  if (model.wallets.some((wallet, n) => available(wallet).add(at(changes, n)).lt(0) && at(changes, n).lt(0))) {
    return 'MINT.INSUFFICIENT_FUNDS';
  }
  changes.forEach((change, n) => {
    give(model, n, change);
  });
  return undefined;
}

/** The checks of an operation on one wallet: it must be open and cover the amount. */
function refusalOfWallet(wallet: ModelWallet, amount: Prisma.Decimal | string | number = 0): Refusal {
  if (wallet.isClosed) return 'MINT.WALLET_CLOSED';
  return available(wallet).lt(amount) ? 'MINT.INSUFFICIENT_FUNDS' : undefined;
}

export function issueTo(model: Model, n: number, amount: string, isReward: boolean): Refusal {
  const wallet = at(model.wallets, n);
  const refused = refusalOfWallet(wallet);
  if (refused !== undefined) return refused;
  give(model, n, amount);
  if (isReward) wallet.earned = wallet.earned.add(amount);
  return undefined;
}

export function burnFrom(model: Model, n: number, amount: string): Refusal {
  const refused = refusalOfWallet(at(model.wallets, n), amount);
  if (refused === undefined) give(model, n, money(amount).neg());
  return refused;
}

export function holdFrom(
  model: Model,
  from: number,
  to: number | undefined,
  amount: string,
  expiresAt: number,
): Refusal {
  const refused =
    (to === undefined ? undefined : refusalOfSides(model, from, to)) ??
    refusalOfWallet(at(model.wallets, from), amount);
  if (refused !== undefined) return refused;
  const payer = at(model.wallets, from);
  payer.held = payer.held.add(amount);
  model.holds.push({ from, to, amount: money(amount), expiresAt, status: 'held' });
  return undefined;
}

function endHold(model: Model, hold: ModelHold, status: ModelHold['status']): void {
  hold.status = status;
  const payer = at(model.wallets, hold.from);
  payer.held = payer.held.sub(hold.amount);
}

export function captureOf(model: Model, n: number, to: number | undefined, amount: string | undefined): Refusal {
  const hold = at(model.holds, n);
  if (hold.status !== 'held') return 'MINT.HOLD_RESOLVED';
  if (hold.expiresAt <= model.now) return 'MINT.HOLD_EXPIRED';
  const receiver = hold.to ?? to;
  if (receiver === undefined || (hold.to !== undefined && to !== undefined && to !== hold.to))
    return 'MINT.HOLD_RECEIVER';
  const paid = money(amount ?? hold.amount.toFixed());
  if (paid.gt(hold.amount)) return 'MINT.CAPTURE_TOO_LARGE';
  const refused = refusalOfSides(model, hold.from, receiver);
  if (refused !== undefined) return refused;
  endHold(model, hold, 'captured');
  give(model, hold.from, paid.neg());
  give(model, receiver, paid);
  return undefined;
}

export function releaseOf(model: Model, n: number): Refusal {
  const hold = at(model.holds, n);
  if (hold.status !== 'held') return 'MINT.HOLD_RESOLVED';
  endHold(model, hold, 'released');
  return undefined;
}

/** Releases expired holds and returns their indexes. */
export function expire(model: Model): readonly number[] {
  const due = model.holds.flatMap((hold, n) => (hold.status === 'held' && hold.expiresAt <= model.now ? [n] : []));
  for (const n of due) endHold(model, at(model.holds, n), 'expired');
  return due;
}

const DAY_MS = 86_400_000;

export function stakeFrom(model: Model, wallet: number, amount: string, lockDays: number, annualRate: string): Refusal {
  const refused = refusalOfWallet(at(model.wallets, wallet), amount);
  if (refused !== undefined) return refused;
  give(model, wallet, money(amount).neg());
  model.stakes.push({
    ...{ wallet, amount: money(amount), annualRate, startedAt: model.now, lockedUntil: model.now + lockDays * DAY_MS },
    ...{ accruedUntil: model.now, paid: NOTHING, isWithdrawn: false },
  });
  return undefined;
}

export function accrue(model: Model, n: number): void {
  const stake = at(model.stakes, n);
  if (!stake.isWithdrawn) stake.accruedUntil = Math.max(stake.accruedUntil, model.now);
}

function payRewards(model: Model, stake: ModelStake): Prisma.Decimal {
  const { amount, annualRate, startedAt, accruedUntil } = stake;
  const accrued = stakingReward({ amount, annualRate, seconds: (accruedUntil - startedAt) / 1_000 });
  const due = accrued.sub(stake.paid);
  stake.paid = accrued;
  const wallet = at(model.wallets, stake.wallet);
  wallet.balance = wallet.balance.add(due);
  wallet.earned = wallet.earned.add(due);
  return due;
}

export function claimOf(model: Model, n: number): Refusal {
  return payRewards(model, at(model.stakes, n)).gt(0) ? undefined : 'MINT.NOTHING_TO_CLAIM';
}

export function unstakeOf(model: Model, n: number): Refusal {
  const stake = at(model.stakes, n);
  if (stake.isWithdrawn) return 'MINT.STAKE_WITHDRAWN';
  if (stake.lockedUntil > model.now) return 'MINT.STAKE_LOCKED';
  accrue(model, n);
  stake.isWithdrawn = true;
  payRewards(model, stake);
  give(model, stake.wallet, stake.amount);
  return undefined;
}

export function learn(model: Model, n: number, proof: string, score: string): Refusal {
  const wallet = at(model.wallets, n);
  if (wallet.isClosed) return 'MINT.WALLET_CLOSED';
  if (wallet.currency !== 'AZR') return 'MINT.CURRENCY_MISMATCH';
  if (model.proofs.has(`${n} ${proof}`)) return 'MINT.PROOF_REWARDED';
  const difficulty = knowledgeDifficulty('course', wallet.mined);
  const reward = knowledgeReward({ activity: 'course', score, difficulty, halvings: 0 });
  const day = new Date(model.now).toISOString().slice(0, 10);
  const today = (wallet.minedOn.get(day) ?? NOTHING).add(reward);
  if (money(score).lt(MINIMUM_SCORE) || today.gt(DAILY_CAP)) return undefined;
  model.proofs.add(`${n} ${proof}`);
  wallet.minedOn.set(day, today);
  wallet.mined = wallet.mined.add(reward);
  wallet.earned = wallet.earned.add(reward);
  give(model, n, reward);
  return undefined;
}

export function close(model: Model, n: number): Refusal {
  const wallet = at(model.wallets, n);
  const hasStake = model.stakes.some((stake) => stake.wallet === n && !stake.isWithdrawn);
  if (!wallet.balance.eq(0) || !wallet.held.eq(0) || hasStake) return 'MINT.WALLET_NOT_EMPTY';
  wallet.isClosed = true;
  return undefined;
}
