-- The history of every wallet becomes a hash chain, so that `reconcile` finds a row that was changed, added or removed by someone
-- who disabled the triggers, and the copy of a chain that is kept elsewhere (an anchor) reveals a history that was rewritten
-- together with its hashes.
--
-- Each row of the ledger has a hash of its own fields. The events of a wallet are the two sides of its transactions, its holds
-- and how they ended, its mining records and their decisions, and its closing; the snapshots of the metrics are events of the
-- treasury. `wallets.chain` starts with the terms of the wallet and becomes sha256(chain || link) with each event, where the
-- link is the hash of the row, of its request and of its stake. All events take their numbers from one sequence while the
-- wallet is locked, so the numbers of a wallet ascend in the order of its chain, and the hash of a row has its number. An event
-- whose number is not above the last one of its wallet is rejected: someone set the sequence back. No lock is taken that was
-- not taken before.
--
-- Transfers become cheaper at the same time: rules that PostgreSQL would parse again for each statement (CHECK constraints, WHEN
-- clauses) move into the triggers that write the hashes, under their old names.
--
-- Rewrites every row of the ledger twice, under an exclusive lock. Can run again after it failed: it is one transaction.

SET LOCAL lock_timeout = '5s';

-- The hash of each row ------------------------------------------------------------------------------------------------

CREATE SEQUENCE "ledger_seq" AS bigint;

ALTER TABLE "requests" ADD COLUMN "hash" bytea NOT NULL DEFAULT '';
ALTER TABLE "transactions" ADD COLUMN "seq" bigint NOT NULL DEFAULT 0, ADD COLUMN "hash" bytea NOT NULL DEFAULT '';
-- lint-ignore adding-foreign-key-constraint: the new column is empty
ALTER TABLE "holds" ADD COLUMN "seq" bigint NOT NULL DEFAULT 0, ADD COLUMN "hash" bytea NOT NULL DEFAULT '',
  ADD COLUMN "resolved_seq" bigint, ADD COLUMN "resolved_hash" bytea, ADD COLUMN "resolved_key" varchar(200),
  ADD CONSTRAINT "holds_resolved_key_fkey" FOREIGN KEY ("resolved_key") REFERENCES "requests" ("key")
    ON DELETE RESTRICT ON UPDATE RESTRICT;
ALTER TABLE "stakes" ADD COLUMN "hash" bytea NOT NULL DEFAULT '', ADD COLUMN "state_hash" bytea NOT NULL DEFAULT '';
-- lint-ignore adding-foreign-key-constraint: the new column is empty
ALTER TABLE "mining_records" ADD COLUMN "seq" bigint NOT NULL DEFAULT 0, ADD COLUMN "hash" bytea NOT NULL DEFAULT '',
  ADD COLUMN "decided_seq" bigint, ADD COLUMN "decided_hash" bytea, ADD COLUMN "request_key" varchar(200),
  ADD CONSTRAINT "mining_records_request_key_fkey" FOREIGN KEY ("request_key") REFERENCES "requests" ("key")
    ON DELETE RESTRICT ON UPDATE RESTRICT;
-- lint-ignore index-not-concurrent: the new column has locked the table already
CREATE INDEX "holds_resolved_key_idx" ON "holds" ("resolved_key");
-- lint-ignore index-not-concurrent: the new column has locked the table already
CREATE INDEX "mining_records_request_key_idx" ON "mining_records" ("request_key");
ALTER TABLE "economic_metrics" ADD COLUMN "seq" bigint NOT NULL DEFAULT 0, ADD COLUMN "hash" bytea NOT NULL DEFAULT '';
ALTER TABLE "wallets" ADD COLUMN "entries" bigint NOT NULL DEFAULT 0, ADD COLUMN "last_seq" bigint NOT NULL DEFAULT 0,
  ADD COLUMN "chain" bytea NOT NULL DEFAULT '';

-- ROW(…)::text writes any text, NULL included, in one way only. Times are added in binary, because their text depends on
-- settings of the session.
CREATE FUNCTION "request_hash"("r" "requests") RETURNS bytea LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT pg_catalog.sha256(pg_catalog.convert_to(ROW('request', r.key, r.operation, r.body_hash, r.answer)::text, 'UTF8')
    || pg_catalog.timestamptz_send(r.created_at))
$$;

CREATE FUNCTION "transaction_hash"("t" "transactions") RETURNS bytea LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT pg_catalog.sha256(pg_catalog.convert_to(ROW('transaction', t.seq, t.id, t.type, t.from_id, t.to_id, t.currency, t.amount,
    t.stake_id, t.hold_id, t.description, t.request_key)::text, 'UTF8') || pg_catalog.timestamptz_send(t.created_at))
$$;

CREATE FUNCTION "hold_hash"("h" "holds") RETURNS bytea LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT pg_catalog.sha256(pg_catalog.convert_to(ROW('hold', h.seq, h.id, h.wallet_id, h.to_id, h.currency, h.amount, h.description,
    h.request_key)::text, 'UTF8') || pg_catalog.timestamptz_send(h.expires_at) || pg_catalog.timestamptz_send(h.created_at))
$$;

CREATE FUNCTION "hold_resolved_hash"("h" "holds") RETURNS bytea LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN h.status <> 'held' THEN pg_catalog.sha256(h.hash || pg_catalog.convert_to(
    ROW('resolved', h.resolved_seq, h.status, h.captured_amount, h.resolved_key)::text, 'UTF8') || pg_catalog.timestamptz_send(h.resolved_at)) END
$$;

CREATE FUNCTION "stake_hash"("s" "stakes") RETURNS bytea LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT pg_catalog.sha256(pg_catalog.convert_to(ROW('stake', s.id, s.wallet_id, s.amount, s.annual_rate)::text, 'UTF8')
    || pg_catalog.timestamptz_send(s.started_at) || pg_catalog.timestamptz_send(s.locked_until)
    || pg_catalog.timestamptz_send(s.created_at))
$$;

CREATE FUNCTION "stake_state_hash"("s" "stakes") RETURNS bytea LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT pg_catalog.sha256(s.hash || pg_catalog.convert_to(ROW('state', s.status, s.rewards_earned, s.rewards_accrued)::text,
    'UTF8') || pg_catalog.timestamptz_send(s.accrued_until) || pg_catalog.timestamptz_send(s.updated_at)
    || coalesce(pg_catalog.timestamptz_send(s.withdrawn_at), ''))
$$;

CREATE FUNCTION "mining_hash"("m" "mining_records") RETURNS bytea LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT pg_catalog.sha256(pg_catalog.convert_to(ROW('mining', m.seq, m.id, m.wallet_id, m.activity, m.course_id, m.proof_hash,
    m.knowledge_score, m.request_key)::text, 'UTF8') || pg_catalog.timestamptz_send(m.created_at))
$$;

CREATE FUNCTION "mining_decided_hash"("m" "mining_records") RETURNS bytea LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN m.status <> 'pending' THEN pg_catalog.sha256(m.hash || pg_catalog.convert_to(ROW('decided', m.decided_seq, m.status,
    m.difficulty, m.reward, m.rejection, m.transaction_id)::text, 'UTF8') || pg_catalog.timestamptz_send(m.decided_at)
    || pg_catalog.timestamptz_send(m.updated_at)) END
$$;

CREATE FUNCTION "metrics_hash"("m" "economic_metrics") RETURNS bytea LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT pg_catalog.sha256(pg_catalog.convert_to(ROW('metrics', m.seq, m.id, m.total_supply, m.circulating_supply, m.staked_supply,
    m.burned_supply, m.active_wallets, m.transaction_count, m.velocity, m.gini)::text, 'UTF8')
    || pg_catalog.timestamptz_send(m.captured_at) || pg_catalog.timestamptz_send(m.created_at))
