-- Why: stakes earn, proofs of knowledge are rewarded and the economy is described, by rules that no client can pass.
-- Locks: stakes is rewritten under ACCESS EXCLUSIVE; stop the service for as long as that takes.
-- Runs again: no, once per database; inside one transaction.
--
-- Sections: rates, stakes, mining, metrics, operations.

SET LOCAL lock_timeout = '10s';

-- Rates. Half-even is written out, for round() goes away from zero; nothing is divided before it is rounded, once. ---

CREATE FUNCTION "divide_half_even"("numerator" numeric, "denominator" numeric, "places" integer) RETURNS numeric
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
  SELECT round(
    sign(numerator) * sign(denominator)
      * (whole + CASE WHEN 2 * rest > divisor OR (2 * rest = divisor AND mod(whole, 2) = 1) THEN 1 ELSE 0 END)
      / 10::numeric ^ places,
    places
  )
  FROM (
    SELECT abs(denominator) AS divisor,
           div(abs(numerator) * 10::numeric ^ places, abs(denominator)) AS whole,
           mod(abs(numerator) * 10::numeric ^ places, abs(denominator)) AS rest
  ) AS parts
$$;

-- Simple interest; a year is 365 days («Actual/365 (Fixed)», ISDA 2006 Definitions, section 4.16(d)).
CREATE FUNCTION "staking_reward"("amount" numeric, "annual_rate" numeric, "since" timestamptz, "until" timestamptz)
RETURNS numeric LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
  SELECT public.divide_half_even(amount * annual_rate * extract(epoch FROM until - since), 31536000, 8)
$$;

-- The more a wallet has mined, the harder.
CREATE FUNCTION "knowledge_difficulty"("base" numeric, "mined_by_wallet" numeric, "step" numeric) RETURNS numeric
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
  SELECT least(public.divide_half_even(base * (step + mined_by_wallet), step, 4), 99999.9999)
$$;

CREATE FUNCTION "knowledge_halvings"("mined_by_all" numeric, "every" numeric, "most" integer) RETURNS integer
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
  SELECT least(div(mined_by_all, every), most)::integer
$$;

CREATE FUNCTION "knowledge_reward"("base" numeric, "score" numeric, "difficulty" numeric, "halvings" integer)
RETURNS numeric LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
  SELECT public.divide_half_even(base * score, difficulty * 2::numeric ^ halvings, 8)
$$;

-- Stakes. What one earned follows from its terms and from how far it was counted: counting twice changes nothing. ----

ALTER TABLE "stakes"
  ADD COLUMN "accrued_until" TIMESTAMPTZ(6),
  ADD COLUMN "rewards_accrued" DECIMAL(28,8) NOT NULL DEFAULT 0;

-- One that was paid already is counted as far as it was paid for, or for a hundred years.
UPDATE "stakes" SET "accrued_until" = "started_at" + CASE
  WHEN "rewards_earned" = 0 OR "annual_rate" = 0 THEN interval '0'
  ELSE interval '1 microsecond'
    * least(ceil("rewards_earned" * 31536000 * 1000000 / ("amount" * "annual_rate")), 3153600000000000)::double precision
END;
UPDATE "stakes" SET "rewards_accrued" = "staking_reward"("amount", "annual_rate", "started_at", "accrued_until");

-- lint-ignore adding-not-nullable-field: every row was filled just above
ALTER TABLE "stakes"
  ALTER COLUMN "accrued_until" SET DEFAULT CURRENT_TIMESTAMP,
  ALTER COLUMN "accrued_until" SET NOT NULL;

-- Every other change comes from a transaction.
CREATE FUNCTION "check_stake_birth"() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF NEW.status <> 'active' OR NEW.rewards_earned <> 0 THEN
    PERFORM refuse('stake_birth', jsonb_build_object('stakeId', NEW.id), 'A stake is born active and unpaid.');
  END IF;
  NEW.accrued_until := NEW.started_at;
  NEW.rewards_accrued := 0;
  RETURN NEW;
