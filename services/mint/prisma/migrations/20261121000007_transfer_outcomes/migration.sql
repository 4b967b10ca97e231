-- Why: when one of the transfers of a call is rejected, the others no longer have to be made one by one.
-- Locks: none that reads or writes wait for: one function is dropped and two are created. A process of the previous version
-- calls the dropped function, gets an error, and makes each transfer by a call of its own.
-- Runs again: no, once per database; inside one transaction.

SET LOCAL lock_timeout = '5s';

-- lint-ignore drops-unmanaged: transfer_each replaces it
DROP FUNCTION "transfer_gathered"(text[], text[], text[], text[], text[], numeric[], text[], timestamptz[]);

-- The places of the transfers that "scarce" payers cannot cover when the transfers are made one after the other, each with
-- what its payer has available at that point. Only transfers that are possible count; the other payers are known to cover
-- theirs.
CREATE FUNCTION "uncovered_transfers"(
  "payer_ids" text[], "receiver_ids" text[], "amounts" numeric[], "are_possible" boolean[], "scarce" text[],
  OUT "places" bigint[], OUT "available" numeric[]
) LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  changes jsonb := '{}';
  item record;
BEGIN
  FOR item IN
    SELECT asked.place, asked.payer_id, asked.receiver_id, asked.amount, payer.balance - payer.held AS available
    FROM unnest(payer_ids, receiver_ids, amounts, are_possible) WITH ORDINALITY
      AS asked (payer_id, receiver_id, amount, is_possible, place)
    CROSS JOIN LATERAL (SELECT balance, held FROM wallets WHERE id = asked.payer_id OFFSET 0) AS payer
    WHERE asked.is_possible AND (asked.payer_id = ANY (scarce) OR asked.receiver_id = ANY (scarce))
    ORDER BY asked.place
  LOOP
    item.available := item.available + coalesce((changes ->> item.payer_id)::numeric, 0);
    IF item.available < item.amount AND item.payer_id = ANY (scarce) THEN
      places := places || item.place;
      available := available || item.available;
    ELSE
      changes := changes || jsonb_build_object(
        item.payer_id, coalesce((changes ->> item.payer_id)::numeric, 0) - item.amount,
        item.receiver_id, coalesce((changes ->> item.receiver_id)::numeric, 0) + item.amount);
    END IF;
  END LOOP;
END
$$;

-- Makes transfers that have nothing to do with each other, each under a key of its own, as if they were made alone in this
-- order: a row for each, with its transaction, or with the rule that rejects it and the facts for the error. A rejected
-- transfer leaves its key free. Rules and their precedence are those of transfer_money, without balance_limit: no balance
-- outgrows its column by a transfer, because together the balances of a currency are what its treasury owes.
--
-- Keys are locked before wallets, as everywhere, but which keys to insert depends on the balances. So the balances are read
-- without locks first and checked again under locks. If they changed in between, the statement fails as a serialization
-- failure, and the caller runs it again.
-- No call waits long for a lock: whatever holds it would keep all of the transfers waiting.
-- Plans are made once per session, when tables may be small: LATERAL with OFFSET 0 keeps them from reading whole tables.
CREATE FUNCTION "transfer_each"(
  "request_keys" text[], "hashes" text[], "transaction_ids" text[], "payer_ids" text[], "receiver_ids" text[],
  "amounts" numeric[], "descriptions" text[], "times" timestamptz[]
) RETURNS TABLE ("key" text, "rule" text, "facts" jsonb, "made" "transactions") LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp SET plan_cache_mode = force_generic_plan SET enable_seqscan = off
SET lock_timeout = '100ms' AS $$
#variable_conflict use_column
DECLARE
  all_rules text[];
  all_facts jsonb[];
  earlier_ids text[];
  funds numeric[];
  are_possible boolean[];
  are_made boolean[];
  scarce text[];
  uncovered record;
  still record;
  expected integer;
  inserted integer;
  is_changed boolean := false;
