/** @server any */
import { useDatabase } from '@azora/db-testkit';
import fc from 'fast-check';
import { defaultRate, divideHalfEven, knowledgeDifficulty, knowledgeReward, Prisma, stakingReward } from '../src';
import { halvings, KNOWLEDGE_SCHEDULE } from '../src/knowledge-schedule';
import { SECONDS_A_YEAR } from '../src/rates';

/** A decimal with this many places, from 0 to `max` units of the last place. */
const decimal = (places: number, max: bigint, min = 0n) =>
  fc.bigInt({ min, max }).map((units) => new Prisma.Decimal(units.toString()).div(new Prisma.Decimal(10).pow(places)));

const amount = decimal(8, 10n ** 18n - 1n, 1n);
const rate = decimal(6, 1_000_000n);
/** Up to a hundred years, in microseconds like the times of PostgreSQL. */
const microseconds = fc.bigInt({ min: 0n, max: 3_153_600_000_000_000n });
const seconds = (micros: bigint) => new Prisma.Decimal(micros.toString()).div(1_000_000).toFixed(6);

describe('rates', () => {
  const db = useDatabase('mint');

  /** The values of one SQL expression for many rows of arguments, in their order. */
  async function sqlAnswers(expression: string, columns: readonly (readonly string[])[]): Promise<string[]> {
    const names = columns.map((_, index) => `a${index + 1}`).join(', ');
    const arrays = columns.map((_, index) => `$${index + 1}::text[]`).join(', ');
    const rows = await db().admin(
      `SELECT (${expression})::text AS answer FROM unnest(${arrays}) WITH ORDINALITY AS row(${names}, n) ORDER BY n`,
      columns,
    );
    return rows.map(({ answer }) => String(answer));
  }

  it.each([
    ['0.5', '1', 0, '0'],
    ['1.5', '1', 0, '2'],
    ['2.5', '1', 0, '2'],
    ['0.000000005', '1', 8, '0'],
    ['0.000000015', '1', 8, '0.00000002'],
    ['0.000000025', '1', 8, '0.00000002'],
    ['0.0000000250000000000000000000000001', '1', 8, '0.00000003'],
    ['0.0000000249999999999999999999999999', '1', 8, '0.00000002'],
    ['-0.000000025', '1', 8, '-0.00000002'],
    ['-0.000000015', '1', 8, '-0.00000002'],
    ['0.000000025', '-1', 8, '-0.00000002'],
    ['1', '3', 8, '0.33333333'],
    ['0', '7', 8, '0'],
  ])(
    'rounds %s / %s to %i places as %s, in TypeScript and in SQL',
    async (numerator, denominator, places, expected) => {
      const [inSql] = await sqlAnswers('divide_half_even(a1::numeric, a2::numeric, a3::int)', [
        [numerator],
        [denominator],
        [String(places)],
      ]);

      expect(divideHalfEven(numerator, denominator, places).toFixed()).toBe(expected);
      expect(new Prisma.Decimal(inSql ?? 'NaN').toFixed()).toBe(expected);
    },
  );

  it('divide the same in TypeScript and in SQL', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(decimal(20, 10n ** 38n), decimal(4, 10n ** 12n, 1n)), { minLength: 200, maxLength: 200 }),
        async (pairs) => {
          const columns = [
            pairs.map(([numerator]) => numerator.toFixed()),
            pairs.map(([, denominator]) => denominator.toFixed()),
          ];
          const inSql = await sqlAnswers('divide_half_even(a1::numeric, a2::numeric, 8)', columns);

          expect(inSql).toEqual(pairs.map((pair) => divideHalfEven(...pair).toFixed(8)));
        },
      ),
      { numRuns: 20 },
    );
  });

  it('compute the same rewards in TypeScript and in SQL', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(amount, rate, microseconds), { minLength: 200, maxLength: 200 }),
        async (stakes) => {
          const columns = [
            stakes.map(([money]) => money.toFixed()),
            stakes.map(([, yearly]) => yearly.toFixed()),
            stakes.map(([, , micros]) => micros.toString()),
          ];
          const start = "'2026-01-31T12:00:00Z'::timestamptz";
          const inSql = await sqlAnswers(
            `staking_reward(a1::numeric, a2::numeric, ${start}, ${start} + a3::bigint * interval '1 microsecond')`,
            columns,
          );

          const twins = stakes.map(([money, annualRate, micros]) =>
            stakingReward({ amount: money, annualRate, seconds: seconds(micros) }).toFixed(8),
          );
          expect(inSql).toEqual(twins);
        },
      ),
      { numRuns: 20 },
    );
  });

  it('earn the annual rate in 365 days, and a 365th of it in a day', () => {
    const stake = { amount: '1000', annualRate: '0.08' };

    expect(stakingReward({ ...stake, seconds: SECONDS_A_YEAR }).toFixed(8)).toBe('80.00000000');
    expect(stakingReward({ ...stake, seconds: 86_400 }).toFixed(8)).toBe('0.21917808');
  });

  it('pay within 1e-8 of the exact reward in any number of parts', () => {
    fc.assert(
      fc.property(
        amount,
        rate,
        fc.array(microseconds, { minLength: 1, maxLength: 50 }),
        (money, annualRate, moments) => {
          const sorted = moments.toSorted((left, right) => (left < right ? -1 : 1));
          let paid = new Prisma.Decimal(0);
          for (const moment of sorted) {
            const earned = stakingReward({ amount: money, annualRate, seconds: seconds(moment) });
            expect(earned.gte(paid)).toBe(true);
            paid = paid.add(earned.sub(paid));
          }
          const Exact = Prisma.Decimal.clone({ precision: 100 });
          const exact = new Exact(money)
            .mul(annualRate)
            .mul(seconds(sorted.at(-1) ?? 0n))
            .div(SECONDS_A_YEAR);

          expect(new Exact(paid).sub(exact).abs().lte('5e-9')).toBe(true);
        },
      ),
    );
  });

  it('have a default for every valid lock, higher for longer locks', () => {
    expect([1, 29, 30, 89, 90, 179, 180, 364, 365, 3_650].map(defaultRate)).toEqual([
      '0.03',
      '0.03',
      '0.05',
      '0.05',
      '0.08',
      '0.08',
      '0.1',
      '0.1',
      '0.12',
      '0.12',
    ]);
  });
});

