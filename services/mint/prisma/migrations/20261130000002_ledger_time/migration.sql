-- Why: a process whose clock was wrong accrued rewards that were not earned, withdrew a locked stake, captured an expired hold
-- and mined a second daily cap, because it passed the time to the functions. Every function now reads database_time() after
-- its locks are held, so that a rule that waited judges the time at which it decides. The app role could also insert rows
-- with any time, so it no longer inserts into the tables of the ledger: only the functions do.
-- The functions of transfers still take a time here; a later migration replaces them.
-- Locks: ACCESS EXCLUSIVE on each table for a moment, to add constraints that are not validated. Stop the processes of the
-- previous version first: they call functions that are gone.
-- Runs again: no, once per database; inside one transaction.

SET LOCAL lock_timeout = '5s';

-- Times ---------------------------------------------------------------------------------------------------------------

-- A transaction at 'infinity' left this time in its wallets, which nobody could pay any more under the new constraints.
-- 253402300800 is the year 10000.
UPDATE "wallets" SET "updated_at" = now() WHERE "updated_at" >= to_timestamp(253402300800);
UPDATE "stakes" SET "updated_at" = now() WHERE "updated_at" >= to_timestamp(253402300800);
ALTER TABLE "mining_totals" DISABLE TRIGGER "mining_totals_follow_records";
UPDATE "mining_totals" SET "updated_at" = now() WHERE "updated_at" >= to_timestamp(253402300800);
ALTER TABLE "mining_totals" ENABLE TRIGGER "mining_totals_follow_records";

-- Every time is in the years 2000 to 9999 UTC. Earlier rows are not validated, because rows of the ledger never change;
-- reconcile reports them.
ALTER TABLE "wallets" ADD CONSTRAINT "wallets_times_check" CHECK (
  "created_at" >= to_timestamp(946684800) AND "created_at" < to_timestamp(253402300800)
  AND "updated_at" >= to_timestamp(946684800) AND "updated_at" < to_timestamp(253402300800)
  AND "closed_at" >= to_timestamp(946684800) AND "closed_at" < to_timestamp(253402300800)) NOT VALID;
ALTER TABLE "requests" ADD CONSTRAINT "requests_times_check" CHECK (
  "created_at" >= to_timestamp(946684800) AND "created_at" < to_timestamp(253402300800)) NOT VALID;
ALTER TABLE "transactions" ADD CONSTRAINT "transactions_times_check" CHECK (
  "created_at" >= to_timestamp(946684800) AND "created_at" < to_timestamp(253402300800)) NOT VALID;
ALTER TABLE "holds" ADD CONSTRAINT "holds_times_check" CHECK (
  "created_at" >= to_timestamp(946684800) AND "created_at" < to_timestamp(253402300800)
  AND "expires_at" >= to_timestamp(946684800) AND "expires_at" < to_timestamp(253402300800)
  AND "resolved_at" >= to_timestamp(946684800) AND "resolved_at" < to_timestamp(253402300800)) NOT VALID;
ALTER TABLE "stakes" ADD CONSTRAINT "stakes_times_check" CHECK (
  "created_at" >= to_timestamp(946684800) AND "created_at" < to_timestamp(253402300800)
  AND "updated_at" >= to_timestamp(946684800) AND "updated_at" < to_timestamp(253402300800)
  AND "started_at" >= to_timestamp(946684800) AND "started_at" < to_timestamp(253402300800)
  AND "accrued_until" >= to_timestamp(946684800) AND "accrued_until" < to_timestamp(253402300800)
  AND "locked_until" >= to_timestamp(946684800) AND "locked_until" < to_timestamp(253402300800)
  AND "withdrawn_at" >= to_timestamp(946684800) AND "withdrawn_at" < to_timestamp(253402300800)) NOT VALID;
-- NaN is greater than every number, so what was earned would seem to be less.
ALTER TABLE "stakes" ADD CONSTRAINT "stakes_rewards_accrued_check" CHECK ("rewards_accrued" <> 'NaN') NOT VALID;
ALTER TABLE "mining_records" ADD CONSTRAINT "mining_records_times_check" CHECK (
  "created_at" >= to_timestamp(946684800) AND "created_at" < to_timestamp(253402300800)
  AND "updated_at" >= to_timestamp(946684800) AND "updated_at" < to_timestamp(253402300800)
  AND "decided_at" >= to_timestamp(946684800) AND "decided_at" < to_timestamp(253402300800)) NOT VALID;