BEGIN
  SELECT array_agg(judged.rule), array_agg(
      CASE judged.rule
        WHEN 'key_reused' THEN jsonb_build_object('operation', judged.operation, 'asked', 'transfer')
        WHEN 'amount_invalid' THEN '{}'
        WHEN 'same_wallet' THEN jsonb_build_object('walletId', judged.payer_id)
        WHEN 'wallet_closed' THEN jsonb_build_object('walletId', judged.closed_id)
        WHEN 'wallet_not_found' THEN jsonb_build_object('walletId', judged.missing_id)
        WHEN 'currency_mismatch' THEN jsonb_build_object('from', judged.paid, 'to', judged.received)
        WHEN 'system_wallet' THEN jsonb_build_object('walletId', judged.system_id)
      END),
    array_agg(judged.earlier_id), array_agg(judged.available),
    array_agg(judged.rule IS NULL AND judged.earlier_id IS NULL)
  INTO all_rules, all_facts, earlier_ids, funds, are_possible
  FROM (
    SELECT item.payer_id, earlier.operation, payer.balance - payer.held AS available,
      payer.currency AS paid, receiver.currency AS received,
      CASE
        WHEN earlier.operation = 'transfer' AND earlier.body_hash = item.hash
          THEN earlier.answer -> 'transactionIds' ->> 0
      END AS earlier_id,
      CASE
        WHEN payer.status = 'closed' AND (receiver.status IS DISTINCT FROM 'closed' OR payer.id COLLATE "C" < receiver.id)
          THEN payer.id
        ELSE receiver.id
      END AS closed_id,
      CASE WHEN payer.id IS NULL THEN item.payer_id ELSE item.receiver_id END AS missing_id,
      CASE WHEN payer.kind <> 'user' THEN payer.id ELSE receiver.id END AS system_id,
      CASE
        WHEN earlier.key IS NOT NULL THEN
          CASE WHEN earlier.operation <> 'transfer' OR earlier.body_hash <> item.hash THEN 'key_reused' END
        WHEN (item.amount > 0 AND item.amount < 1e10 AND scale(trim_scale(item.amount)) <= 8) IS NOT TRUE
          THEN 'amount_invalid'
        WHEN item.payer_id = item.receiver_id THEN 'same_wallet'
        WHEN payer.status = 'closed' OR receiver.status = 'closed' THEN 'wallet_closed'
        WHEN payer.id IS NULL OR receiver.id IS NULL THEN 'wallet_not_found'
        WHEN payer.currency <> receiver.currency THEN 'currency_mismatch'
        WHEN payer.kind <> 'user' OR receiver.kind <> 'user' THEN 'system_wallet'
      END AS rule
    FROM unnest(request_keys, hashes, payer_ids, receiver_ids, amounts) WITH ORDINALITY
      AS item (key, hash, payer_id, receiver_id, amount, place)
    LEFT JOIN LATERAL (SELECT * FROM requests WHERE key = item.key OFFSET 0) AS earlier ON true
    LEFT JOIN LATERAL (SELECT * FROM wallets WHERE id = item.payer_id OFFSET 0) AS payer ON true
    LEFT JOIN LATERAL (SELECT * FROM wallets WHERE id = item.receiver_id OFFSET 0) AS receiver ON true
    ORDER BY item.place
  ) AS judged;
  are_made := are_possible;
  SELECT array_agg(payers.id) INTO scarce
  FROM (
    SELECT item.payer_id AS id FROM unnest(payer_ids, amounts, funds, are_possible) AS item (payer_id, amount, funds, is_possible)
    WHERE item.is_possible GROUP BY item.payer_id HAVING sum(item.amount) > min(item.funds)
  ) AS payers;
  IF scarce IS NOT NULL THEN
    uncovered := uncovered_transfers(payer_ids, receiver_ids, amounts, are_possible, scarce);
    FOR n IN 1 .. coalesce(cardinality(uncovered.places), 0) LOOP
      are_made[uncovered.places[n]] := false;
    END LOOP;
  END IF;
  expected := coalesce(cardinality(array_positions(are_made, true)), 0);

  INSERT INTO requests (key, operation, body_hash, answer, created_at)
    SELECT item.key, 'transfer', item.hash,
      jsonb_build_object('transactionIds', jsonb_build_array(item.transaction_id)), item.at
    FROM unnest(request_keys, hashes, transaction_ids, times, are_made) AS item (key, hash, transaction_id, at, is_made)
    WHERE item.is_made ORDER BY item.key COLLATE "C"
    ON CONFLICT (key) DO NOTHING;
  GET DIAGNOSTICS inserted = ROW_COUNT;
  is_changed := inserted <> expected;

  IF scarce IS NOT NULL AND NOT is_changed THEN
    PERFORM FROM wallets
    WHERE id = ANY (ARRAY(
      SELECT unnest(ARRAY[item.payer_id, item.receiver_id])
      FROM unnest(payer_ids, receiver_ids, are_possible) AS item (payer_id, receiver_id, is_possible)
      WHERE item.is_possible
    ))
    ORDER BY id COLLATE "C" FOR NO KEY UPDATE;
    still := uncovered_transfers(payer_ids, receiver_ids, amounts, are_possible, scarce);
    is_changed := still.places IS DISTINCT FROM uncovered.places OR EXISTS (
      SELECT FROM requests
      WHERE key = ANY (ARRAY(SELECT request_keys[asked.place] FROM unnest(still.places) AS asked (place)))
    );
    FOR n IN 1 .. coalesce(cardinality(still.places), 0) LOOP
      all_rules[still.places[n]] := 'insufficient_funds';
      all_facts[still.places[n]] := jsonb_build_object('walletId', payer_ids[still.places[n]],
        'available', still.available[n]::text, 'asked', trim_scale(amounts[still.places[n]])::text);
    END LOOP;
  END IF;

  IF NOT is_changed THEN
    RETURN QUERY
      WITH locked AS MATERIALIZED (
        SELECT id, currency, balance - held AS available, kind = 'user' AND status = 'active' AS takes_part
        FROM wallets
        WHERE id = ANY (ARRAY(
          SELECT unnest(ARRAY[item.payer_id, item.receiver_id])
          FROM unnest(payer_ids, receiver_ids, are_made) AS item (payer_id, receiver_id, is_made) WHERE item.is_made
        ))
        ORDER BY id COLLATE "C" FOR NO KEY UPDATE
      ), fitting AS (
        SELECT item.*, payer.currency,
          payer.available >= sum(item.amount) OVER (PARTITION BY item.payer_id) OR item.payer_id = ANY (scarce) AS is_covered
        FROM unnest(request_keys, transaction_ids, payer_ids, receiver_ids, amounts, descriptions, times, are_made)
          AS item (key, transaction_id, payer_id, receiver_id, amount, description, at, is_made)
        JOIN locked AS payer ON payer.id = item.payer_id
        JOIN locked AS receiver ON receiver.id = item.receiver_id
        WHERE item.is_made AND payer.takes_part AND receiver.takes_part
      )
      INSERT INTO transactions (id, type, from_id, to_id, currency, amount, description, request_key, created_at)
        SELECT transaction_id, 'transfer', payer_id, receiver_id, currency, amount, description, key, at
        FROM fitting WHERE is_covered
        RETURNING request_key::text, NULL::text, NULL::jsonb, transactions;
    GET DIAGNOSTICS inserted = ROW_COUNT;
    is_changed := inserted <> expected;
  END IF;
  IF is_changed THEN
    RAISE EXCEPTION 'a wallet or key of these transfers changed while they were judged'
      USING ERRCODE = 'serialization_failure', HINT = 'Run the statement again.';
  END IF;
  IF expected < cardinality(request_keys) THEN
    RETURN QUERY
      SELECT item.key, item.rule, item.facts, earlier.made
      FROM unnest(request_keys, all_rules, all_facts, earlier_ids) AS item (key, rule, facts, earlier_id)
      LEFT JOIN LATERAL (
        SELECT transactions AS made FROM transactions WHERE id = item.earlier_id OFFSET 0
      ) AS earlier ON true
      WHERE item.rule IS NOT NULL OR item.earlier_id IS NOT NULL;
  END IF;
END
$$;
