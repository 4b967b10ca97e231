import fc from 'fast-check';
import {
  accrueRewards,
  burn,
  capture,
  claimRewards,
  closeWallet,
  hold,
  mint as issue,
  release,
  releaseExpired,
  stake,
  submitKnowledge,
  transfer,
  transferMany,
  unstake,
} from '../../src';
import * as ledger from './model';
import { at, type Model } from './model';
import { both, HOUR_MS, type Step, step, type Told } from './step';

const wallet = fc.nat({ max: 3 });
/** Mostly one of the three wallets with the same currency, so that most payments are possible. */
const otherWallet = fc.oneof({ weight: 9, arbitrary: fc.nat({ max: 2 }) }, { weight: 1, arbitrary: wallet });
const amount = fc
  .oneof(
    { weight: 6, arbitrary: fc.bigInt({ min: 1n, max: 50n * 10n ** 8n }) },
    { weight: 1, arbitrary: fc.bigInt({ min: 1n, max: 3n }) },
    { weight: 2, arbitrary: fc.constantFrom(10n ** 10n, 5n * 10n ** 9n) },
  )
  .map((units) => ledger.money(units.toString()).div(1e8).toFixed());
/** Mostly two wallets that can pay each other. */
const sides = fc
  .oneof(
    { weight: 9, arbitrary: fc.constantFrom([0, 1], [1, 0], [0, 2], [1, 2], [2, 0], [2, 1]) },
    { weight: 1, arbitrary: fc.tuple(wallet, wallet) },
  )
  .map(([from = 0, to = 0]) => ({ from, to }));
const payment = fc.tuple(sides, amount).map(([between, sum]) => ({ ...between, amount: sum }));
/** One of the last two. */
const recent = fc.nat({ max: 1 });
const indexOf = (made: readonly unknown[], n: number) => Math.max(made.length - 1 - n, 0);
const orNot = <Value>(value: fc.Arbitrary<Value>) => fc.option(value, { nil: undefined });

const hasHold = ({ holds }: Model) => holds.length > 0;
const hasStake = ({ stakes }: Model) => stakes.length > 0;
const given = <Value>(name: string, value: Value | undefined) => (value === undefined ? {} : { [name]: value });

const transfers = step('transfer', payment, (model, real, { from, to, amount: sum }, name) =>
  both(real, model, name, ledger.pay(model, [{ from, to, amount: sum }]), (idempotencyKey) =>
    transfer(real.mint, { from: at(real.wallets, from), to: at(real.wallets, to), amount: sum, idempotencyKey }),
  ),
);

const batches = step('transferMany', fc.array(payment, { minLength: 1, maxLength: 5 }), (model, real, payments, name) =>
  both(real, model, name, ledger.pay(model, payments), (idempotencyKey) => {
    const orders = payments.map(({ from, to, ...rest }) => ({
      ...rest,
      from: at(real.wallets, from),
      to: at(real.wallets, to),
    }));
    return transferMany(real.mint, { transfers: orders, idempotencyKey });
  }),
);

const issues = step(
  'mint',
  fc.record({ n: wallet, sum: amount, isReward: fc.boolean() }),
  (model, real, { n, sum, isReward }, name) =>
    both(real, model, name, ledger.issueTo(model, n, sum, isReward), (idempotencyKey) =>
      issue(real.mint, { to: at(real.wallets, n), amount: sum, type: isReward ? 'reward' : 'mint', idempotencyKey }),
    ),
);

const burns = step('burn', fc.record({ n: wallet, sum: amount }), (model, real, { n, sum }, name) =>
  both(real, model, name, ledger.burnFrom(model, n, sum), (idempotencyKey) =>
    burn(real.mint, { from: at(real.wallets, n), amount: sum, idempotencyKey }),
  ),
);

const holds = step(
  'hold',
  fc.record({ between: sides, isOpen: fc.boolean(), sum: amount, hours: fc.constantFrom(1, 24, 240, 240) }),
  async (model, real, { between: { from, to: decided }, isOpen, sum, hours }, name) => {
    const to = isOpen ? undefined : decided;
    const expiresAt = model.now + hours * HOUR_MS;
    const receiver = to === undefined ? {} : { to: at(real.wallets, to) };
    const made: Told | undefined = await both(
      ...([real, model, name, ledger.holdFrom(model, from, to, sum, expiresAt)] as const),
      (idempotencyKey) =>
        hold(real.mint, {
          ...{ from: at(real.wallets, from), ...receiver, amount: sum },
          ...{ expiresIn: hours * HOUR_MS, idempotencyKey },
        }),
    );
    if (made?.id !== undefined) real.holds.push(made.id);
  },
);