$$;

-- What a wallet's chain starts with, and the link of its closing.
CREATE FUNCTION "wallet_hash"("w" "wallets") RETURNS bytea LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT pg_catalog.sha256(pg_catalog.convert_to(ROW('wallet', w.id, w.kind, w.user_id, w.currency)::text, 'UTF8')
    || pg_catalog.timestamptz_send(w.created_at))
$$;

CREATE FUNCTION "wallet_closed_hash"("w" "wallets") RETURNS bytea LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT pg_catalog.sha256(pg_catalog.convert_to(ROW('closed', w.last_seq, w.id)::text, 'UTF8') || pg_catalog.timestamptz_send(w.closed_at))
$$;

-- The chain of each wallet --------------------------------------------------------------------------------------------

CREATE FUNCTION "next_chain"("chain" bytea, "start" bytea, "link" bytea) RETURNS bytea LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
  RETURN pg_catalog.sha256(coalesce(chain, start) || link);
END
$$;

-- The chain after some links, in the given order, from its value before them.
CREATE AGGREGATE "fold_chain"("start" bytea, "link" bytea) (SFUNC = "next_chain", STYPE = bytea, PARALLEL = SAFE);

-- All events of all wallets except their closings, which are always the last ones.
CREATE FUNCTION "ledger_events"() RETURNS TABLE ("wallet_id" text, "seq" bigint, "source" text, "id" text, "link" bytea)
LANGUAGE sql STABLE AS $$
  SELECT t.from_id, t.seq, 'transactions', t.id, t.hash || coalesce(r.hash, '') || coalesce(s.hash, '')
    FROM transactions AS t LEFT JOIN requests AS r ON r.key = t.request_key LEFT JOIN stakes AS s ON s.id = t.stake_id
  UNION ALL
  SELECT t.to_id, t.seq, 'transactions', t.id, t.hash || coalesce(r.hash, '') || coalesce(s.hash, '')
    FROM transactions AS t LEFT JOIN requests AS r ON r.key = t.request_key LEFT JOIN stakes AS s ON s.id = t.stake_id
  UNION ALL
  SELECT h.wallet_id, h.seq, 'holds', h.id, h.hash || coalesce(r.hash, '')
    FROM holds AS h LEFT JOIN requests AS r ON r.key = h.request_key
  UNION ALL
  SELECT h.wallet_id, h.resolved_seq, 'holds', h.id, h.resolved_hash || coalesce(r.hash, '')
    FROM holds AS h LEFT JOIN requests AS r ON r.key = h.resolved_key WHERE h.resolved_hash IS NOT NULL
  UNION ALL
  SELECT m.wallet_id, m.seq, 'mining_records', m.id, m.hash || coalesce(r.hash, '')
    FROM mining_records AS m LEFT JOIN requests AS r ON r.key = m.request_key
  UNION ALL
  SELECT m.wallet_id, m.decided_seq, 'mining_records', m.id, m.decided_hash FROM mining_records AS m
    WHERE m.decided_hash IS NOT NULL
  UNION ALL
  SELECT w.id, m.seq, 'economic_metrics', m.id, m.hash
    FROM economic_metrics AS m JOIN wallets AS w ON w.kind = 'treasury' AND w.currency = 'AZR'
$$;

-- The number of the newest event. The app role reads it for reconcile.
CREATE FUNCTION "last_number"() RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER
SET search_path TO pg_catalog, public, pg_temp AS $$ SELECT last_value FROM ledger_seq $$;

-- Fails, because the number of an event is not above the last one of its wallet.
CREATE FUNCTION "refuse_numbers"("wallet_ids" text[]) RETURNS void LANGUAGE plpgsql
SET search_path TO pg_catalog, public, pg_temp AS $$
DECLARE
  late_id text := (
    SELECT id FROM wallets WHERE id = ANY (wallet_ids) AND last_seq > last_number() ORDER BY id COLLATE "C" LIMIT 1
  );
BEGIN
  IF late_id IS NOT NULL THEN
    RAISE EXCEPTION 'the next number of "ledger_seq" is not above the last number of wallet %', late_id
      USING ERRCODE = 'object_not_in_prerequisite_state',
        HINT = 'Set the sequence to the highest last_seq of all wallets, as the administrator.';
  END IF;
  RAISE EXCEPTION 'a wallet of this statement changed while it was posted'
    USING ERRCODE = 'serialization_failure', HINT = 'Run the statement again.';
END
$$;

-- The events of one statement, whose wallets are locked.
CREATE FUNCTION "extend_chains"("wallet_ids" text[], "seqs" bigint[], "links" bytea[]) RETURNS void LANGUAGE plpgsql
SET search_path TO pg_catalog, public, pg_temp AS $$
DECLARE
  extended integer;
BEGIN
  UPDATE wallets AS w SET entries = w.entries + events.count, last_seq = events.last_seq, chain = events.chain
  FROM (
    SELECT event.wallet_id, count(*) AS count, min(event.seq) AS first_seq, max(event.seq) AS last_seq,
      fold_chain(wallet.chain, event.link ORDER BY event.seq) AS chain
    FROM unnest(wallet_ids, seqs, links) AS event (wallet_id, seq, link)
    JOIN wallets AS wallet ON wallet.id = event.wallet_id GROUP BY event.wallet_id
  ) AS events
  WHERE w.id = events.wallet_id AND w.last_seq < events.first_seq;
  GET DIAGNOSTICS extended = ROW_COUNT;
  IF extended <> (SELECT count(DISTINCT id) FROM unnest(wallet_ids) AS id) THEN PERFORM refuse_numbers(wallet_ids); END IF;
END
$$;

-- The history that exists ---------------------------------------------------------------------------------------------

-- The rows below are rewritten, whatever times an earlier version wrote.
-- lint-ignore drops-unmanaged: a trigger below has this rule
ALTER TABLE "wallets" DROP CONSTRAINT "wallets_times_check";
-- lint-ignore drops-unmanaged: a trigger below has this rule
ALTER TABLE "requests" DROP CONSTRAINT "requests_times_check";
-- lint-ignore drops-unmanaged: a trigger below has this rule
ALTER TABLE "transactions" DROP CONSTRAINT "transactions_times_check";
ALTER TABLE "holds" DROP CONSTRAINT "holds_times_check";
ALTER TABLE "stakes" DROP CONSTRAINT "stakes_times_check";
ALTER TABLE "mining_records" DROP CONSTRAINT "mining_records_times_check";
ALTER TABLE "economic_metrics" DROP CONSTRAINT "economic_metrics_times_check";
ALTER TABLE "wallets" DISABLE TRIGGER USER;
ALTER TABLE "requests" DISABLE TRIGGER USER;
ALTER TABLE "transactions" DISABLE TRIGGER USER;
ALTER TABLE "holds" DISABLE TRIGGER USER;
ALTER TABLE "stakes" DISABLE TRIGGER USER;
ALTER TABLE "mining_records" DISABLE TRIGGER USER;

UPDATE "holds" AS h SET resolved_key = r.key FROM "requests" AS r
  WHERE r.operation IN ('capture', 'release') AND r.answer ->> 'holdId' = h.id AND h.status <> 'held';
UPDATE "mining_records" AS m SET request_key = r.key FROM "requests" AS r WHERE r.answer ->> 'recordId' = m.id;

