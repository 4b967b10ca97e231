-- Reverts 20261130000002_ledger_time: restores the functions that take a time.

SET LOCAL lock_timeout = '5s';

ALTER FUNCTION "begin_request"(text, text, text, jsonb, timestamptz) SECURITY DEFINER;
ALTER FUNCTION "lock_hold"(text, "hold_status") SECURITY DEFINER;
ALTER FUNCTION "lock_stake"(text) SECURITY DEFINER;
ALTER FUNCTION "lock_wallets"(text, text) SECURITY DEFINER;
ALTER FUNCTION "lock_payment"(text, text, numeric) SECURITY DEFINER;

DROP FUNCTION "snapshot_metrics"(text, timestamptz);
DROP FUNCTION "submit_knowledge"(text, text, text, text, text, "mining_activity", text, text, numeric, jsonb);
DROP FUNCTION "unstake_money"(text, text, text, text, text);
DROP FUNCTION "claim_rewards"(text, text, text, text);
DROP FUNCTION "lock_reward_room"("stakes");
DROP FUNCTION "stake_money"(text, text, text, text, text, numeric, numeric, integer);
DROP FUNCTION "stake_time"(timestamptz);
DROP FUNCTION "release_expired_holds"(integer);
DROP FUNCTION "release_hold"(text, text, text);
DROP FUNCTION "capture_hold"(text, text, text, text, text, numeric, text);
DROP FUNCTION "require_unexpired"("holds", timestamptz);
DROP FUNCTION "hold_money"(text, text, text, text, text, numeric, text, interval);
DROP FUNCTION "issue_money"(text, text, text, "transaction_type", text, numeric, text);
DROP FUNCTION "close_wallet"(text);
DROP FUNCTION "open_wallet"(text, text, "currency");
DROP FUNCTION "begin_request"(text, text, text, jsonb);

ALTER TABLE "economic_metrics" DROP CONSTRAINT "economic_metrics_times_check";
ALTER TABLE "mining_totals" DROP CONSTRAINT "mining_totals_times_check";
ALTER TABLE "mining_records" DROP CONSTRAINT "mining_records_times_check";
ALTER TABLE "stakes" DROP CONSTRAINT "stakes_rewards_accrued_check";
ALTER TABLE "stakes" DROP CONSTRAINT "stakes_times_check";
ALTER TABLE "holds" DROP CONSTRAINT "holds_times_check";
ALTER TABLE "transactions" DROP CONSTRAINT "transactions_times_check";
ALTER TABLE "requests" DROP CONSTRAINT "requests_times_check";
ALTER TABLE "wallets" DROP CONSTRAINT "wallets_times_check";

-- One wallet per user and currency, however often it is opened.
CREATE FUNCTION "open_wallet"("wallet_id" text, "owner_id" text, "money" "currency", "at" timestamptz)
RETURNS SETOF "wallets" LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  wallet wallets;
BEGIN
  RETURN QUERY INSERT INTO wallets (id, user_id, currency, created_at, updated_at)
    VALUES (wallet_id, owner_id, money, at, at) ON CONFLICT (user_id, currency) DO NOTHING RETURNING *;
  IF FOUND THEN RETURN; END IF;
  SELECT * INTO STRICT wallet FROM wallets WHERE user_id = owner_id AND currency = money;
  IF wallet.status = 'closed' THEN
    PERFORM refuse('wallet_closed', jsonb_build_object('walletId', wallet.id), 'A closed wallet stays closed.');
  END IF;
  RETURN NEXT wallet;
END
$$;

CREATE FUNCTION "close_wallet"("wallet_id" text, "at" timestamptz)
RETURNS SETOF "wallets" LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  wallet wallets;
BEGIN
  SELECT * INTO wallet FROM wallets WHERE id = wallet_id FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    PERFORM refuse('wallet_not_found', jsonb_build_object('walletId', wallet_id), 'There is nothing to close.');
  ELSIF wallet.kind <> 'user' THEN
    PERFORM refuse('system_wallet', jsonb_build_object('walletId', wallet_id), 'The wallets of the system stay.');
  ELSIF wallet.status = 'closed' THEN
    RETURN NEXT wallet;
    RETURN;
  END IF;
  RETURN QUERY UPDATE wallets SET status = 'closed', closed_at = at, updated_at = greatest(updated_at, at)
    WHERE id = wallet_id RETURNING *;
