-- Why: money is moved by the database: every transaction has two sides, and its insertion moves the balances of both.
-- Locks: wallets and transactions are rewritten under ACCESS EXCLUSIVE; stop the service for as long as that takes.
-- Runs again: no, once per database; inside one transaction.
--
-- Sections: old rows, tables, checks, guards, what moves balances, what holds set aside, helpers, operations.

SET LOCAL lock_timeout = '10s';

-- Old rows ------------------------------------------------------------------------------------------------------------

-- From here on a balance is the sum of its transactions. One that is not would stay wrong for ever.
DO $$
DECLARE
  wrong text;
BEGIN
  SELECT string_agg(id, ', ') INTO wrong FROM (
    SELECT w.id FROM wallets w
    LEFT JOIN (
      SELECT wallet_id, sum(change) AS total FROM (
        SELECT from_id AS wallet_id, -amount AS change FROM transactions WHERE from_id IS NOT NULL
        UNION ALL
        SELECT to_id, amount FROM transactions WHERE to_id IS NOT NULL
      ) AS entries GROUP BY wallet_id
    ) AS sums ON sums.wallet_id = w.id
    WHERE w.balance <> coalesce(sums.total, 0)
    ORDER BY w.id LIMIT 10
  ) AS wallets;
  IF wrong IS NOT NULL THEN
    RAISE EXCEPTION 'balances that are not the sum of their transactions: %', wrong
      USING HINT = 'Record the transactions that are missing, or correct the balances, then migrate again.';
  END IF;
END
$$;

-- A value that is added to an enum cannot be used by the transaction that adds it, so the type is made anew.
ALTER TYPE "wallet_kind" RENAME TO "wallet_kind_old";
CREATE TYPE "wallet_kind" AS ENUM ('user', 'treasury', 'staking');
CREATE TYPE "wallet_status" AS ENUM ('active', 'closed');
CREATE TYPE "hold_status" AS ENUM ('held', 'captured', 'released', 'expired');

-- lint-ignore require-concurrent-index-deletion: the tables are rewritten anyway, nobody reads them meanwhile
-- lint-ignore drops-unmanaged: made anew below, as this schema needs it
DROP INDEX "wallets_treasury_currency_key";
ALTER TABLE "wallets" DROP CONSTRAINT "wallets_owner_check", DROP CONSTRAINT "wallets_balance_check",
  DROP CONSTRAINT "wallets_earned_check";
ALTER TABLE "wallets" ALTER COLUMN "kind" DROP DEFAULT;
-- lint-ignore changing-column-type: a value cannot be added to the enum and used in one transaction
ALTER TABLE "wallets" ALTER COLUMN "kind" TYPE "wallet_kind" USING "kind"::text::"wallet_kind";
ALTER TABLE "wallets" ALTER COLUMN "kind" SET DEFAULT 'user';
DROP TYPE "wallet_kind_old";

ALTER TABLE "wallets"
  ADD COLUMN "held" DECIMAL(18,8) NOT NULL DEFAULT 0,
  ADD COLUMN "status" "wallet_status" NOT NULL DEFAULT 'active',
  ADD COLUMN "closed_at" TIMESTAMPTZ(6);

-- Tables --------------------------------------------------------------------------------------------------------------

CREATE TABLE "requests" (
    "key" VARCHAR(200) NOT NULL,
    "operation" VARCHAR(50) NOT NULL,
    "body_hash" CHAR(64) NOT NULL,
    "answer" JSONB NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "requests_pkey" PRIMARY KEY ("key")
);

CREATE TABLE "holds" (
    "id" TEXT NOT NULL,
    "wallet_id" TEXT NOT NULL,
    "to_id" TEXT,
    "currency" "currency" NOT NULL DEFAULT 'AZR',
    "amount" DECIMAL(18,8) NOT NULL,
    "captured_amount" DECIMAL(18,8) NOT NULL DEFAULT 0,
    "status" "hold_status" NOT NULL DEFAULT 'held',
    "description" VARCHAR(500),
    "request_key" VARCHAR(200) NOT NULL,
    "expires_at" TIMESTAMPTZ(6) NOT NULL,
    "resolved_at" TIMESTAMPTZ(6),
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "holds_pkey" PRIMARY KEY ("id")
);

