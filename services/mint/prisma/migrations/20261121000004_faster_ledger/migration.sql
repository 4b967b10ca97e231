-- Why: where everything fits, a transfer takes fewer statements and calls. What is refused, and by which name, stays.
-- Locks: wallets against writes while three of its triggers are made anew; no row is read or written.
-- Runs again: no, once per database; inside one transaction.

SET LOCAL lock_timeout = '5s';

-- Triggers of wallets -------------------------------------------------------------------------------------------------

-- A statement that moves money sets none of these columns. That is known from the statement; a condition on the rows is
-- read from the catalogue's text again for each statement.
DROP TRIGGER "wallets_keep_owner" ON "wallets";
CREATE TRIGGER "wallets_keep_owner" BEFORE UPDATE OF "id", "kind", "user_id", "currency" ON "wallets" FOR EACH ROW
  WHEN (
    OLD."id" IS DISTINCT FROM NEW."id" OR OLD."kind" IS DISTINCT FROM NEW."kind"
    OR OLD."user_id" IS DISTINCT FROM NEW."user_id" OR OLD."currency" IS DISTINCT FROM NEW."currency"
  )
  EXECUTE FUNCTION "refuse_wallet_change"();
-- The same condition column by column: a comparison of rows is worded otherwise after a restore.
DROP TRIGGER "wallets_money_moves_with_entries" ON "wallets";
CREATE TRIGGER "wallets_money_moves_with_entries" BEFORE UPDATE ON "wallets" FOR EACH ROW
  WHEN (
    pg_trigger_depth() = 0
    AND (
      OLD."balance" IS DISTINCT FROM NEW."balance" OR OLD."held" IS DISTINCT FROM NEW."held"
      OR OLD."earned" IS DISTINCT FROM NEW."earned"
    )
  )
  EXECUTE FUNCTION "refuse_wallet_change"();
DROP TRIGGER "wallets_status_transition" ON "wallets";
CREATE TRIGGER "wallets_status_transition" BEFORE UPDATE OF "status" ON "wallets" FOR EACH ROW
  WHEN (OLD."status" IS DISTINCT FROM NEW."status") EXECUTE FUNCTION "check_wallet_status"();

-- What moves balances -------------------------------------------------------------------------------------------------

