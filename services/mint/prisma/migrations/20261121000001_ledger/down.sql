-- loses: holds, requests

SET LOCAL lock_timeout = '10s';

DROP FUNCTION "release_expired_holds"(timestamptz, integer);
DROP FUNCTION "release_hold"(text, text, text, timestamptz);
DROP FUNCTION "capture_hold"(text, text, text, text, text, numeric, text, timestamptz);
DROP FUNCTION "lock_hold"(text, "hold_status");
DROP FUNCTION "hold_money"(text, text, text, text, text, numeric, text, timestamptz, timestamptz);
DROP FUNCTION "issue_money"(text, text, text, "transaction_type", text, numeric, text, timestamptz);
DROP FUNCTION "transfer_many"(text, text, text[], text[], text[], numeric[], text[], timestamptz);
DROP FUNCTION "transfer_money"(text, text, text, text, text, numeric, text, timestamptz);
DROP FUNCTION "close_wallet"(text, timestamptz);
DROP FUNCTION "open_wallet"(text, text, "currency", timestamptz);
DROP FUNCTION "lock_payment"(text, text, numeric);
DROP FUNCTION "lock_wallets"(text, text);
DROP FUNCTION "system_wallet"("wallet_kind", "currency");
DROP FUNCTION "require_amount"(numeric);
DROP FUNCTION "answered_transactions"(jsonb);
DROP FUNCTION "begin_request"(text, text, text, jsonb, timestamptz);

DROP TRIGGER "transactions_move_money" ON "transactions";
DROP FUNCTION "post_transactions"();
DROP FUNCTION "refuse_balance_limit"(text);
DROP FUNCTION "check_entry"("transactions", "wallets", "wallets");
DROP FUNCTION "sides_fit"("transaction_type", "wallet_kind", "wallet_kind");
DROP TRIGGER "wallets_born_empty" ON "wallets";
DROP TRIGGER "wallets_money_moves_with_entries" ON "wallets";
DROP TRIGGER "wallets_keep_owner" ON "wallets";
DROP TRIGGER "wallets_status_transition" ON "wallets";
DROP FUNCTION "check_wallet_status"();
DROP FUNCTION "refuse_wallet_change"();

ALTER TABLE "economic_metrics" DROP CONSTRAINT "economic_metrics_numbers_check";
ALTER TABLE "mining_records" DROP CONSTRAINT "mining_records_numbers_check";
ALTER TABLE "stakes" DROP CONSTRAINT "stakes_numbers_check";

-- The sides that the way up filled, or that nobody filled before it.
ALTER TABLE "transactions" DISABLE TRIGGER "transactions_append_only";
ALTER TABLE "transactions" DROP CONSTRAINT "transactions_amount_check",
  DROP CONSTRAINT "transactions_distinct_wallets_check", DROP CONSTRAINT "transactions_request_key_fkey",
  DROP CONSTRAINT "transactions_hold_id_fkey";
-- lint-ignore require-concurrent-index-deletion: the tables are rewritten anyway, nobody reads them meanwhile
DROP INDEX "transactions_hold_id_key";
-- lint-ignore require-concurrent-index-deletion: the tables are rewritten anyway, nobody reads them meanwhile
DROP INDEX "transactions_request_key_idx";
ALTER TABLE "transactions" ALTER COLUMN "from_id" DROP NOT NULL, ALTER COLUMN "to_id" DROP NOT NULL;
UPDATE "transactions" AS t SET
  from_id = CASE
    WHEN r.answer ? 'before' THEN r.answer -> 'before' ->> 'from'
    WHEN t.type NOT IN ('transfer', 'burn', 'stake') THEN NULL
    ELSE t.from_id
  END,
  to_id = CASE
    WHEN r.answer ? 'before' THEN r.answer -> 'before' ->> 'to'
    WHEN t.type IN ('burn', 'stake') THEN NULL
    ELSE t.to_id
  END
FROM "requests" AS r WHERE r.key = t.request_key;

