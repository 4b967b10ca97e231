-- Why: when one of the transfers of a call is rejected, the others no longer have to be made one by one.
-- Locks: none that reads or writes wait for: one function is dropped and two are created. A process of the previous version
-- calls the dropped function, gets an error, and makes each transfer by a call of its own.
-- Rerun: no, once per database; inside one transaction.

SET LOCAL lock_timeout = '5s';

DROP FUNCTION "transfer_gathered"(text[], text[], text[], text[], text[], numeric[], text[], timestamptz[]);

-- Judges transfers one after the other, each by what the ones before it leave, as if each were made alone in this order.
-- For each place: the rule that rejects it and the facts for its error, or the id of the transaction that its key already
-- has. Both are NULL for a transfer that can be made. A true in "is_own" says that the caller has just inserted the key.
-- The rules and their order are those of transfer_money, without balance_limit: a balance cannot exceed its limit by a
-- transfer, because all balances of a currency together are what its treasury owes, which has the same limit.
CREATE FUNCTION "judge_transfers"(
  "request_keys" text[], "hashes" text[], "payer_ids" text[], "receiver_ids" text[], "amounts" numeric[], "is_own" boolean[],
  OUT "rules" text[], OUT "facts" jsonb[], OUT "earlier_ids" text[], OUT "currencies" currency[]
) LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  -- Payers that cannot cover all of their transfers, so that the order decides.
  scarce text[];
  balances jsonb := '{}';
  asked record;
BEGIN
  SELECT array_agg(judged.rule ORDER BY judged.place), array_agg(
      CASE judged.rule
        WHEN 'key_reused' THEN jsonb_build_object('operation', judged.operation, 'asked', 'transfer')
        WHEN 'amount_invalid' THEN '{}'
        WHEN 'same_wallet' THEN jsonb_build_object('walletId', judged.payer_id)
        WHEN 'wallet_closed' THEN jsonb_build_object('walletId', judged.closed_id)
        WHEN 'wallet_not_found' THEN jsonb_build_object('walletId', judged.missing_id)
        WHEN 'currency_mismatch' THEN jsonb_build_object('from', judged.currency, 'to', judged.receiver_currency)
        WHEN 'system_wallet' THEN jsonb_build_object('walletId', judged.system_id)
      END ORDER BY judged.place),
    array_agg(judged.earlier_id ORDER BY judged.place), array_agg(judged.currency ORDER BY judged.place),
    array_agg(judged.payer_id) FILTER (WHERE judged.is_possible AND judged.available < judged.paid)
  INTO rules, facts, earlier_ids, currencies, scarce
  FROM (
    SELECT ruled.*, sum(ruled.amount) FILTER (WHERE ruled.is_possible) OVER (PARTITION BY ruled.payer_id) AS paid
    FROM (
      SELECT named.*, named.rule IS NULL AND named.earlier_id IS NULL AS is_possible
      FROM (
        SELECT item.place, item.payer_id, item.receiver_id, item.amount, earlier.operation,
          payer.currency, receiver.currency AS receiver_currency, payer.balance - payer.held AS available,
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
        FROM unnest(request_keys, hashes, payer_ids, receiver_ids, amounts, is_own) WITH ORDINALITY
          AS item (key, hash, payer_id, receiver_id, amount, is_own, place)
        LEFT JOIN requests AS earlier ON earlier.key = item.key AND item.is_own IS NOT TRUE
        LEFT JOIN wallets AS payer ON payer.id = item.payer_id
        LEFT JOIN wallets AS receiver ON receiver.id = item.receiver_id
      ) AS named
    ) AS ruled
  ) AS judged;
  IF scarce IS NULL THEN RETURN; END IF;
  FOR asked IN
    SELECT item.place, item.payer_id, item.receiver_id, item.amount, payer.held,
      payer.balance AS payer_balance, receiver.balance AS receiver_balance
    FROM unnest(payer_ids, receiver_ids, amounts, rules, earlier_ids) WITH ORDINALITY
      AS item (payer_id, receiver_id, amount, rule, earlier_id, place)
    JOIN wallets AS payer ON payer.id = item.payer_id JOIN wallets AS receiver ON receiver.id = item.receiver_id
    WHERE item.rule IS NULL AND item.earlier_id IS NULL
      AND (item.payer_id = ANY (scarce) OR item.receiver_id = ANY (scarce))
    ORDER BY item.place
  LOOP
    asked.payer_balance := coalesce((balances ->> asked.payer_id)::numeric, asked.payer_balance);
    asked.receiver_balance := coalesce((balances ->> asked.receiver_id)::numeric, asked.receiver_balance);
    IF asked.payer_balance - asked.held < asked.amount THEN
      rules[asked.place] := 'insufficient_funds';
      facts[asked.place] := jsonb_build_object('walletId', asked.payer_id,
        'available', (asked.payer_balance - asked.held)::text, 'asked', trim_scale(asked.amount)::text);
    ELSE
      balances := balances || jsonb_build_object(asked.payer_id, asked.payer_balance - asked.amount,
        asked.receiver_id, asked.receiver_balance + asked.amount);
    END IF;
  END LOOP;
