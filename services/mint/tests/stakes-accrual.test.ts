/** @server any */
import { useDatabase } from '@azora/db-testkit';
import fc from 'fast-check';
import { accrueRewards, getStake, Prisma, SECONDS_A_YEAR, stakingReward } from '../src';
import { balanceOf, claim, fresh, givenStake, rowCounts, useMint, withdraw } from './stakes-given';

const DAY = 86_400;

describe('rewards of stakes', () => {
  const db = useDatabase('mint');
  const given = useMint(db);

  function expectNothingToClaim(error: unknown): void {
    expect(error).toMatchObject({ code: 'MINT.NOTHING_TO_CLAIM' });
  }

  describe('accrueRewards', () => {
    it('accrues the annual rate in 365 days, and only new rewards the next time', async () => {
      const { id: stakeId } = await givenStake(given().mint);

      const until = await given().at(SECONDS_A_YEAR);
      const first = await accrueRewards(given().mint, { stakeId });
      const again = await accrueRewards(given().mint, { stakeId });
      await given().at(SECONDS_A_YEAR + DAY);
      const next = await accrueRewards(given().mint, { stakeId });

      expect([first, again, next]).toEqual([
        { stakes: 1, rewards: new Prisma.Decimal(80) },
        { stakes: 0, rewards: new Prisma.Decimal(0) },
        { stakes: 1, rewards: new Prisma.Decimal('0.21917808') },
      ]);
      const { accruedUntil, rewardsAccrued, rewardsEarned } = await getStake(given().mint, { stakeId });
      expect(accruedUntil.getTime() - until.getTime()).toBe(DAY * 1_000);
      expect([rewardsAccrued.toFixed(), rewardsEarned.toFixed()]).toEqual(['80.21917808', '0']);
    });

    it('accrues nothing while the clock is back, and loses nothing afterwards', async () => {
      const { id: stakeId } = await givenStake(given().mint);
      await given().at(10 * DAY);
      await accrueRewards(given().mint, { stakeId });

      await given().at(5 * DAY);
      const back = await accrueRewards(given().mint, { stakeId });
      await given().at(-DAY);
      const before = await accrueRewards(given().mint, { stakeId });
      await given().at(SECONDS_A_YEAR);
      await accrueRewards(given().mint, { stakeId });

      expect([back.stakes, before.stakes]).toEqual([0, 0]);
      expect((await getStake(given().mint, { stakeId })).rewardsAccrued.toFixed()).toBe('80');
    });

    it('accrues each second once when runs race', async () => {
      const stakes = await Promise.all(
        Array.from({ length: 12 }, () => givenStake(given().mint, { annualRate: '0.365' })),
      );
      const until = await given().at(DAY);
      const due = await given().mint.prisma.stake.count({ where: { status: 'active', accruedUntil: { lt: until } } });

      const runs = await Promise.all(
        [1, 2, 3, 5, 7, 100].map((batchSize) => accrueRewards(given().mint, { batchSize })),
      );

      const accrued = await Promise.all(stakes.map(({ id }) => getStake(given().mint, { stakeId: id })));
      expect(accrued.map(({ rewardsAccrued }) => rewardsAccrued.toFixed())).toEqual(Array(12).fill('1'));
      expect(runs.reduce((sum, { stakes: counted }) => sum + counted, 0)).toBe(due);
    });

    it('accrues all active stakes with any batch size', async () => {
      const stakes = await Promise.all(Array.from({ length: 5 }, () => givenStake(given().mint)));
      const until = await given().at(DAY);

      await accrueRewards(given().mint, { batchSize: 2 });

      const accrued = await Promise.all(stakes.map(({ id }) => getStake(given().mint, { stakeId: id })));
      expect(accrued.map(({ accruedUntil }) => accruedUntil)).toEqual(Array(5).fill(until));
    });

    it('can accrue one stake only, up to a past time', async () => {
      const [one, other] = [await givenStake(given().mint), await givenStake(given().mint)];
      const until = await given().at(DAY);
      await given().at(3 * DAY);

      await accrueRewards(given().mint, { stakeId: one.id, until });

      expect((await getStake(given().mint, { stakeId: one.id })).accruedUntil).toEqual(until);
      expect((await getStake(given().mint, { stakeId: other.id })).accruedUntil).toEqual(other.startedAt);
    });

    it('does not change a withdrawn stake', async () => {
      const { id: stakeId } = await givenStake(given().mint);
      await given().at(31 * DAY);
      await withdraw(given().mint, stakeId);
      const before = await getStake(given().mint, { stakeId });
      await given().at(400 * DAY);

      expect((await accrueRewards(given().mint, { stakeId })).stakes).toBe(0);
      await accrueRewards(given().mint);

      expect(await getStake(given().mint, { stakeId })).toEqual(before);
    });

    it.each([
      ['a future time', { until: new Date('2100-01-01') }, 'MINT.INVALID_INPUT'],
      ['an invalid date', { until: new Date(Number.NaN) }, 'MINT.INVALID_INPUT'],
      ['an unknown stake', { stakeId: 'nobody' }, 'MINT.STAKE_NOT_FOUND'],
      ['a batch size of 0', { batchSize: 0 }, 'MINT.INVALID_INPUT'],
    ])('rejects %s', async (_what, input, code) => {
      await expect(accrueRewards(given().mint, input)).rejects.toMatchObject({ code });
    });

    it('pays the exact reward, half-even to 8 decimals, in any sequence of accruals and claims', async () => {
      const split = fc.record({
        amount: fc.integer({ min: 1, max: 150_000_000 }).map((units) => (units / 100_000).toFixed(5)),
        annualRate: fc.integer({ min: 0, max: 1_000_000 }).map((units) => (units / 1_000_000).toFixed(6)),
        steps: fc.array(fc.record({ milliseconds: fc.integer({ min: 1, max: 10 ** 9 }), claims: fc.boolean() }), {
          minLength: 1,
          maxLength: 12,
        }),
      });
      await fc.assert(
        fc.asyncProperty(split, async ({ amount, annualRate, steps }) => {
          await given().at(0);
          const { id: stakeId, walletId } = await givenStake(given().mint, { amount, annualRate });
          const before = new Prisma.Decimal(await balanceOf(given().mint, walletId));
          let seconds = 0;
          for (const { milliseconds, claims } of steps) {
            seconds += milliseconds / 1_000;
            await given().at(seconds);
            await accrueRewards(given().mint, { stakeId });
            if (claims) await claim(given().mint, stakeId).catch(expectNothingToClaim);
          }
          await claim(given().mint, stakeId).catch(expectNothingToClaim);

          const paid = new Prisma.Decimal(await balanceOf(given().mint, walletId)).sub(before);
          expect(paid.toFixed()).toBe(stakingReward({ amount, annualRate, seconds: seconds.toFixed(3) }).toFixed());
        }),
        { numRuns: 25 },
      );
    });
  });

  describe('claimRewards', () => {
    it('pays accrued rewards once', async () => {
      const { id: stakeId, walletId } = await givenStake(given().mint);
      await given().at(SECONDS_A_YEAR);
      await accrueRewards(given().mint, { stakeId });

      const paid = await claim(given().mint, stakeId);

      expect(paid).toMatchObject({ type: 'staking_reward', fromId: 'treasury-AZR', toId: walletId, stakeId });
      expect(await balanceOf(given().mint, walletId)).toBe('580');
      await expect(claim(given().mint, stakeId)).rejects.toMatchObject({
        code: 'MINT.NOTHING_TO_CLAIM',
        meta: { accrued: '80.00000000', paid: '80.00000000' },
      });
    });

    it('pays once when many claims race with different keys', async () => {
      const { id: stakeId, walletId } = await givenStake(given().mint);
      await given().at(SECONDS_A_YEAR);
      await accrueRewards(given().mint, { stakeId });

      const settled = await Promise.allSettled(Array.from({ length: 20 }, () => claim(given().mint, stakeId)));

      const refused = settled.filter((result) => result.status === 'rejected').map(({ reason }) => reason.code);
      expect(refused).toEqual(Array(19).fill('MINT.NOTHING_TO_CLAIM'));
      expect(await balanceOf(given().mint, walletId)).toBe('580');
    });

    it('pays once and gives one answer when many claims race with one key', async () => {
      const { id: stakeId, walletId } = await givenStake(given().mint);
      await given().at(SECONDS_A_YEAR);
      await accrueRewards(given().mint, { stakeId });

      const key = fresh('claim');
      const answers = await Promise.all(Array.from({ length: 20 }, () => claim(given().mint, stakeId, key)));

      expect(new Set(answers.map(({ id }) => id)).size).toBe(1);
      expect(await balanceOf(given().mint, walletId)).toBe('580');
    });

    it('leaves the key free when there are no rewards', async () => {
      const { id: stakeId } = await givenStake(given().mint);
      const key = fresh('claim');
      const before = await rowCounts(db());

      await expect(claim(given().mint, stakeId, key)).rejects.toMatchObject({ code: 'MINT.NOTHING_TO_CLAIM' });
      expect(await rowCounts(db())).toEqual(before);

      await given().at(SECONDS_A_YEAR);
      await accrueRewards(given().mint, { stakeId });
      expect((await claim(given().mint, stakeId, key)).amount.toFixed()).toBe('80');
    });

    it('pays everything once when it races with an unstake', async () => {
      for (let round = 0; round < 10; round += 1) {
        await given().at(0);
        const { id: stakeId, walletId } = await givenStake(given().mint);
        await given().at(SECONDS_A_YEAR);
        await accrueRewards(given().mint, { stakeId });

        const claiming = claim(given().mint, stakeId).catch(expectNothingToClaim);
        await Promise.all(
          round % 2 === 0 ? [claiming, withdraw(given().mint, stakeId)] : [withdraw(given().mint, stakeId), claiming],
        );

        expect(await balanceOf(given().mint, walletId)).toBe('1580');
      }
    });

    it('rejects an unknown stake', async () => {
      await expect(claim(given().mint, 'nobody')).rejects.toMatchObject({ code: 'MINT.STAKE_NOT_FOUND' });
      await expect(getStake(given().mint, { stakeId: 'nobody' })).rejects.toMatchObject({
        code: 'MINT.STAKE_NOT_FOUND',
      });
    });
  });
});