END
$$;

-- New money for a user (mint, reward), or money that a user gives back to be no more (burn).
CREATE FUNCTION "issue_money"(
  "request_key" text, "hash" text, "transaction_id" text, "issue_type" "transaction_type", "wallet_id" text,
  "amount" numeric,
  "description" text, "at" timestamptz
) RETURNS SETOF "transactions" LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  earlier jsonb := begin_request(request_key, issue_type::text, hash,
    jsonb_build_object('transactionIds', jsonb_build_array(transaction_id)), at);
  target wallets;
  treasury_id text;
  sides record;
BEGIN
  IF earlier IS NOT NULL THEN
    RETURN QUERY SELECT * FROM answered_transactions(earlier);
    RETURN;
  END IF;
  PERFORM require_amount(amount);
  SELECT * INTO target FROM wallets WHERE id = wallet_id;
  IF target.kind <> 'user' THEN
    PERFORM refuse('system_wallet', jsonb_build_object('walletId', wallet_id),
      'Money is issued to users, and burned by them.');
  END IF;
  -- Whichever of the two is not there, lock_wallets says so.
  treasury_id := coalesce(system_wallet('treasury', target.currency), concat('treasury-', target.currency));
  sides := lock_wallets(wallet_id, treasury_id);
  IF issue_type = 'burn' AND (sides.payer).balance - (sides.payer).held < amount THEN
    PERFORM refuse('insufficient_funds', jsonb_build_object('walletId', wallet_id,
      'available', ((sides.payer).balance - (sides.payer).held)::text, 'asked', trim_scale(amount)::text),
      'Bring money into the wallet, or ask for less.');
  END IF;
  RETURN QUERY INSERT INTO transactions (id, type, from_id, to_id, currency, amount, description, request_key,
    created_at)
    SELECT transaction_id, issue_type, CASE issue_type WHEN 'burn' THEN wallet_id ELSE treasury_id END,
      CASE issue_type WHEN 'burn' THEN treasury_id ELSE wallet_id END, target.currency, amount, description,
        request_key, at
    RETURNING *;
END
$$;

-- Answers the hold as it was made, also when it was resolved since.
CREATE FUNCTION "hold_money"(
  "request_key" text, "hash" text, "hold_id" text, "payer_id" text, "receiver_id" text, "amount" numeric,
  "description" text,
  "expires_at" timestamptz, "at" timestamptz
) RETURNS SETOF "holds" LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  earlier jsonb := begin_request(request_key, 'hold', hash,
    jsonb_build_object('transactionIds', '[]'::jsonb, 'holdId', hold_id), at);
  made holds;
  locked record;
BEGIN
  IF earlier IS NOT NULL THEN
    SELECT * INTO STRICT made FROM holds AS h WHERE h.id = earlier ->> 'holdId';
    made.status := 'held';
    made.captured_amount := 0;
    made.resolved_at := NULL;
    RETURN NEXT made;
    RETURN;
  END IF;
  IF NOT expires_at > at THEN
    PERFORM refuse('hold_expiry_invalid', '{}', 'A hold must expire after it is made.');
  END IF;
  locked := lock_payment(payer_id, receiver_id, amount);
  RETURN QUERY INSERT INTO holds (id, wallet_id, to_id, currency, amount, description, request_key, expires_at,
    created_at)
    VALUES (hold_id, payer_id, receiver_id, (locked.payer).currency, amount, description, request_key, expires_at, at)
    RETURNING *;
END
$$;

