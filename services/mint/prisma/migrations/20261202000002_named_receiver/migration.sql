-- transfer_money without a receiver fails with the rule wallet_not_found, as transfer_many and transfer_each do. Before, it failed
-- with a raw NOT NULL violation.
-- Locks: none but on the function, for milliseconds.

SET LOCAL lock_timeout = '5s';

CREATE OR REPLACE FUNCTION transfer_money(
  request_key text, hash text, transaction_id text, payer_id text, receiver_id text, amount numeric, description text
) RETURNS SETOF transactions LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  earlier jsonb;
  locked record;
BEGIN
  -- Takes the key, locks the wallets in their order, and inserts the transaction if they fit. The setting tells the trigger
  -- that the wallets of this row are locked already.
  RETURN QUERY
    WITH request AS (
      INSERT INTO requests (key, operation, body_hash, answer, created_at)
        VALUES (request_key, 'transfer', hash, jsonb_build_object('transactionIds', jsonb_build_array(transaction_id)),
          database_time())
        ON CONFLICT (key) DO NOTHING RETURNING requests.key
    )
    INSERT INTO transactions (id, type, from_id, to_id, currency, amount, description, request_key, created_at)
    SELECT transaction_id, 'transfer', payer_id, receiver_id, sides.currency, amount, description, request.key, database_time()
    FROM request CROSS JOIN LATERAL (
      SELECT one.currency, CASE one.id WHEN payer_id THEN one.balance - one.held ELSE other.balance - other.held END AS available,
        one.id <> other.id AND one.currency = other.currency AND one.kind = 'user' AND other.kind = 'user'
          AND one.status = 'active' AND other.status = 'active' AS fits
      FROM wallets AS one CROSS JOIN wallets AS other
      WHERE request.key IS NOT NULL
        AND one.id = CASE WHEN payer_id COLLATE "C" < receiver_id THEN payer_id ELSE receiver_id END
        AND other.id = CASE WHEN payer_id COLLATE "C" < receiver_id THEN receiver_id ELSE payer_id END
      FOR NO KEY UPDATE OF one, other
    ) AS sides
    WHERE sides.fits AND amount > 0 AND amount <= sides.available AND scale(trim_scale(amount)) <= 8
      AND set_config('azora.wallets_locked_for', transaction_id, true) IS NOT NULL
    RETURNING transactions.*;
  IF FOUND THEN RETURN; END IF;
  -- The answer of an earlier request, or of this one, which has no transaction yet.
  earlier := begin_request(request_key, 'transfer', hash,
    jsonb_build_object('transactionIds', jsonb_build_array(transaction_id)));
  RETURN QUERY SELECT * FROM answered_transactions(earlier);
  IF FOUND THEN RETURN; END IF;
  -- lock_payment accepts a missing receiver, for holds without one.
  IF receiver_id IS NULL THEN
    PERFORM refuse('wallet_not_found', jsonb_build_object('walletId', receiver_id), 'Name the wallet that receives the money.');
  END IF;
  -- The wallets do not fit, or only did not when the statement above began.
  locked := lock_payment(payer_id, receiver_id, amount);
  RETURN QUERY INSERT INTO transactions (id, type, from_id, to_id, currency, amount, description, request_key, created_at)
    VALUES (transaction_id, 'transfer', payer_id, receiver_id, (locked.payer).currency, amount, description, request_key,
      database_time())
    RETURNING *;
END
$$;
