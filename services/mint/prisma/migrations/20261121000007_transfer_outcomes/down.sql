-- Reverts 20261121000007_transfer_outcomes: restores the function of 20261121000005_gathered_transfers.

SET LOCAL lock_timeout = '5s';

DROP FUNCTION "transfer_each"(text[], text[], text[], text[], text[], numeric[], text[], timestamptz[]);
DROP FUNCTION "uncovered_transfers"(text[], text[], numeric[], boolean[], text[]);

-- Makes transfers that have nothing to do with each other: each under a key of its own, each covered by what its payer has
-- without what others pay here, so that some order exists in which each could have been made alone. All or none: when one
-- at least does not fit, each is a matter for transfer_money, which knows why.
-- Nobody waits here for long: a wallet or key that somebody else works on would keep all of them waiting.
CREATE FUNCTION "transfer_gathered"(
  "request_keys" text[], "hashes" text[], "transaction_ids" text[], "payer_ids" text[], "receiver_ids" text[],
  "amounts" numeric[], "descriptions" text[], "times" timestamptz[]
) RETURNS SETOF "transactions" LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp SET plan_cache_mode = force_generic_plan SET enable_seqscan = off
SET lock_timeout = '100ms' AS $$
DECLARE
  done integer;
BEGIN
  -- A key that is there, or stands twice in the call, ends it here.
  INSERT INTO requests (key, operation, body_hash, answer, created_at)
    SELECT asked.key, 'transfer', asked.hash,
      jsonb_build_object('transactionIds', jsonb_build_array(asked.transaction_id)), asked.at
    FROM unnest(request_keys, hashes, transaction_ids, times) AS asked (key, hash, transaction_id, at)
    ORDER BY asked.key COLLATE "C";
  RETURN QUERY
    WITH locked AS MATERIALIZED (
      SELECT id, currency, balance - held AS available, kind = 'user' AND status = 'active' AS takes_part
      FROM wallets WHERE id = ANY (payer_ids || receiver_ids) ORDER BY id COLLATE "C" FOR NO KEY UPDATE
    ), fitting AS (
      SELECT asked.*, payer.currency,
        payer.available >= sum(asked.amount) OVER (PARTITION BY asked.payer_id) AS is_covered
      FROM unnest(request_keys, transaction_ids, payer_ids, receiver_ids, amounts, descriptions, times)
        AS asked (key, transaction_id, payer_id, receiver_id, amount, description, at)
      JOIN locked AS payer ON payer.id = asked.payer_id
      JOIN locked AS receiver ON receiver.id = asked.receiver_id
      WHERE payer.takes_part AND receiver.takes_part AND payer.currency = receiver.currency
        AND payer.id <> receiver.id
        AND asked.amount > 0 AND asked.amount < 1e10 AND scale(trim_scale(asked.amount)) <= 8
    )
    INSERT INTO transactions (id, type, from_id, to_id, currency, amount, description, request_key, created_at)
      SELECT transaction_id, 'transfer', payer_id, receiver_id, currency, amount, description, key, at
      FROM fitting WHERE is_covered
      RETURNING *;
  GET DIAGNOSTICS done = ROW_COUNT;
  IF done <> cardinality(request_keys) THEN
    PERFORM refuse('gathered_transfers', '{}', 'Ask for each by itself.');
  END IF;
END
$$;
