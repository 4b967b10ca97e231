-- Reverts 20261130000003_ledger_chain: the hashes and chains are gone; a later migration up chains the history anew.

SET LOCAL lock_timeout = '5s';

DROP TRIGGER "requests_write_hash" ON "requests";
DROP TRIGGER "transactions_write_hash" ON "transactions";
DROP TRIGGER "transactions_rewrite_hash" ON "transactions";
DROP TRIGGER "transactions_append_only" ON "transactions";
DROP TRIGGER "transactions_keep_seq" ON "transactions";
DROP TRIGGER "holds_write_hash" ON "holds";
DROP TRIGGER "holds_transition" ON "holds";
DROP TRIGGER "holds_keep_hash" ON "holds";
DROP TRIGGER "stakes_write_hash" ON "stakes";
DROP TRIGGER "mining_records_write_hash" ON "mining_records";
DROP TRIGGER "economic_metrics_write_hash" ON "economic_metrics";
DROP TRIGGER "economic_metrics_extend_chain" ON "economic_metrics";
DROP TRIGGER "economic_metrics_append_only" ON "economic_metrics";
DROP TRIGGER "wallets_start_chain" ON "wallets";
DROP TRIGGER "wallets_write_closing" ON "wallets";
DROP TRIGGER "wallets_keep_owner" ON "wallets";
DROP TRIGGER "wallets_money_moves_with_entries" ON "wallets";

DROP FUNCTION "ledger_events"();
DROP AGGREGATE "fold_chain"(bytea, bytea);
DROP FUNCTION "next_chain"(bytea, bytea, bytea), "extend_chains"(text[], bigint[], bytea[]), "refuse_numbers"(text[]),
  "last_number"(), "locked_wallets"(text[]), "rewrite_transaction_hash"(), "post_entries"(text[]),
  "refuse_overflow"(text[]), "refuse_row"(text, text), "write_request_hash"(), "write_transaction_hash"(), "write_hold_hash"(),
  "write_stake_hash"(), "write_mining_hash"(), "write_metrics_hash"(), "post_metrics"(), "start_chain"(), "end_chain"(),
  "check_wallet_money"(), "request_hash"("requests"), "transaction_hash"("transactions"),
  "hold_hash"("holds"), "hold_resolved_hash"("holds"), "stake_hash"("stakes"), "stake_state_hash"("stakes"),
  "mining_hash"("mining_records"), "mining_decided_hash"("mining_records"), "metrics_hash"("economic_metrics"),
  "wallet_hash"("wallets"), "wallet_closed_hash"("wallets");

ALTER TABLE "requests" DROP COLUMN "hash";
ALTER TABLE "transactions" DROP COLUMN "seq", DROP COLUMN "hash";
ALTER TABLE "holds" DROP COLUMN "seq", DROP COLUMN "hash", DROP COLUMN "resolved_seq", DROP COLUMN "resolved_hash",
  DROP COLUMN "resolved_key";
ALTER TABLE "stakes" DROP COLUMN "hash", DROP COLUMN "state_hash";
ALTER TABLE "mining_records" DROP COLUMN "seq", DROP COLUMN "hash", DROP COLUMN "decided_seq", DROP COLUMN "decided_hash",
  DROP COLUMN "request_key";
ALTER TABLE "economic_metrics" DROP COLUMN "seq", DROP COLUMN "hash";
ALTER TABLE "wallets" DROP COLUMN "entries", DROP COLUMN "last_seq", DROP COLUMN "chain";
DROP SEQUENCE "ledger_seq";

DROP INDEX "transactions_stake_id_idx";
CREATE INDEX "transactions_stake_id_idx" ON "transactions" ("stake_id");
CREATE INDEX "transactions_type_created_at_idx" ON "transactions" ("type", "created_at");

