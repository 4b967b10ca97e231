/** @server any */
import { useDatabase } from '@azora/db-testkit';
import fc from 'fast-check';
import { burn, closeWallet, divideHalfEven, mint as issue, Prisma, snapshotMetrics, stake, transfer } from '../src';
import { fresh, givenWallet, rowCounts, useMint } from './stakes-given';

const DAY = 86_400;

/** Half of the relative mean absolute difference of all pairs: another formula for Gini than the one in SQL. */
function giniOf(balances: readonly number[]): string {
  const total = balances.reduce((sum, balance) => sum + balance, 0);
  if (total === 0) return '0.00000000';
  const apart = balances.flatMap((left) => balances.map((right) => Math.abs(left - right)));
  const sum = apart.reduce((all, one) => all + one, 0);
  return divideHalfEven(sum, new Prisma.Decimal(2 * balances.length).mul(total)).toFixed(8);
}

describe('snapshotMetrics', () => {
  const db = useDatabase('mint');
  const given = useMint(db);

  const moment = (seconds: number) => given().at(seconds);

  it('describes an economy without money', async () => {
    const capturedAt = await moment(-1_000 * DAY);

    const metrics = await snapshotMetrics(given().mint);

    const zero = new Prisma.Decimal(0);
    expect(metrics).toEqual({
      id: expect.stringMatching(/^c[0-9a-z]{24}$/),
      capturedAt,
      totalSupply: zero,
      circulatingSupply: zero,
      stakedSupply: zero,
      burnedSupply: zero,
      activeWallets: 0,
      transactionCount: 0n,
      velocity: zero,
      gini: zero,
      createdAt: capturedAt,
    });
  });

  it('describes the present and any past time, for AZR only', async () => {
    await moment(0);
    const [rich, poor, empty] = [
      await givenWallet(given().mint, '600'),
      await givenWallet(given().mint, '100'),
      await givenWallet(given().mint, '0'),
    ];
    await givenWallet(given().mint, '5000', 'BTC');
    await moment(10 * DAY);
    await transfer(given().mint, { from: rich, to: poor, amount: '70', idempotencyKey: fresh('gift') });
    await moment(20 * DAY);
    await stake(given().mint, { walletId: rich, amount: '100', lockDays: 30, idempotencyKey: fresh('stake') });
    await burn(given().mint, { from: rich, amount: '50', idempotencyKey: fresh('burn') });
    await closeWallet(given().mint, { walletId: empty });
    await moment(41 * DAY);
    await transfer(given().mint, { from: poor, to: rich, amount: '35', idempotencyKey: fresh('gift') });
    const now = await moment(42 * DAY);

    const present = await snapshotMetrics(given().mint);
    const earlier = await snapshotMetrics(given().mint, { capturedAt: new Date(now.getTime() - 30 * DAY * 1_000) });

    // The balances are 415 and 135; before the stake, the burn and the second gift they were 530, 170 and 0.
    expect(present).toMatchObject({
      totalSupply: new Prisma.Decimal(650),
      circulatingSupply: new Prisma.Decimal(550),
      stakedSupply: new Prisma.Decimal(100),
      burnedSupply: new Prisma.Decimal(50),
      activeWallets: 2,
      transactionCount: 6n,
      velocity: divideHalfEven(35, 650),
      gini: divideHalfEven(280, 1_100),
    });
    expect(earlier).toMatchObject({
      totalSupply: new Prisma.Decimal(700),
      circulatingSupply: new Prisma.Decimal(700),
      stakedSupply: new Prisma.Decimal(0),
      burnedSupply: new Prisma.Decimal(0),
      activeWallets: 2,
      transactionCount: 3n,
      velocity: divideHalfEven(70, 700),
      gini: divideHalfEven(1_060, 2_100),
    });
  });

  it('stores one snapshot for each time, also when calls race or money has moved since', async () => {
    await moment(50 * DAY);
    const answers = await Promise.all(Array.from({ length: 10 }, () => snapshotMetrics(given().mint)));

    await givenWallet(given().mint, '1');

    const [first] = answers;
    expect(answers).toEqual(Array(10).fill(first));
    expect(await snapshotMetrics(given().mint)).toEqual(first);
  });

  it.each([
    ['a future time', { capturedAt: new Date('2100-01-01') }],
    ['an invalid date', { capturedAt: new Date(Number.NaN) }],
    ['text', { capturedAt: '2026-01-01' as unknown as Date }],
  ])('rejects %s and writes nothing', async (_what, input) => {
    const before = await rowCounts(db());

    await expect(snapshotMetrics(given().mint, input)).rejects.toMatchObject({ code: 'MINT.INVALID_INPUT' });

    expect(await rowCounts(db())).toEqual(before);
  });

  it.each([
    ['a Gini above 1', 'gini = 1.1', 'economic_metrics_gini_check'],
    ['a Gini that is NaN', "gini = 'NaN'", 'economic_metrics_gini_check'],
    ['a velocity below 0', 'velocity = -1', 'economic_metrics_velocity_check'],
    ['a velocity that is NaN', "velocity = 'NaN'", 'economic_metrics_velocity_check'],
  ])('has a constraint against %s', async (_what, change, constraint) => {
    await moment(51 * DAY);
    await snapshotMetrics(given().mint);

    const unguarded = `ALTER TABLE economic_metrics DISABLE TRIGGER USER; UPDATE economic_metrics SET ${change}`;
    await expect(db().admin(unguarded)).rejects.toMatchObject({ constraint });
  });
});

describe('the Gini coefficient of snapshotMetrics', () => {
  const db = useDatabase('mint');
  const given = useMint(db);

  it('equals the result of another formula for any balances', async () => {
    const wallets = await Promise.all(Array.from({ length: 8 }, () => givenWallet(given().mint, '0')));
    let seconds = 0;
    const balances = fc.array(fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 1_000_000 })), {
      minLength: 8,
      maxLength: 8,
    });

    await fc.assert(
      fc.asyncProperty(balances, async (wanted) => {
        seconds += 60;
        await given().at(seconds);
        for (const [index, walletId] of wallets.entries()) await setBalance(walletId, wanted[index] ?? 0);

        const { gini } = await snapshotMetrics(given().mint);

        expect(gini?.toFixed(8)).toBe(giniOf(wanted));
      }),
      { numRuns: 20, examples: [[[0, 0, 0, 0, 0, 0, 0, 0]], [[5, 5, 5, 5, 5, 5, 5, 5]], [[0, 0, 0, 0, 0, 0, 0, 9]]] },
    );
  });

  async function setBalance(walletId: string, wanted: number): Promise<void> {
    const { balance } = await given().mint.prisma.wallet.findUniqueOrThrow({ where: { id: walletId } });
    const more = new Prisma.Decimal(wanted).sub(balance);
    if (more.gt(0)) await issue(given().mint, { to: walletId, amount: more, idempotencyKey: fresh('set') });
    if (more.lt(0)) await burn(given().mint, { from: walletId, amount: more.neg(), idempotencyKey: fresh('set') });
  }
});