-- The first transaction of a batch keeps the key, each other one gets its own.
ALTER TABLE "transactions" DROP COLUMN "hold_id";
ALTER TABLE "transactions" RENAME COLUMN "request_key" TO "idempotency_key";
UPDATE "transactions" AS t SET idempotency_key = left(concat('transaction:', t.id), 200)
WHERE EXISTS (SELECT FROM "transactions" AS f WHERE f.idempotency_key = t.idempotency_key AND f.id < t.id);

DROP TABLE "holds";
DROP TABLE "requests";
DROP FUNCTION "post_holds"();
DROP FUNCTION "check_hold_change"();
DROP FUNCTION "refuse"(text, jsonb, text);

-- The wallets that the way up made are in no transaction any more; what an old treasury has is again its entries alone.
ALTER TABLE "wallets" DROP CONSTRAINT "wallets_owner_check", DROP CONSTRAINT "wallets_balance_check",
  DROP CONSTRAINT "wallets_held_check", DROP CONSTRAINT "wallets_earned_check", DROP CONSTRAINT "wallets_closed_check";
-- lint-ignore require-concurrent-index-deletion: the tables are rewritten anyway, nobody reads them meanwhile
DROP INDEX "wallets_kind_currency_key";
DELETE FROM "wallets" AS w WHERE kind <> 'user' AND id = concat(kind, '-', currency)
  AND NOT EXISTS (SELECT FROM "transactions" AS t WHERE t.from_id = w.id OR t.to_id = w.id);
UPDATE "wallets" AS w SET balance = coalesce((SELECT sum(amount) FROM "transactions" WHERE to_id = w.id), 0)
  - coalesce((SELECT sum(amount) FROM "transactions" WHERE from_id = w.id), 0)
WHERE kind <> 'user';

ALTER TABLE "transactions"
  ADD CONSTRAINT "transactions_amount_check" CHECK ("amount" > 0),
  ADD CONSTRAINT "transactions_sides_check" CHECK (
    CASE
      WHEN "type" = 'transfer' THEN "from_id" IS NOT NULL AND "to_id" IS NOT NULL
      WHEN "type" = 'reward' THEN "to_id" IS NOT NULL
      WHEN "type" IN ('burn', 'stake') THEN "from_id" IS NOT NULL AND "to_id" IS NULL
      ELSE "from_id" IS NULL AND "to_id" IS NOT NULL
    END
  ),
  ADD CONSTRAINT "transactions_distinct_wallets_check" CHECK ("from_id" <> "to_id"),
  ADD CONSTRAINT "transactions_idempotency_key_check" CHECK (btrim("idempotency_key") <> '');
CREATE UNIQUE INDEX "transactions_idempotency_key_key" ON "transactions"("idempotency_key");
ALTER TABLE "transactions" ENABLE TRIGGER "transactions_append_only";

ALTER TABLE "wallets" DROP COLUMN "held", DROP COLUMN "status", DROP COLUMN "closed_at";
ALTER TYPE "wallet_kind" RENAME TO "wallet_kind_new";
CREATE TYPE "wallet_kind" AS ENUM ('user', 'treasury');
ALTER TABLE "wallets" ALTER COLUMN "kind" DROP DEFAULT;
-- lint-ignore changing-column-type: a value cannot be added to the enum and used in one transaction
ALTER TABLE "wallets" ALTER COLUMN "kind" TYPE "wallet_kind" USING "kind"::text::"wallet_kind";
ALTER TABLE "wallets" ALTER COLUMN "kind" SET DEFAULT 'user';
DROP TYPE "wallet_kind_new";
DROP TYPE "wallet_status";
DROP TYPE "hold_status";

ALTER TABLE "wallets"
  ADD CONSTRAINT "wallets_owner_check" CHECK (("kind" = 'user') = ("user_id" IS NOT NULL)),
  ADD CONSTRAINT "wallets_balance_check" CHECK ("balance" >= 0),
  ADD CONSTRAINT "wallets_earned_check" CHECK ("earned" >= 0);
CREATE UNIQUE INDEX "wallets_treasury_currency_key" ON "wallets" ("currency") WHERE "kind" = 'treasury';