ALTER TABLE "requests" ADD CONSTRAINT requests_key_check CHECK ((btrim((key)::text) <> ''::text));
ALTER TABLE "requests" ADD CONSTRAINT requests_operation_check CHECK ((btrim((operation)::text) <> ''::text));
ALTER TABLE "requests" ADD CONSTRAINT requests_body_hash_check CHECK ((body_hash ~ '^[0-9a-f]{64}$'::text));
ALTER TABLE "requests" ADD CONSTRAINT requests_answer_check CHECK ((NOT (jsonb_typeof((answer -> 'transactionIds'::text)) IS DISTINCT FROM 'array'::text)));
ALTER TABLE "transactions" ADD CONSTRAINT transactions_amount_check CHECK (((amount > (0)::numeric) AND (amount <> 'NaN'::numeric)));
ALTER TABLE "transactions" ADD CONSTRAINT transactions_description_check CHECK ((btrim((description)::text) <> ''::text));
ALTER TABLE "transactions" ADD CONSTRAINT transactions_distinct_wallets_check CHECK (((type <> 'transfer'::transaction_type) OR (from_id <> to_id)));
ALTER TABLE "transactions" ADD CONSTRAINT transactions_stake_check CHECK (((type = ANY (ARRAY['stake'::transaction_type, 'unstake'::transaction_type, 'staking_reward'::transaction_type])) = (stake_id IS NOT NULL)));
ALTER TABLE "wallets" DROP CONSTRAINT "wallets_balance_check";
DROP FUNCTION "wallet_fits"("wallet_kind", "wallet_status", numeric, numeric, numeric, timestamptz);
ALTER TABLE "wallets" ADD CONSTRAINT wallets_balance_check CHECK (((balance <> 'NaN'::numeric) AND CASE kind WHEN 'treasury'::wallet_kind THEN (balance <= (0)::numeric) ELSE (balance >= held) END));
ALTER TABLE "wallets" ADD CONSTRAINT wallets_owner_check CHECK (((kind = 'user'::wallet_kind) = (user_id IS NOT NULL)));
ALTER TABLE "wallets" ADD CONSTRAINT wallets_closed_check CHECK ( CASE status WHEN 'closed'::wallet_status THEN ((kind = 'user'::wallet_kind) AND (balance = (0)::numeric) AND (held = (0)::numeric) AND (closed_at IS NOT NULL)) ELSE (closed_at IS NULL) END);
ALTER TABLE "wallets" ADD CONSTRAINT wallets_held_check CHECK (((held >= (0)::numeric) AND (held <> 'NaN'::numeric) AND ((kind = 'user'::wallet_kind) OR (held = (0)::numeric))));
ALTER TABLE "wallets" ADD CONSTRAINT wallets_earned_check CHECK (((earned >= (0)::numeric) AND (earned <> 'NaN'::numeric)));
ALTER TABLE "requests" ADD CONSTRAINT "requests_times_check" CHECK (
  "created_at" >= to_timestamp(946684800) AND "created_at" < to_timestamp(253402300800)) NOT VALID;
ALTER TABLE "transactions" ADD CONSTRAINT "transactions_times_check" CHECK (
  "created_at" >= to_timestamp(946684800) AND "created_at" < to_timestamp(253402300800)) NOT VALID;
ALTER TABLE "wallets" ADD CONSTRAINT "wallets_times_check" CHECK (
  "created_at" >= to_timestamp(946684800) AND "created_at" < to_timestamp(253402300800)
  AND "updated_at" >= to_timestamp(946684800) AND "updated_at" < to_timestamp(253402300800)
  AND "closed_at" >= to_timestamp(946684800) AND "closed_at" < to_timestamp(253402300800)) NOT VALID;

CREATE FUNCTION post_stake_transaction() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
  IF NEW.type = 'staking_reward' THEN
    UPDATE stakes SET rewards_earned = rewards_earned + NEW.amount, updated_at = greatest(updated_at, NEW.created_at)
      WHERE id = NEW.stake_id;
  ELSE
    UPDATE stakes SET status = 'withdrawn', withdrawn_at = NEW.created_at,
      updated_at = greatest(updated_at, NEW.created_at)
      WHERE id = NEW.stake_id;
  END IF;
  RETURN NULL;