ALTER TABLE "mining_totals" ADD CONSTRAINT "mining_totals_times_check" CHECK (
  "created_at" >= to_timestamp(946684800) AND "created_at" < to_timestamp(253402300800)
  AND "updated_at" >= to_timestamp(946684800) AND "updated_at" < to_timestamp(253402300800)) NOT VALID;
ALTER TABLE "economic_metrics" ADD CONSTRAINT "economic_metrics_times_check" CHECK (
  "created_at" >= to_timestamp(946684800) AND "created_at" < to_timestamp(253402300800)
  AND "captured_at" >= to_timestamp(946684800) AND "captured_at" < to_timestamp(253402300800)) NOT VALID;

-- Requests ------------------------------------------------------------------------------------------------------------

-- Claims the key of a request. NULL: the key is new, and its row is inserted. Otherwise the answer of the earlier request. The
-- second of two concurrent calls waits here for the first. The function that takes a time remains for the transfers.
CREATE FUNCTION "begin_request"("request_key" text, "asked_operation" text, "hash" text, "new_answer" jsonb)
RETURNS jsonb LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  earlier requests;
BEGIN
  INSERT INTO requests (key, operation, body_hash, answer, created_at)
    VALUES (request_key, asked_operation, hash, new_answer, database_time()) ON CONFLICT (key) DO NOTHING;
  IF FOUND THEN RETURN NULL; END IF;
  SELECT * INTO STRICT earlier FROM requests WHERE key = request_key;
  IF earlier.operation <> asked_operation OR earlier.body_hash <> hash THEN
    PERFORM refuse('key_reused', jsonb_build_object('operation', earlier.operation, 'asked', asked_operation),
      'A key stands for one request for ever.');
  END IF;
  RETURN earlier.answer;
END
$$;

-- Wallets -------------------------------------------------------------------------------------------------------------

DROP FUNCTION "open_wallet"(text, text, "currency", timestamptz);
CREATE FUNCTION "open_wallet"("wallet_id" text, "owner_id" text, "money" "currency")
RETURNS SETOF "wallets" LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  at timestamptz := database_time();
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

DROP FUNCTION "close_wallet"(text, timestamptz);
CREATE FUNCTION "close_wallet"("wallet_id" text)
RETURNS SETOF "wallets" LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  wallet wallets;
  at timestamptz;
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
  at := database_time();
  RETURN QUERY UPDATE wallets SET status = 'closed', closed_at = at, updated_at = greatest(updated_at, at)
    WHERE id = wallet_id RETURNING *;
END
$$;

-- Issuance ------------------------------------------------------------------------------------------------------------

DROP FUNCTION "issue_money"(text, text, text, "transaction_type", text, numeric, text, timestamptz);
-- Issues money to a user (mint, reward), or destroys money of a user (burn).
CREATE FUNCTION "issue_money"(
  "request_key" text, "hash" text, "transaction_id" text, "issue_type" "transaction_type", "wallet_id" text,
  "amount" numeric, "description" text
) RETURNS SETOF "transactions" LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  earlier jsonb := begin_request(request_key, issue_type::text, hash,
    jsonb_build_object('transactionIds', jsonb_build_array(transaction_id)));
  target wallets;
  treasury_id text;
  sides record;
BEGIN
  IF earlier IS NOT NULL THEN
    RETURN QUERY SELECT * FROM answered_transactions(earlier);
    RETURN;
  END IF;
  IF (issue_type IN ('mint', 'reward', 'burn')) IS NOT TRUE THEN
    PERFORM refuse('transaction_sides', jsonb_build_object('type', issue_type),
      'The other types have functions of their own.');
  END IF;
  PERFORM require_amount(amount);
  SELECT * INTO target FROM wallets WHERE id = wallet_id;
  IF target.kind <> 'user' THEN
    PERFORM refuse('system_wallet', jsonb_build_object('walletId', wallet_id),
      'Money is issued to users, and burned by them.');
  END IF;
  -- If one of the two does not exist, lock_wallets reports it.
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
        request_key, database_time()
    RETURNING *;
