-- Undoes 20261121000004_faster_ledger: the definitions of 20261121000001_ledger.

SET LOCAL lock_timeout = '5s';

CREATE OR REPLACE FUNCTION "transfer_many"(
  "request_key" text, "hash" text, "transaction_ids" text[], "payer_ids" text[], "receiver_ids" text[],
  "amounts" numeric[],
  "descriptions" text[], "at" timestamptz
) RETURNS SETOF "transactions" LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  answer jsonb := jsonb_build_object('transactionIds', to_jsonb(transaction_ids));
  earlier jsonb := begin_request(request_key, 'transferMany', hash, answer, at);
  wrong record;
BEGIN
  IF earlier IS NOT NULL THEN
    RETURN QUERY SELECT * FROM answered_transactions(earlier);
    RETURN;
  END IF;
  PERFORM require_amount(amount) FROM unnest(amounts) AS amount;
  PERFORM FROM wallets WHERE id = ANY (payer_ids || receiver_ids) ORDER BY id COLLATE "C" FOR NO KEY UPDATE;
  SELECT asked.*, p.id AS payer, r.id AS receiver, p.currency AS paid, r.currency AS received,
    p.kind <> 'user' OR r.kind <> 'user' AS is_system, p.kind <> 'user' AS is_payer_system,
    p.status = 'closed' OR r.status = 'closed' AS is_closed, p.status = 'closed' AS is_payer_closed
  INTO wrong
  FROM unnest(payer_ids, receiver_ids) WITH ORDINALITY AS asked (payer_id, receiver_id, place)
  LEFT JOIN wallets AS p ON p.id = asked.payer_id LEFT JOIN wallets AS r ON r.id = asked.receiver_id
  WHERE p.id IS NULL OR r.id IS NULL OR p.id = r.id OR p.currency <> r.currency OR p.kind <> 'user' OR r.kind <> 'user'
    OR p.status = 'closed' OR r.status = 'closed'
  ORDER BY asked.place LIMIT 1;
  IF FOUND THEN
    IF wrong.payer_id = wrong.receiver_id THEN
      PERFORM refuse('same_wallet', jsonb_build_object('walletId', wrong.payer_id, 'place', wrong.place),
        'Name two different wallets.');
    ELSIF wrong.payer IS NULL OR wrong.receiver IS NULL THEN
      PERFORM refuse('wallet_not_found', jsonb_build_object('place', wrong.place,
        'walletId', CASE WHEN wrong.payer IS NULL THEN wrong.payer_id ELSE wrong.receiver_id END), 'Open it first.');
    ELSIF wrong.is_closed THEN
      PERFORM refuse('wallet_closed', jsonb_build_object('place', wrong.place,
        'walletId', CASE WHEN wrong.is_payer_closed THEN wrong.payer_id ELSE wrong.receiver_id END),
        'Name an active wallet.');
    ELSIF wrong.is_system THEN
      PERFORM refuse('system_wallet', jsonb_build_object('place', wrong.place,
        'walletId', CASE WHEN wrong.is_payer_system THEN wrong.payer_id ELSE wrong.receiver_id END),
        'Money moves from and to the system by minting, burning and staking only.');
    END IF;
    PERFORM refuse('currency_mismatch',
      jsonb_build_object('place', wrong.place, 'from', wrong.paid, 'to', wrong.received),
        'Both wallets must have one currency.');
  END IF;
  SELECT w.id, w.balance - w.held AS available, -sums.change AS asked INTO wrong
  FROM (
    SELECT wallet_id, sum(change) AS change FROM (
      SELECT payer_id AS wallet_id, -amount AS change FROM unnest(payer_ids, amounts) AS paid (payer_id, amount)
      UNION ALL
      SELECT receiver_id, amount FROM unnest(receiver_ids, amounts) AS received (receiver_id, amount)
    ) AS sides GROUP BY wallet_id
  ) AS sums JOIN wallets AS w ON w.id = sums.wallet_id
  WHERE w.balance - w.held + sums.change < 0 ORDER BY w.id LIMIT 1;
  IF FOUND THEN
    PERFORM refuse('insufficient_funds', jsonb_build_object('walletId', wrong.id, 'available', wrong.available::text,
      'asked', trim_scale(wrong.asked)::text), 'Bring money into the wallet, or ask for less.');
  END IF;
  INSERT INTO transactions (id, type, from_id, to_id, currency, amount, description, request_key, created_at)
  SELECT asked.id, 'transfer', asked.payer_id, asked.receiver_id, w.currency, asked.amount, asked.description,
    request_key, at
  FROM unnest(transaction_ids, payer_ids, receiver_ids, amounts, descriptions)
    AS asked (id, payer_id, receiver_id, amount, description)
  JOIN wallets AS w ON w.id = asked.payer_id;
  RETURN QUERY SELECT * FROM answered_transactions(answer);
END
$$;