END
$$;

CREATE TRIGGER transactions_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON transactions FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER transactions_change_stakes AFTER INSERT ON transactions FOR EACH ROW WHEN ((new.type = ANY (ARRAY['unstake'::transaction_type, 'staking_reward'::transaction_type]))) EXECUTE FUNCTION post_stake_transaction();
CREATE TRIGGER holds_transition BEFORE UPDATE ON holds FOR EACH ROW EXECUTE FUNCTION check_hold_change();
CREATE TRIGGER wallets_keep_owner BEFORE UPDATE OF id, kind, user_id, currency ON wallets FOR EACH ROW WHEN (((old.id IS DISTINCT FROM new.id) OR (old.kind IS DISTINCT FROM new.kind) OR (old.user_id IS DISTINCT FROM new.user_id) OR (old.currency IS DISTINCT FROM new.currency))) EXECUTE FUNCTION refuse_wallet_change();
CREATE TRIGGER wallets_money_moves_with_entries BEFORE UPDATE ON wallets FOR EACH ROW WHEN (((pg_trigger_depth() = 0) AND ((old.balance IS DISTINCT FROM new.balance) OR (old.held IS DISTINCT FROM new.held) OR (old.earned IS DISTINCT FROM new.earned)))) EXECUTE FUNCTION refuse_wallet_change();

CREATE OR REPLACE FUNCTION post_transactions() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    AS $$
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

CREATE OR REPLACE FUNCTION post_holds() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
  changed record;
  party record;
BEGIN
  IF TG_OP = 'INSERT' THEN
    FOR changed IN
      SELECT wallet_id, sum(amount) AS change, max(created_at) AS newest FROM posted
      GROUP BY wallet_id ORDER BY wallet_id COLLATE "C"
    LOOP
      UPDATE wallets SET held = held + changed.change, updated_at = greatest(updated_at, changed.newest)
        WHERE id = changed.wallet_id;
    END LOOP;
    FOR party IN
      SELECT w.id, w.kind, w.status FROM (SELECT wallet_id AS id FROM posted UNION SELECT to_id FROM posted) AS sides
      CROSS JOIN LATERAL (SELECT * FROM wallets WHERE wallets.id = sides.id OFFSET 0) AS w
      WHERE w.kind <> 'user' OR w.status = 'closed' LIMIT 1
    LOOP
      PERFORM refuse(CASE party.status WHEN 'closed' THEN 'wallet_closed' ELSE 'system_wallet' END,
        jsonb_build_object('walletId', party.id, 'kind', party.kind), 'A hold is between two active wallets of users.');
    END LOOP;
  ELSE
    FOR changed IN
      SELECT wallet_id, sum(change) AS change, max(moment) AS newest FROM (
        SELECT wallet_id, -amount AS change, NULL::timestamptz AS moment FROM earlier WHERE status = 'held'
        UNION ALL
        SELECT wallet_id, CASE status WHEN 'held' THEN amount ELSE 0 END, resolved_at FROM posted
      ) AS changes
      GROUP BY wallet_id ORDER BY wallet_id COLLATE "C"
    LOOP
      UPDATE wallets SET held = held + changed.change, updated_at = greatest(updated_at, changed.newest)
        WHERE id = changed.wallet_id;
    END LOOP;
  END IF;
  RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION post_mining_records() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
  INSERT INTO mining_totals AS totals (wallet_id, mined, created_at, updated_at)
  SELECT shares.wallet_id, sum(shares.reward), min(shares.decided_at), max(shares.decided_at)
  FROM (
    SELECT wallet_id, reward, decided_at FROM posted WHERE status = 'rewarded'
    UNION ALL
    SELECT system_wallet('treasury', 'AZR'), reward, decided_at FROM posted WHERE status = 'rewarded'
  ) AS shares
  GROUP BY shares.wallet_id ORDER BY shares.wallet_id COLLATE "C"
  ON CONFLICT (wallet_id) DO UPDATE
    SET mined = totals.mined + excluded.mined, updated_at = greatest(totals.updated_at, excluded.updated_at);
  RETURN NULL;
