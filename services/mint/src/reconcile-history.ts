/**
 * Checks of the history, as parts of the statement of `reconcile`: rows of (check, subject, expected, found). Where a row or
 * a chain is compared as a whole, 1 is expected, and 0 is found for one that differs or is missing.
 */

/** Rows whose columns do not match the hash that was written with them. */
const CHANGED_ROWS = `
  SELECT "check", subject, 1::numeric AS expected, 0::numeric AS found
  FROM (
    SELECT 'request.hash' AS "check", key AS subject FROM requests AS r WHERE hash IS DISTINCT FROM request_hash(r)
    UNION ALL
    SELECT 'transaction.hash', id FROM transactions AS t WHERE hash IS DISTINCT FROM transaction_hash(t)
    UNION ALL
    SELECT 'hold.hash', id FROM holds AS h WHERE hash IS DISTINCT FROM hold_hash(h)
    UNION ALL
    SELECT 'hold.resolution', id FROM holds AS h
      WHERE resolved_hash IS DISTINCT FROM hold_resolved_hash(h) OR (resolved_hash IS NULL) <> (resolved_seq IS NULL)
    UNION ALL
    SELECT 'stake.hash', id FROM stakes AS s WHERE hash IS DISTINCT FROM stake_hash(s)
    UNION ALL
    SELECT 'stake.state', id FROM stakes AS s WHERE state_hash IS DISTINCT FROM stake_state_hash(s)
    UNION ALL
    SELECT 'mining.hash', id FROM mining_records AS m WHERE hash IS DISTINCT FROM mining_hash(m)
    UNION ALL
    SELECT 'mining.decision', id FROM mining_records AS m
      WHERE decided_hash IS DISTINCT FROM mining_decided_hash(m) OR (decided_hash IS NULL) <> (decided_seq IS NULL)
    UNION ALL
    SELECT 'metrics.hash', id FROM economic_metrics AS m WHERE hash IS DISTINCT FROM metrics_hash(m)
  ) AS changed`;

/** Rows that others name and that are not there, and requests that no row names. */
const MISSING_ROWS = `
  SELECT "check", subject, 1::numeric, 0::numeric
  FROM (
    SELECT 'transaction.missing' AS "check", listed.id AS subject
      FROM requests AS r
      CROSS JOIN LATERAL jsonb_array_elements_text(
        CASE jsonb_typeof(r.answer -> 'transactionIds') WHEN 'array' THEN r.answer -> 'transactionIds' ELSE '[]' END) AS listed (id)
      LEFT JOIN transactions AS t ON t.id = listed.id WHERE t.id IS NULL
    UNION
    SELECT 'transaction.missing', m.transaction_id FROM mining_records AS m LEFT JOIN transactions AS t ON t.id = m.transaction_id
      WHERE m.transaction_id IS NOT NULL AND t.id IS NULL
    UNION
    SELECT 'hold.missing', r.answer ->> 'holdId' FROM requests AS r LEFT JOIN holds AS h ON h.id = r.answer ->> 'holdId'
      WHERE r.answer ? 'holdId' AND h.id IS NULL
    UNION
    SELECT 'hold.missing', t.hold_id FROM transactions AS t LEFT JOIN holds AS h ON h.id = t.hold_id
      WHERE t.hold_id IS NOT NULL AND h.id IS NULL
    UNION
    SELECT 'stake.missing', t.stake_id FROM transactions AS t LEFT JOIN stakes AS s ON s.id = t.stake_id
      WHERE t.stake_id IS NOT NULL AND s.id IS NULL
    UNION
    SELECT 'mining.missing', r.answer ->> 'recordId'
      FROM requests AS r LEFT JOIN mining_records AS m ON m.id = r.answer ->> 'recordId'
      WHERE r.answer ? 'recordId' AND m.id IS NULL
    UNION
    SELECT 'wallet.missing', wallet_id FROM chains WHERE is_missing
    UNION
    SELECT 'wallet.missing', o.wallet_id FROM wallet_openings AS o LEFT JOIN wallets AS w ON w.id = o.wallet_id WHERE w.id IS NULL
    UNION
    SELECT 'opening.missing', w.id FROM wallets AS w LEFT JOIN wallet_openings AS o ON o.wallet_id = w.id WHERE o.wallet_id IS NULL
    UNION
    SELECT 'request.missing', named.key
      FROM (
        SELECT request_key AS key FROM transactions UNION SELECT request_key FROM holds
        UNION SELECT resolved_key FROM holds UNION SELECT request_key FROM mining_records
      ) AS named
      LEFT JOIN requests AS r ON r.key = named.key WHERE named.key IS NOT NULL AND r.key IS NULL
    UNION
    SELECT 'request.unused', r.key FROM requests AS r
      WHERE NOT EXISTS (SELECT FROM transactions AS t WHERE t.request_key = r.key)
        AND NOT EXISTS (SELECT FROM holds AS h WHERE h.request_key = r.key)
        AND NOT EXISTS (SELECT FROM holds AS h WHERE h.resolved_key = r.key)
        AND NOT EXISTS (SELECT FROM mining_records AS m WHERE m.request_key = r.key)
  ) AS missing`;

/** The chain and the number of events of each wallet, from the rows that exist. */
export const CHAINS = `
  SELECT coalesce(w.id, event.wallet_id) AS wallet_id, w.id IS NULL AS is_missing,
         count(event.seq) + coalesce(w.closings, 0) AS entries, w.entries AS stored_entries, w.chain AS stored_chain,
         w.last_seq AS stored_seq, CASE w.closings WHEN 0 THEN coalesce(max(event.seq), 0) ELSE greatest(w.last_seq, max(event.seq) + 1) END AS last_seq,
         w.closing, coalesce(fold_chain(coalesce(w.start, ''), event.link ORDER BY event.seq) FILTER (WHERE event.seq IS NOT NULL), w.start)
           AS chain
    FROM (
      SELECT id, entries, last_seq, chain, wallet_hash(wallets) AS start, CASE status WHEN 'closed' THEN 1 ELSE 0 END AS closings,
             CASE status WHEN 'closed' THEN wallet_closed_hash(wallets) END AS closing
      FROM wallets OFFSET 0
    ) AS w
    FULL JOIN ledger_events() AS event ON event.wallet_id = w.id
    GROUP BY w.id, event.wallet_id, w.closings, w.entries, w.last_seq, w.chain, w.closing, w.start`;

/** The sequence moves while others write, also under the statement's snapshot, so its number is read once. */
const WALLET_CHAINS = `
  SELECT 'wallet.entries' AS "check", wallet_id AS subject, entries AS expected, stored_entries AS found
    FROM chains WHERE NOT is_missing
  UNION ALL
  SELECT 'wallet.lastSeq', wallet_id, last_seq, stored_seq FROM chains WHERE NOT is_missing
  UNION ALL
  SELECT 'ledger.seq', 'ledger_seq', greatest((SELECT max(stored_seq) FROM chains), number), number
    FROM (SELECT last_number() AS number OFFSET 0) AS sequence
  UNION ALL
  SELECT 'wallet.chain', wallet_id, 1, CASE
      WHEN stored_chain = CASE WHEN closing IS NULL THEN chain ELSE next_chain(chain, chain, closing) END THEN 1 ELSE 0 END
    FROM chains WHERE NOT is_missing`;

export const HISTORY_CHECKS = `${CHANGED_ROWS} UNION ALL ${MISSING_ROWS} UNION ALL ${WALLET_CHAINS}`;
