/** The outbox holds an event for a day at least; the rest is for clocks that differ. */
const HELD = `interval '23 hours'`;

/** The events of transactions that the outbox holds, and what the transaction would publish. */
export const PUBLISHED = `
  SELECT o.payload ->> 'transactionId' AS id, o.event_id::text AS event_id,
         o.payload = jsonb_object(ARRAY['transactionId', t.id, 'transactionType', t.type::text, 'fromWalletId', t.from_id,
           'toWalletId', t.to_id, 'currency', t.currency::text, 'amount', t.amount::text, 'holdId', t.hold_id,
           'stakeId', t.stake_id, 'requestKeyHash', encode(sha256(convert_to(t.request_key, 'UTF8')), 'hex'),
           'seq', t.seq::text]) AS is_right
  FROM outbox AS o LEFT JOIN transactions AS t ON t.id = o.payload ->> 'transactionId'
  WHERE o.type = 'mint.transaction-posted.v1'`;

/**
 * Transactions against the events of the outbox: each of the last day has exactly one, and each event has its transaction.
 * Transactions from before the outbox have none.
 */
export const EVENT_CHECKS = `
  SELECT 'transaction.event' AS "check", t.id AS subject, 1 AS expected, count(p.id) AS found
    FROM transactions AS t LEFT JOIN published AS p ON p.id = t.id AND p.is_right
    WHERE t.created_at <= (SELECT database_time())
      AND t.created_at > greatest((SELECT database_time()) - ${HELD}, (SELECT created_at FROM outbox_relay))
    GROUP BY t.id
  UNION ALL
  SELECT 'event.transaction', event_id, 1, CASE WHEN is_right THEN 1 ELSE 0 END FROM published`;