-- Pays what was held, or a part of it; the rest is free again.
CREATE FUNCTION "capture_hold"(
  "request_key" text, "hash" text, "transaction_id" text, "captured_hold_id" text, "asked_receiver_id" text,
  "asked_amount" numeric, "asked_description" text, "at" timestamptz
) RETURNS SETOF "transactions" LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  earlier jsonb := begin_request(request_key, 'capture', hash,
    jsonb_build_object('transactionIds', jsonb_build_array(transaction_id), 'holdId', captured_hold_id), at);
  hold holds;
  receiver_id text;
  paid numeric;
  locked record;
BEGIN
  IF earlier IS NOT NULL THEN
    RETURN QUERY SELECT * FROM answered_transactions(earlier);
    RETURN;
  END IF;
  hold := lock_hold(captured_hold_id, 'captured');
  IF hold.expires_at <= at THEN
    PERFORM refuse('hold_expired', jsonb_build_object('holdId', hold.id, 'expiredAt', hold.expires_at),
      'Ask for a new hold.');
  ELSIF hold.to_id <> asked_receiver_id OR coalesce(hold.to_id, asked_receiver_id) IS NULL THEN
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
  UPDATE holds SET status = 'captured', captured_amount = paid, resolved_at = at WHERE id = hold.id AND status = 'held';
  RETURN QUERY INSERT INTO transactions
      (id, type, from_id, to_id, currency, amount, hold_id, description, request_key, created_at)
    VALUES (transaction_id, 'transfer', hold.wallet_id, receiver_id, hold.currency, paid, hold.id,
      coalesce(asked_description, hold.description), request_key, at)
    RETURNING *;
END
$$;

CREATE FUNCTION "release_hold"("request_key" text, "hash" text, "released_hold_id" text, "at" timestamptz)
RETURNS SETOF "holds" LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  earlier jsonb := begin_request(request_key, 'release', hash,
    jsonb_build_object('transactionIds', '[]'::jsonb, 'holdId', released_hold_id), at);
  hold holds;
BEGIN
  IF earlier IS NULL THEN
    hold := lock_hold(released_hold_id, 'released');
    UPDATE holds SET status = 'released', resolved_at = at WHERE id = hold.id AND status = 'held';
  END IF;
  RETURN QUERY SELECT * FROM holds WHERE id = released_hold_id;
END
$$;

-- Frees what nobody captured in time, the oldest first. Holds that somebody works on are left for the next call.
CREATE FUNCTION "release_expired_holds"("at" timestamptz, "most" integer) RETURNS SETOF "holds"
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  UPDATE holds SET status = 'expired', resolved_at = at
  WHERE id = ANY (ARRAY(
    SELECT id FROM holds WHERE status = 'held' AND expires_at <= at ORDER BY expires_at, id LIMIT most
    FOR NO KEY UPDATE SKIP LOCKED
  ))
  RETURNING *
$$;

-- Answers the stake as it was made, also when it has earned or was withdrawn since.
CREATE FUNCTION "stake_money"(
  "request_key" text, "hash" text, "new_stake_id" text, "transaction_id" text, "payer_id" text, "amount" numeric,
  "annual_rate" numeric, "locked_until" timestamptz, "at" timestamptz
) RETURNS SETOF "stakes" LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  earlier jsonb := begin_request(request_key, 'stake', hash,
    jsonb_build_object('transactionIds', jsonb_build_array(transaction_id), 'stakeId', new_stake_id), at);
  made stakes;
  target wallets;
  staking_id text;
  locked record;