END
$$;

-- Holds ---------------------------------------------------------------------------------------------------------------

DROP FUNCTION "hold_money"(text, text, text, text, text, numeric, text, timestamptz, timestamptz);
-- Sets money aside for a time that starts now. A repeated call gets the hold as it was created, even if it was resolved since.
CREATE FUNCTION "hold_money"(
  "request_key" text, "hash" text, "hold_id" text, "payer_id" text, "receiver_id" text, "amount" numeric,
  "description" text, "expires_in" interval
) RETURNS SETOF "holds" LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  earlier jsonb := begin_request(request_key, 'hold', hash,
    jsonb_build_object('transactionIds', '[]'::jsonb, 'holdId', hold_id));
  made holds;
  locked record;
  at timestamptz;
BEGIN
  IF earlier IS NOT NULL THEN
    SELECT * INTO STRICT made FROM holds AS h WHERE h.id = earlier ->> 'holdId';
    made.status := 'held';
    made.captured_amount := 0;
    made.resolved_at := NULL;
    RETURN NEXT made;
    RETURN;
  END IF;
  IF (expires_in > '0' AND expires_in <= '87600 hours') IS NOT TRUE THEN
    PERFORM refuse('hold_expiry_invalid', '{}', 'A hold expires after it was created and within 3650 days.');
  END IF;
  locked := lock_payment(payer_id, receiver_id, amount);
  at := database_time();
  RETURN QUERY INSERT INTO holds (id, wallet_id, to_id, currency, amount, description, request_key, expires_at,
    created_at)
    VALUES (hold_id, payer_id, receiver_id, (locked.payer).currency, amount, description, request_key,
      at + expires_in, at)
    RETURNING *;
END
$$;

