/**
 * The difference between the clocks of two servers that reconcile accepts: after a failover, a row can be dated before an
 * earlier one.
 */
const TOLERANCE = `interval '1 minute'`;
/** Rows that earlier versions wrote in one request, each dated by its own clock reading. */
const ONE_STATEMENT = `interval '100 milliseconds'`;
const NOW = `(SELECT database_time()) + ${TOLERANCE}`;

/** A stake starts and ends with its transactions, is locked for a day at least, and accrues between its start and now. */
const STAKE_TIMES = `
  SELECT 'stake.startedAt' AS "check", s.id AS subject, s.started_at AS at,
         t.funded_at - ${ONE_STATEMENT} AS earliest, least(t.funded_at + ${ONE_STATEMENT}, ${NOW}) AS latest
    FROM stakes AS s LEFT JOIN stake_entries AS t ON t.stake_id = s.id
  UNION ALL
  SELECT 'stake.lockedUntil', id, locked_until, started_at + interval '24 hours', NULL FROM stakes
  UNION ALL
  SELECT 'stake.accruedUntil', id, accrued_until, started_at, ${NOW} FROM stakes
  UNION ALL
  SELECT 'stake.withdrawnAt', s.id, s.withdrawn_at, t.returned_at, least(t.returned_at, ${NOW})
    FROM stakes AS s LEFT JOIN stake_entries AS t ON t.stake_id = s.id`;

/** A hold is created under its request, and resolved after that: a captured one at the time of its transaction. */
const HOLD_TIMES = `
  SELECT 'hold.createdAt', h.id, h.created_at, r.created_at - ${TOLERANCE}, ${NOW}
    FROM holds AS h JOIN requests AS r ON r.key = h.request_key
  UNION ALL
  SELECT 'hold.resolvedAt', h.id, h.resolved_at, coalesce(t.created_at, h.created_at - ${TOLERANCE}), least(t.created_at, ${NOW})
    FROM holds AS h LEFT JOIN transactions AS t ON t.hold_id = h.id`;

/** A record is decided after its submission; one that submitKnowledge rewarded has the time of its transaction. */
const MINING_TIMES = `
  SELECT 'mining.createdAt', m.id, m.created_at,
         CASE WHEN m.decided_at = t.created_at THEN t.created_at ELSE w.created_at - ${TOLERANCE} END,
         least(t.created_at + ${ONE_STATEMENT}, ${NOW})
    FROM mining_records AS m JOIN wallets AS w ON w.id = m.wallet_id LEFT JOIN transactions AS t ON t.id = m.transaction_id
  UNION ALL
  SELECT 'mining.decidedAt', id, decided_at, created_at - ${TOLERANCE}, ${NOW} FROM mining_records`;

/**
 * A total begins with the decision that has the lowest number. If the clock was set back, later decisions have earlier times.
 */
const MINING_TOTAL_TIMES = `
  SELECT 'miningTotal.createdAt', t.wallet_id, t.created_at, m.earliest_at, m.first_at
    FROM mining_totals AS t JOIN mined AS m ON m.wallet_id = t.wallet_id
  UNION ALL
  SELECT 'miningTotal.updatedAt', t.wallet_id, t.updated_at, m.last_at, m.last_at
    FROM mining_totals AS t JOIN mined AS m ON m.wallet_id = t.wallet_id`;

const METRICS_TIMES = `
  SELECT 'metrics.capturedAt', id, captured_at, NULL, created_at FROM economic_metrics
  UNION ALL
  SELECT 'metrics.createdAt', id, created_at, NULL, ${NOW} FROM economic_metrics`;

const ROW_TIMES = `
  SELECT 'wallet.createdAt', id, created_at, NULL::timestamptz, ${NOW} FROM wallets
  UNION ALL
  SELECT 'wallet.updatedAt', id, updated_at, NULL, ${NOW} FROM wallets
  UNION ALL
  SELECT 'wallet.closedAt', id, closed_at, created_at - ${TOLERANCE}, ${NOW} FROM wallets
  UNION ALL
  SELECT 'opening.createdAt', o.wallet_id, o.created_at, w.created_at, w.created_at
    FROM wallet_openings AS o JOIN wallets AS w ON w.id = o.wallet_id
  UNION ALL
  SELECT 'request.createdAt', key, created_at, NULL, ${NOW} FROM requests
  UNION ALL
  SELECT 'transaction.createdAt', id, created_at, NULL, ${NOW} FROM transactions`;

/**
 * Times against the times between which they must lie, in seconds since 1970: the expected one is the nearest that fits.
 * Times that no rule reads are left out.
 */
export const TIMES = `
  WITH stake_entries AS (
    SELECT stake_id, max(created_at) FILTER (WHERE type = 'stake') AS funded_at,
           max(created_at) FILTER (WHERE type = 'unstake') AS returned_at
    FROM transactions WHERE stake_id IS NOT NULL GROUP BY stake_id
  ), mined AS (
    SELECT coalesce(wallet_id, system_wallet('treasury', 'AZR')) AS wallet_id, min(decided_at) AS earliest_at,
           (array_agg(decided_at ORDER BY decided_seq))[1] AS first_at, max(decided_at) AS last_at
    FROM mining_records WHERE status = 'rewarded' GROUP BY GROUPING SETS ((mining_records.wallet_id), ())
  )
  SELECT "check", subject, extract(epoch FROM least(greatest(at, earliest), latest)) AS expected, extract(epoch FROM at) AS found
  FROM (${STAKE_TIMES} UNION ALL ${HOLD_TIMES} UNION ALL ${MINING_TIMES} UNION ALL ${MINING_TOTAL_TIMES}
    UNION ALL ${METRICS_TIMES} UNION ALL ${ROW_TIMES}) AS times
  WHERE at IS NOT NULL`;