describe('the schedule of Proof-of-Knowledge', () => {
  const db = useDatabase('mint');

  it('is the same in TypeScript and in SQL', async () => {
    const activity = fc.constantFrom('lesson', 'course', 'assessment', 'tutoring', 'contribution' as const);
    const submission = fc.tuple(activity, decimal(4, 10_000n), amount, amount);
    await fc.assert(
      fc.asyncProperty(fc.array(submission, { minLength: 100, maxLength: 100 }), async (submissions) => {
        const { activities, difficultyStep, halvingInterval, maximumHalvings } = KNOWLEDGE_SCHEDULE;
        const rows = submissions.map(([name, score, byWallet, byAll]) => ({
          ...activities[name],
          score: score.toFixed(),
          by_wallet: byWallet.toFixed(),
          by_all: byAll.toFixed(),
        }));
        const inSql = await db().admin(
          `SELECT difficulty::text, knowledge_reward("baseReward", score, difficulty, halvings)::text AS reward
           FROM jsonb_to_recordset($1::jsonb)
             AS terms("baseReward" numeric, "baseDifficulty" numeric, score numeric, by_wallet numeric, by_all numeric),
             knowledge_difficulty("baseDifficulty", by_wallet, $2) AS difficulty,
             knowledge_halvings(by_all, $3, $4) AS halvings`,
          [JSON.stringify(rows), difficultyStep, halvingInterval, maximumHalvings],
        );

        const twins = submissions.map(([name, score, byWallet, byAll]) => {
          const difficulty = knowledgeDifficulty(name, byWallet);
          const reward = knowledgeReward({ activity: name, score, difficulty, halvings: halvings(byAll) });
          return { difficulty: difficulty.toFixed(4), reward: reward.toFixed(8) };
        });
        expect(inSql).toEqual(twins);
      }),
      { numRuns: 20 },
    );
  });

  it.each([
    ['0', 0],
    ['999999.99999999', 0],
    ['1000000', 1],
    ['1999999.99999999', 1],
    ['2000000', 2],
    ['9999999999', 64],
  ])('after %s mined has %i halvings', (mined, times) => {
    expect(halvings(mined)).toBe(times);
  });

  it('pays the base reward for a score of 1, and half of it after a halving or at twice the difficulty', () => {
    const lesson = { activity: 'lesson', score: '1' } as const;

    expect(knowledgeReward({ ...lesson, difficulty: knowledgeDifficulty('lesson', 0), halvings: 0 }).toFixed()).toBe(
      '5',
    );
    expect(knowledgeReward({ ...lesson, difficulty: 1, halvings: 1 }).toFixed()).toBe('2.5');
    expect(
      knowledgeReward({ ...lesson, difficulty: knowledgeDifficulty('lesson', 1_000), halvings: 0 }).toFixed(),
    ).toBe('2.5');
  });
});
