-- Money moves only in mint. The wallets and transactions of this database become a copy that mint's events feed: one wallet for each
-- AZR wallet of a user, one row for each side of a transaction. No rule of education reads a balance. The balance may be negative for
-- a moment, because the events of two payers arrive in any order; mint has the rule that forbids it.
-- Existing wallets keep their rows, and are linked to no wallet of mint. Their balances are not money of mint: move them there.
-- Locks: ACCESS EXCLUSIVE on wallets and transactions, while their rows are read for the constraint and the indexes.

SET LOCAL lock_timeout = '5s';

-- lint-ignore drops-unmanaged: the rule that a balance is not negative is a rule of mint
-- lint-ignore ban-drop-not-null: no function of an earlier release reads the column
-- lint-ignore constraint-missing-not-valid: the new columns have locked the table already
ALTER TABLE "wallets"
  ALTER COLUMN "student_id" DROP NOT NULL,
  ADD COLUMN "user_id" TEXT,
  ADD COLUMN "mint_wallet_id" TEXT,
  DROP CONSTRAINT "wallets_balance_check",
  ADD CONSTRAINT "wallets_balance_check" CHECK ("balance" <> 'NaN');
UPDATE "wallets" AS w SET "user_id" = s."user_id" FROM "students" AS s WHERE s."id" = w."student_id";
-- lint-ignore index-not-concurrent: the new columns have locked the table already
CREATE UNIQUE INDEX "wallets_mint_wallet_id_key" ON "wallets" ("mint_wallet_id");
-- lint-ignore index-not-concurrent: the new columns have locked the table already
CREATE INDEX "wallets_user_id_idx" ON "wallets" ("user_id");
ALTER TABLE "transactions" ADD COLUMN "mint_transaction_id" TEXT;
-- lint-ignore index-not-concurrent: the new columns have locked the table already
CREATE UNIQUE INDEX "transactions_mint_transaction_id_direction_key" ON "transactions" ("mint_transaction_id", "direction");

-- The balance is the sum of the transactions, whoever inserts them.
CREATE FUNCTION "carry_balances"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  UPDATE wallets AS w SET balance = w.balance + moved.amount, updated_at = greatest(w.updated_at, moved.created_at)
  FROM (SELECT wallet_id, max(created_at) AS created_at, sum(CASE direction WHEN 'in' THEN amount ELSE -amount END) AS amount
    FROM posted GROUP BY wallet_id) AS moved
  WHERE w.id = moved.wallet_id;
  RETURN NULL;
END
$$;
CREATE TRIGGER "transactions_balance" AFTER INSERT ON "transactions" REFERENCING NEW TABLE AS posted
  FOR EACH STATEMENT EXECUTE FUNCTION "carry_balances"();
CREATE FUNCTION "derive_balance"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  NEW.balance := (SELECT coalesce(sum(CASE direction WHEN 'in' THEN amount ELSE -amount END), 0) FROM transactions
    WHERE wallet_id = NEW.id);
  RETURN NEW;
END
$$;
-- A new wallet has no transactions, and the trigger of transactions adds their sum. Nothing else changes a balance.
CREATE TRIGGER "wallets_balance_new" BEFORE INSERT ON "wallets" FOR EACH ROW WHEN (NEW."balance" <> 0)
  EXECUTE FUNCTION "derive_balance"();
CREATE TRIGGER "wallets_balance_changed" BEFORE UPDATE OF "balance" ON "wallets" FOR EACH ROW WHEN (pg_trigger_depth() = 0)
  EXECUTE FUNCTION "derive_balance"();

-- A registration and the event of a wallet of one user wait for each other, so that the second one links the wallet.
CREATE FUNCTION "lock_user"("p_user_id" text) RETURNS void LANGUAGE sql SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT pg_advisory_xact_lock(hashtextextended('education.user:' || p_user_id, 0))
$$;