-- Within one time, a hold is made before it is resolved, and a record is submitted after it was paid and before it was decided.
WITH event AS (
  SELECT 'transaction' AS what, id, created_at AS at, 2 AS place FROM "transactions"
  UNION ALL SELECT 'hold', id, created_at, 1 FROM "holds"
  UNION ALL SELECT 'resolved', id, resolved_at, 3 FROM "holds" WHERE status <> 'held'
  UNION ALL SELECT 'mining', id, created_at, 4 FROM "mining_records"
  UNION ALL SELECT 'decided', id, decided_at, 5 FROM "mining_records" WHERE status <> 'pending'
  UNION ALL SELECT 'metrics', id, created_at, 6 FROM "economic_metrics"
), numbered AS MATERIALIZED (
  SELECT what, id, row_number() OVER (ORDER BY at, place, id) AS seq FROM event
), transactions_numbered AS (
  UPDATE "transactions" AS t SET seq = n.seq FROM numbered AS n WHERE n.what = 'transaction' AND n.id = t.id
), holds_numbered AS (
  UPDATE "holds" AS h SET seq = n.seq, resolved_seq = (SELECT seq FROM numbered AS r WHERE r.what = 'resolved' AND r.id = h.id)
  FROM numbered AS n WHERE n.what = 'hold' AND n.id = h.id
), records_numbered AS (
  UPDATE "mining_records" AS m SET seq = n.seq,
    decided_seq = (SELECT seq FROM numbered AS d WHERE d.what = 'decided' AND d.id = m.id)
  FROM numbered AS n WHERE n.what = 'mining' AND n.id = m.id
), metrics_numbered AS (
  UPDATE "economic_metrics" AS m SET seq = n.seq FROM numbered AS n WHERE n.what = 'metrics' AND n.id = m.id
)
SELECT setval('ledger_seq', count(*) + 1, false) FROM numbered;
UPDATE "requests" AS r SET hash = request_hash(r);
UPDATE "transactions" AS t SET hash = transaction_hash(t);
UPDATE "holds" AS h SET hash = hold_hash(h);
UPDATE "mining_records" AS m SET hash = mining_hash(m);
UPDATE "economic_metrics" AS m SET hash = metrics_hash(m);
UPDATE "stakes" AS s SET hash = stake_hash(s);
UPDATE "stakes" AS s SET state_hash = stake_state_hash(s);
UPDATE "holds" AS h SET resolved_hash = hold_resolved_hash(h) WHERE status <> 'held';
UPDATE "mining_records" AS m SET decided_hash = mining_decided_hash(m) WHERE status <> 'pending';
UPDATE "wallets" AS w SET chain = wallet_hash(w);
UPDATE "wallets" AS w SET entries = e.entries, last_seq = e.last_seq, chain = e.chain
FROM (
  SELECT event.wallet_id, count(*) AS entries, max(event.seq) AS last_seq,
    fold_chain(wallet.chain, event.link ORDER BY event.seq) AS chain
  FROM ledger_events() AS event JOIN "wallets" AS wallet ON wallet.id = event.wallet_id GROUP BY event.wallet_id
) AS e
WHERE e.wallet_id = w.id;
UPDATE "wallets" SET entries = entries + 1, last_seq = nextval('ledger_seq') WHERE status = 'closed';
UPDATE "wallets" AS w SET chain = next_chain(chain, chain, wallet_closed_hash(w)) WHERE status = 'closed';

ALTER TABLE "wallets" ENABLE TRIGGER USER;
ALTER TABLE "requests" ENABLE TRIGGER USER;
ALTER TABLE "transactions" ENABLE TRIGGER USER;
ALTER TABLE "holds" ENABLE TRIGGER USER;
ALTER TABLE "stakes" ENABLE TRIGGER USER;
ALTER TABLE "mining_records" ENABLE TRIGGER USER;
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
ALTER TABLE "mining_records" ADD CONSTRAINT "mining_records_times_check" CHECK (
  "created_at" >= to_timestamp(946684800) AND "created_at" < to_timestamp(253402300800)
  AND "updated_at" >= to_timestamp(946684800) AND "updated_at" < to_timestamp(253402300800)
  AND "decided_at" >= to_timestamp(946684800) AND "decided_at" < to_timestamp(253402300800)) NOT VALID;
ALTER TABLE "economic_metrics" ADD CONSTRAINT "economic_metrics_times_check" CHECK (
  "created_at" >= to_timestamp(946684800) AND "created_at" < to_timestamp(253402300800)
  AND "captured_at" >= to_timestamp(946684800) AND "captured_at" < to_timestamp(253402300800)) NOT VALID;

-- The triggers that write the hashes, and the rules that were CHECK constraints and WHEN clauses -------------------------

