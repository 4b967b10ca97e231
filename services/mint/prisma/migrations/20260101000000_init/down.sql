DROP TABLE "economic_metrics";
DROP TABLE "mining_records";
DROP TABLE "transactions";
DROP TABLE "stakes";
DROP TABLE "wallets";

DROP FUNCTION "refuse_change"();

DROP TYPE "mining_status";
DROP TYPE "mining_activity";
DROP TYPE "stake_status";
DROP TYPE "transaction_type";
DROP TYPE "wallet_kind";
DROP TYPE "currency";