CREATE OR REPLACE FUNCTION "transfer_money"(
  "request_key" text, "hash" text, "transaction_id" text, "payer_id" text, "receiver_id" text, "amount" numeric,
  "description" text, "at" timestamptz
) RETURNS SETOF "transactions" LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  earlier jsonb := begin_request(request_key, 'transfer', hash,
    jsonb_build_object('transactionIds', jsonb_build_array(transaction_id)), at);
  locked record;
BEGIN
  IF earlier IS NOT NULL THEN
    RETURN QUERY SELECT * FROM answered_transactions(earlier);
    RETURN;
  END IF;
  locked := lock_payment(payer_id, receiver_id, amount);
  RETURN QUERY INSERT INTO transactions (id, type, from_id, to_id, currency, amount, description, request_key,
    created_at)
    VALUES (transaction_id, 'transfer', payer_id, receiver_id, (locked.payer).currency, amount, description,
      request_key, at)
    RETURNING *;
END
$$;

CREATE OR REPLACE FUNCTION "post_transactions"() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  entry transactions;
  payer wallets;
  receiver wallets;
  found_wallet wallets;
  misfit record;
  entries bigint;
BEGIN
  SELECT count(*) INTO entries FROM posted;
  IF entries = 1 THEN
    SELECT * INTO entry FROM posted;
    FOR found_wallet IN
      SELECT * FROM wallets WHERE id IN (entry.from_id, entry.to_id) ORDER BY id COLLATE "C" FOR NO KEY UPDATE
    LOOP
      IF found_wallet.id = entry.from_id THEN payer := found_wallet; END IF;
      IF found_wallet.id = entry.to_id THEN receiver := found_wallet; END IF;
    END LOOP;
    PERFORM check_entry(entry, payer, receiver);
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
  ELSIF entries > 1 THEN
    EXECUTE $many$
      SELECT count(*) FROM (
        SELECT FROM wallets WHERE id IN (SELECT from_id FROM posted UNION ALL SELECT to_id FROM posted)
        ORDER BY id COLLATE "C" FOR NO KEY UPDATE
      ) AS locked $many$;
    -- Few, if any: the rest of each is looked up one by one.
    FOR misfit IN EXECUTE $many$
      SELECT p.id, p.from_id, p.to_id
      FROM posted AS p JOIN wallets AS f ON f.id = p.from_id JOIN wallets AS t ON t.id = p.to_id
      WHERE p.stake_id IS NOT NULL OR p.hold_id IS NOT NULL OR f.status = 'closed' OR t.status = 'closed'
        OR NOT sides_fit(p.type, f.kind, t.kind) $many$
    LOOP
      SELECT * INTO entry FROM transactions WHERE id = misfit.id;
      SELECT * INTO payer FROM wallets WHERE id = misfit.from_id;
      SELECT * INTO receiver FROM wallets WHERE id = misfit.to_id;
      PERFORM check_entry(entry, payer, receiver);
    END LOOP;
    BEGIN
      EXECUTE $many$
        UPDATE wallets AS w SET balance = w.balance + sums.change, earned = w.earned + sums.earned,
          updated_at = greatest(w.updated_at, sums.newest)
        FROM (
          SELECT wallet_id, sum(change) AS change, sum(earned) AS earned, max(created_at) AS newest FROM (
            SELECT from_id AS wallet_id, -amount AS change, 0 AS earned, created_at FROM posted
            UNION ALL
            SELECT to_id, amount, CASE WHEN type IN ('reward', 'mining', 'staking_reward') THEN amount ELSE 0 END,
              created_at
            FROM posted
          ) AS sides GROUP BY wallet_id
        ) AS sums
        WHERE w.id = sums.wallet_id $many$;
    EXCEPTION WHEN numeric_value_out_of_range THEN
      PERFORM refuse_balance_limit(NULL);
    END;
  END IF;
  RETURN NULL;
END
$$;

DROP FUNCTION "check_transfers"(text[], text[], numeric[]);
DROP FUNCTION "check_entries"(text[]);

DROP TRIGGER "wallets_status_transition" ON "wallets";
CREATE TRIGGER "wallets_status_transition" BEFORE UPDATE ON "wallets" FOR EACH ROW
  WHEN (OLD."status" IS DISTINCT FROM NEW."status") EXECUTE FUNCTION "check_wallet_status"();

DROP TRIGGER "wallets_keep_owner" ON "wallets";
CREATE TRIGGER "wallets_keep_owner" BEFORE UPDATE ON "wallets" FOR EACH ROW
  WHEN (
    (OLD."id", OLD."kind", OLD."user_id", OLD."currency")
    IS DISTINCT FROM (NEW."id", NEW."kind", NEW."user_id", NEW."currency")
  )
  EXECUTE FUNCTION "refuse_wallet_change"();
DROP TRIGGER "wallets_money_moves_with_entries" ON "wallets";
CREATE TRIGGER "wallets_money_moves_with_entries" BEFORE UPDATE ON "wallets" FOR EACH ROW
  WHEN (
    pg_trigger_depth() = 0
    AND (OLD."balance", OLD."held", OLD."earned") IS DISTINCT FROM (NEW."balance", NEW."held", NEW."earned")
  )
  EXECUTE FUNCTION "refuse_wallet_change"();
