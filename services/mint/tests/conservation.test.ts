/** @server any */
import { useDatabase, useTestClock } from '@azora/db-testkit';
import fc from 'fast-check';
import { mint as issue, type Mint, openMint, openWallet, reconcile } from '../src';
import { newModel, WALLETS } from './conservation/model';
import type { Real } from './conservation/step';
import { STEPS } from './conservation/steps';

const RUNS = 150;
const SEED = 20_261_121;
const BEGINNING = Date.UTC(2026, 0, 31, 12);
const DAY_MS = 86_400_000;
/** More days than 50 steps take. */
const RUN_DAYS = 60;

/** The operations and rejections that must occur in 150 runs: without them the runs would prove little. */
const MET = [
  ...['transfer', 'transferMany', 'mint', 'burn', 'hold', 'capture', 'release', 'stake', 'claimRewards', 'unstake'],
  ...['submitKnowledge', 'closeWallet', 'MINT.INSUFFICIENT_FUNDS', 'MINT.CURRENCY_MISMATCH', 'MINT.WALLET_CLOSED'],
  ...['MINT.HOLD_RESOLVED', 'MINT.STAKE_LOCKED', 'MINT.NOTHING_TO_CLAIM'],
];

describe('the ledger', () => {
  const db = useDatabase('mint');
  const clock = useTestClock(db, new Date(BEGINNING).toISOString());
  let mint: Mint;
  let made = 0;

  beforeAll(() => {
    mint = openMint({ url: db().url, pool: { max: 2 } });
  });
  afterAll(() => mint.close());

  async function givenReal(counts: Record<string, number>): Promise<Real> {
    const wallets: string[] = [];
    for (const { currency, welcome } of WALLETS) {
      made += 1;
      const { id } = await openWallet(mint, { userId: `user-${made}`, currency });
      if (welcome !== '0') await issue(mint, { to: id, amount: welcome, idempotencyKey: `welcome-${made}` });
      wallets.push(id);
    }
    return {
      ...{ mint, wallets, holds: [], stakes: [], repeat: undefined, answer: '', counts },
      newKey: () => {
        made += 1;
        return `key-${made}`;
      },
      setClock: (time) => clock.set(new Date(time)),
      expectAlike: async (model) => {
        const rows = await db().app('SELECT id, balance, held, earned, status FROM wallets WHERE id = ANY ($1)', [
          wallets,
        ]);
        const found = wallets.map((id) => rows.find((row) => row['id'] === id));
        expect(found).toEqual(
          model.wallets.map(({ balance, held, earned, isClosed }, n) => ({
            ...{ id: wallets[n], balance: balance.toFixed(8), held: held.toFixed(8), earned: earned.toFixed(8) },
            status: isClosed ? 'closed' : 'active',
          })),
        );
      },
    };
  }

  it('accepts and rejects the same operations as an in-memory model, in any order', async () => {
    const counts: Record<string, number> = {};
    let runs = 0;
    const setUp = async () => {
      // Each run begins at noon, after the end of the one before: a ledger has no rows in the future.
      runs += 1;
      const now = BEGINNING + runs * RUN_DAYS * DAY_MS;
      await clock.set(new Date(now));
      return { model: newModel(now), real: await givenReal(counts) };
    };

    await fc.assert(
      fc.asyncProperty(fc.commands(STEPS, { maxCommands: 50, size: 'max' }), async (commands) => {
        await fc.asyncModelRun(setUp, commands);

        expect(await reconcile(mint)).toEqual([]);
        const sums = await db().app('SELECT currency FROM wallets GROUP BY currency HAVING sum(balance) <> 0');
        expect(sums).toEqual([]);
      }),
      // Unbiased, because short runs combine few operations; with a fixed seed, so that everything in MET occurs.
      { numRuns: RUNS, unbiased: true, seed: SEED },
    );

    expect(MET.filter((name) => counts[name] === undefined)).toEqual([]);
  });
});