-- check_entry for those that refer to a stake or a hold, and for those that it is to refuse by name.
CREATE FUNCTION "check_entries"("entry_ids" text[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  PERFORM check_entry(entry, payer, receiver)
  FROM transactions AS entry
  JOIN wallets AS payer ON payer.id = entry.from_id JOIN wallets AS receiver ON receiver.id = entry.to_id
  WHERE entry.id = ANY (entry_ids);
END
$$;

-- Moves what was inserted by one statement. One row, the common case, by plans that are made once, and by as few as can
-- be; many rows by plans that are made for as many, for a plan that was made for thousands would read all wallets for
-- two.
CREATE OR REPLACE FUNCTION "post_transactions"() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  entry record;
  payer record;
  receiver record;
  found_wallet record;
  misfits text[];
  locks bigint;
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
    -- What is not joined is locked all the same, for it is counted.
    EXECUTE $many$
      WITH locked AS MATERIALIZED (
        SELECT id, kind, status FROM wallets WHERE id IN (SELECT from_id FROM posted UNION ALL SELECT to_id FROM posted)
        ORDER BY id COLLATE "C" FOR NO KEY UPDATE
      )
      SELECT array_agg(p.id), (SELECT count(*) FROM locked)
      FROM posted AS p JOIN locked AS f ON f.id = p.from_id JOIN locked AS t ON t.id = p.to_id
      WHERE p.stake_id IS NOT NULL OR p.hold_id IS NOT NULL OR f.status = 'closed' OR t.status = 'closed'
        OR NOT sides_fit(p.type, f.kind, t.kind) $many$
    INTO misfits, locks;
    IF misfits IS NOT NULL THEN PERFORM check_entries(misfits); END IF;
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

-- Operations ----------------------------------------------------------------------------------------------------------

-- Helpers are called for what does not fit only, and say what it is: begin_request about a key that is there,
-- lock_payment about amounts and wallets.
CREATE OR REPLACE FUNCTION "transfer_money"(
  "request_key" text, "hash" text, "transaction_id" text, "payer_id" text, "receiver_id" text, "amount" numeric,
  "description" text, "at" timestamptz
) RETURNS SETOF "transactions" LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  new_answer jsonb := jsonb_build_object('transactionIds', jsonb_build_array(transaction_id));
  earlier jsonb;
  found_wallet record;
  money currency;
  fitting integer := 0;
BEGIN
  INSERT INTO requests (key, operation, body_hash, answer, created_at)
    VALUES (request_key, 'transfer', hash, new_answer, at) ON CONFLICT (key) DO NOTHING;
  IF NOT FOUND THEN
    earlier := begin_request(request_key, 'transfer', hash, new_answer, at);
    IF earlier IS NOT NULL THEN
      RETURN QUERY SELECT * FROM answered_transactions(earlier);
      RETURN;
    END IF;
  END IF;
  FOR found_wallet IN
    SELECT id, currency, kind = 'user' AND status = 'active' AS takes_part, balance - held AS available
    FROM wallets WHERE id IN (payer_id, receiver_id) ORDER BY id COLLATE "C" FOR NO KEY UPDATE
  LOOP
    CONTINUE WHEN NOT found_wallet.takes_part OR found_wallet.currency <> money
      OR found_wallet.id = payer_id AND found_wallet.available < amount;
    money := found_wallet.currency;
    fitting := fitting + 1;
  END LOOP;
  IF (fitting = 2 AND amount > 0 AND amount < 1e10 AND scale(trim_scale(amount)) <= 8) IS NOT TRUE THEN
    PERFORM lock_payment(payer_id, receiver_id, amount);
  END IF;
  RETURN QUERY INSERT INTO transactions (id, type, from_id, to_id, currency, amount, description, request_key,
    created_at)
    VALUES (transaction_id, 'transfer', payer_id, receiver_id, money, amount, description, request_key, at)
    RETURNING *;
END
$$;

-- Refuses by name what does not fit of many transfers, whose wallets are locked; what does fit it lets pass.
CREATE FUNCTION "check_transfers"("payer_ids" text[], "receiver_ids" text[], "amounts" numeric[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  wrong record;
BEGIN
  PERFORM require_amount(amount) FROM unnest(amounts) AS amount;
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
END
$$;

-- All or nothing, under one key, judged by what is left when all have happened. Sets, not a loop. One query locks the
-- wallets and asks whether everything fits; wallets of several currencies are left to check_transfers too, which joins.
CREATE OR REPLACE FUNCTION "transfer_many"(
  "request_key" text, "hash" text, "transaction_ids" text[], "payer_ids" text[], "receiver_ids" text[],
  "amounts" numeric[],
  "descriptions" text[], "at" timestamptz
) RETURNS SETOF "transactions" LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  earlier jsonb := begin_request(request_key, 'transferMany', hash,
    jsonb_build_object('transactionIds', to_jsonb(transaction_ids)), at);
  fits boolean;
BEGIN
  IF earlier IS NOT NULL THEN
    RETURN QUERY SELECT * FROM answered_transactions(earlier);
    RETURN;
  END IF;
  SELECT bool_and((sums.fits AND sums.found = 1 AND sums.rest >= 0) IS TRUE)
    AND min(sums.currency) = max(sums.currency)
  INTO fits
  FROM (
    SELECT bool_and(side.fits) AS fits, count(side.currency) AS found, sum(side.change) AS rest,
      max(side.currency) AS currency
    FROM (
      SELECT id AS wallet_id, currency, balance - held AS change, kind = 'user' AND status = 'active' AS fits
      FROM (
        SELECT * FROM wallets WHERE id = ANY (payer_ids || receiver_ids) ORDER BY id COLLATE "C" FOR NO KEY UPDATE
      ) AS locked
      UNION ALL
      SELECT payer_id, NULL, -amount,
        (payer_id <> receiver_id AND amount > 0 AND amount < 1e10 AND scale(trim_scale(amount)) <= 8) IS TRUE
      FROM unnest(payer_ids, receiver_ids, amounts) AS paid (payer_id, receiver_id, amount)
      UNION ALL
      SELECT receiver_id, NULL, amount, true
      FROM unnest(receiver_ids, amounts) AS received (receiver_id, amount)
    ) AS side GROUP BY side.wallet_id
  ) AS sums;
  IF fits IS NOT TRUE THEN PERFORM check_transfers(payer_ids, receiver_ids, amounts); END IF;
  RETURN QUERY INSERT INTO transactions
      (id, type, from_id, to_id, currency, amount, description, request_key, created_at)
    SELECT asked.id, 'transfer', asked.payer_id, asked.receiver_id, w.currency, asked.amount, asked.description,
      request_key, at
    FROM unnest(transaction_ids, payer_ids, receiver_ids, amounts, descriptions) WITH ORDINALITY
      AS asked (id, payer_id, receiver_id, amount, description, place)
    JOIN wallets AS w ON w.id = asked.payer_id
    ORDER BY asked.place
    RETURNING *;
END
$$;