DROP FUNCTION "capture_hold"(text, text, text, text, text, numeric, text, timestamptz);
-- Pays the held amount, or a part of it, and releases the rest.
CREATE FUNCTION "capture_hold"(
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

CREATE FUNCTION "require_unexpired"("hold" "holds", "at" timestamptz) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF hold.expires_at <= at THEN
    PERFORM refuse('hold_expired', jsonb_build_object('holdId', hold.id, 'expiredAt', hold.expires_at),
      'Ask for a new hold.');
  END IF;
END
$$;

DROP FUNCTION "release_hold"(text, text, text, timestamptz);
CREATE FUNCTION "release_hold"("request_key" text, "hash" text, "released_hold_id" text)
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

DROP FUNCTION "release_expired_holds"(timestamptz, integer);
-- Releases expired holds, the oldest first. Locked holds are left to the next call, so this one never waits for them.
CREATE FUNCTION "release_expired_holds"("most" integer) RETURNS SETOF "holds"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  at timestamptz := database_time();
BEGIN
  RETURN QUERY UPDATE holds SET status = 'expired', resolved_at = at
    WHERE id = ANY (ARRAY(
      SELECT id FROM holds WHERE status = 'held' AND expires_at <= at ORDER BY expires_at, id LIMIT most
      FOR NO KEY UPDATE SKIP LOCKED
    ))
    RETURNING *;
END
$$;

-- Stakes --------------------------------------------------------------------------------------------------------------

-- Milliseconds are the precision of the clients, so that a client calculates the same rewards from the times that it reads.
CREATE FUNCTION "stake_time"("at" timestamptz) RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE
AS $$ SELECT date_trunc('milliseconds', at) $$;

DROP FUNCTION "stake_money"(text, text, text, text, text, numeric, numeric, timestamptz, timestamptz);
-- A repeated call gets the stake as it was created, even if it has earned or was withdrawn since.
CREATE FUNCTION "stake_money"(
  "request_key" text, "hash" text, "new_stake_id" text, "transaction_id" text, "payer_id" text, "amount" numeric,
  "annual_rate" numeric, "lock_days" integer
) RETURNS SETOF "stakes" LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  earlier jsonb := begin_request(request_key, 'stake', hash,
    jsonb_build_object('transactionIds', jsonb_build_array(transaction_id), 'stakeId', new_stake_id));
  made stakes;
  target wallets;
  staking_id text;
  locked record;
  at timestamptz;
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
  IF (lock_days BETWEEN 1 AND 3650) IS NOT TRUE THEN
    PERFORM refuse('stake_lock_invalid', '{}', 'A stake is locked for 1 to 3650 days.');
  END IF;
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
  at := stake_time(database_time());
  INSERT INTO stakes (id, wallet_id, amount, annual_rate, started_at, locked_until, created_at, updated_at)
    VALUES (new_stake_id, payer_id, amount, annual_rate, at, at + make_interval(hours => 24 * lock_days), at, at)
    RETURNING * INTO made;
  INSERT INTO transactions (id, type, from_id, to_id, currency, amount, stake_id, request_key, created_at)
    VALUES (transaction_id, 'stake', payer_id, staking_id, target.currency, amount, new_stake_id, request_key, at);
  RETURN NEXT made;
END
$$;

-- Accrues the rewards of active stakes up to a time, or up to now when it is NULL: of one stake, or of the next "most" after an
-- id. "last_id" is NULL when there are no more. Selects the stakes before it locks them, so that a stake that another run
-- accrues meanwhile does not end this run.
CREATE OR REPLACE FUNCTION "accrue_rewards"(
  "only_id" text, "until" timestamptz, "after_id" text, "most" integer,
  OUT "last_id" text, OUT "counted" bigint, OUT "gained" numeric
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  due_ids text[] := CASE
    WHEN only_id IS NOT NULL THEN ARRAY[only_id]
    ELSE ARRAY(
      SELECT id FROM stakes
      WHERE status = 'active' AND accrued_until < coalesce(until, (SELECT database_time())) AND id > after_id
      ORDER BY id LIMIT most
    )
  END;
  at timestamptz;
BEGIN
  IF only_id IS NOT NULL AND NOT EXISTS (SELECT FROM stakes WHERE id = only_id) THEN
    PERFORM refuse('stake_not_found', jsonb_build_object('stakeId', only_id), 'Name a stake that was made.');
  END IF;
  last_id := due_ids[cardinality(due_ids)];
  PERFORM FROM stakes WHERE id = ANY (due_ids) ORDER BY id COLLATE "C" FOR NO KEY UPDATE;
  at := database_time();
  IF until > at THEN
    PERFORM refuse('accrual_in_future', '{}', 'Rewards accrue up to now.');
  END IF;
  at := stake_time(coalesce(until, at));
  WITH due AS MATERIALIZED (
    SELECT id, rewards_accrued FROM stakes WHERE id = ANY (due_ids) AND status = 'active' AND accrued_until < at
  ), done AS (
    UPDATE stakes AS s SET accrued_until = at, updated_at = greatest(s.updated_at, at)
    FROM due WHERE s.id = due.id
    RETURNING s.rewards_accrued - due.rewards_accrued AS gained
  )
  SELECT count(*), coalesce(sum(done.gained), 0) INTO counted, gained FROM done;
END
$$;

-- Locks the wallets of a stake and of its currency's system, in the order of their ids. Returns the largest reward that fits: the
-- supply, the earnings of the wallet and the earnings of the stake have at most 10 digits before the point.
CREATE FUNCTION "lock_reward_room"("stake" "stakes") RETURNS numeric
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  PERFORM FROM wallets AS w
    WHERE w.id = stake.wallet_id
      OR w.kind <> 'user' AND w.currency = (SELECT owner.currency FROM wallets AS owner WHERE owner.id = stake.wallet_id)
    ORDER BY w.id COLLATE "C" FOR NO KEY UPDATE;
  RETURN (
    SELECT 9999999999.99999999 - greatest(-treasury.balance, w.earned, stake.rewards_earned)
    FROM wallets AS w JOIN wallets AS treasury ON treasury.kind = 'treasury' AND treasury.currency = w.currency
    WHERE w.id = stake.wallet_id
  );
END
$$;

DROP FUNCTION "claim_rewards"(text, text, text, text, timestamptz);
-- Pays what is accrued and not yet paid, or the part of it that fits under the limits.
CREATE FUNCTION "claim_rewards"("request_key" text, "hash" text, "transaction_id" text, "asked_id" text)
RETURNS SETOF "transactions" LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  earlier jsonb := begin_request(request_key, 'claimRewards', hash,
    jsonb_build_object('transactionIds', jsonb_build_array(transaction_id), 'stakeId', asked_id));
  stake stakes;
  paid numeric;
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
  paid := least(lock_reward_room(stake), stake.rewards_accrued - stake.rewards_earned);
  IF paid <= 0 THEN PERFORM refuse_balance_limit(stake.wallet_id); END IF;
  RETURN QUERY INSERT INTO transactions (id, type, from_id, to_id, currency, amount, stake_id, request_key, created_at)
    SELECT transaction_id, 'staking_reward', system_wallet('treasury', w.currency), w.id, w.currency, paid, stake.id,
      request_key, database_time()
    FROM wallets AS w WHERE w.id = stake.wallet_id
    RETURNING *;
END
$$;

DROP FUNCTION "unstake_money"(text, text, text, text, text, timestamptz);
-- Returns the principal of a stake with its rewards. The principal is a part of the supply, so it always fits; rewards that do
-- not fit stay claimable. The stake and its wallets are locked before the key is claimed, because the number of transactions
-- in the answer is not known earlier; the answer of a used key comes first.
CREATE FUNCTION "unstake_money"(
  "request_key" text, "hash" text, "transaction_id" text, "reward_id" text, "asked_id" text
) RETURNS SETOF "transactions" LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  earlier jsonb;
  answer jsonb := jsonb_build_object('transactionIds', jsonb_build_array(transaction_id), 'stakeId', asked_id);
  stake stakes;
  room numeric;
  at timestamptz;
  accrued_to timestamptz;
  paid numeric;
BEGIN
  IF NOT EXISTS (SELECT FROM requests WHERE key = request_key) THEN
    stake := lock_stake(asked_id);
    room := lock_reward_room(stake);
    at := database_time();
    accrued_to := greatest(stake.accrued_until, stake_time(at));
    paid := least(room,
      staking_reward(stake.amount, stake.annual_rate, stake.started_at, accrued_to) - stake.rewards_earned);
    IF paid > 0 THEN
      answer := jsonb_set(answer, '{transactionIds}', jsonb_build_array(transaction_id, reward_id));
    END IF;
  END IF;
  earlier := begin_request(request_key, 'unstake', hash, answer);
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
  UPDATE stakes SET accrued_until = accrued_to, updated_at = greatest(updated_at, at)
    WHERE id = stake.id AND accrued_until < accrued_to;
  INSERT INTO transactions (id, type, from_id, to_id, currency, amount, stake_id, request_key, created_at)
  SELECT part.id, part.type, system_wallet(part.payer, w.currency), w.id, w.currency, part.amount, stake.id,
    request_key, at
  FROM wallets AS w, (VALUES
    (transaction_id, 'unstake'::transaction_type, 'staking'::wallet_kind, stake.amount),
    (reward_id, 'staking_reward', 'treasury', paid)
  ) AS part (id, type, payer, amount)
  WHERE w.id = stake.wallet_id AND part.amount > 0;
  RETURN QUERY SELECT * FROM answered_transactions(answer);
END
$$;

-- Proof of Knowledge --------------------------------------------------------------------------------------------------

DROP FUNCTION "submit_knowledge"(
  text, text, text, text, text, "mining_activity", text, text, numeric, jsonb, timestamptz
);
-- Evaluates a proof and pays for it. The wallets are locked before the key is claimed, because whether there is a transaction is
-- not known earlier; the answer of a used key comes first. The treasury's lock keeps the total mined as it is. The day of the
-- cap is the UTC day of the database.
CREATE FUNCTION "submit_knowledge"(
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

-- Metrics -------------------------------------------------------------------------------------------------------------

-- Stores the snapshot of a time, or of now when it is NULL, and returns it; a time that has a snapshot keeps it. One statement
-- computes it, so that it sees one snapshot of the database. A past balance is the present one minus what moved since. A time
-- has the precision of the clients, milliseconds, and includes the whole millisecond.
CREATE FUNCTION "snapshot_metrics"("metrics_id" text, "described_time" timestamptz)
RETURNS SETOF "economic_metrics" LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  at timestamptz := database_time();
  described timestamptz := date_trunc('milliseconds', coalesce(described_time, at), 'UTC');
  later_from timestamptz := described + interval '1 millisecond';
BEGIN
  IF described > at THEN
    PERFORM refuse('snapshot_in_future', '{}', 'Describe a time that has passed.');
  END IF;
  WITH later AS (
    SELECT wallet_id, sum(amount) AS amount
    FROM (
      SELECT to_id AS wallet_id, amount FROM transactions WHERE currency = 'AZR' AND created_at >= later_from
      UNION ALL
      SELECT from_id, -amount FROM transactions WHERE currency = 'AZR' AND created_at >= later_from
    ) AS movements
    GROUP BY wallet_id
  ), holders AS (
    SELECT wallets.kind, wallets.balance - coalesce(later.amount, 0) AS balance,
           wallets.created_at < later_from AND (wallets.closed_at IS NULL OR wallets.closed_at >= later_from) AS is_open
    FROM wallets LEFT JOIN later ON later.wallet_id = wallets.id
    WHERE wallets.currency = 'AZR'
  ), supply AS (
    SELECT coalesce(-sum(balance) FILTER (WHERE kind = 'treasury'), 0) AS total,
           coalesce(sum(balance) FILTER (WHERE kind = 'user'), 0) AS circulating,
           coalesce(sum(balance) FILTER (WHERE kind = 'staking'), 0) AS staked,
           count(*) FILTER (WHERE kind = 'user' AND balance > 0) AS active
    FROM holders
  ), ranked AS (
    SELECT greatest(balance, 0) AS balance, row_number() OVER (ORDER BY balance) AS position
    FROM holders WHERE kind = 'user' AND (is_open OR balance <> 0)
  ), inequality AS (
    SELECT count(*) AS n, coalesce(sum(balance), 0) AS total,
           coalesce(2 * sum(position * balance), 0) - (count(*) + 1) * coalesce(sum(balance), 0) AS spread
    FROM ranked
  ), flow AS (
    SELECT count(*) AS transactions,
           coalesce(sum(amount) FILTER (WHERE type = 'burn'), 0) AS burned,
           coalesce(sum(amount) FILTER (WHERE type = 'transfer' AND created_at >= later_from - interval '720 hours'), 0)
             AS volume
    FROM transactions WHERE currency = 'AZR' AND created_at < later_from
  )
  INSERT INTO economic_metrics (id, captured_at, total_supply, circulating_supply, staked_supply, burned_supply,
                                active_wallets, transaction_count, velocity, gini, created_at)
  SELECT metrics_id, described, supply.total, supply.circulating, supply.staked, flow.burned, supply.active,
         flow.transactions,
         CASE WHEN supply.total > 0 THEN divide_half_even(flow.volume, supply.total, 8) ELSE 0 END,
         CASE WHEN inequality.total > 0
              THEN divide_half_even(inequality.spread, inequality.n * inequality.total, 8) ELSE 0 END,
         at
  FROM supply, inequality, flow
  ON CONFLICT (captured_at) DO NOTHING;
  RETURN QUERY SELECT * FROM economic_metrics WHERE captured_at = described;
END
$$;

-- Parts of the functions above. They run with the rights of their caller: called by an app role itself, they cannot claim a key
-- or lock a row.
ALTER FUNCTION "begin_request"(text, text, text, jsonb, timestamptz) SECURITY INVOKER;
ALTER FUNCTION "lock_hold"(text, "hold_status") SECURITY INVOKER;
ALTER FUNCTION "lock_stake"(text) SECURITY INVOKER;
ALTER FUNCTION "lock_wallets"(text, text) SECURITY INVOKER;
ALTER FUNCTION "lock_payment"(text, text, numeric) SECURITY INVOKER;