END
$$;

-- Makes each transfer that can be made and says of every other one why not: a row for each key, with the transaction, or
-- with the rule that rejects it and the facts for its error. Rejected transfers leave their keys free.
--
-- Keys are locked before wallets, as everywhere. But which keys to insert follows from balances, so the transfers are
-- judged twice: first without locks, to know the keys, then under the locks that the keys and wallets are held by. If
-- somebody else changed the outcome in between, nothing is written and the caller runs the statement again.
-- Nobody waits here for long: a wallet or key that somebody else works on would keep all of them waiting.
CREATE FUNCTION "transfer_each"(
  "request_keys" text[], "hashes" text[], "transaction_ids" text[], "payer_ids" text[], "receiver_ids" text[],
  "amounts" numeric[], "descriptions" text[], "times" timestamptz[]
) RETURNS TABLE ("key" text, "rule" text, "facts" jsonb, "made" "transactions") LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp SET plan_cache_mode = force_generic_plan SET enable_seqscan = off
SET lock_timeout = '100ms' AS $$
#variable_conflict use_column
DECLARE
  expected record;
  judged record;
  is_own boolean[];
  taken integer;
BEGIN
  expected := judge_transfers(request_keys, hashes, payer_ids, receiver_ids, amounts, NULL);
  SELECT array_agg(item.rule IS NULL AND item.earlier_id IS NULL ORDER BY item.place) INTO is_own
  FROM unnest(expected.rules, expected.earlier_ids) WITH ORDINALITY AS item (rule, earlier_id, place);
  INSERT INTO requests (key, operation, body_hash, answer, created_at)
    SELECT item.key, 'transfer', item.hash,
      jsonb_build_object('transactionIds', jsonb_build_array(item.transaction_id)), item.at
    FROM unnest(request_keys, hashes, transaction_ids, times, is_own) AS item (key, hash, transaction_id, at, is_own)
    WHERE item.is_own ORDER BY item.key COLLATE "C"
    ON CONFLICT (key) DO NOTHING;
  GET DIAGNOSTICS taken = ROW_COUNT;
  -- Of the rejected transfers, only those that depend on a balance need locks.
  PERFORM FROM wallets
  WHERE id = ANY (ARRAY(
    SELECT side.wallet_id
    FROM unnest(payer_ids, receiver_ids, is_own, expected.rules) AS item (payer_id, receiver_id, is_own, rule)
    CROSS JOIN LATERAL (VALUES (item.payer_id), (item.receiver_id)) AS side (wallet_id)
    WHERE item.is_own OR item.rule = 'insufficient_funds'
  ))
  ORDER BY id COLLATE "C" FOR NO KEY UPDATE;
  judged := judge_transfers(request_keys, hashes, payer_ids, receiver_ids, amounts, is_own);
  IF taken <> cardinality(array_positions(is_own, true))
    OR judged.rules IS DISTINCT FROM expected.rules OR judged.earlier_ids IS DISTINCT FROM expected.earlier_ids
  THEN
    RAISE EXCEPTION 'a wallet or key of these transfers changed while they were judged'
      USING ERRCODE = 'serialization_failure', HINT = 'Run the statement again.';
  END IF;
  RETURN QUERY
    INSERT INTO transactions (id, type, from_id, to_id, currency, amount, description, request_key, created_at)
      SELECT item.transaction_id, 'transfer', item.payer_id, item.receiver_id, item.currency, item.amount,
        item.description, item.key, item.at
      FROM unnest(request_keys, transaction_ids, payer_ids, receiver_ids, amounts, descriptions, times, is_own,
        judged.currencies)
        AS item (key, transaction_id, payer_id, receiver_id, amount, description, at, is_own, currency)
      WHERE item.is_own
      RETURNING request_key::text, NULL::text, NULL::jsonb, transactions;
  IF taken = cardinality(request_keys) THEN RETURN; END IF;
  RETURN QUERY
    SELECT item.key, item.rule, item.facts, earlier
    FROM unnest(request_keys, judged.rules, judged.facts, judged.earlier_ids) AS item (key, rule, facts, earlier_id)
    LEFT JOIN transactions AS earlier ON earlier.id = item.earlier_id
    WHERE item.rule IS NOT NULL OR item.earlier_id IS NOT NULL;
END
$$;