END
$$;

CREATE TRIGGER "stakes_birth" BEFORE INSERT ON "stakes" FOR EACH ROW EXECUTE FUNCTION "check_stake_birth"();

-- A stake without its money would earn on nothing. Asked at the end, for the transaction refers to the stake.
CREATE FUNCTION "check_stake_funded"() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM transactions WHERE stake_id = NEW.id AND type = 'stake') THEN
    PERFORM refuse('stake_unfunded', jsonb_build_object('stakeId', NEW.id),
      'Insert its transaction of type stake in the same database transaction.');
  END IF;
  RETURN NULL;
END
$$;

CREATE CONSTRAINT TRIGGER "stakes_funded" AFTER INSERT ON "stakes" DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW EXECUTE FUNCTION "check_stake_funded"();

-- active becomes withdrawn, once; terms stay; counting goes forwards; what is paid was counted before.
CREATE FUNCTION "check_stake_change"() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF OLD.status <> NEW.status AND OLD.status <> 'active' THEN
    PERFORM refuse('stake_withdrawn', jsonb_build_object('stakeId', OLD.id, 'from', OLD.status, 'to', NEW.status),
      'A stake goes from active to withdrawn, once.');
  ELSIF (NEW.id, NEW.wallet_id, NEW.amount, NEW.annual_rate, NEW.started_at, NEW.locked_until, NEW.created_at)
    IS DISTINCT FROM
    (OLD.id, OLD.wallet_id, OLD.amount, OLD.annual_rate, OLD.started_at, OLD.locked_until, OLD.created_at)
    OR NEW.accrued_until < OLD.accrued_until
    OR OLD.status = 'withdrawn' AND NEW.accrued_until <> OLD.accrued_until
  THEN
    PERFORM refuse('stake_terms', jsonb_build_object('stakeId', OLD.id),
      'The terms of a stake stay, and it is counted forwards only.');
  -- A statement of a client is at depth 1 here, an administrator's too; see wallets_money_moves_with_entries.
  ELSIF pg_trigger_depth() < 2 AND (NEW.status, NEW.withdrawn_at, NEW.rewards_earned)
    IS DISTINCT FROM (OLD.status, OLD.withdrawn_at, OLD.rewards_earned)
  THEN
    PERFORM refuse('stake_untransacted', jsonb_build_object('stakeId', OLD.id),
      'Insert the transaction; the stake follows.');
  END IF;
  NEW.rewards_accrued := staking_reward(NEW.amount, NEW.annual_rate, NEW.started_at, NEW.accrued_until);
  IF NEW.rewards_earned > greatest(NEW.rewards_accrued, OLD.rewards_earned) THEN
    PERFORM refuse('rewards_not_accrued', jsonb_build_object('stakeId', OLD.id,
      'accrued', NEW.rewards_accrued::text, 'paid', OLD.rewards_earned::text), 'Pay what is accrued and not yet paid.');
  END IF;
  RETURN NEW;
END
$$;

CREATE TRIGGER "stakes_transition" BEFORE UPDATE ON "stakes" FOR EACH ROW EXECUTE FUNCTION "check_stake_change"();
CREATE TRIGGER "stakes_keep_rows" BEFORE DELETE OR TRUNCATE ON "stakes"
  FOR EACH STATEMENT EXECUTE FUNCTION "refuse_change"();

-- For each row, which is before the statement's own trigger: stakes are locked before wallets.
CREATE FUNCTION "post_stake_transaction"() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
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

CREATE TRIGGER "transactions_change_stakes" AFTER INSERT ON "transactions" FOR EACH ROW
  WHEN (NEW."type" IN ('unstake', 'staking_reward')) EXECUTE FUNCTION "post_stake_transaction"();

-- Mining --------------------------------------------------------------------------------------------------------------