CREATE INDEX "holds_wallet_id_status_idx" ON "holds"("wallet_id", "status");
CREATE INDEX "holds_to_id_idx" ON "holds"("to_id");
CREATE INDEX "holds_status_expires_at_idx" ON "holds"("status", "expires_at");
CREATE INDEX "holds_request_key_idx" ON "holds"("request_key");

ALTER TABLE "holds"
  ADD CONSTRAINT "holds_wallet_id_currency_fkey" FOREIGN KEY ("wallet_id", "currency")
    REFERENCES "wallets"("id", "currency") ON DELETE RESTRICT ON UPDATE RESTRICT,
  ADD CONSTRAINT "holds_to_id_currency_fkey" FOREIGN KEY ("to_id", "currency")
    REFERENCES "wallets"("id", "currency") ON DELETE RESTRICT ON UPDATE RESTRICT,
  ADD CONSTRAINT "holds_request_key_fkey" FOREIGN KEY ("request_key")
    REFERENCES "requests"("key") ON DELETE RESTRICT ON UPDATE RESTRICT;

-- The old keys become requests that had one transaction each. `before` keeps what the way back needs.
INSERT INTO "requests" ("key", "operation", "body_hash", "answer", "created_at")
SELECT idempotency_key, type, encode(sha256(convert_to(t::text, 'UTF8')), 'hex'),
       jsonb_build_object('transactionIds', jsonb_build_array(id),
         'before', jsonb_build_object('from', from_id, 'to', to_id)),
       created_at
FROM "transactions" AS t;

ALTER TABLE "transactions" DISABLE TRIGGER "transactions_append_only";
-- lint-ignore drops-unmanaged: made anew below, as this schema needs it
ALTER TABLE "transactions" DROP CONSTRAINT "transactions_sides_check",
  DROP CONSTRAINT "transactions_distinct_wallets_check", DROP CONSTRAINT "transactions_idempotency_key_check";
-- lint-ignore require-concurrent-index-deletion: the tables are rewritten anyway, nobody reads them meanwhile
DROP INDEX "transactions_idempotency_key_key";
-- lint-ignore renaming-column: the old code cannot run beside this schema: it writes balances
ALTER TABLE "transactions" RENAME COLUMN "idempotency_key" TO "request_key";
ALTER TABLE "transactions" ADD COLUMN "hold_id" TEXT;

-- Two wallets of each currency are the system's own. A treasury that is there stays the one.
INSERT INTO "wallets" ("id", "kind", "currency", "created_at", "updated_at")
SELECT concat(kind, '-', currency), kind, currency, opened_at,
       greatest(opened_at, (
         SELECT max(t.created_at) FROM "transactions" AS t
         WHERE t.currency = own.currency
           AND CASE WHEN kind = 'staking' THEN t.type IN ('stake', 'unstake')
                    ELSE t.type <> 'unstake' AND t.from_id IS NULL OR t.type <> 'stake' AND t.to_id IS NULL END
       ))
FROM (
  SELECT kind, currency, timestamptz '2026-01-01T00:00:00Z' AS opened_at
  FROM unnest(ARRAY['treasury', 'staking']::"wallet_kind"[]) AS kind, unnest(enum_range(NULL::"currency")) AS currency
) AS own
WHERE NOT EXISTS (SELECT FROM "wallets" AS w WHERE w.kind = own.kind AND w.currency = own.currency);

UPDATE "transactions" AS t SET from_id = w.id FROM "wallets" AS w
WHERE t.from_id IS NULL AND w.currency = t.currency
  AND w.kind = (CASE WHEN t.type = 'unstake' THEN 'staking' ELSE 'treasury' END)::"wallet_kind";
UPDATE "transactions" AS t SET to_id = w.id FROM "wallets" AS w
WHERE t.to_id IS NULL AND w.currency = t.currency
  AND w.kind = (CASE WHEN t.type = 'stake' THEN 'staking' ELSE 'treasury' END)::"wallet_kind";