const captures = step(
  'capture',
  fc.record({ n: recent, to: orNot(otherWallet), sum: fc.option(amount, { nil: undefined, freq: 1 }) }),
  (model, real, { n, to, sum }, name) => {
    const index = indexOf(model.holds, n);
    const receiver = to === undefined ? undefined : at(real.wallets, to);
    return both(real, model, name, ledger.captureOf(model, index, to, sum), (idempotencyKey) =>
      capture(real.mint, {
        holdId: at(real.holds, index),
        ...given('to', receiver),
        ...given('amount', sum),
        idempotencyKey,
      }),
    );
  },
  hasHold,
);

const releases = step(
  'release',
  recent,
  (model, real, n, name) => {
    const index = indexOf(model.holds, n);
    return both(real, model, name, ledger.releaseOf(model, index), (idempotencyKey) =>
      release(real.mint, { holdId: at(real.holds, index), idempotencyKey }),
    );
  },
  hasHold,
);

/** Also releases expired holds of other runs in the same database. */
const sweeps = step('releaseExpired', fc.constant(null), async (model, real) => {
  const due = ledger.expire(model).map((n) => at(real.holds, n));
  const freed = (await releaseExpired(real.mint, { limit: 10_000 })).map(({ id }) => id);
  expect(freed.filter((id) => real.holds.includes(id)).sort()).toEqual(due.sort());
  await real.expectAlike(model);
});

const stakes = step(
  'stake',
  fc.record({
    n: wallet,
    sum: amount,
    lockDays: fc.constantFrom(1, 2),
    rate: fc.constantFrom('0', '0.05', '1', '1'),
  }),
  async (model, real, { n, sum, lockDays, rate: annualRate }, name) => {
    const made: Told | undefined = await both(
      ...([real, model, name, ledger.stakeFrom(model, n, sum, lockDays, annualRate)] as const),
      (idempotencyKey) =>
        stake(real.mint, { walletId: at(real.wallets, n), amount: sum, lockDays, annualRate, idempotencyKey }),
    );
    if (made?.id !== undefined) real.stakes.push(made.id);
  },
);

const accruals = step(
  'accrueRewards',
  recent,
  async (model, real, n) => {
    const index = indexOf(model.stakes, n);
    ledger.accrue(model, index);
    await accrueRewards(real.mint, { stakeId: at(real.stakes, index) });
    await real.expectAlike(model);
  },
  hasStake,
);

const claims = step(
  'claimRewards',
  fc.record({ n: recent, isCounted: fc.boolean() }),
  async (model, real, { n, isCounted }, name) => {
    const index = indexOf(model.stakes, n);
    if (isCounted) {
      ledger.accrue(model, index);
      await accrueRewards(real.mint, { stakeId: at(real.stakes, index) });
    }
    await both(real, model, name, ledger.claimOf(model, index), (idempotencyKey) =>
      claimRewards(real.mint, { stakeId: at(real.stakes, index), idempotencyKey }),
    );
  },
  hasStake,
);

const unstakes = step(
  'unstake',
  recent,
  (model, real, n, name) => {
    const index = indexOf(model.stakes, n);
    return both(real, model, name, ledger.unstakeOf(model, index), (idempotencyKey) =>
      unstake(real.mint, { stakeId: at(real.stakes, index), idempotencyKey }),
    );
  },
  hasStake,
);

const proofs = step(
  'submitKnowledge',
  fc.record({
    n: otherWallet,
    proof: fc.constantFrom('a', 'b', 'c', 'd'),
    score: fc.constantFrom('0.5999', '0.6', '1'),
  }),
  (model, real, { n, proof, score }, name) =>
    both(real, model, name, ledger.learn(model, n, proof, score), (idempotencyKey) =>
      submitKnowledge(real.mint, {
        ...{ walletId: at(real.wallets, n), activity: 'course', proof, knowledgeScore: score, idempotencyKey },
      }),
    ),
);

const closures = step('closeWallet', wallet, (model, real, n, name) => {
  const refusal = ledger.close(model, n);
  return both(real, model, name, refusal, () => closeWallet(real.mint, { walletId: at(real.wallets, n) }));
});

const repeats = step('repeat', fc.constant(null), async (model, real) => {
  if (real.repeat === undefined) return;
  expect(JSON.stringify(await real.repeat())).toBe(real.answer);
  await real.expectAlike(model);
});

/** All operations; frequent ones are listed more than once. */
export const STEPS: fc.Arbitrary<Step>[] = [
  ...[
    transfers,
    transfers,
    batches,
    issues,
    burns,
    holds,
    holds,
    captures,
    captures,
    captures,
    releases,
    sweeps,
    sweeps,
  ],
  ...[stakes, stakes, accruals, claims, claims, claims, unstakes, unstakes, proofs, closures, closures, repeats],
];
