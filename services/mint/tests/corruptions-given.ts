import type { TestClock, TestDatabase } from '@azora/db-testkit';
import { Client } from 'pg';
import {
  type Anchor,
  accrueRewards,
  burn,
  capture,
  claimRewards,
  closeWallet,
  hold,
  mint as issue,
  type Mint,
  openWallet,
  reconcile,
  release,
  releaseExpired,
  snapshotMetrics,
  stake,
  submitKnowledge,
  transfer,
  transferMany,
  unstake,
} from '../src';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** The rows of a ledger in which every operation has happened, by name: ids, and keys of requests. */
export type GivenLedger = Awaited<ReturnType<typeof givenLedger>>;

/** A small ledger in which every operation has happened. Ends two months after the given clock. */
export async function givenLedger(mint: Mint, clock: TestClock) {
  const open = async (userId: string) => (await openWallet(mint, { userId, currency: 'AZR' })).id;
  const ada = await open('ada');
  const ben = await open('ben');
  const shut = await open('shut');
  const empty = await open('empty');
  const unused = await open('unused');
  await closeWallet(mint, { walletId: unused });
  const welcome = await issue(mint, { to: ada, amount: '1000', idempotencyKey: 'welcome' });
  const reward = await issue(mint, { to: ben, amount: '20', type: 'reward', idempotencyKey: 'reward' });
  const single = await transfer(mint, {
    from: ada,
    to: ben,
    amount: '7',
    description: 'Lunch',
    idempotencyKey: 'single',
  });
  const gathered = await Promise.all(
    [1, 2, 3, 4].map((n) => transfer(mint, { from: ada, to: ben, amount: String(n), idempotencyKey: `gathered-${n}` })),
  );
  const many = await transferMany(mint, {
    transfers: [
      { from: ben, to: ada, amount: '1' },
      { from: ben, to: ada, amount: '2' },
    ],
    idempotencyKey: 'many',
  });
  const burned = await burn(mint, { from: ada, amount: '3', idempotencyKey: 'burn' });
  const setAside = { from: ada, to: ben, amount: '5', expiresIn: HOUR_MS };
  const held = await hold(mint, {
    ...setAside,
    expiresIn: 365 * DAY_MS,
    description: 'Deposit',
    idempotencyKey: 'held',
  });
  const captured = await hold(mint, { ...setAside, idempotencyKey: 'captured' });
  const paid = await capture(mint, { holdId: captured.id, amount: '4', idempotencyKey: 'capture' });
  const released = await hold(mint, { ...setAside, idempotencyKey: 'released' });
  await release(mint, { holdId: released.id, idempotencyKey: 'release' });
  const expired = await hold(mint, { ...setAside, idempotencyKey: 'expired' });
  const terms = { walletId: ada, annualRate: '0.1' };
  const active = await stake(mint, { ...terms, amount: '100', lockDays: 365, idempotencyKey: 'stake' });
  const short = await stake(mint, { ...terms, amount: '50', lockDays: 1, idempotencyKey: 'short' });
  const proof = { walletId: ada, activity: 'lesson', proof: 'a proof' } as const;
  const mined = await submitKnowledge(mint, { ...proof, knowledgeScore: '0.9', idempotencyKey: 'mined' });
  const rejected = await submitKnowledge(mint, {
    ...proof,
    proof: 'another',
    knowledgeScore: '0.1',
    idempotencyKey: 'rejected',
  });
  await transfer(mint, { from: ada, to: shut, amount: '1', idempotencyKey: 'in' });
  await transfer(mint, { from: shut, to: ada, amount: '1', idempotencyKey: 'out' });
  await closeWallet(mint, { walletId: shut });
  await clock.move(60 * DAY_MS);
  await releaseExpired(mint);
  await accrueRewards(mint);
  const claimed = await claimRewards(mint, { stakeId: active.id, idempotencyKey: 'claim' });
  await unstake(mint, { stakeId: short.id, idempotencyKey: 'unstake' });
  const metrics = await snapshotMetrics(mint);
  await clock.move(DAY_MS);
  return {
    wallets: { ada, ben, shut, empty, unused, treasury: 'treasury-AZR', staking: 'staking-AZR' },
    transactions: {
      welcome: welcome.id,
      reward: reward.id,
      single: single.id,
      gathered: gathered.map(({ id }) => id),
      many: many.map(({ id }) => id),
      burned: burned.id,
      paid: paid.id,
      claimed: claimed.id,
    },
    holds: { held: held.id, captured: captured.id, released: released.id, expired: expired.id },
    stakes: { active: active.id, short: short.id },
    records: { mined: mined.id, rejected: rejected.id },
    metrics: metrics.id,
  };
}

/** What reconcile finds after the statements of a superuser whose session fires no triggers. Rolls them back. */
export async function findingsAfter(
  { target }: TestDatabase,
  mint: Mint,
  sql: string,
  anchors: readonly Anchor[],
): Promise<readonly string[]> {
  const client = new Client(target.admin.href);
  await client.connect();
  try {
    await client.query(`BEGIN; SET LOCAL session_replication_role = replica; ${sql}`);
    const query: Mint['query'] = async ({ text, values }) => (await client.query({ text, values: [...values] })).rows;
    const differences = await reconcile(Object.assign(Object.create(mint), { query, queryLong: query }), { anchors });
    return differences.map(({ check, subject }) => `${check} ${subject}`);
  } finally {
    await client.end();
  }
}
