-- loses: stakes.accrued_until, stakes.rewards_accrued, mining_records.rejection, mining_totals
-- loses: economic_metrics.velocity, economic_metrics.gini
-- A proof that two records hold, which only this schema allows, has to be dealt with before: the old index refuses it.

SET LOCAL lock_timeout = '10s';

DROP FUNCTION "submit_knowledge"(
  text, text, text, text, text, "mining_activity", text, text, numeric, jsonb, timestamptz
);
DROP FUNCTION "judge_knowledge"(text, text, numeric, jsonb, timestamptz);
DROP FUNCTION "unstake_money"(text, text, text, text, text, timestamptz);
DROP FUNCTION "claim_rewards"(text, text, text, text, timestamptz);
DROP FUNCTION "lock_stake"(text);
DROP FUNCTION "accrue_rewards"(text, timestamptz, text, integer);
DROP FUNCTION "stake_money"(text, text, text, text, text, numeric, numeric, timestamptz, timestamptz);

ALTER TABLE "economic_metrics" DROP COLUMN "velocity", DROP COLUMN "gini";

DROP TRIGGER "mining_records_count_born" ON "mining_records";
DROP TRIGGER "mining_records_count_decided" ON "mining_records";
DROP FUNCTION "post_mining_records"();
DROP TABLE "mining_totals";
DROP TRIGGER "mining_records_transition" ON "mining_records";
DROP TRIGGER "mining_records_keep_rows" ON "mining_records";
DROP FUNCTION "check_mining_change"();
-- lint-ignore require-concurrent-index-deletion: the service is stopped for the way back of the ledger
DROP INDEX "mining_records_wallet_id_activity_proof_hash_key";
CREATE UNIQUE INDEX "mining_records_proof_hash_key" ON "mining_records"("proof_hash");
ALTER TABLE "mining_records" DROP COLUMN "rejection";
DROP TYPE "mining_rejection";

DROP TRIGGER "transactions_change_stakes" ON "transactions";
DROP FUNCTION "post_stake_transaction"();
DROP TRIGGER "stakes_birth" ON "stakes";
DROP TRIGGER "stakes_funded" ON "stakes";
DROP TRIGGER "stakes_transition" ON "stakes";
DROP TRIGGER "stakes_keep_rows" ON "stakes";
DROP FUNCTION "check_stake_birth"();
DROP FUNCTION "check_stake_funded"();
DROP FUNCTION "check_stake_change"();
ALTER TABLE "stakes" DROP COLUMN "accrued_until", DROP COLUMN "rewards_accrued";

DROP FUNCTION "knowledge_reward"(numeric, numeric, numeric, integer);
DROP FUNCTION "knowledge_halvings"(numeric, numeric, integer);
DROP FUNCTION "knowledge_difficulty"(numeric, numeric, numeric);
DROP FUNCTION "staking_reward"(numeric, numeric, timestamptz, timestamptz);
DROP FUNCTION "divide_half_even"(numeric, numeric, integer);