-- Fails as a CHECK constraint of this name does.
CREATE FUNCTION "refuse_row"("table" text, "rule" text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'new row for relation "%" violates check constraint "%"', "table", rule
    USING ERRCODE = 'check_violation', TABLE = "table", CONSTRAINT = rule, SCHEMA = 'public';
END
$$;

CREATE FUNCTION "write_request_hash"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (btrim(NEW.key) <> '' AND btrim(NEW.operation) <> '' AND length(NEW.body_hash) = 64 AND ltrim(NEW.body_hash, '0123456789abcdef') = ''
    AND jsonb_typeof(NEW.answer -> 'transactionIds') = 'array'
    AND NEW.created_at >= to_timestamp(946684800) AND NEW.created_at < to_timestamp(253402300800)) IS NOT TRUE
  THEN
    IF btrim(NEW.key) = '' THEN PERFORM public.refuse_row('requests', 'requests_key_check'); END IF;
    IF btrim(NEW.operation) = '' THEN PERFORM public.refuse_row('requests', 'requests_operation_check'); END IF;
    IF NEW.body_hash !~ '^[0-9a-f]{64}$' THEN PERFORM public.refuse_row('requests', 'requests_body_hash_check'); END IF;
    IF jsonb_typeof(NEW.answer -> 'transactionIds') IS DISTINCT FROM 'array' AND NEW.answer IS NOT NULL THEN
      PERFORM public.refuse_row('requests', 'requests_answer_check');
    END IF;
    IF NOT (NEW.created_at >= to_timestamp(946684800) AND NEW.created_at < to_timestamp(253402300800)) THEN
      PERFORM public.refuse_row('requests', 'requests_times_check');
    END IF;
  END IF;
  NEW.hash := public.request_hash(NEW);
  RETURN NEW;
END
$$;
-- lint-ignore drops-unmanaged: the function above has these rules
ALTER TABLE "requests" DROP CONSTRAINT "requests_key_check", DROP CONSTRAINT "requests_operation_check",
  DROP CONSTRAINT "requests_body_hash_check", DROP CONSTRAINT "requests_answer_check";
CREATE TRIGGER "requests_write_hash" BEFORE INSERT ON "requests" FOR EACH ROW EXECUTE FUNCTION "write_request_hash"();

CREATE FUNCTION "write_transaction_hash"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (NEW.amount > 0 AND NEW.amount <> 'NaN' AND (NEW.description IS NULL OR btrim(NEW.description) <> '')
    AND (NEW.type <> 'transfer' OR NEW.from_id <> NEW.to_id)
    AND (NEW.stake_id IS NOT NULL) = (NEW.type IN ('stake', 'unstake', 'staking_reward'))
    AND NEW.created_at >= to_timestamp(946684800) AND NEW.created_at < to_timestamp(253402300800)) IS NOT TRUE
  THEN
    IF NOT (NEW.amount > 0 AND NEW.amount <> 'NaN') THEN
      PERFORM public.refuse_row('transactions', 'transactions_amount_check');
    ELSIF btrim(NEW.description) = '' THEN
      PERFORM public.refuse_row('transactions', 'transactions_description_check');
    ELSIF NEW.type = 'transfer' AND NEW.from_id = NEW.to_id THEN
      PERFORM public.refuse_row('transactions', 'transactions_distinct_wallets_check');
    ELSIF (NEW.stake_id IS NOT NULL) <> (NEW.type IN ('stake', 'unstake', 'staking_reward')) THEN
      PERFORM public.refuse_row('transactions', 'transactions_stake_check');
    ELSIF NOT (NEW.created_at >= to_timestamp(946684800) AND NEW.created_at < to_timestamp(253402300800)) THEN
      PERFORM public.refuse_row('transactions', 'transactions_times_check');
    END IF;
  END IF;
  NEW.seq := nextval('public.ledger_seq');
  NEW.hash := public.transaction_hash(NEW);
  RETURN NEW;
END
$$;
-- lint-ignore drops-unmanaged: the function above has these rules
ALTER TABLE "transactions" DROP CONSTRAINT "transactions_amount_check", DROP CONSTRAINT "transactions_description_check",
  DROP CONSTRAINT "transactions_distinct_wallets_check", DROP CONSTRAINT "transactions_stake_check";
CREATE TRIGGER "transactions_write_hash" BEFORE INSERT ON "transactions"
  FOR EACH ROW EXECUTE FUNCTION "write_transaction_hash"();
-- Only a trigger changes a number, when another session was faster to lock the wallets.
DROP TRIGGER "transactions_append_only" ON "transactions";
CREATE TRIGGER "transactions_append_only"
  BEFORE UPDATE OF "id", "type", "from_id", "to_id", "currency", "amount", "stake_id", "hold_id", "description", "request_key",
    "created_at", "hash" OR DELETE OR TRUNCATE ON "transactions" FOR EACH STATEMENT EXECUTE FUNCTION "refuse_change"();
CREATE FUNCTION "rewrite_transaction_hash"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.hash := public.transaction_hash(NEW);
  RETURN NEW;
END
$$;
CREATE TRIGGER "transactions_rewrite_hash" BEFORE UPDATE OF "seq" ON "transactions"
  FOR EACH ROW EXECUTE FUNCTION "rewrite_transaction_hash"();
CREATE TRIGGER "transactions_keep_seq" BEFORE UPDATE OF "seq" ON "transactions"
  FOR EACH STATEMENT WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION "refuse_change"();

CREATE FUNCTION "write_hold_hash"() RETURNS trigger LANGUAGE plpgsql
SET search_path TO pg_catalog, public, pg_temp AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    PERFORM FROM wallets WHERE id = NEW.wallet_id FOR NO KEY UPDATE;
    NEW.seq := nextval('ledger_seq');
    NEW.hash := hold_hash(NEW);
    NEW.resolved_seq := NULL;
  ELSE
    NEW.seq := OLD.seq;
    NEW.hash := OLD.hash;
  END IF;
  NEW.resolved_hash := hold_resolved_hash(NEW);
  RETURN NEW;
END
$$;
CREATE TRIGGER "holds_write_hash" BEFORE INSERT OR UPDATE OF "status", "resolved_seq" ON "holds"
  FOR EACH ROW EXECUTE FUNCTION "write_hold_hash"();
DROP TRIGGER "holds_transition" ON "holds";
CREATE TRIGGER "holds_transition" BEFORE UPDATE OF "id", "wallet_id", "to_id", "currency", "amount", "captured_amount", "status",
    "description", "request_key", "expires_at", "resolved_at", "created_at", "resolved_key" ON "holds"
  FOR EACH ROW EXECUTE FUNCTION "check_hold_change"();
CREATE TRIGGER "holds_keep_hash" BEFORE UPDATE OF "seq", "hash", "resolved_seq", "resolved_hash" ON "holds"
  FOR EACH STATEMENT WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION "refuse_change"();

CREATE FUNCTION "write_stake_hash"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN NEW.hash := public.stake_hash(NEW); ELSE NEW.hash := OLD.hash; END IF;
  NEW.state_hash := public.stake_state_hash(NEW);
  RETURN NEW;
END
$$;
CREATE TRIGGER "stakes_write_hash" BEFORE INSERT OR UPDATE ON "stakes" FOR EACH ROW EXECUTE FUNCTION "write_stake_hash"();

CREATE FUNCTION "write_mining_hash"() RETURNS trigger LANGUAGE plpgsql
SET search_path TO pg_catalog, public, pg_temp AS $$
BEGIN
  PERFORM FROM wallets WHERE id = NEW.wallet_id FOR NO KEY UPDATE;
  IF TG_OP = 'INSERT' THEN
    NEW.seq := nextval('ledger_seq');
    NEW.hash := mining_hash(NEW);
  ELSIF NEW.request_key IS DISTINCT FROM OLD.request_key THEN
    PERFORM refuse('mining_submission', jsonb_build_object('recordId', OLD.id), 'What was submitted stays as it is.');
  ELSE
    NEW.seq := OLD.seq;
    NEW.hash := OLD.hash;
  END IF;
  NEW.decided_seq := CASE WHEN NEW.status <> 'pending' THEN nextval('ledger_seq') END;
  NEW.decided_hash := mining_decided_hash(NEW);
  RETURN NEW;
END
$$;
CREATE TRIGGER "mining_records_write_hash" BEFORE INSERT OR UPDATE ON "mining_records"
  FOR EACH ROW EXECUTE FUNCTION "write_mining_hash"();

CREATE FUNCTION "write_metrics_hash"() RETURNS trigger LANGUAGE plpgsql
SET search_path TO pg_catalog, public, pg_temp AS $$
BEGIN
  PERFORM FROM wallets WHERE kind = 'treasury' AND currency = 'AZR' FOR NO KEY UPDATE;
  NEW.seq := nextval('ledger_seq');
  NEW.hash := metrics_hash(NEW);
  RETURN NEW;
END
$$;
CREATE TRIGGER "economic_metrics_write_hash" BEFORE INSERT ON "economic_metrics"
  FOR EACH ROW EXECUTE FUNCTION "write_metrics_hash"();
CREATE FUNCTION "post_metrics"() RETURNS trigger LANGUAGE plpgsql
SET search_path TO pg_catalog, public, pg_temp AS $$
BEGIN
  PERFORM extend_chains(array_agg(w.id), array_agg(p.seq), array_agg(p.hash))
    FROM posted AS p JOIN wallets AS w ON w.kind = 'treasury' AND w.currency = 'AZR';
  RETURN NULL;
END
$$;
CREATE TRIGGER "economic_metrics_extend_chain" AFTER INSERT ON "economic_metrics" REFERENCING NEW TABLE AS "posted"
  FOR EACH STATEMENT EXECUTE FUNCTION "post_metrics"();
CREATE TRIGGER "economic_metrics_append_only" BEFORE UPDATE OR DELETE OR TRUNCATE ON "economic_metrics"
  FOR EACH STATEMENT EXECUTE FUNCTION "refuse_change"();

CREATE FUNCTION "start_chain"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (NEW.kind = 'user') <> (NEW.user_id IS NOT NULL) THEN PERFORM public.refuse_row('wallets', 'wallets_owner_check'); END IF;
  IF NOT (NEW.created_at >= to_timestamp(946684800) AND NEW.created_at < to_timestamp(253402300800)
    AND NEW.updated_at >= to_timestamp(946684800) AND NEW.updated_at < to_timestamp(253402300800))
  THEN
    PERFORM public.refuse_row('wallets', 'wallets_times_check');
  END IF;
  NEW.entries := 0;
  NEW.last_seq := 0;
  NEW.chain := public.wallet_hash(NEW);
  RETURN NEW;
END
$$;
CREATE TRIGGER "wallets_start_chain" BEFORE INSERT ON "wallets" FOR EACH ROW EXECUTE FUNCTION "start_chain"();

-- The closing is the last event of a wallet.
CREATE FUNCTION "end_chain"() RETURNS trigger LANGUAGE plpgsql
SET search_path TO pg_catalog, public, pg_temp AS $$
BEGIN
  IF OLD.closed_at <> NEW.closed_at THEN
    PERFORM refuse_row('wallets', 'wallets_closed_check');
  ELSIF NOT (NEW.closed_at >= to_timestamp(946684800) AND NEW.closed_at < to_timestamp(253402300800)) THEN
    PERFORM refuse_row('wallets', 'wallets_times_check');
  ELSIF OLD.status <> NEW.status THEN
    NEW.entries := OLD.entries + 1;
    NEW.last_seq := nextval('ledger_seq');
    IF NEW.last_seq <= OLD.last_seq THEN PERFORM refuse_numbers(ARRAY[NEW.id]); END IF;
    NEW.chain := next_chain(OLD.chain, OLD.chain, wallet_closed_hash(NEW));
  END IF;
  RETURN NEW;
END
$$;
CREATE TRIGGER "wallets_write_closing" BEFORE UPDATE OF "status", "closed_at" ON "wallets"
  FOR EACH ROW EXECUTE FUNCTION "end_chain"();

DROP TRIGGER "wallets_keep_owner" ON "wallets";
CREATE TRIGGER "wallets_keep_owner" BEFORE UPDATE OF "id", "kind", "user_id", "currency", "created_at" ON "wallets"
  -- Column by column: PostgreSQL words a comparison of rows otherwise after a restore.
  FOR EACH ROW WHEN (OLD.id IS DISTINCT FROM NEW.id OR OLD.kind IS DISTINCT FROM NEW.kind
    OR OLD.user_id IS DISTINCT FROM NEW.user_id OR OLD.currency IS DISTINCT FROM NEW.currency
    OR OLD.created_at IS DISTINCT FROM NEW.created_at)
  EXECUTE FUNCTION "refuse_wallet_change"();

CREATE FUNCTION "check_wallet_money"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (OLD.balance, OLD.held, OLD.earned, OLD.entries, OLD.last_seq, OLD.chain)
    IS DISTINCT FROM (NEW.balance, NEW.held, NEW.earned, NEW.entries, NEW.last_seq, NEW.chain)
  THEN
    RAISE EXCEPTION '% of wallet % is refused: its money moves with transactions and holds, its owner never',
      TG_OP, NEW.id USING ERRCODE = 'restrict_violation', HINT = 'Insert a transaction or a hold; the balances follow.';
  END IF;
  IF NOT (NEW.updated_at >= to_timestamp(946684800) AND NEW.updated_at < to_timestamp(253402300800)) THEN
    PERFORM public.refuse_row('wallets', 'wallets_times_check');
  END IF;
  RETURN NEW;
END
$$;
DROP TRIGGER "wallets_money_moves_with_entries" ON "wallets";
CREATE TRIGGER "wallets_money_moves_with_entries"
  BEFORE UPDATE OF "balance", "held", "earned", "entries", "last_seq", "chain", "updated_at" ON "wallets"
  FOR EACH ROW WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION "check_wallet_money"();

-- PostgreSQL parses the text of a CHECK constraint for each statement, so the four that hold with disabled triggers too become
-- one short one. `-x <= 0` is false for NaN, as `x >= 0 AND x <> 'NaN'` is.
CREATE FUNCTION "wallet_fits"("kind" "wallet_kind", "status" "wallet_status", "balance" numeric, "held" numeric, "earned" numeric,
  "closed_at" timestamptz) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
  is_covered boolean := CASE kind WHEN 'treasury' THEN balance ELSE held - balance END <= 0;
BEGIN
  IF is_covered AND (CASE status WHEN 'active' THEN closed_at IS NULL
      ELSE kind = 'user' AND balance = 0 AND held = 0 AND closed_at IS NOT NULL END)
    AND - earned <= 0 AND - held <= 0 AND (held = 0 OR kind = 'user')
  THEN
    RETURN true;
  ELSIF is_covered THEN
    PERFORM public.refuse_row('wallets', CASE
      WHEN status = 'active' AND closed_at IS NOT NULL
        OR status <> 'active' AND (kind <> 'user' OR balance <> 0 OR held <> 0 OR closed_at IS NULL) THEN 'wallets_closed_check'
      WHEN - earned <= 0 THEN 'wallets_held_check' ELSE 'wallets_earned_check' END);
  END IF;
  RETURN false;
END
$$;
-- lint-ignore drops-unmanaged: wallet_fits has four of them; start_chain, end_chain and check_wallet_money have the other two
ALTER TABLE "wallets" DROP CONSTRAINT "wallets_owner_check",
  DROP CONSTRAINT "wallets_closed_check", DROP CONSTRAINT "wallets_held_check", DROP CONSTRAINT "wallets_earned_check",
  DROP CONSTRAINT "wallets_balance_check";
-- lint-ignore constraint-missing-not-valid: the rows were written above under the lock that this needs
ALTER TABLE "wallets" ADD CONSTRAINT "wallets_balance_check"
  CHECK (wallet_fits("kind", "status", "balance", "held", "earned", "closed_at"));

-- Posting: what an inserted row changes ---------------------------------------------------------------------------------

-- All of these rows in one statement, whichever client inserted them.
CREATE FUNCTION "post_entries"("entry_ids" text[]) RETURNS void LANGUAGE plpgsql
SET search_path TO pg_catalog, public, pg_temp SET plan_cache_mode TO force_generic_plan SET enable_seqscan TO off AS $$
DECLARE
  sides integer;
  moved integer;
  misfits text[];
BEGIN
  PERFORM FROM wallets WHERE id IN (
    SELECT from_id FROM transactions WHERE id = ANY (entry_ids) UNION SELECT to_id FROM transactions WHERE id = ANY (entry_ids)
  ) ORDER BY id COLLATE "C" FOR NO KEY UPDATE;
  GET DIAGNOSTICS sides = ROW_COUNT;
  SELECT array_agg(p.id) INTO misfits
  FROM transactions AS p
  JOIN wallets AS f ON f.id = p.from_id JOIN wallets AS t ON t.id = p.to_id
  WHERE p.id = ANY (entry_ids) AND (p.stake_id IS NOT NULL OR p.hold_id IS NOT NULL
    OR f.status = 'closed' OR t.status = 'closed' OR NOT sides_fit(p.type, f.kind, t.kind));
  IF misfits IS NOT NULL THEN PERFORM check_entries(misfits); END IF;
  -- Another session may have locked a wallet between the number of a row and this statement's lock.
  IF EXISTS (
    SELECT FROM transactions AS p JOIN wallets AS f ON f.id = p.from_id JOIN wallets AS t ON t.id = p.to_id
    WHERE p.id = ANY (entry_ids) AND p.seq <= greatest(f.last_seq, t.last_seq)
  ) THEN
    UPDATE transactions AS p SET seq = renumbered.seq
    FROM (
      SELECT id, nextval('ledger_seq') AS seq
      FROM (SELECT id FROM transactions WHERE id = ANY (entry_ids) ORDER BY transactions.seq) AS ordered
    ) AS renumbered
    WHERE p.id = renumbered.id;
  END IF;
  UPDATE wallets AS w SET balance = w.balance + sums.change, earned = w.earned + sums.earned,
    entries = w.entries + sums.entries, last_seq = sums.last_seq, chain = sums.chain,
    updated_at = greatest(w.updated_at, sums.newest)
  FROM (
    SELECT side.id, sum(side.change) AS change, sum(side.earned) AS earned, count(*) AS entries, min(side.seq) AS first_seq,
      max(side.seq) AS last_seq, fold_chain(wallet.chain, side.link ORDER BY side.seq) AS chain, max(side.at) AS newest
    FROM (
      SELECT place.id, CASE WHEN place.is_receiver THEN p.amount ELSE -p.amount END AS change,
        CASE WHEN place.is_receiver AND p.type IN ('reward', 'mining', 'staking_reward') THEN p.amount ELSE 0 END AS earned,
        p.seq, p.hash || coalesce(r.hash, '') || coalesce(s.hash, '') AS link, p.created_at AS at
      FROM transactions AS p
      LEFT JOIN requests AS r ON r.key = p.request_key LEFT JOIN stakes AS s ON s.id = p.stake_id
      CROSS JOIN LATERAL (VALUES (p.from_id, false), (p.to_id, true)) AS place (id, is_receiver)
      WHERE p.id = ANY (entry_ids)
    ) AS side JOIN wallets AS wallet ON wallet.id = side.id GROUP BY side.id
  ) AS sums
  WHERE w.id = sums.id AND w.balance + sums.change < 1e10 AND w.balance + sums.change > -1e10
    AND w.earned + sums.earned < 1e10 AND w.last_seq < sums.first_seq;
  GET DIAGNOSTICS moved = ROW_COUNT;
  IF moved <> sides THEN PERFORM refuse_overflow(entry_ids); END IF;
  IF misfits IS NOT NULL THEN
    UPDATE stakes AS s SET rewards_earned = s.rewards_earned + paid.rewards, updated_at = greatest(s.updated_at, paid.newest),
      status = CASE WHEN paid.withdrawn_at IS NULL THEN s.status ELSE 'withdrawn' END,
      withdrawn_at = coalesce(paid.withdrawn_at, s.withdrawn_at)
    FROM (
      SELECT stake_id, coalesce(sum(amount) FILTER (WHERE type = 'staking_reward'), 0) AS rewards, max(created_at) AS newest,
        max(created_at) FILTER (WHERE type = 'unstake') AS withdrawn_at
      FROM transactions WHERE id = ANY (misfits) AND type IN ('unstake', 'staking_reward') GROUP BY stake_id
    ) AS paid
    WHERE s.id = paid.stake_id;
  END IF;
END
$$;
-- lint-ignore drops-unmanaged: post_entries changes the stakes
DROP TRIGGER "transactions_change_stakes" ON "transactions";
-- lint-ignore drops-unmanaged: post_entries changes the stakes
DROP FUNCTION "post_stake_transaction"();

-- Fails, because the entries have changed fewer wallets than they name. Names one that they would bring above its limit.
CREATE FUNCTION "refuse_overflow"("entry_ids" text[]) RETURNS void LANGUAGE plpgsql
SET search_path TO pg_catalog, public, pg_temp AS $$
BEGIN
  PERFORM refuse_balance_limit(w.id)
    FROM wallets AS w JOIN transactions AS t ON t.to_id = w.id OR t.from_id = w.id
    WHERE t.id = ANY (entry_ids) AND t.seq > w.last_seq ORDER BY w.id COLLATE "C" LIMIT 1;
  PERFORM refuse_numbers(ARRAY(SELECT unnest(ARRAY[from_id, to_id]) FROM transactions WHERE id = ANY (entry_ids)));
END
$$;

-- Runs with the rights of the function that inserts: the app role can insert no transaction.
CREATE OR REPLACE FUNCTION "post_transactions"() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  entry record;
  found_wallet record;
  payer record;
  receiver record;
  moved integer;
  are_locked boolean := false;
BEGIN
  -- The functions that make transfers lock their wallets before they insert, and say so. What they say is not trusted: an
  -- update of any other row changes too few wallets.
  IF current_setting('azora.wallets_locked_for', true) <> '' THEN
    UPDATE public.wallets AS w SET
      balance = w.balance + CASE w.id WHEN p.to_id THEN p.amount ELSE -p.amount END,
      entries = w.entries + 1, last_seq = p.seq, chain = sha256(w.chain || p.hash || r.hash),
      updated_at = greatest(w.updated_at, p.created_at)
    FROM posted AS p JOIN public.requests AS r ON r.key = p.request_key
    WHERE w.id IN (p.from_id, p.to_id) AND w.kind = 'user' AND w.status = 'active' AND w.last_seq < p.seq
      AND (w.id = p.from_id OR w.balance + p.amount < 1e10)
      AND p.id = current_setting('azora.wallets_locked_for', true) AND p.type = 'transfer' AND p.stake_id IS NULL AND p.hold_id IS NULL
      AND NOT EXISTS (SELECT FROM posted OFFSET 1);
    GET DIAGNOSTICS moved = ROW_COUNT;
    IF moved = 2 THEN RETURN NULL; END IF;
    IF moved = 1 THEN PERFORM public.refuse_overflow((SELECT array_agg(id) FROM posted)); END IF;
  END IF;
  IF current_setting('azora.wallets_locked_for_all', true) <> '' THEN
    are_locked := EXISTS (SELECT FROM posted WHERE id = current_setting('azora.wallets_locked_for_all', true));
  END IF;
  IF are_locked THEN
    UPDATE public.wallets AS w SET
      balance = w.balance + sums.change, entries = w.entries + sums.entries, last_seq = sums.last_seq,
      chain = CASE sums.entries WHEN 1 THEN sha256(w.chain || sums.links[1]) ELSE (
        SELECT public.fold_chain(w.chain, listed.link ORDER BY listed.place)
        FROM unnest(sums.links) WITH ORDINALITY AS listed (link, place)) END,
      updated_at = greatest(w.updated_at, sums.newest)
    FROM (
      SELECT side.id, sum(side.change) AS change, count(*) AS entries, min(p.seq) AS first_seq, max(p.seq) AS last_seq,
        array_agg(p.hash || r.hash ORDER BY p.seq) AS links, max(p.created_at) AS newest,
        bool_and(p.type = 'transfer' AND p.stake_id IS NULL AND p.hold_id IS NULL) AS are_transfers
      FROM posted AS p LEFT JOIN public.requests AS r ON r.key = p.request_key
      CROSS JOIN LATERAL (VALUES (p.from_id, -p.amount), (p.to_id, p.amount)) AS side (id, change)
      GROUP BY side.id
    ) AS sums
    WHERE w.id = sums.id AND sums.are_transfers AND w.kind = 'user' AND w.status = 'active' AND w.last_seq < sums.first_seq
      AND w.balance + sums.change < 1e10;
    GET DIAGNOSTICS moved = ROW_COUNT;
    IF moved <> (SELECT count(*) FROM (SELECT from_id FROM posted UNION SELECT to_id FROM posted) AS sides) THEN
      PERFORM public.refuse_overflow((SELECT array_agg(id) FROM posted));
    END IF;
    RETURN NULL;
  END IF;
  SELECT p.id, p.type, p.from_id, p.to_id, p.amount, p.stake_id, p.hold_id, p.created_at, p.seq, p.hash, r.hash AS request_hash,
    EXISTS (SELECT FROM posted OFFSET 1) AS is_one_of_many
  INTO entry FROM posted AS p LEFT JOIN public.requests AS r ON r.key = p.request_key LIMIT 1;
  IF NOT FOUND THEN
    RETURN NULL;
  ELSIF entry.is_one_of_many OR entry.stake_id IS NOT NULL OR entry.hold_id IS NOT NULL THEN
    PERFORM public.post_entries((SELECT array_agg(id) FROM posted));
    RETURN NULL;
  END IF;
  FOR found_wallet IN
    SELECT id, kind, status, balance, last_seq FROM public.wallets WHERE id IN (entry.from_id, entry.to_id)
    ORDER BY id COLLATE "C" FOR NO KEY UPDATE
  LOOP
    IF found_wallet.id = entry.from_id THEN payer := found_wallet; END IF;
    IF found_wallet.id = entry.to_id THEN receiver := found_wallet; END IF;
  END LOOP;
  IF payer.status = 'closed' OR receiver.status = 'closed' OR NOT public.sides_fit(entry.type, payer.kind, receiver.kind) THEN
    PERFORM public.check_entries(ARRAY[entry.id]);
  END IF;
  IF receiver.balance + entry.amount >= 1e10 OR payer.balance - entry.amount <= -1e10 THEN
    PERFORM public.refuse_balance_limit(
      CASE WHEN receiver.balance + entry.amount >= 1e10 THEN receiver.id ELSE payer.id END);
  END IF;
  IF entry.seq <= greatest(payer.last_seq, receiver.last_seq) THEN
    UPDATE public.transactions SET seq = nextval('public.ledger_seq') WHERE id = entry.id
      RETURNING seq, hash INTO entry.seq, entry.hash;
    IF entry.seq <= greatest(payer.last_seq, receiver.last_seq) THEN
      PERFORM public.refuse_numbers(ARRAY[entry.from_id, entry.to_id]);
    END IF;
  END IF;
  UPDATE public.wallets SET
    balance = balance + CASE id WHEN entry.to_id THEN entry.amount ELSE -entry.amount END,
    earned = earned + CASE
      WHEN id = entry.to_id AND entry.type IN ('reward', 'mining', 'staking_reward') THEN entry.amount ELSE 0 END,
    entries = entries + 1, last_seq = entry.seq, chain = sha256(chain || entry.hash || entry.request_hash),
    updated_at = greatest(updated_at, entry.created_at)
  WHERE id IN (entry.from_id, entry.to_id);
  RETURN NULL;
END
$$;
ALTER FUNCTION "post_transactions"() SECURITY INVOKER;
ALTER FUNCTION "post_transactions"() RESET ALL;
ALTER FUNCTION "post_transactions"() SET search_path = pg_catalog, public, pg_temp;

-- No statement reads transactions by their type, and most of them have no stake.
-- lint-ignore require-concurrent-index-deletion: the table is locked exclusively already, and the index is made again below
DROP INDEX "transactions_type_created_at_idx", "transactions_stake_id_idx";
-- lint-ignore index-not-concurrent: the new columns have locked the table already
CREATE INDEX "transactions_stake_id_idx" ON "transactions" ("stake_id") WHERE "stake_id" IS NOT NULL;

-- Transfers -------------------------------------------------------------------------------------------------------------

DROP FUNCTION "transfer_money"(text, text, text, text, text, numeric, text, timestamptz);
CREATE FUNCTION "transfer_money"(
  "request_key" text, "hash" text, "transaction_id" text, "payer_id" text, "receiver_id" text, "amount" numeric,
  "description" text
) RETURNS SETOF "transactions" LANGUAGE plpgsql SECURITY DEFINER SET search_path TO pg_catalog, public, pg_temp AS $$
DECLARE
  earlier jsonb;
  locked record;
BEGIN
  -- Takes the key, locks the wallets in their order, and inserts the transaction if they fit. The setting tells the trigger
  -- that the wallets of this row are locked already.
  RETURN QUERY
    WITH request AS (
      INSERT INTO requests (key, operation, body_hash, answer, created_at)
        VALUES (request_key, 'transfer', hash, jsonb_build_object('transactionIds', jsonb_build_array(transaction_id)),
          database_time())
        ON CONFLICT (key) DO NOTHING RETURNING requests.key
    )
    INSERT INTO transactions (id, type, from_id, to_id, currency, amount, description, request_key, created_at)
    SELECT transaction_id, 'transfer', payer_id, receiver_id, sides.currency, amount, description, request.key, database_time()
    FROM request CROSS JOIN LATERAL (
      SELECT one.currency, CASE one.id WHEN payer_id THEN one.balance - one.held ELSE other.balance - other.held END AS available,
        one.id <> other.id AND one.currency = other.currency AND one.kind = 'user' AND other.kind = 'user'
          AND one.status = 'active' AND other.status = 'active' AS fits
      FROM wallets AS one CROSS JOIN wallets AS other
      WHERE request.key IS NOT NULL
        AND one.id = CASE WHEN payer_id COLLATE "C" < receiver_id THEN payer_id ELSE receiver_id END
        AND other.id = CASE WHEN payer_id COLLATE "C" < receiver_id THEN receiver_id ELSE payer_id END
      FOR NO KEY UPDATE OF one, other
    ) AS sides
    WHERE sides.fits AND amount > 0 AND amount <= sides.available AND scale(trim_scale(amount)) <= 8
      AND set_config('azora.wallets_locked_for', transaction_id, true) IS NOT NULL
    RETURNING transactions.*;
  IF FOUND THEN RETURN; END IF;
  -- The answer of an earlier request, or of this one, which has no transaction yet.
  earlier := begin_request(request_key, 'transfer', hash,
    jsonb_build_object('transactionIds', jsonb_build_array(transaction_id)));
  RETURN QUERY SELECT * FROM answered_transactions(earlier);
  IF FOUND THEN RETURN; END IF;
  -- The wallets do not fit, or only did not when the statement above began.
  locked := lock_payment(payer_id, receiver_id, amount);
  RETURN QUERY INSERT INTO transactions (id, type, from_id, to_id, currency, amount, description, request_key, created_at)
    VALUES (transaction_id, 'transfer', payer_id, receiver_id, (locked.payer).currency, amount, description, request_key,
      database_time())
    RETURNING *;
END
$$;

-- The wallets that another session has locked at this moment.
CREATE FUNCTION "locked_wallets"("wallet_ids" text[]) RETURNS SETOF text LANGUAGE sql SECURITY DEFINER
SET search_path TO pg_catalog, public, pg_temp AS $$
  WITH free AS (SELECT id FROM wallets WHERE id = ANY (wallet_ids) FOR NO KEY UPDATE SKIP LOCKED)
  SELECT id FROM wallets WHERE id = ANY (wallet_ids) AND id NOT IN (SELECT id FROM free)
$$;

DROP FUNCTION "transfer_each"(text[], text[], text[], text[], text[], numeric[], text[], timestamptz[]);
CREATE FUNCTION "transfer_each"(request_keys text[], hashes text[], transaction_ids text[], payer_ids text[], receiver_ids text[], amounts numeric[], descriptions text[]) RETURNS TABLE(key text, rule text, facts jsonb, made transactions)
LANGUAGE plpgsql SECURITY DEFINER SET search_path TO pg_catalog, public, pg_temp SET plan_cache_mode TO force_generic_plan
SET enable_seqscan TO off SET lock_timeout TO '100ms' AS $$
#variable_conflict use_column
DECLARE
  all_rules text[];
  all_facts jsonb[];
  earlier_ids text[];
  are_possible boolean[];
  are_made boolean[];
  scarce text[];
  uncovered record;
  still record;
  expected integer;
  inserted integer;
  is_changed boolean := false;
  at timestamptz;
  locked_for text;
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
    array_agg(judged.earlier_id), array_agg(judged.is_possible),
    array_agg(judged.payer_id) FILTER (WHERE judged.is_possible AND judged.spent > judged.available)
  INTO all_rules, all_facts, earlier_ids, are_possible, scarce
  FROM (
    SELECT checked.*, checked.rule IS NULL AND checked.earlier_id IS NULL AS is_possible,
      sum(checked.amount) FILTER (WHERE checked.rule IS NULL AND checked.earlier_id IS NULL)
        OVER (PARTITION BY checked.payer_id) AS spent
    FROM (
      SELECT item.place, item.payer_id, item.amount, earlier.operation, payer.balance - payer.held AS available,
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
    ) AS checked
    ORDER BY checked.place
  ) AS judged;
  are_made := are_possible;
  IF scarce IS NOT NULL THEN
    uncovered := uncovered_transfers(payer_ids, receiver_ids, amounts, are_possible, scarce);
    FOR n IN 1 .. coalesce(cardinality(uncovered.places), 0) LOOP
      are_made[uncovered.places[n]] := false;
    END LOOP;
  END IF;
  expected := coalesce(cardinality(array_positions(are_made, true)), 0);

  at := database_time();
  INSERT INTO requests (key, operation, body_hash, answer, created_at)
    SELECT item.key, 'transfer', item.hash, jsonb_build_object('transactionIds', jsonb_build_array(item.transaction_id)), at
    FROM unnest(request_keys, hashes, transaction_ids, are_made) AS item (key, hash, transaction_id, is_made)
    WHERE item.is_made ORDER BY item.key COLLATE "C"
    ON CONFLICT (key) DO NOTHING;
  GET DIAGNOSTICS inserted = ROW_COUNT;
  is_changed := inserted <> expected;

  IF NOT is_changed THEN
    PERFORM FROM wallets
    WHERE id = ANY (ARRAY(
      SELECT unnest(ARRAY[item.payer_id, item.receiver_id])
      FROM unnest(payer_ids, receiver_ids, are_possible) AS item (payer_id, receiver_id, is_possible)
      WHERE item.is_possible
    ))
    ORDER BY id COLLATE "C" FOR NO KEY UPDATE;
  END IF;
  IF scarce IS NOT NULL AND NOT is_changed THEN
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

  IF NOT is_changed AND expected > 0 THEN
    at := database_time();
    -- Tells the trigger that the wallets of all these rows are locked already.
    locked_for := set_config('azora.wallets_locked_for_all', transaction_ids[array_position(are_made, true)], true);
    RETURN QUERY
      WITH fitting AS (
        SELECT item.*, payer.currency,
          payer.balance - payer.held >= sum(item.amount) OVER (PARTITION BY item.payer_id)
            OR item.payer_id = ANY (scarce) AS is_covered
        FROM unnest(request_keys, transaction_ids, payer_ids, receiver_ids, amounts, descriptions, are_made) WITH ORDINALITY
          AS item (key, transaction_id, payer_id, receiver_id, amount, description, is_made, place)
        CROSS JOIN LATERAL (SELECT * FROM wallets WHERE id = item.payer_id OFFSET 0) AS payer
        CROSS JOIN LATERAL (SELECT * FROM wallets WHERE id = item.receiver_id OFFSET 0) AS receiver
        WHERE item.is_made AND payer.kind = 'user' AND payer.status = 'active'
          AND receiver.kind = 'user' AND receiver.status = 'active'
      )
      INSERT INTO transactions (id, type, from_id, to_id, currency, amount, description, request_key, created_at)
        SELECT transaction_id, 'transfer', payer_id, receiver_id, currency, amount, description, key, at
        FROM fitting WHERE is_covered ORDER BY place
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

DROP FUNCTION "transfer_many"(text, text, text[], text[], text[], numeric[], text[], timestamptz);
CREATE FUNCTION "transfer_many"(request_key text, hash text, transaction_ids text[], payer_ids text[], receiver_ids text[], amounts numeric[], descriptions text[]) RETURNS SETOF "transactions"
LANGUAGE plpgsql SECURITY DEFINER SET search_path TO pg_catalog, public, pg_temp AS $$
DECLARE
  earlier jsonb := begin_request(request_key, 'transferMany', hash,
    jsonb_build_object('transactionIds', to_jsonb(transaction_ids)));
  fits boolean;
  at timestamptz;
  locked_for text;
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
  at := database_time();
  -- Tells the trigger that the wallets of all these rows are locked already.
  locked_for := set_config('azora.wallets_locked_for_all', transaction_ids[1], true);
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

-- lint-ignore drops-unmanaged: only the transfers passed a time
DROP FUNCTION "begin_request"(text, text, text, jsonb, timestamptz);

-- Holds -----------------------------------------------------------------------------------------------------------------

CREATE OR REPLACE FUNCTION "post_holds"() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path TO pg_catalog, public, pg_temp AS $$
DECLARE
  changed record;
  party record;
  events record;
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
    SELECT array_agg(p.wallet_id) AS wallet_ids, array_agg(p.seq) AS seqs, array_agg(p.hash || r.hash) AS links
    INTO events FROM posted AS p JOIN requests AS r ON r.key = p.request_key;
  ELSE
    -- An update that only writes the numbers of events comes from below.
    IF NOT EXISTS (SELECT FROM earlier JOIN posted USING (id) WHERE earlier.status <> posted.status) THEN RETURN NULL; END IF;
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
    -- The numbers are taken now, because the wallets are locked only now.
    WITH numbered AS (
      UPDATE holds SET resolved_seq = nextval('ledger_seq') WHERE id IN (SELECT id FROM posted)
      RETURNING wallet_id, resolved_seq, resolved_hash, resolved_key
    )
    SELECT array_agg(n.wallet_id) AS wallet_ids, array_agg(n.resolved_seq) AS seqs,
      array_agg(n.resolved_hash || coalesce(r.hash, '')) AS links
    INTO events FROM numbered AS n LEFT JOIN requests AS r ON r.key = n.resolved_key;
  END IF;
  PERFORM extend_chains(events.wallet_ids, events.seqs, events.links);
  RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION "post_mining_records"() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path TO pg_catalog, public, pg_temp AS $$
BEGIN
  PERFORM extend_chains(array_agg(event.wallet_id), array_agg(event.seq), array_agg(event.link))
  FROM (
    SELECT p.wallet_id, p.seq, p.hash || coalesce(r.hash, '') AS link
      FROM posted AS p LEFT JOIN requests AS r ON r.key = p.request_key WHERE TG_OP = 'INSERT'
    UNION ALL
    SELECT p.wallet_id, p.decided_seq, p.decided_hash FROM posted AS p WHERE p.decided_hash IS NOT NULL
  ) AS event;
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

-- These three name the request of what they resolve and record.

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
  UPDATE holds SET status = 'captured', captured_amount = paid, resolved_at = at,
      resolved_key = capture_hold.request_key WHERE id = hold.id AND status = 'held';
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
    UPDATE holds SET status = 'released', resolved_at = database_time(), resolved_key = release_hold.request_key
      WHERE id = hold.id AND status = 'held';
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
      reward, status, rejection, transaction_id, decided_at, created_at, updated_at, request_key)
    SELECT record_id, miner_id, learned, learned_in, proof, score, judged.difficulty,
      CASE WHEN judged.rejection IS NULL THEN judged.reward ELSE 0 END,
      (CASE WHEN judged.rejection IS NULL THEN 'rewarded' ELSE 'rejected' END)::mining_status, judged.rejection,
      paid_ids[1], at, at, at, submit_knowledge.request_key
    RETURNING *;
END
$$;