UPDATE "wallets" AS w SET balance = coalesce((SELECT sum(amount) FROM "transactions" WHERE to_id = w.id), 0)
  - coalesce((SELECT sum(amount) FROM "transactions" WHERE from_id = w.id), 0)
WHERE kind <> 'user';

-- lint-ignore adding-not-nullable-field: every row was filled just above
ALTER TABLE "transactions" ALTER COLUMN "from_id" SET NOT NULL, ALTER COLUMN "to_id" SET NOT NULL;
ALTER TABLE "transactions" ENABLE TRIGGER "transactions_append_only";

-- lint-ignore index-not-concurrent: the tables are rewritten anyway, nobody reads them meanwhile
CREATE UNIQUE INDEX "transactions_hold_id_key" ON "transactions"("hold_id");
-- lint-ignore index-not-concurrent: the tables are rewritten anyway, nobody reads them meanwhile
CREATE INDEX "transactions_request_key_idx" ON "transactions"("request_key");
-- lint-ignore adding-foreign-key-constraint: the tables are rewritten anyway, nobody writes them meanwhile
ALTER TABLE "transactions"
  ADD CONSTRAINT "transactions_hold_id_fkey" FOREIGN KEY ("hold_id")
    REFERENCES "holds"("id") ON DELETE RESTRICT ON UPDATE RESTRICT,
  ADD CONSTRAINT "transactions_request_key_fkey" FOREIGN KEY ("request_key")
    REFERENCES "requests"("key") ON DELETE RESTRICT ON UPDATE RESTRICT;

-- Checks. numeric knows NaN, which is above every number: each check on an amount refuses it by name. -----------------

-- lint-ignore index-not-concurrent: the tables are rewritten anyway, nobody reads them meanwhile
CREATE UNIQUE INDEX "wallets_kind_currency_key" ON "wallets" ("kind", "currency") WHERE "kind" <> 'user';

-- lint-ignore constraint-missing-not-valid: the table is locked by this transaction already, and small or rewritten
ALTER TABLE "wallets"
  ADD CONSTRAINT "wallets_owner_check" CHECK (("kind" = 'user') = ("user_id" IS NOT NULL)),
  -- The treasury owes what it issued; everybody else has what is not held, or more.
  ADD CONSTRAINT "wallets_balance_check" CHECK (
    "balance" <> 'NaN' AND CASE "kind" WHEN 'treasury' THEN "balance" <= 0 ELSE "balance" >= "held" END
  ),
  ADD CONSTRAINT "wallets_held_check" CHECK ("held" >= 0 AND "held" <> 'NaN' AND ("kind" = 'user' OR "held" = 0)),
  ADD CONSTRAINT "wallets_earned_check" CHECK ("earned" >= 0 AND "earned" <> 'NaN'),
  ADD CONSTRAINT "wallets_closed_check" CHECK (
    CASE "status"
      WHEN 'closed' THEN "kind" = 'user' AND "balance" = 0 AND "held" = 0 AND "closed_at" IS NOT NULL
      ELSE "closed_at" IS NULL
    END
  );

ALTER TABLE "requests"
  ADD CONSTRAINT "requests_key_check" CHECK (btrim("key") <> ''),
  ADD CONSTRAINT "requests_operation_check" CHECK (btrim("operation") <> ''),
  ADD CONSTRAINT "requests_body_hash_check" CHECK ("body_hash" ~ '^[0-9a-f]{64}$'),
  ADD CONSTRAINT "requests_answer_check" CHECK (
    jsonb_typeof("answer" -> 'transactionIds') IS NOT DISTINCT FROM 'array'
  );

ALTER TABLE "transactions" DROP CONSTRAINT "transactions_amount_check";
-- lint-ignore constraint-missing-not-valid: the table is locked by this transaction already, and small or rewritten
ALTER TABLE "transactions"
  ADD CONSTRAINT "transactions_amount_check" CHECK ("amount" > 0 AND "amount" <> 'NaN'),
  -- Of the other types an earlier version let the treasury issue to itself; since then the trigger checks the sides.
  ADD CONSTRAINT "transactions_distinct_wallets_check" CHECK ("type" <> 'transfer' OR "from_id" <> "to_id");

