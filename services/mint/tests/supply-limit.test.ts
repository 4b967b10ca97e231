/** @server any */
import { useDatabase, useTestClock } from '@azora/db-testkit';
import {
  accrueRewards,
  burn,
  capture,
  getStake,
  getWallet,
  mint as issue,
  type Mint,
  openMint,
  reconcile,
  release,
  stake,
} from '../src';
import { fresh, givenHold, givenWallet } from './ledger-given';
import { balanceOf, claim, givenStake, withdraw } from './stakes-given';

const YEAR_MS = 365 * 86_400_000;
const LIMIT = '9999999999.99999999';

describe('when the supply has reached its limit', () => {
  const db = useDatabase('mint');
  const clock = useTestClock(db, '2026-03-01T12:00:00Z');
  let mint: Mint;
  let filler = '';
  beforeAll(async () => {
    mint = openMint({ url: db().url });
    filler = await givenWallet(mint, '0');
  });
  afterEach(async () => {
    const amount = await balanceOf(mint, filler);
    if (amount !== '0') await burn(mint, { from: filler, amount, idempotencyKey: fresh('key') });
    await clock.set('2050-01-01T00:00:00Z');
    expect(await reconcile(mint)).toEqual([]);
  });
  afterAll(() => mint.close());

  /** Issues everything that the limit leaves. */
  async function fillSupply(): Promise<void> {
    const { balance } = await getWallet(mint, { walletId: 'treasury-AZR' });
    await issue(mint, { to: filler, amount: balance.add(LIMIT), idempotencyKey: fresh('key') });
  }

  it('the principal of a stake leaves, and its rewards follow as far as they fit', async () => {
    const { id: stakeId, walletId } = await givenStake(mint, { amount: '1000', annualRate: '1' });
    await fillSupply();
    await clock.move(YEAR_MS);
    await accrueRewards(mint, { stakeId });

    await expect(claim(mint, stakeId)).rejects.toMatchObject({ code: 'MINT.BALANCE_LIMIT' });
    const key = fresh('unstake');
    const answer = await withdraw(mint, stakeId, key);

    expect([answer.amount.toFixed(), answer.rewards.toFixed()]).toEqual(['1000', '0']);
    expect(await withdraw(mint, stakeId, key)).toEqual(answer);
    expect(await balanceOf(mint, walletId)).toBe('1500');
    await burn(mint, { from: filler, amount: '600.5', idempotencyKey: fresh('key') });
    expect((await claim(mint, stakeId)).amount.toFixed()).toBe('600.5');
    await expect(claim(mint, stakeId)).rejects.toMatchObject({ code: 'MINT.BALANCE_LIMIT' });
    await burn(mint, { from: filler, amount: '5000', idempotencyKey: fresh('key') });
    expect((await claim(mint, stakeId)).amount.toFixed()).toBe('399.5');
    await expect(claim(mint, stakeId)).rejects.toMatchObject({ code: 'MINT.NOTHING_TO_CLAIM' });
    expect((await getStake(mint, { stakeId })).rewardsEarned.toFixed()).toBe('1000');
  });

  it('a stake whose rewards exceed every balance pays what fits and lets the principal leave', async () => {
    const walletId = await givenWallet(mint, '0');
    await issue(mint, { to: walletId, amount: '6000000000', idempotencyKey: fresh('key') });
    const staked = { walletId, amount: '6000000000', lockDays: 1, annualRate: '1' };
    const { id: stakeId } = await stake(mint, { ...staked, idempotencyKey: fresh('stake') });
    await clock.move(3 * YEAR_MS);
    await accrueRewards(mint, { stakeId });

    const first = await claim(mint, stakeId);
    await burn(mint, { from: walletId, amount: first.amount, idempotencyKey: fresh('key') });
    const answer = await withdraw(mint, stakeId);

    const { balance } = await getWallet(mint, { walletId: 'treasury-AZR' });
    expect(balance.neg().lte(LIMIT)).toBe(true);
    expect(answer.amount.toFixed()).toBe('6000000000');
    expect(first.amount.add(answer.rewards).lte('18000000000')).toBe(true);
    await burn(mint, { from: walletId, amount: await balanceOf(mint, walletId), idempotencyKey: fresh('key') });
  });

  it('captures, releases and burns still move money', async () => {
    const [from, to] = [await givenWallet(mint, '3'), await givenWallet(mint, '0')];
    const [captured, released] = [await givenHold(mint, from, '1', to), await givenHold(mint, from, '1')];
    await fillSupply();

    await capture(mint, { holdId: captured, idempotencyKey: fresh('key') });
    await release(mint, { holdId: released, idempotencyKey: fresh('key') });
    await burn(mint, { from, amount: '2', idempotencyKey: fresh('key') });

    expect([await balanceOf(mint, from), await balanceOf(mint, to)]).toEqual(['0', '1']);
  });
});