CREATE FUNCTION "link_wallet"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  PERFORM lock_user(NEW.user_id);
  UPDATE wallets SET student_id = NEW.id, updated_at = database_time()
  WHERE user_id = NEW.user_id AND mint_wallet_id IS NOT NULL AND student_id IS NULL;
  RETURN NULL;
END
$$;
CREATE TRIGGER "students_wallet" AFTER INSERT ON "students" FOR EACH ROW EXECUTE FUNCTION "link_wallet"();

-- The event of a movement may arrive before the event of its wallet, so either of them makes the row.
CREATE FUNCTION "project_wallet"("p_mint_wallet_id" text, "p_user_id" text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  owner_id text;
BEGIN
  PERFORM lock_user(p_user_id);
  SELECT id INTO owner_id FROM students WHERE user_id = p_user_id;
  -- The wallet of mint takes the place of one from the time before.
  UPDATE wallets SET student_id = NULL, updated_at = database_time() WHERE student_id = owner_id AND mint_wallet_id IS NULL;
  INSERT INTO wallets AS w (id, mint_wallet_id, user_id, student_id, created_at, updated_at)
    VALUES (p_mint_wallet_id, p_mint_wallet_id, p_user_id, owner_id, database_time(), database_time())
    ON CONFLICT (mint_wallet_id) DO UPDATE SET user_id = excluded.user_id, student_id = excluded.student_id,
      updated_at = excluded.updated_at;
END
$$;

CREATE FUNCTION "project_transaction"(
  "p_id" text, "p_type" text, "p_from" text, "p_to" text, "p_amount" numeric, "p_hold_id" text, "p_key_hash" text, "p_at" timestamptz
) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  payer text := CASE WHEN p_type IN ('transfer', 'burn', 'stake') THEN p_from END;
  receiver text := CASE WHEN p_type NOT IN ('burn', 'stake') THEN p_to END;
  paid enrollments;
  refunded enrollments;
BEGIN
  INSERT INTO wallets (id, mint_wallet_id, created_at, updated_at)
    SELECT id, id, database_time(), database_time() FROM unnest(ARRAY[payer, receiver]) AS id WHERE id IS NOT NULL ORDER BY id
    ON CONFLICT (mint_wallet_id) DO NOTHING;
  -- In one order, so that two transfers in opposite directions do not end in a deadlock.
  PERFORM FROM wallets WHERE mint_wallet_id IN (payer, receiver) ORDER BY id FOR NO KEY UPDATE;
  SELECT * INTO paid FROM enrollments WHERE payment_hold_id = p_hold_id;
  IF paid.id IS NOT NULL AND paid.payment_transaction_id IS NULL THEN
    PERFORM record_payment(paid.id, p_id);
  END IF;
  IF p_key_hash IS NOT NULL AND p_type = 'transfer' THEN
    SELECT * INTO refunded FROM enrollments WHERE refund_key_hash = p_key_hash;
  END IF;
  INSERT INTO transactions (id, wallet_id, type, direction, amount, enrollment_id, idempotency_key, mint_transaction_id, created_at)
    SELECT p_id || '-' || side.direction, w.id, side.type, side.direction, p_amount, side.enrollment_id,
      left('mint:' || side.direction || ':' || p_id, 200), p_id, p_at
    FROM (VALUES
      (payer, 'out'::transaction_direction, CASE WHEN paid.id IS NULL THEN 'withdrawal' ELSE 'purchase' END::transaction_type, paid.id),
      (receiver, 'in', CASE WHEN refunded.id IS NOT NULL THEN 'refund' WHEN p_type IN ('reward', 'mining', 'staking_reward')
        THEN 'reward' ELSE 'deposit' END::transaction_type, refunded.id)
    ) AS side (mint_wallet_id, direction, type, enrollment_id) JOIN wallets AS w ON w.mint_wallet_id = side.mint_wallet_id
    ON CONFLICT (mint_transaction_id, direction) DO NOTHING;
END
$$;