END
$$;

CREATE FUNCTION begin_request(request_key text, asked_operation text, hash text, new_answer jsonb, at timestamptz) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
  earlier requests;
BEGIN
  INSERT INTO requests (key, operation, body_hash, answer, created_at)
    VALUES (request_key, asked_operation, hash, new_answer, at) ON CONFLICT (key) DO NOTHING;
  IF FOUND THEN RETURN NULL; END IF;
  SELECT * INTO STRICT earlier FROM requests WHERE key = request_key;
  IF earlier.operation <> asked_operation OR earlier.body_hash <> hash THEN
    PERFORM refuse('key_reused', jsonb_build_object('operation', earlier.operation, 'asked', asked_operation),
      'A key stands for one request for ever.');
  END IF;
  RETURN earlier.answer;
END
$$;

DROP FUNCTION "transfer_money"(text, text, text, text, text, numeric, text);
CREATE FUNCTION transfer_money(request_key text, hash text, transaction_id text, payer_id text, receiver_id text, amount numeric, description text, at timestamptz) RETURNS SETOF transactions
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
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

DROP FUNCTION "transfer_each"(text[], text[], text[], text[], text[], numeric[], text[]);
CREATE FUNCTION transfer_each(request_keys text[], hashes text[], transaction_ids text[], payer_ids text[], receiver_ids text[], amounts numeric[], descriptions text[], times timestamptz[]) RETURNS TABLE(key text, rule text, facts jsonb, made transactions)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET lock_timeout TO '100ms'
    AS $$
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

DROP FUNCTION "transfer_many"(text, text, text[], text[], text[], numeric[], text[]);
CREATE FUNCTION transfer_many(request_key text, hash text, transaction_ids text[], payer_ids text[], receiver_ids text[], amounts numeric[], descriptions text[], at timestamptz) RETURNS SETOF transactions
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
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

CREATE OR REPLACE FUNCTION "capture_hold"(
  "request_key" text, "hash" text, "transaction_id" text, "captured_hold_id" text, "asked_receiver_id" text,
  "asked_amount" numeric, "asked_description" text
) RETURNS SETOF "transactions" LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  earlier jsonb := begin_request(request_key, 'capture', hash,
    jsonb_build_object('transactionIds', jsonb_build_array(transaction_id), 'holdId', captured_hold_id));
  hold holds;
  receiver_id text;
  paid numeric;
  locked record;
  at timestamptz;
BEGIN
  IF earlier IS NOT NULL THEN
    RETURN QUERY SELECT * FROM answered_transactions(earlier);
    RETURN;
  END IF;
  hold := lock_hold(captured_hold_id, 'captured');
  PERFORM require_unexpired(hold, database_time());
  IF hold.to_id <> asked_receiver_id OR coalesce(hold.to_id, asked_receiver_id) IS NULL THEN
    PERFORM refuse('hold_receiver', jsonb_build_object('holdId', hold.id, 'isDecided', hold.to_id IS NOT NULL),
      'Who is paid is said once: by the hold, or by the capture.');
  ELSIF asked_amount > hold.amount THEN
    PERFORM refuse('capture_too_large',
      jsonb_build_object('holdId', hold.id, 'held', hold.amount::text, 'asked', trim_scale(asked_amount)::text),
      'Capture what is held or less.');
  END IF;
  paid := coalesce(asked_amount, hold.amount);
  receiver_id := coalesce(hold.to_id, asked_receiver_id);
  PERFORM require_amount(paid);
  locked := lock_wallets(hold.wallet_id, receiver_id);
  IF (locked.receiver).kind <> 'user' THEN
    PERFORM refuse('system_wallet', jsonb_build_object('walletId', receiver_id), 'A hold pays a user.');
  END IF;
  -- The hold may have expired while this call waited for the wallets.
  at := database_time();
  PERFORM require_unexpired(hold, at);
  UPDATE holds SET status = 'captured', captured_amount = paid, resolved_at = at WHERE id = hold.id AND status = 'held';
  RETURN QUERY INSERT INTO transactions
      (id, type, from_id, to_id, currency, amount, hold_id, description, request_key, created_at)
    VALUES (transaction_id, 'transfer', hold.wallet_id, receiver_id, hold.currency, paid, hold.id,
      coalesce(asked_description, hold.description), request_key, at)
    RETURNING *;