CREATE TYPE "mining_rejection" AS ENUM ('score_below_minimum', 'daily_cap', 'nothing_left');

ALTER TABLE "mining_records" ADD COLUMN "rejection" "mining_rejection";
-- lint-ignore constraint-missing-not-valid: the service is stopped since the migration before this one
ALTER TABLE "mining_records"
  ADD CONSTRAINT "mining_records_rejection_check" CHECK ("rejection" IS NULL OR "status" = 'rejected');

-- One answer may be many people's, and prove two activities. What was rejected, for a full day or a low score, may come
-- again.
-- lint-ignore require-concurrent-index-deletion: the service is stopped since the migration before this one
DROP INDEX "mining_records_proof_hash_key";
-- lint-ignore index-not-concurrent: the service is stopped since the migration before this one
CREATE UNIQUE INDEX "mining_records_wallet_id_activity_proof_hash_key"
  ON "mining_records" ("wallet_id", "activity", "proof_hash") WHERE "status" <> 'rejected';

-- pending becomes rewarded or rejected, once; a reward is what its transaction paid.
CREATE FUNCTION "check_mining_change"() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF TG_OP = 'UPDATE' THEN
    IF OLD.status <> 'pending' THEN
      PERFORM refuse('mining_decided', jsonb_build_object('recordId', OLD.id, 'from', OLD.status, 'to', NEW.status),
        'A record goes from pending to rewarded or rejected, once.');
    ELSIF (NEW.id, NEW.wallet_id, NEW.activity, NEW.course_id, NEW.proof_hash, NEW.knowledge_score, NEW.created_at)
      IS DISTINCT FROM
      (OLD.id, OLD.wallet_id, OLD.activity, OLD.course_id, OLD.proof_hash, OLD.knowledge_score, OLD.created_at)
    THEN
      PERFORM refuse('mining_submission', jsonb_build_object('recordId', OLD.id), 'What was submitted stays as it is.');
    END IF;
  END IF;
  IF NEW.status = 'rewarded' AND NEW.transaction_id IS NOT NULL AND NOT EXISTS (
    SELECT FROM transactions AS t
    WHERE t.id = NEW.transaction_id AND t.type = 'mining' AND t.currency = 'AZR' AND t.to_id = NEW.wallet_id
      AND t.amount = NEW.reward
  ) THEN
    PERFORM refuse('mining_unpaid', jsonb_build_object('recordId', NEW.id),
      'Insert first its transaction of type mining: to this wallet, of this amount, in AZR.');
  END IF;
  RETURN NEW;
END
$$;

CREATE TRIGGER "mining_records_transition" BEFORE INSERT OR UPDATE ON "mining_records"
  FOR EACH ROW EXECUTE FUNCTION "check_mining_change"();
CREATE TRIGGER "mining_records_keep_rows" BEFORE DELETE OR TRUNCATE ON "mining_records"
  FOR EACH STATEMENT EXECUTE FUNCTION "refuse_change"();

-- What each wallet ever mined; the treasury's row says it of all. A sum over the records would take ever longer.
CREATE TABLE "mining_totals" (
    "wallet_id" TEXT NOT NULL,
    "mined" DECIMAL(18,8) NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "mining_totals_pkey" PRIMARY KEY ("wallet_id")
);

ALTER TABLE "mining_totals"
  ADD CONSTRAINT "mining_totals_wallet_id_fkey" FOREIGN KEY ("wallet_id")
    REFERENCES "wallets"("id") ON DELETE RESTRICT ON UPDATE RESTRICT,
  ADD CONSTRAINT "mining_totals_mined_check" CHECK ("mined" > 0 AND "mined" <> 'NaN');

