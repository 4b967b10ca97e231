/** @server any */
import { useDatabase } from '@azora/db-testkit';
import { accrueRewards, closeWallet, getStake, Prisma, SECONDS_A_YEAR, stake } from '../src';
import { balanceOf, claim, fresh, givenStake, givenWallet, rowCounts, useMint, withdraw } from './stakes-given';

const DAY = 86_400;

describe('stakes', () => {
  const db = useDatabase('mint');
  const given = useMint(db);

  describe('stake', () => {
    it('moves the money out of the wallet and returns the stake', async () => {
      const walletId = await givenWallet(given().mint, '1500');

      const made = await stake(given().mint, {
        walletId,
        amount: '1000.5',
        lockDays: 90,
        annualRate: '0.125',
        idempotencyKey: fresh('stake'),
      });

      const start = await given().at(0);
      expect(made).toEqual({
        id: expect.stringMatching(/^c[0-9a-z]{24}$/),
        walletId,
        amount: new Prisma.Decimal('1000.5'),
        annualRate: new Prisma.Decimal('0.125'),
        accruedUntil: start,
        rewardsAccrued: new Prisma.Decimal(0),
        rewardsEarned: new Prisma.Decimal(0),
        status: 'active',
        startedAt: start,
        lockedUntil: await given().at(90 * DAY),
        withdrawnAt: null,
        createdAt: start,
        updatedAt: start,
      });
      expect(await getStake(given().mint, { stakeId: made.id })).toEqual(made);
      expect(await balanceOf(given().mint, walletId)).toBe('499.5');
    });

    it('uses the default rate of the lock when there is no rate', async () => {
      const walletId = await givenWallet(given().mint, '10');

      const made = await stake(given().mint, { walletId, amount: '1', lockDays: 180, idempotencyKey: fresh('stake') });

      expect(made.annualRate.toFixed()).toBe('0.1');
    });

    it('moves each currency into its own staking wallet', async () => {
      const walletId = await givenWallet(given().mint, '2', 'BTC');

      const made = await stake(given().mint, { walletId, amount: '1', lockDays: 1, idempotencyKey: fresh('stake') });
      await given().at(SECONDS_A_YEAR);
      await accrueRewards(given().mint, { stakeId: made.id });

      expect(await claim(given().mint, made.id)).toMatchObject({
        currency: 'BTC',
        fromId: 'treasury-BTC',
        toId: walletId,
      });
    });

    it('creates one stake when twenty equal requests race, and returns it unchanged later', async () => {
      const walletId = await givenWallet(given().mint, '100');
      const input = { walletId, amount: '10', lockDays: 1, annualRate: '1', idempotencyKey: fresh('stake') };

      const answers = await Promise.all(Array.from({ length: 20 }, () => stake(given().mint, input)));
      const [first] = answers;
      await given().at(2 * DAY);
      await withdraw(given().mint, first?.id ?? '');

      expect(new Set(answers.map(({ id }) => id)).size).toBe(1);
      expect(await stake(given().mint, input)).toEqual(first);
      expect(await stake(given().mint, { ...input, amount: '10.00', annualRate: new Prisma.Decimal(1) })).toEqual(
        first,
      );
    });

    it.each([
      ['another amount', { amount: '11' }],
      ['another lock', { lockDays: 2 }],
      ['another rate', { annualRate: '0.5' }],
      ['the default rate', { annualRate: undefined }],
    ])('rejects a used key with %s', async (_what, other) => {
      const walletId = await givenWallet(given().mint, '100');
      const input = { walletId, amount: '10', lockDays: 1, annualRate: '1', idempotencyKey: fresh('stake') };
      await stake(given().mint, input);

      await expect(stake(given().mint, { ...input, ...other } as typeof input)).rejects.toMatchObject({
        code: 'MINT.KEY_REUSED',
      });
    });

    it('never stakes more than the available amount when many race', async () => {
      const walletId = await givenWallet(given().mint, '60');
      const staking = Array.from({ length: 20 }, () =>
        stake(given().mint, { walletId, amount: '10', lockDays: 1, idempotencyKey: fresh('stake') }),
      );

      const settled = await Promise.allSettled(staking);

      const refused = settled.filter((result) => result.status === 'rejected').map(({ reason }) => reason.code);
      expect(refused).toEqual(Array(14).fill('MINT.INSUFFICIENT_FUNDS'));
      expect(await balanceOf(given().mint, walletId)).toBe('0');
    });

    it.each([
      ['an amount of 0', { amount: '0' }, 'MINT.INVALID_INPUT'],
      ['a negative amount', { amount: '-1' }, 'MINT.INVALID_INPUT'],
      ['an amount with 9 decimals', { amount: '0.000000001' }, 'MONEY.TOO_PRECISE'],
      ['NaN', { amount: 'NaN' }, 'MONEY.NOT_DECIMAL'],
      ['a Decimal that is NaN', { amount: new Prisma.Decimal(Number.NaN) }, 'MONEY.NOT_DECIMAL'],
      ['Infinity', { amount: 'Infinity' }, 'MONEY.NOT_DECIMAL'],
      ['a number', { amount: 1 }, 'MONEY.NOT_DECIMAL'],
      ['an amount of 10^11', { amount: '100000000000' }, 'MONEY.TOO_LARGE'],
      ['more than the available amount', { amount: '100.00000001' }, 'MINT.INSUFFICIENT_FUNDS'],
      ['a lock of 0 days', { lockDays: 0 }, 'MINT.INVALID_INPUT'],
      ['a lock of half a day', { lockDays: 0.5 }, 'MINT.INVALID_INPUT'],
      ['a lock of 3651 days', { lockDays: 3_651 }, 'MINT.INVALID_INPUT'],
      ['a lock of NaN days', { lockDays: Number.NaN }, 'MINT.INVALID_INPUT'],
      ['a rate above 1', { annualRate: '1.000001' }, 'MINT.INVALID_INPUT'],
      ['a rate below 0', { annualRate: '-0.1' }, 'MINT.INVALID_INPUT'],
      ['a rate of 7 decimals', { annualRate: '0.0000001' }, 'MINT.INVALID_INPUT'],
      ['a rate that is NaN', { annualRate: new Prisma.Decimal(Number.NaN) }, 'MINT.INVALID_INPUT'],
      ['a rate that is a number', { annualRate: 0.08 }, 'MINT.INVALID_INPUT'],
      ['an unknown wallet', { walletId: 'nobody' }, 'MINT.WALLET_NOT_FOUND'],
      ['SQL as a wallet id', { walletId: "';DROP_TABLE_stakes;--" }, 'MINT.WALLET_NOT_FOUND'],
      ['the treasury', { walletId: 'treasury-AZR' }, 'MINT.SYSTEM_WALLET'],
      ['the staking wallet', { walletId: 'staking-AZR' }, 'MINT.SYSTEM_WALLET'],
      ['an id of 10 MB', { walletId: 'x'.repeat(10_000_000) }, 'MINT.INVALID_INPUT'],
      ['an id with NUL', { walletId: 'a\0b' }, 'MINT.INVALID_INPUT'],
      ['a key with half of a surrogate pair', { idempotencyKey: '\ud800' }, 'MINT.INVALID_INPUT'],
      ['a blank key', { idempotencyKey: ' ' }, 'MINT.INVALID_INPUT'],
      ['an unknown field', { rate: '0.5' }, 'MINT.INVALID_INPUT'],
    ])('rejects %s and writes nothing', async (_what, bad, code) => {
      const walletId = await givenWallet(given().mint, '100');
      const before = await rowCounts(db());
      const input = { walletId, amount: '1', lockDays: 1, annualRate: '0.5', idempotencyKey: fresh('stake'), ...bad };

      await expect(stake(given().mint, input as Parameters<typeof stake>[1])).rejects.toMatchObject({ code });

      expect(await rowCounts(db())).toEqual(before);
    });

    it('has an error with the available and the requested amount', async () => {
      const walletId = await givenWallet(given().mint, '5');

      await expect(
        stake(given().mint, { walletId, amount: '5.5', lockDays: 1, idempotencyKey: fresh('stake') }),
      ).rejects.toMatchObject({ meta: { walletId, available: '5.00000000', asked: '5.5' } });
    });

    it('rejects a closed wallet, and a wallet with an active stake cannot be closed', async () => {
      const walletId = await givenWallet(given().mint, '10');
      await stake(given().mint, { walletId, amount: '10', lockDays: 1, idempotencyKey: fresh('stake') });
      await expect(closeWallet(given().mint, { walletId })).rejects.toMatchObject({ code: 'MINT.WALLET_NOT_EMPTY' });

      const closed = await givenWallet(given().mint, '0');
      await closeWallet(given().mint, { walletId: closed });

      await expect(
        stake(given().mint, { walletId: closed, amount: '1', lockDays: 1, idempotencyKey: fresh('stake') }),
      ).rejects.toMatchObject({ code: 'MINT.WALLET_CLOSED' });
    });
  });

  describe('unstake', () => {
    it('rejects a locked stake, names the end of the lock and writes nothing', async () => {
      const { id: stakeId } = await givenStake(given().mint);
      const before = await rowCounts(db());
      const lockedUntil = (await given().at(30 * DAY)).toISOString();
      await given().at(30 * DAY - 0.001);

      await expect(withdraw(given().mint, stakeId)).rejects.toMatchObject({
        code: 'MINT.STAKE_LOCKED',
        meta: { stakeId, lockedUntil },
      });

      expect(await rowCounts(db())).toEqual(before);
    });

    it('returns the amount and all rewards from the end of the lock on', async () => {
      const { id: stakeId, walletId } = await givenStake(given().mint, { annualRate: '0.365' });
      const withdrawnAt = await given().at(30 * DAY);

      const answer = await withdraw(given().mint, stakeId);

      expect(answer).toEqual({
        stakeId,
        walletId,
        amount: new Prisma.Decimal(1_000),
        rewards: new Prisma.Decimal(30),
        withdrawnAt,
      });
      expect(await balanceOf(given().mint, walletId)).toBe('1530');
      expect(await getStake(given().mint, { stakeId })).toMatchObject({
        status: 'withdrawn',
        withdrawnAt,
        accruedUntil: withdrawnAt,
        rewardsEarned: new Prisma.Decimal(30),
      });
    });

    it('pays rewards for the time after the lock too', async () => {
      const { id: stakeId } = await givenStake(given().mint);
      await given().at(SECONDS_A_YEAR * 2);

      expect((await withdraw(given().mint, stakeId)).rewards.toFixed()).toBe('160');
    });

    it('returns the amount only when there are no rewards', async () => {
      const { id: stakeId, walletId } = await givenStake(given().mint, { annualRate: '0' });
      await given().at(30 * DAY);

      expect((await withdraw(given().mint, stakeId)).rewards.toFixed()).toBe('0');
      expect(await balanceOf(given().mint, walletId)).toBe('1500');
    });

    it('pays accrued rewards when the clock has gone back since', async () => {
      const { id: stakeId } = await givenStake(given().mint);
      await given().at(SECONDS_A_YEAR);
      await accrueRewards(given().mint, { stakeId });
      await given().at(40 * DAY);

      expect((await withdraw(given().mint, stakeId)).rewards.toFixed()).toBe('80');
      await given().at(SECONDS_A_YEAR);
    });

    it('takes effect once when many race with different keys; the errors name both statuses', async () => {
      const { id: stakeId, walletId } = await givenStake(given().mint, { annualRate: '0.365' });
      await given().at(30 * DAY);

      const settled = await Promise.allSettled(Array.from({ length: 10 }, () => withdraw(given().mint, stakeId)));

      const refused = settled.filter((result) => result.status === 'rejected').map(({ reason }) => reason);
      expect(refused).toHaveLength(9);
      for (const error of refused) {
        expect(error).toMatchObject({ code: 'MINT.STAKE_WITHDRAWN', meta: { from: 'withdrawn', to: 'withdrawn' } });
      }
      expect(await balanceOf(given().mint, walletId)).toBe('1530');
    });

    it('gives one answer when many race with one key, and to a later repeat', async () => {
      const { id: stakeId } = await givenStake(given().mint);
      await given().at(30 * DAY);
      const key = fresh('unstake');

      const answers = await Promise.all(Array.from({ length: 10 }, () => withdraw(given().mint, stakeId, key)));
      await given().at(300 * DAY);

      const [first] = answers;
      expect(answers).toEqual(Array(10).fill(first));
      expect(await withdraw(given().mint, stakeId, key)).toEqual(first);
      await expect(claim(given().mint, stakeId, key)).rejects.toMatchObject({ code: 'MINT.KEY_REUSED' });
    });
  });
});