BEGIN
  IF earlier IS NOT NULL THEN
    SELECT * INTO STRICT made FROM stakes AS s WHERE s.id = earlier ->> 'stakeId';
    made.status := 'active';
    made.rewards_earned := 0;
    made.rewards_accrued := 0;
    made.accrued_until := made.started_at;
    made.withdrawn_at := NULL;
    made.updated_at := made.created_at;
    RETURN NEXT made;
    RETURN;
  END IF;
  PERFORM require_amount(amount);
  SELECT * INTO target FROM wallets WHERE id = payer_id;
  IF target.kind <> 'user' THEN
    PERFORM refuse('system_wallet', jsonb_build_object('walletId', payer_id), 'Users stake money.');
  END IF;
  staking_id := system_wallet('staking', target.currency);
  locked := lock_wallets(payer_id, staking_id);
  IF (locked.payer).balance - (locked.payer).held < amount THEN
    PERFORM refuse('insufficient_funds', jsonb_build_object('walletId', payer_id,
      'available', ((locked.payer).balance - (locked.payer).held)::text, 'asked', trim_scale(amount)::text),
      'Bring money into the wallet, or ask for less.');
  END IF;
  INSERT INTO stakes (id, wallet_id, amount, annual_rate, started_at, locked_until, created_at, updated_at)
    VALUES (new_stake_id, payer_id, amount, annual_rate, at, locked_until, at, at) RETURNING * INTO made;
  INSERT INTO transactions (id, type, from_id, to_id, currency, amount, stake_id, request_key, created_at)
    VALUES (transaction_id, 'stake', payer_id, staking_id, target.currency, amount, new_stake_id, request_key, at);
  RETURN NEXT made;
END
$$;