INSERT INTO "mining_totals" ("wallet_id", "mined", "created_at", "updated_at")
SELECT shares.wallet_id, sum(shares.reward), min(shares.decided_at), max(shares.decided_at)
FROM (
  SELECT wallet_id, reward, decided_at FROM "mining_records" WHERE status = 'rewarded'
  UNION ALL
  SELECT system_wallet('treasury', 'AZR'), reward, decided_at FROM "mining_records" WHERE status = 'rewarded'
) AS shares
GROUP BY shares.wallet_id;

-- Rows that were decided before are refused an update, so each rewarded one here is so since this statement.
CREATE FUNCTION "post_mining_records"() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
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

CREATE TRIGGER "mining_records_count_born" AFTER INSERT ON "mining_records" REFERENCING NEW TABLE AS "posted"
  FOR EACH STATEMENT EXECUTE FUNCTION "post_mining_records"();
CREATE TRIGGER "mining_records_count_decided" AFTER UPDATE ON "mining_records" REFERENCING NEW TABLE AS "posted"
  FOR EACH STATEMENT EXECUTE FUNCTION "post_mining_records"();

CREATE TRIGGER "mining_totals_follow_records" BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON "mining_totals"
  FOR EACH STATEMENT WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION "refuse_change"();

-- Metrics. Rows from before have neither figure. ----------------------------------------------------------------------

ALTER TABLE "economic_metrics" ADD COLUMN "velocity" DECIMAL(38,8), ADD COLUMN "gini" DECIMAL(9,8);
-- lint-ignore constraint-missing-not-valid: the service is stopped since the migration before this one
ALTER TABLE "economic_metrics"
  ADD CONSTRAINT "economic_metrics_velocity_check" CHECK ("velocity" >= 0 AND "velocity" <> 'NaN'),
  ADD CONSTRAINT "economic_metrics_gini_check" CHECK ("gini" BETWEEN 0 AND 1);

-- Operations ----------------------------------------------------------------------------------------------------------

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
CREATE FUNCTION "accrue_rewards"(
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

CREATE FUNCTION "lock_stake"("asked_id" text) RETURNS "stakes"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  stake stakes;
BEGIN
  SELECT * INTO stake FROM stakes WHERE id = asked_id FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    PERFORM refuse('stake_not_found', jsonb_build_object('stakeId', asked_id), 'Name a stake that was made.');
  END IF;
  RETURN stake;
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

-- What a score is worth now, and why it is worth nothing; under the locks of the wallet and the treasury.
CREATE FUNCTION "judge_knowledge"(
  "miner_id" text, "treasury_id" text, "score" numeric, "terms" jsonb, "day" timestamptz,
  OUT "difficulty" numeric, OUT "reward" numeric, OUT "rejection" "mining_rejection"
) LANGUAGE plpgsql STABLE SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  mined_by_wallet numeric := coalesce((SELECT mined FROM mining_totals WHERE wallet_id = miner_id), 0);
  mined_by_all numeric := coalesce((SELECT mined FROM mining_totals WHERE wallet_id = treasury_id), 0);
  mined_today numeric := (
    SELECT coalesce(sum(r.reward), 0) FROM mining_records AS r
    WHERE r.wallet_id = miner_id AND r.status = 'rewarded'
      AND r.created_at >= day AND r.created_at < day + interval '24 hours'
  );
BEGIN
  difficulty := knowledge_difficulty((terms ->> 'baseDifficulty')::numeric, mined_by_wallet,
    (terms ->> 'difficultyStep')::numeric);
  reward := knowledge_reward((terms ->> 'baseReward')::numeric, score, difficulty, knowledge_halvings(mined_by_all,
    (terms ->> 'halvingInterval')::numeric, (terms ->> 'maximumHalvings')::integer));
  rejection := CASE
    WHEN score < (terms ->> 'minimumScore')::numeric THEN 'score_below_minimum'
    WHEN reward = 0 THEN 'nothing_left'
    WHEN mined_today + reward > (terms ->> 'dailyCap')::numeric THEN 'daily_cap'
  END;
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
