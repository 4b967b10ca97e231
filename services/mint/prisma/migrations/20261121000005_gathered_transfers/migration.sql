-- Why: transfers that a process asks for at once are made by one call, each for itself, for a fraction of the time.
-- Locks: none that reads or writes wait for; functions are added and replaced.
-- Runs again: no, once per database; inside one transaction.

-- Moves what was inserted by one statement. One row, the common case, by as few statements as can be; many by arrays. Plans
-- are made once, and are good for two rows as for thousands: how many there are is not in them, for they do not read
-- `posted` itself, and they find wallets by their ids, also where wallets are few when they are made and many later.
CREATE OR REPLACE FUNCTION "post_transactions"() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
DECLARE
  entry record;
  payer record;
  receiver record;
  found_wallet record;
  ids text[];
  types transaction_type[];
  payers text[];
  receivers text[];
  amounts numeric[];
  times timestamptz[];
  refers boolean[];
  misfits text[];
BEGIN
  SELECT id, type, from_id, to_id, amount, stake_id, hold_id, created_at,
    EXISTS (SELECT FROM posted OFFSET 1) AS is_one_of_many
  INTO entry FROM posted LIMIT 1;
  IF NOT FOUND THEN
    RETURN NULL;
  ELSIF NOT entry.is_one_of_many THEN
    FOR found_wallet IN
      SELECT id, kind, status, balance FROM wallets WHERE id IN (entry.from_id, entry.to_id)
      ORDER BY id COLLATE "C" FOR NO KEY UPDATE
    LOOP
      IF found_wallet.id = entry.from_id THEN payer := found_wallet; END IF;
      IF found_wallet.id = entry.to_id THEN receiver := found_wallet; END IF;
    END LOOP;
    IF entry.stake_id IS NOT NULL OR entry.hold_id IS NOT NULL OR payer.status = 'closed' OR receiver.status = 'closed'
      OR NOT sides_fit(entry.type, payer.kind, receiver.kind)
    THEN
      PERFORM check_entries(ARRAY[entry.id]);
    END IF;
    IF receiver.balance + entry.amount >= 1e10 OR payer.balance - entry.amount <= -1e10 THEN
      PERFORM refuse_balance_limit(
        CASE WHEN receiver.balance + entry.amount >= 1e10 THEN receiver.id ELSE payer.id END);
    END IF;
    UPDATE wallets SET
      balance = balance + CASE id WHEN entry.to_id THEN entry.amount ELSE -entry.amount END,
      earned = earned + CASE
        WHEN id = entry.to_id AND entry.type IN ('reward', 'mining', 'staking_reward') THEN entry.amount ELSE 0 END,
      updated_at = greatest(updated_at, entry.created_at)
    WHERE id IN (entry.from_id, entry.to_id);
  ELSE
    SELECT array_agg(id), array_agg(type), array_agg(from_id), array_agg(to_id), array_agg(amount),
      array_agg(created_at), array_agg(stake_id IS NOT NULL OR hold_id IS NOT NULL)
    INTO ids, types, payers, receivers, amounts, times, refers FROM posted;
    PERFORM FROM wallets WHERE id = ANY (payers || receivers) ORDER BY id COLLATE "C" FOR NO KEY UPDATE;
    SELECT array_agg(p.id) INTO misfits
    FROM unnest(ids, types, payers, receivers, refers) AS p (id, type, from_id, to_id, refers)
    JOIN wallets AS f ON f.id = p.from_id JOIN wallets AS t ON t.id = p.to_id
    WHERE p.refers OR f.status = 'closed' OR t.status = 'closed' OR NOT sides_fit(p.type, f.kind, t.kind);
    IF misfits IS NOT NULL THEN PERFORM check_entries(misfits); END IF;
    BEGIN
      UPDATE wallets AS w SET balance = w.balance + sums.change, earned = w.earned + sums.earned,
        updated_at = greatest(w.updated_at, sums.newest)
      FROM (
        SELECT wallet_id, sum(change) AS change, sum(earned) AS earned, max(at) AS newest FROM (
          SELECT wallet_id, -amount AS change, 0 AS earned, at
          FROM unnest(payers, amounts, times) AS paid (wallet_id, amount, at)
          UNION ALL
          SELECT wallet_id, amount, CASE WHEN type IN ('reward', 'mining', 'staking_reward') THEN amount ELSE 0 END, at
          FROM unnest(receivers, types, amounts, times) AS received (wallet_id, type, amount, at)
        ) AS sides GROUP BY wallet_id
      ) AS sums
      WHERE w.id = sums.wallet_id;
    EXCEPTION WHEN numeric_value_out_of_range THEN
      PERFORM refuse_balance_limit(NULL);
    END;
  END IF;
  RETURN NULL;
END
$$;

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
