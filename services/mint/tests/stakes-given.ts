import { type TestDatabase, useTestClock } from '@azora/db-testkit';
import {
  claimRewards,
  mint as issue,
  type Mint,
  openMint,
  openWallet,
  reconcile,
  type Stake,
  stake,
  type Transaction,
  type Unstaked,
  unstake,
} from '../src';

/** A store, and the time of its database. */
export interface GivenMint {
  readonly mint: Mint;
  /** Sets the time of the database to this many seconds after the beginning, which is noon UTC of a day. */
  at(seconds: number): Promise<Date>;
}

const BEGINNING = Date.UTC(2026, 0, 31, 12);
/** After every time that a test of a stake reaches: rows of earlier tests must not lie in the future of a ledger. */
const AFTERWARDS = '2050-01-01T00:00:00Z';

/** A store for the tests of a file. Each test starts at noon and must leave a consistent ledger. */
export function useMint(db: () => TestDatabase): () => GivenMint {
  const clock = useTestClock(db, new Date(BEGINNING).toISOString());
  let given: GivenMint | undefined;
  const use = () => {
    if (given === undefined) throw new Error('The store exists only while tests run');
    return given;
  };
  beforeAll(() => {
    given = {
      mint: openMint({ url: db().url, pool: { max: 16 } }),
      at: async (seconds) => {
        await clock.set(new Date(BEGINNING + seconds * 1_000));
        return clock.now();
      },
    };
  });
  afterEach(async () => {
    await clock.set(AFTERWARDS);
    expect(await faultsOf(db(), use().mint)).toEqual([]);
  });
  afterAll(() => given?.mint.close());
  return use;
}

let made = 0;

/** A name that is unique in this file. */
export function fresh(what: string): string {
  made += 1;
  return `${what}-${made}`;
}

/** A new user's wallet with this balance, in AZR by default. */
export async function givenWallet(mint: Mint, amount: string, currency: 'AZR' | 'BTC' = 'AZR'): Promise<string> {
  const { id } = await openWallet(mint, { userId: fresh('user'), currency });
  if (amount !== '0') await issue(mint, { to: id, amount, idempotencyKey: fresh('welcome') });
  return id;
}

export async function balanceOf(mint: Mint, walletId: string): Promise<string> {
  const { balance } = await mint.prisma.wallet.findUniqueOrThrow({ where: { id: walletId } });
  return balance.toFixed();
}

/** A stake of 1000 at 8 % for 30 days by default; its wallet keeps the rest of 1500. */
export async function givenStake(
  mint: Mint,
  terms: { amount?: string; annualRate?: string; lockDays?: number } = {},
): Promise<Stake> {
  const walletId = await givenWallet(mint, '1500');
  const staked = { walletId, amount: '1000', annualRate: '0.08', lockDays: 30, ...terms };
  return stake(mint, { ...staked, idempotencyKey: fresh('stake') });
}

export function claim(mint: Mint, stakeId: string, idempotencyKey = fresh('claim')): Promise<Transaction> {
  return claimRewards(mint, { stakeId, idempotencyKey });
}

export function withdraw(mint: Mint, stakeId: string, idempotencyKey = fresh('unstake')): Promise<Unstaked> {
  return unstake(mint, { stakeId, idempotencyKey });
}

/** The number of rows of each table of the ledger, which a rejected call does not change. */
export async function rowCounts(db: TestDatabase) {
  const [counts] = await db.admin(`SELECT (SELECT count(*) FROM requests)::int AS requests,
    (SELECT count(*) FROM transactions)::int AS transactions, (SELECT count(*) FROM stakes)::int AS stakes,
    (SELECT count(*) FROM mining_records)::int AS records, (SELECT count(*) FROM economic_metrics)::int AS metrics`);
  return counts;
}

/** The inconsistencies of the ledger; there must be none. */
async function faultsOf(db: TestDatabase, mint: Mint): Promise<readonly unknown[]> {
  const sums = await db.admin('SELECT currency, sum(balance) FROM wallets GROUP BY currency HAVING sum(balance) <> 0');
  const totals = await db.admin(`
    SELECT wallet_id FROM mining_totals
    FULL JOIN (
      SELECT coalesce(wallet_id, system_wallet('treasury', 'AZR')) AS wallet_id, sum(reward) AS mined
      FROM mining_records WHERE status = 'rewarded' GROUP BY GROUPING SETS ((mining_records.wallet_id), ())
      HAVING sum(reward) > 0
    ) AS recounted USING (wallet_id, mined)
    WHERE recounted.mined IS NULL OR mining_totals.mined IS NULL`);
  return [...sums, ...totals, ...(await reconcile(mint))];
}