ALTER TABLE "holds"
  ADD CONSTRAINT "holds_amount_check" CHECK ("amount" > 0 AND "amount" <> 'NaN'),
  ADD CONSTRAINT "holds_captured_amount_check" CHECK (
    CASE "status"
      WHEN 'captured' THEN "captured_amount" > 0 AND "captured_amount" <= "amount"
      ELSE "captured_amount" = 0
    END
  ),
  ADD CONSTRAINT "holds_resolved_at_check" CHECK (
    CASE "status"
      WHEN 'held' THEN "resolved_at" IS NULL
      WHEN 'captured' THEN "resolved_at" IS NOT NULL AND "resolved_at" < "expires_at"
      WHEN 'expired' THEN "resolved_at" IS NOT NULL AND "resolved_at" >= "expires_at"
      ELSE "resolved_at" IS NOT NULL
    END
  ),
  ADD CONSTRAINT "holds_expires_at_check" CHECK ("expires_at" > "created_at"),
  ADD CONSTRAINT "holds_distinct_wallets_check" CHECK ("wallet_id" <> "to_id"),
  ADD CONSTRAINT "holds_description_check" CHECK (btrim("description") <> '');

-- lint-ignore constraint-missing-not-valid: the table is locked by this transaction already, and small or rewritten
ALTER TABLE "stakes" ADD CONSTRAINT "stakes_numbers_check" CHECK ("amount" <> 'NaN' AND "rewards_earned" <> 'NaN');
-- lint-ignore constraint-missing-not-valid: the table is locked by this transaction already, and small or rewritten
ALTER TABLE "mining_records"
  ADD CONSTRAINT "mining_records_numbers_check" CHECK ("reward" <> 'NaN' AND "difficulty" <> 'NaN');
-- lint-ignore constraint-missing-not-valid: the table is locked by this transaction already, and small or rewritten
ALTER TABLE "economic_metrics" ADD CONSTRAINT "economic_metrics_numbers_check" CHECK (
  "total_supply" <> 'NaN' AND "circulating_supply" <> 'NaN' AND "staked_supply" <> 'NaN' AND "burned_supply" <> 'NaN'
);

-- Guards --------------------------------------------------------------------------------------------------------------

