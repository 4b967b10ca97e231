import { type Anchor, findRewritten, type Rewritten } from './anchors.store';
import type { Mint } from './client';
import { Prisma } from './generated/client';
import { CHAINS, HISTORY_CHECKS } from './reconcile-history';
import { TIMES } from './reconcile-times';

/** A value that the ledger stores and the value that its entries add up to. */
export interface Difference {
  /** The name of the check, such as `wallet.balance`; services/mint/README.md lists them. */
  readonly check: string;
  /** The id of the row, the key of the request, or the currency. */
  readonly subject: string;
  /** The sum of the entries, or a count; seconds since 1970 in the checks of a time; 1 in the checks of the history. */
  readonly expected: Prisma.Decimal;
  /** The stored value, or a count; 0 in the checks of the history, for a row or a chain that differs or is missing. */
  readonly found: Prisma.Decimal;
  /** found minus expected. */
  readonly difference: Prisma.Decimal;
}

/** Wallets against their transactions and open holds; the balances of a currency against zero. */
const WALLETS = `
  SELECT 'wallet.balance' AS check, w.id AS subject, coalesce(e.balance, 0) AS expected, w.balance AS found
    FROM wallets AS w LEFT JOIN entries AS e ON e.wallet_id = w.id
  UNION ALL
  SELECT 'wallet.earned', w.id, coalesce(e.earned, 0), w.earned
    FROM wallets AS w LEFT JOIN entries AS e ON e.wallet_id = w.id
  UNION ALL
  SELECT 'wallet.held', w.id, coalesce(h.amount, 0), w.held
    FROM wallets AS w
    LEFT JOIN (SELECT wallet_id, sum(amount) AS amount FROM holds WHERE status = 'held' GROUP BY wallet_id) AS h
      ON h.wallet_id = w.id
  UNION ALL
  SELECT 'currency.sum', currency::text, 0, sum(balance) FROM wallets GROUP BY currency`;

/** Stakes against their transactions and terms; the active stakes against the balance of the staking wallet. */
const STAKES = `
  SELECT 'staking.balance' AS check, w.id AS subject, coalesce(sum(s.amount), 0) AS expected, w.balance AS found
    FROM wallets AS w
    LEFT JOIN (
      SELECT payer.currency, stakes.amount FROM stakes JOIN wallets AS payer ON payer.id = stakes.wallet_id
      WHERE stakes.status = 'active'
    ) AS s ON s.currency = w.currency
    WHERE w.kind = 'staking' GROUP BY w.id, w.balance
  UNION ALL
  SELECT 'stake.amount', s.id, coalesce(p.filled, 0), s.amount FROM stakes AS s LEFT JOIN payments AS p ON p.stake_id = s.id
  UNION ALL
  SELECT 'stake.withdrawn', s.id, coalesce(p.emptied, 0), CASE s.status WHEN 'withdrawn' THEN s.amount ELSE 0 END
    FROM stakes AS s LEFT JOIN payments AS p ON p.stake_id = s.id
  UNION ALL
  SELECT 'stake.rewards', s.id, coalesce(p.rewarded, 0), s.rewards_earned
    FROM stakes AS s LEFT JOIN payments AS p ON p.stake_id = s.id
  UNION ALL
  SELECT 'stake.accrued', id, staking_reward(amount, annual_rate, started_at, accrued_until), rewards_accrued FROM stakes`;

/** Mining totals against mining records; the row of the treasury is the total of all wallets. */
const MINING = `
  SELECT 'mining.total' AS "check", coalesce(m.wallet_id, t.wallet_id) AS subject, coalesce(m.reward, 0) AS expected,
         coalesce(t.mined, 0) AS found
    FROM (
      SELECT coalesce(wallet_id, system_wallet('treasury', 'AZR')) AS wallet_id, sum(reward) AS reward
      FROM mining_records WHERE status = 'rewarded' GROUP BY GROUPING SETS ((mining_records.wallet_id), ())
    ) AS m
    FULL JOIN mining_totals AS t ON t.wallet_id = m.wallet_id`;

