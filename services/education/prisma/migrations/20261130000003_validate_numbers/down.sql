-- Reverts 20261130000003_validate_numbers.

SET LOCAL lock_timeout = '5s';

ALTER TABLE "courses" DROP CONSTRAINT "courses_price_check",
  ADD CONSTRAINT "courses_price_check" CHECK ("price" >= 0 AND "price" <> 'NaN') NOT VALID;
ALTER TABLE "assessment_submissions" DROP CONSTRAINT "assessment_submissions_max_score_check",
  ADD CONSTRAINT "assessment_submissions_max_score_check" CHECK ("max_score" > 0 AND "max_score" <> 'NaN') NOT VALID;
ALTER TABLE "assessment_submissions" DROP CONSTRAINT "assessment_submissions_score_check",
  ADD CONSTRAINT "assessment_submissions_score_check" CHECK ("score" >= 0 AND "score" <= "max_score" AND "score" <> 'NaN') NOT VALID;
ALTER TABLE "transactions" DROP CONSTRAINT "transactions_amount_check",
  ADD CONSTRAINT "transactions_amount_check" CHECK ("amount" > 0 AND "amount" <> 'NaN') NOT VALID;
ALTER TABLE "wallets" DROP CONSTRAINT "wallets_balance_check",
  ADD CONSTRAINT "wallets_balance_check" CHECK ("balance" >= 0 AND "balance" <> 'NaN') NOT VALID;