-- Refuses by the name of a rule, which stores turn into an error of their own; the facts are theirs to show.
CREATE FUNCTION "refuse"("rule" text, "facts" jsonb, "hint" text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  RAISE EXCEPTION USING ERRCODE = 'AZ001', MESSAGE = rule, DETAIL = facts::text, HINT = hint;
END
$$;

CREATE TRIGGER "requests_append_only" BEFORE UPDATE OR DELETE OR TRUNCATE ON "requests"
  FOR EACH STATEMENT EXECUTE FUNCTION "refuse_change"();
CREATE TRIGGER "holds_keep_rows" BEFORE DELETE OR TRUNCATE ON "holds"
  FOR EACH STATEMENT EXECUTE FUNCTION "refuse_change"();

CREATE FUNCTION "refuse_wallet_change"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% of wallet % is refused: its money moves with transactions and holds, its owner never',
    TG_OP, NEW.id USING ERRCODE = 'restrict_violation', HINT = 'Insert a transaction or a hold; the balances follow.';
END
$$;

CREATE TRIGGER "wallets_born_empty" BEFORE INSERT ON "wallets" FOR EACH ROW
  WHEN (NEW."balance" <> 0 OR NEW."held" <> 0 OR NEW."earned" <> 0 OR NEW."status" <> 'active')
  EXECUTE FUNCTION "refuse_wallet_change"();
-- Depth 0 is a statement of a client, an administrator's too. The triggers that move money are at depth 1; the app role
-- cannot bring about an update from a trigger of its own, for it has no right to update wallets at any depth.
CREATE TRIGGER "wallets_money_moves_with_entries" BEFORE UPDATE ON "wallets" FOR EACH ROW
  WHEN (
    pg_trigger_depth() = 0
    AND (OLD."balance", OLD."held", OLD."earned") IS DISTINCT FROM (NEW."balance", NEW."held", NEW."earned")
  )
  EXECUTE FUNCTION "refuse_wallet_change"();
CREATE TRIGGER "wallets_keep_owner" BEFORE UPDATE ON "wallets" FOR EACH ROW
  WHEN (
    (OLD."id", OLD."kind", OLD."user_id", OLD."currency")
    IS DISTINCT FROM (NEW."id", NEW."kind", NEW."user_id", NEW."currency")
  )
  EXECUTE FUNCTION "refuse_wallet_change"();

-- active becomes closed, and nothing else: a stake that is still active would have nowhere to go.
CREATE FUNCTION "check_wallet_status"() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  active_stakes bigint;
BEGIN
  IF OLD.status = 'closed' THEN
    PERFORM refuse('wallet_closed', jsonb_build_object('walletId', OLD.id, 'from', OLD.status, 'to', NEW.status),
      'A closed wallet stays closed.');
  END IF;
  SELECT count(*) INTO active_stakes FROM stakes WHERE wallet_id = NEW.id AND status = 'active';
  IF NEW.balance <> 0 OR NEW.held <> 0 OR active_stakes > 0 THEN
    PERFORM refuse('wallet_not_empty',
      jsonb_build_object('walletId', NEW.id, 'balance', NEW.balance::text, 'held', NEW.held::text,
        'activeStakes', active_stakes),
      'Move the money out, resolve the holds and end the stakes first.');
  END IF;
  RETURN NEW;
END
$$;

CREATE TRIGGER "wallets_status_transition" BEFORE UPDATE ON "wallets" FOR EACH ROW
  WHEN (OLD."status" IS DISTINCT FROM NEW."status") EXECUTE FUNCTION "check_wallet_status"();

-- held becomes captured, released or expired, once; what was agreed does not change.
CREATE FUNCTION "check_hold_change"() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF TG_OP = 'INSERT' OR OLD.status <> 'held' OR NEW.status = 'held' THEN
    PERFORM refuse('hold_resolved', jsonb_build_object('holdId', NEW.id, 'to', NEW.status,
      'from', CASE TG_OP WHEN 'UPDATE' THEN to_jsonb(OLD) ->> 'status' END),
      'A hold starts as held and is resolved once.');
  ELSIF (OLD.id, OLD.wallet_id, OLD.to_id, OLD.currency, OLD.amount, OLD.request_key, OLD.expires_at, OLD.created_at)
    IS DISTINCT FROM
    (NEW.id, NEW.wallet_id, NEW.to_id, NEW.currency, NEW.amount, NEW.request_key, NEW.expires_at, NEW.created_at)
  THEN
    RAISE EXCEPTION 'a change of hold % is refused: only its status changes', NEW.id
      USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END
$$;

CREATE TRIGGER "holds_born_held" BEFORE INSERT ON "holds" FOR EACH ROW
  WHEN (NEW."status" <> 'held') EXECUTE FUNCTION "check_hold_change"();
CREATE TRIGGER "holds_transition" BEFORE UPDATE ON "holds" FOR EACH ROW EXECUTE FUNCTION "check_hold_change"();

-- What moves balances -------------------------------------------------------------------------------------------------

-- Which kinds of wallets a type of transaction moves money between.
CREATE FUNCTION "sides_fit"("type" "transaction_type", "payer" "wallet_kind", "receiver" "wallet_kind") RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE type
    WHEN 'transfer' THEN payer = 'user' AND receiver = 'user'
    WHEN 'burn' THEN payer = 'user' AND receiver = 'treasury'
    WHEN 'stake' THEN payer = 'user' AND receiver = 'staking'
    WHEN 'unstake' THEN payer = 'staking' AND receiver = 'user'
    ELSE payer = 'treasury' AND receiver = 'user'
  END
$$;

-- A transaction of a stake is between the stake's wallet and the system, one that captures is what the hold says.
CREATE FUNCTION "check_entry"("entry" "transactions", "payer" "wallets", "receiver" "wallets") RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF NOT sides_fit(entry.type, payer.kind, receiver.kind) THEN
    PERFORM refuse('transaction_sides',
      jsonb_build_object('type', entry.type, 'from', payer.kind, 'to', receiver.kind),
      'Each type moves money between two kinds of wallets; see sides_fit.');
  ELSIF payer.status = 'closed' OR receiver.status = 'closed' THEN
    PERFORM refuse('wallet_closed',
      jsonb_build_object('walletId', CASE WHEN payer.status = 'closed' THEN payer.id ELSE receiver.id END),
      'A closed wallet takes part in nothing.');
  END IF;
  IF entry.stake_id IS NOT NULL AND NOT EXISTS (
    SELECT FROM stakes AS s
    WHERE s.id = entry.stake_id AND s.wallet_id = CASE entry.type WHEN 'stake' THEN payer.id ELSE receiver.id END
      AND (entry.type = 'staking_reward' OR s.amount = entry.amount)
  ) THEN
    PERFORM refuse('transaction_stake', jsonb_build_object('stakeId', entry.stake_id),
      'It moves the amount of the stake, between the staking wallet and the wallet of the stake.');
  END IF;
  IF entry.hold_id IS NOT NULL AND NOT EXISTS (
    SELECT FROM holds AS h
    WHERE h.id = entry.hold_id AND entry.type = 'transfer' AND h.status = 'captured' AND h.wallet_id = payer.id
      AND coalesce(h.to_id, receiver.id) = receiver.id AND h.captured_amount = entry.amount
  ) THEN
    PERFORM refuse('transaction_hold', jsonb_build_object('holdId', entry.hold_id),
      'It moves the captured amount of the hold, from the wallet of the hold to its receiver.');
  END IF;
END
$$;

CREATE FUNCTION "refuse_balance_limit"("wallet_id" text) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT refuse('balance_limit', jsonb_build_object('walletId', wallet_id),
    'A balance has at most 10 digits before the point.')
$$;

-- Moves what was inserted by one statement. One row, the common case, by plans that are made once; many rows by plans
-- that are made for as many, for a plan that was made for thousands would read all wallets for two.
CREATE FUNCTION "post_transactions"() RETURNS trigger
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

CREATE TRIGGER "transactions_move_money" AFTER INSERT ON "transactions" REFERENCING NEW TABLE AS "posted"
  FOR EACH STATEMENT EXECUTE FUNCTION "post_transactions"();

-- What holds set aside ------------------------------------------------------------------------------------------------

-- Wallet by wallet in the order of their ids, which is the order in which everything locks them.
CREATE FUNCTION "post_holds"() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
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

CREATE TRIGGER "holds_set_aside" AFTER INSERT ON "holds" REFERENCING NEW TABLE AS "posted"
  FOR EACH STATEMENT EXECUTE FUNCTION "post_holds"();
CREATE TRIGGER "holds_set_free" AFTER UPDATE ON "holds" REFERENCING OLD TABLE AS "earlier" NEW TABLE AS "posted"
  FOR EACH STATEMENT EXECUTE FUNCTION "post_holds"();

-- Helpers of the operations -------------------------------------------------------------------------------------------

-- Takes the key of a request. NULL: it is new, its row stands, go on. Else it took effect before, and this is its
-- answer.
-- The second of two that come at once waits here for the first.
CREATE FUNCTION "begin_request"(
  "request_key" text, "asked_operation" text, "hash" text, "new_answer" jsonb, "at" timestamptz
) RETURNS jsonb LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
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

-- The transactions of an earlier answer, in its order.
CREATE FUNCTION "answered_transactions"("answer" jsonb) RETURNS SETOF "transactions"
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT t.* FROM jsonb_array_elements_text(answer -> 'transactionIds') WITH ORDINALITY AS listed (id, place)
  JOIN transactions AS t ON t.id = listed.id ORDER BY listed.place
$$;

-- numeric(18,8) would round what is too fine, and let NaN in.
CREATE FUNCTION "require_amount"("amount" numeric) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF amount > 0 AND amount < 1e10 AND scale(trim_scale(amount)) <= 8 THEN RETURN; END IF;
  PERFORM refuse('amount_invalid', '{}', 'An amount is above 0, below 10^10, and has at most 8 decimals.');
END
$$;

CREATE FUNCTION "system_wallet"("wanted" "wallet_kind", "money" "currency") RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT id FROM wallets WHERE kind = wanted AND currency = money AND kind <> 'user'
$$;

-- Locks one wallet or two, in the order of their ids, and checks that they are there and active.
CREATE FUNCTION "lock_wallets"("payer_id" text, "receiver_id" text, OUT "payer" "wallets", OUT "receiver" "wallets")
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  found_wallet wallets;
BEGIN
  IF payer_id = receiver_id THEN
    PERFORM refuse('same_wallet', jsonb_build_object('walletId', payer_id), 'Name two different wallets.');
  END IF;
  FOR found_wallet IN
    SELECT * FROM wallets WHERE id IN (payer_id, receiver_id) ORDER BY id COLLATE "C" FOR NO KEY UPDATE
  LOOP
    IF found_wallet.id = payer_id THEN payer := found_wallet; ELSE receiver := found_wallet; END IF;
    IF found_wallet.status = 'closed' THEN
      PERFORM refuse('wallet_closed', jsonb_build_object('walletId', found_wallet.id), 'Name an active wallet.');
    END IF;
  END LOOP;
  IF payer.id IS NULL OR receiver_id IS NOT NULL AND receiver.id IS NULL THEN
    PERFORM refuse('wallet_not_found',
      jsonb_build_object('walletId', CASE WHEN payer.id IS NULL THEN payer_id ELSE receiver_id END), 'Open it first.');
  ELSIF receiver_id IS NOT NULL AND payer.currency <> receiver.currency THEN
    PERFORM refuse('currency_mismatch', jsonb_build_object('from', payer.currency, 'to', receiver.currency),
      'Both wallets must have one currency.');
  END IF;
END
$$;

-- As lock_wallets, for wallets of users, of which the payer can pay.
CREATE FUNCTION "lock_payment"(
  "payer_id" text, "receiver_id" text, "amount" numeric, OUT "payer" "wallets", OUT "receiver" "wallets"
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  locked record;
BEGIN
  PERFORM require_amount(amount);
  locked := lock_wallets(payer_id, receiver_id);
  payer := locked.payer;
  receiver := locked.receiver;
  IF payer.kind <> 'user' OR receiver.kind <> 'user' THEN
    PERFORM refuse('system_wallet',
      jsonb_build_object('walletId', CASE WHEN payer.kind <> 'user' THEN payer.id ELSE receiver.id END),
      'Money moves from and to the system by minting, burning and staking only.');
  ELSIF payer.balance - payer.held < amount THEN
    PERFORM refuse('insufficient_funds', jsonb_build_object('walletId', payer.id,
      'available', (payer.balance - payer.held)::text, 'asked', trim_scale(amount)::text),
      'Bring money into the wallet, or ask for less.');
  END IF;
END
$$;

-- Operations ----------------------------------------------------------------------------------------------------------

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

CREATE FUNCTION "transfer_money"(
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

-- All or nothing, under one key, judged by what is left when all have happened. Sets, not a loop.
CREATE FUNCTION "transfer_many"(
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

-- Locks a hold that is still open, or tells which state it has instead.
CREATE FUNCTION "lock_hold"("hold_id" text, "next_status" "hold_status") RETURNS "holds"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  hold holds;
BEGIN
  SELECT * INTO hold FROM holds WHERE id = hold_id FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    PERFORM refuse('hold_not_found', jsonb_build_object('holdId', hold_id), 'Name a hold that was made.');
  ELSIF hold.status <> 'held' THEN
    PERFORM refuse('hold_resolved', jsonb_build_object('holdId', hold_id, 'from', hold.status, 'to', next_status),
      'A hold is resolved once.');
  END IF;
  RETURN hold;
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