END
$$;

CREATE OR REPLACE FUNCTION "release_hold"("request_key" text, "hash" text, "released_hold_id" text)
RETURNS SETOF "holds" LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  earlier jsonb := begin_request(request_key, 'release', hash,
    jsonb_build_object('transactionIds', '[]'::jsonb, 'holdId', released_hold_id));
  hold holds;
BEGIN
  IF earlier IS NULL THEN
    hold := lock_hold(released_hold_id, 'released');
    UPDATE holds SET status = 'released', resolved_at = database_time() WHERE id = hold.id AND status = 'held';
  END IF;
  RETURN QUERY SELECT * FROM holds WHERE id = released_hold_id;
END
$$;

CREATE OR REPLACE FUNCTION "submit_knowledge"(
  "request_key" text, "hash" text, "record_id" text, "payment_id" text, "miner_id" text, "learned" "mining_activity",
  "learned_in" text, "proof" text, "score" numeric, "terms" jsonb
) RETURNS SETOF "mining_records" LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  earlier jsonb;
  treasury_id text := system_wallet('treasury', 'AZR');
  paid_ids text[] := '{}';
  spent_id text;
  judged record;
  at timestamptz;
BEGIN
  IF NOT EXISTS (SELECT FROM requests WHERE key = request_key) THEN
    IF EXISTS (SELECT FROM wallets WHERE id = miner_id AND kind <> 'user') THEN
      PERFORM refuse('system_wallet', jsonb_build_object('walletId', miner_id), 'Users learn.');
    END IF;
    PERFORM lock_wallets(treasury_id, miner_id);
    at := database_time();
    judged := judge_knowledge(miner_id, treasury_id, score, terms, date_trunc('day', at, 'UTC'));
    IF judged.rejection IS NULL THEN paid_ids := ARRAY[payment_id]; END IF;
  END IF;
  earlier := begin_request(request_key, 'submitKnowledge', hash,
    jsonb_build_object('transactionIds', paid_ids, 'recordId', record_id));
  IF earlier IS NOT NULL THEN
    RETURN QUERY SELECT * FROM mining_records AS r WHERE r.id = earlier ->> 'recordId';
    RETURN;
  END IF;
  SELECT r.id INTO spent_id FROM mining_records AS r
    WHERE r.wallet_id = miner_id AND r.activity = learned AND r.proof_hash = proof AND r.status <> 'rejected';
  IF FOUND THEN
    PERFORM refuse('proof_rewarded', jsonb_build_object('recordId', spent_id), 'Submit another proof.');
  END IF;
  INSERT INTO transactions (id, type, from_id, to_id, currency, amount, request_key, created_at)
    SELECT payment_id, 'mining', treasury_id, miner_id, 'AZR', judged.reward, request_key, at
    WHERE judged.rejection IS NULL;
  RETURN QUERY INSERT INTO mining_records (id, wallet_id, activity, course_id, proof_hash, knowledge_score, difficulty,
      reward, status, rejection, transaction_id, decided_at, created_at, updated_at)
    SELECT record_id, miner_id, learned, learned_in, proof, score, judged.difficulty,
      CASE WHEN judged.rejection IS NULL THEN judged.reward ELSE 0 END,
      (CASE WHEN judged.rejection IS NULL THEN 'rewarded' ELSE 'rejected' END)::mining_status, judged.rejection,
      paid_ids[1], at, at, at
    RETURNING *;
END
$$;
