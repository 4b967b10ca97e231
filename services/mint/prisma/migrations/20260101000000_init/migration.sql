-- Why: the first schema of mint.
-- Locks: none that matter, every table is new.
-- Runs again: no, once per database; inside one transaction.

-- CreateSchema
CREATE SCHEMA IF NOT EXISTS "public";

-- CreateEnum
CREATE TYPE "currency" AS ENUM ('AZR', 'BTC', 'ETH', 'USD');

-- CreateEnum
CREATE TYPE "wallet_kind" AS ENUM ('user', 'treasury');

-- CreateEnum
CREATE TYPE "transaction_type" AS ENUM ('mint', 'burn', 'transfer', 'reward', 'mining', 'stake', 'unstake', 'staking_reward');

-- CreateEnum
CREATE TYPE "stake_status" AS ENUM ('active', 'withdrawn');

-- CreateEnum
CREATE TYPE "mining_activity" AS ENUM ('lesson', 'course', 'assessment', 'tutoring', 'contribution');

-- CreateEnum
CREATE TYPE "mining_status" AS ENUM ('pending', 'rewarded', 'rejected');

-- CreateTable
CREATE TABLE "wallets" (
    "id" TEXT NOT NULL,
    "kind" "wallet_kind" NOT NULL DEFAULT 'user',
    "user_id" TEXT,
    "currency" "currency" NOT NULL DEFAULT 'AZR',
    "balance" DECIMAL(18,8) NOT NULL DEFAULT 0,
    "earned" DECIMAL(18,8) NOT NULL DEFAULT 0,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "wallets_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "transactions" (
    "id" TEXT NOT NULL,
    "type" "transaction_type" NOT NULL,
    "from_id" TEXT,
    "to_id" TEXT,
    "currency" "currency" NOT NULL DEFAULT 'AZR',
    "amount" DECIMAL(18,8) NOT NULL,
    "stake_id" TEXT,
    "description" VARCHAR(500),
    "idempotency_key" VARCHAR(200) NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "transactions_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "stakes" (
    "id" TEXT NOT NULL,
    "wallet_id" TEXT NOT NULL,
    "amount" DECIMAL(18,8) NOT NULL,
    "annual_rate" DECIMAL(9,6) NOT NULL,
    "rewards_earned" DECIMAL(18,8) NOT NULL DEFAULT 0,
    "status" "stake_status" NOT NULL DEFAULT 'active',
    "started_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "locked_until" TIMESTAMPTZ(6) NOT NULL,
    "withdrawn_at" TIMESTAMPTZ(6),
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "stakes_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "mining_records" (
    "id" TEXT NOT NULL,
    "wallet_id" TEXT NOT NULL,
    "activity" "mining_activity" NOT NULL,
    "course_id" TEXT,
    "proof_hash" VARCHAR(64) NOT NULL,
    "knowledge_score" DECIMAL(5,4) NOT NULL,
    "difficulty" DECIMAL(9,4) NOT NULL DEFAULT 1,
    "reward" DECIMAL(18,8) NOT NULL DEFAULT 0,
    "status" "mining_status" NOT NULL DEFAULT 'pending',
    "transaction_id" TEXT,
    "decided_at" TIMESTAMPTZ(6),
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "mining_records_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "economic_metrics" (
    "id" TEXT NOT NULL,
    "captured_at" TIMESTAMPTZ(6) NOT NULL,
    "total_supply" DECIMAL(18,8) NOT NULL,
    "circulating_supply" DECIMAL(18,8) NOT NULL,
    "staked_supply" DECIMAL(18,8) NOT NULL,
    "burned_supply" DECIMAL(18,8) NOT NULL DEFAULT 0,
    "active_wallets" INTEGER NOT NULL,
    "transaction_count" BIGINT NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "economic_metrics_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE UNIQUE INDEX "wallets_user_id_currency_key" ON "wallets"("user_id", "currency");

-- CreateIndex
CREATE UNIQUE INDEX "wallets_id_currency_key" ON "wallets"("id", "currency");

-- CreateIndex
CREATE UNIQUE INDEX "transactions_idempotency_key_key" ON "transactions"("idempotency_key");

-- CreateIndex
CREATE INDEX "transactions_from_id_created_at_idx" ON "transactions"("from_id", "created_at");

-- CreateIndex
CREATE INDEX "transactions_to_id_created_at_idx" ON "transactions"("to_id", "created_at");

-- CreateIndex
CREATE INDEX "transactions_type_created_at_idx" ON "transactions"("type", "created_at");

-- CreateIndex
CREATE INDEX "transactions_stake_id_idx" ON "transactions"("stake_id");

-- CreateIndex
CREATE INDEX "transactions_created_at_idx" ON "transactions" USING BRIN ("created_at");

-- CreateIndex
CREATE INDEX "stakes_wallet_id_status_idx" ON "stakes"("wallet_id", "status");

-- CreateIndex
CREATE INDEX "stakes_status_locked_until_idx" ON "stakes"("status", "locked_until");

-- CreateIndex
CREATE UNIQUE INDEX "mining_records_proof_hash_key" ON "mining_records"("proof_hash");

-- CreateIndex
CREATE UNIQUE INDEX "mining_records_transaction_id_key" ON "mining_records"("transaction_id");

-- CreateIndex
CREATE INDEX "mining_records_wallet_id_created_at_idx" ON "mining_records"("wallet_id", "created_at");

-- CreateIndex
CREATE INDEX "mining_records_status_created_at_idx" ON "mining_records"("status", "created_at");

-- CreateIndex
CREATE INDEX "mining_records_course_id_idx" ON "mining_records"("course_id");

-- CreateIndex
CREATE UNIQUE INDEX "economic_metrics_captured_at_key" ON "economic_metrics"("captured_at");

-- AddForeignKey
ALTER TABLE "transactions" ADD CONSTRAINT "transactions_from_id_currency_fkey" FOREIGN KEY ("from_id", "currency") REFERENCES "wallets"("id", "currency") ON DELETE RESTRICT ON UPDATE RESTRICT;

-- AddForeignKey
ALTER TABLE "transactions" ADD CONSTRAINT "transactions_to_id_currency_fkey" FOREIGN KEY ("to_id", "currency") REFERENCES "wallets"("id", "currency") ON DELETE RESTRICT ON UPDATE RESTRICT;

-- AddForeignKey
ALTER TABLE "transactions" ADD CONSTRAINT "transactions_stake_id_fkey" FOREIGN KEY ("stake_id") REFERENCES "stakes"("id") ON DELETE RESTRICT ON UPDATE RESTRICT;

-- AddForeignKey
ALTER TABLE "stakes" ADD CONSTRAINT "stakes_wallet_id_fkey" FOREIGN KEY ("wallet_id") REFERENCES "wallets"("id") ON DELETE RESTRICT ON UPDATE RESTRICT;

-- AddForeignKey
ALTER TABLE "mining_records" ADD CONSTRAINT "mining_records_wallet_id_fkey" FOREIGN KEY ("wallet_id") REFERENCES "wallets"("id") ON DELETE RESTRICT ON UPDATE RESTRICT;

-- AddForeignKey
ALTER TABLE "mining_records" ADD CONSTRAINT "mining_records_transaction_id_fkey" FOREIGN KEY ("transaction_id") REFERENCES "transactions"("id") ON DELETE RESTRICT ON UPDATE RESTRICT;

-- What the schema language cannot say.

ALTER TABLE "wallets"
  ADD CONSTRAINT "wallets_owner_check" CHECK (("kind" = 'user') = ("user_id" IS NOT NULL)),
  ADD CONSTRAINT "wallets_balance_check" CHECK ("balance" >= 0),
  ADD CONSTRAINT "wallets_earned_check" CHECK ("earned" >= 0);

CREATE UNIQUE INDEX "wallets_treasury_currency_key" ON "wallets" ("currency") WHERE "kind" = 'treasury';

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
  ADD CONSTRAINT "transactions_stake_check" CHECK (
    ("type" IN ('stake', 'unstake', 'staking_reward')) = ("stake_id" IS NOT NULL)
  ),
  ADD CONSTRAINT "transactions_description_check" CHECK (btrim("description") <> ''),
  ADD CONSTRAINT "transactions_idempotency_key_check" CHECK (btrim("idempotency_key") <> '');

-- Money enters a stake once and leaves it once.
CREATE UNIQUE INDEX "transactions_stake_id_type_key" ON "transactions" ("stake_id", "type")
  WHERE "type" IN ('stake', 'unstake');

CREATE FUNCTION "refuse_change"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% on % is refused: its rows are never changed', TG_OP, TG_TABLE_NAME
    USING ERRCODE = 'restrict_violation', HINT = 'Record a further transaction that undoes this one.';
END
$$;

CREATE TRIGGER "transactions_append_only" BEFORE UPDATE OR DELETE OR TRUNCATE ON "transactions"
  FOR EACH STATEMENT EXECUTE FUNCTION "refuse_change"();

ALTER TABLE "stakes"
  ADD CONSTRAINT "stakes_amount_check" CHECK ("amount" > 0),
  ADD CONSTRAINT "stakes_annual_rate_check" CHECK ("annual_rate" BETWEEN 0 AND 1),
  ADD CONSTRAINT "stakes_rewards_earned_check" CHECK ("rewards_earned" >= 0),
  ADD CONSTRAINT "stakes_locked_until_check" CHECK ("locked_until" > "started_at"),
  ADD CONSTRAINT "stakes_withdrawn_at_check" CHECK (("status" = 'withdrawn') = ("withdrawn_at" IS NOT NULL)),
  ADD CONSTRAINT "stakes_lock_kept_check" CHECK ("withdrawn_at" >= "locked_until");

ALTER TABLE "mining_records"
  ADD CONSTRAINT "mining_records_proof_hash_check" CHECK ("proof_hash" ~ '^[0-9a-f]{64}$'),
  ADD CONSTRAINT "mining_records_knowledge_score_check" CHECK ("knowledge_score" BETWEEN 0 AND 1),
  ADD CONSTRAINT "mining_records_difficulty_check" CHECK ("difficulty" > 0),
  ADD CONSTRAINT "mining_records_decided_at_check" CHECK (("status" = 'pending') = ("decided_at" IS NULL)),
  ADD CONSTRAINT "mining_records_reward_check" CHECK (
    CASE
      WHEN "status" = 'rewarded' THEN "reward" > 0 AND "transaction_id" IS NOT NULL
      ELSE "reward" = 0 AND "transaction_id" IS NULL
    END
  );

ALTER TABLE "economic_metrics"
  ADD CONSTRAINT "economic_metrics_supply_check" CHECK (
    "circulating_supply" >= 0 AND "staked_supply" >= 0 AND "burned_supply" >= 0
    AND "circulating_supply" + "staked_supply" <= "total_supply"
  ),
  ADD CONSTRAINT "economic_metrics_counts_check" CHECK ("active_wallets" >= 0 AND "transaction_count" >= 0);