-- Counts active stakes up to a moment: one, or the next `most` after an id. `last_id` is NULL when there are no more.
-- Which ones are due is asked before they are locked: one that another run counts meanwhile does not end this run.
CREATE OR REPLACE FUNCTION "accrue_rewards"(
  "only_id" text, "until" timestamptz, "after_id" text, "most" integer,
  OUT "last_id" text, OUT "counted" bigint, OUT "gained" numeric
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  due_ids text[] := CASE
    WHEN only_id IS NOT NULL THEN ARRAY[only_id]
    ELSE ARRAY(
      SELECT id FROM stakes WHERE status = 'active' AND accrued_until < until AND id > after_id ORDER BY id LIMIT most
    )
  END;
BEGIN
  IF only_id IS NOT NULL AND NOT EXISTS (SELECT FROM stakes WHERE id = only_id) THEN
    PERFORM refuse('stake_not_found', jsonb_build_object('stakeId', only_id), 'Name a stake that was made.');
  END IF;
  last_id := due_ids[cardinality(due_ids)];
  WITH due AS MATERIALIZED (
    SELECT id, rewards_accrued FROM stakes
    WHERE id = ANY (due_ids) AND status = 'active' AND accrued_until < until ORDER BY id COLLATE "C" FOR NO KEY UPDATE
  ), done AS (
    UPDATE stakes AS s SET accrued_until = until, updated_at = greatest(s.updated_at, until)
    FROM due WHERE s.id = due.id
    RETURNING s.rewards_accrued - due.rewards_accrued AS gained
  )
  SELECT count(*), coalesce(sum(done.gained), 0) INTO counted, gained FROM done;
END
$$;

-- Pays what is accrued and not yet paid.
CREATE FUNCTION "claim_rewards"(
  "request_key" text, "hash" text, "transaction_id" text, "asked_id" text, "at" timestamptz
) RETURNS SETOF "transactions" LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  earlier jsonb := begin_request(request_key, 'claimRewards', hash,
    jsonb_build_object('transactionIds', jsonb_build_array(transaction_id), 'stakeId', asked_id), at);
  stake stakes;
BEGIN
  IF earlier IS NOT NULL THEN
    RETURN QUERY SELECT * FROM answered_transactions(earlier);
    RETURN;
  END IF;
  stake := lock_stake(asked_id);
  IF stake.rewards_accrued <= stake.rewards_earned THEN
    PERFORM refuse('rewards_not_accrued', jsonb_build_object('stakeId', stake.id,
      'accrued', stake.rewards_accrued::text, 'paid', stake.rewards_earned::text), 'Claim when something was accrued.');
  END IF;
  PERFORM require_amount(stake.rewards_accrued - stake.rewards_earned);
  RETURN QUERY INSERT INTO transactions (id, type, from_id, to_id, currency, amount, stake_id, request_key, created_at)
    SELECT transaction_id, 'staking_reward', system_wallet('treasury', w.currency), w.id, w.currency,
      stake.rewards_accrued - stake.rewards_earned, stake.id, request_key, at
    FROM wallets AS w WHERE w.id = stake.wallet_id
    RETURNING *;
END
$$;

-- Gives a stake back with all that it earned. The stake is locked before the key is taken, for how many transactions
-- the answer names is not known earlier; a key that was used is answered first.
CREATE FUNCTION "unstake_money"(
  "request_key" text, "hash" text, "transaction_id" text, "reward_id" text, "asked_id" text, "at" timestamptz
) RETURNS SETOF "transactions" LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  earlier jsonb;
  answer jsonb := jsonb_build_object('transactionIds', jsonb_build_array(transaction_id), 'stakeId', asked_id);
  stake stakes;
  due numeric;
BEGIN
  IF NOT EXISTS (SELECT FROM requests WHERE key = request_key) THEN
    stake := lock_stake(asked_id);
    due := greatest(0, staking_reward(stake.amount, stake.annual_rate, stake.started_at,
      greatest(stake.accrued_until, at)) - stake.rewards_earned);
    IF due > 0 THEN
      answer := jsonb_set(answer, '{transactionIds}', jsonb_build_array(transaction_id, reward_id));
    END IF;
  END IF;
  earlier := begin_request(request_key, 'unstake', hash, answer, at);
  IF earlier IS NOT NULL THEN
    RETURN QUERY SELECT * FROM answered_transactions(earlier);
    RETURN;
  ELSIF stake.status <> 'active' THEN
    PERFORM refuse('stake_withdrawn', jsonb_build_object('stakeId', stake.id, 'from', stake.status, 'to', 'withdrawn'),
      'A stake is withdrawn once.');
  ELSIF stake.locked_until > at THEN
    PERFORM refuse('stake_locked', jsonb_build_object('stakeId', stake.id, 'lockedUntil', stake.locked_until),
      'Wait until the lock ends.');
  END IF;
  UPDATE stakes SET accrued_until = at, updated_at = greatest(updated_at, at)
    WHERE id = stake.id AND accrued_until < at;
  INSERT INTO transactions (id, type, from_id, to_id, currency, amount, stake_id, request_key, created_at)
  SELECT part.id, part.type, system_wallet(part.payer, w.currency), w.id, w.currency, part.amount, stake.id,
    request_key, at
  FROM wallets AS w, (VALUES
    (transaction_id, 'unstake'::transaction_type, 'staking'::wallet_kind, stake.amount),
    (reward_id, 'staking_reward', 'treasury', due)
  ) AS part (id, type, payer, amount)
  WHERE w.id = stake.wallet_id AND part.amount > 0;
  RETURN QUERY SELECT * FROM answered_transactions(answer);
END
$$;

-- Judges a proof and pays for it. The wallets are locked before the key is taken, for whether there is a transaction is
-- not known earlier; a key that was used is answered first. The treasury's lock keeps the total mined as it is.
CREATE FUNCTION "submit_knowledge"(
  "request_key" text, "hash" text, "record_id" text, "payment_id" text, "miner_id" text, "learned" "mining_activity",
  "learned_in" text, "proof" text, "score" numeric, "terms" jsonb, "at" timestamptz
) RETURNS SETOF "mining_records" LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  earlier jsonb;
  treasury_id text := system_wallet('treasury', 'AZR');
  paid_ids text[] := '{}';
  spent_id text;
  judged record;
BEGIN
  IF NOT EXISTS (SELECT FROM requests WHERE key = request_key) THEN
    IF EXISTS (SELECT FROM wallets WHERE id = miner_id AND kind <> 'user') THEN
      PERFORM refuse('system_wallet', jsonb_build_object('walletId', miner_id), 'Users learn.');
    END IF;
    PERFORM lock_wallets(treasury_id, miner_id);
    judged := judge_knowledge(miner_id, treasury_id, score, terms, date_trunc('day', at, 'UTC'));
    IF judged.rejection IS NULL THEN paid_ids := ARRAY[payment_id]; END IF;
  END IF;
  earlier := begin_request(request_key, 'submitKnowledge', hash,
    jsonb_build_object('transactionIds', paid_ids, 'recordId', record_id), at);
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