/** Holds against their captures; requests against the transactions and holds that their answers name. */
const REQUESTS = `
  SELECT 'hold.captured' AS check, h.id AS subject, coalesce(t.amount, 0) AS expected, h.captured_amount AS found
    FROM holds AS h LEFT JOIN transactions AS t ON t.hold_id = h.id
  UNION ALL
  SELECT 'request.transactions', r.key, CASE jsonb_typeof(r.answer -> 'transactionIds') WHEN 'array' THEN jsonb_array_length(r.answer -> 'transactionIds') ELSE 0 END,
         coalesce(t.found, 0)
    FROM requests AS r
    LEFT JOIN (SELECT request_key, count(*) AS found FROM transactions GROUP BY request_key) AS t ON t.request_key = r.key
  UNION ALL
  SELECT 'request.hold', r.key, 1, count(h.id)
    FROM requests AS r LEFT JOIN holds AS h ON h.id = r.answer ->> 'holdId'
    WHERE r.answer ? 'holdId' GROUP BY r.key`;

const ANCHOR_CHECKS: Readonly<Record<Rewritten['source'], string>> = {
  wallets: 'wallet.anchor',
  transactions: 'transaction.anchor',
  holds: 'hold.anchor',
  mining_records: 'mining.anchor',
  economic_metrics: 'metrics.anchor',
};

/** One statement, so that it sees one snapshot while others write. */
const RECONCILE = `
  WITH entries AS (
    SELECT wallet_id, sum(change) AS balance, sum(earned) AS earned
    FROM (
      SELECT from_id AS wallet_id, -amount AS change, 0 AS earned FROM transactions
      UNION ALL
      SELECT to_id, amount, CASE WHEN type IN ('reward', 'mining', 'staking_reward') THEN amount ELSE 0 END FROM transactions
    ) AS sides
    GROUP BY wallet_id
  ), payments AS (
    SELECT stake_id, sum(amount) FILTER (WHERE type = 'stake') AS filled, sum(amount) FILTER (WHERE type = 'unstake') AS emptied,
           sum(amount) FILTER (WHERE type = 'staking_reward') AS rewarded
    FROM transactions WHERE stake_id IS NOT NULL GROUP BY stake_id
  ), chains AS (
    ${CHAINS}
  )
  SELECT "check", subject, expected, found, found - expected AS difference
  FROM (
    ${WALLETS} UNION ALL ${STAKES} UNION ALL ${MINING} UNION ALL ${REQUESTS} UNION ALL ${HISTORY_CHECKS} UNION ALL (${TIMES})
  ) AS compared
  WHERE found IS DISTINCT FROM expected
  ORDER BY "check", subject`;

type DifferenceRow = { readonly [Field in keyof Difference]: string };

export interface ReconcileInput {
  /** The ends of chains that `listAnchors` returned at an earlier time and that were kept outside the database. */
  readonly anchors?: Iterable<Anchor> | AsyncIterable<Anchor>;
}

/**
 * Recomputes balances, stakes, holds, mining totals, requests, hashes and chains from the rows of the ledger and returns the
 * differences: none in a consistent ledger. A row that was changed, added or removed past the triggers is named. A history
 * that was rewritten with matching hashes differs from anchors only. It reads every table; for a large ledger open the
 * store with a larger `pool.statementTimeoutMs`.
 * @throws {SuiteError} `MINT.INVALID_INPUT` for a wrong anchor
 */
export async function reconcile(mint: Mint, { anchors = [] }: ReconcileInput = {}): Promise<readonly Difference[]> {
  const rows = await mint.query<DifferenceRow>({ text: RECONCILE, values: [] });
  const differences = rows.map(({ check, subject, expected, found, difference }) => ({
    check,
    subject,
    expected: new Prisma.Decimal(expected),
    found: new Prisma.Decimal(found),
    difference: new Prisma.Decimal(difference),
  }));
  const [one, none, less] = [new Prisma.Decimal(1), new Prisma.Decimal(0), new Prisma.Decimal(-1)];
  for (const { source, id } of await findRewritten(mint, anchors))
    differences.push({ check: ANCHOR_CHECKS[source], subject: id, expected: one, found: none, difference: less });
  return differences;
}
