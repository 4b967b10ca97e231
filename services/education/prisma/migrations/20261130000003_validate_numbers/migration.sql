-- Applies the checks of the last migration to the existing rows. It fails if a row has NaN; correct the row and run it again.
-- Locks: SHARE UPDATE EXCLUSIVE, which lets others read and write.

SET LOCAL lock_timeout = '5s';

ALTER TABLE "courses" VALIDATE CONSTRAINT "courses_price_check";
ALTER TABLE "assessment_submissions" VALIDATE CONSTRAINT "assessment_submissions_max_score_check";
ALTER TABLE "assessment_submissions" VALIDATE CONSTRAINT "assessment_submissions_score_check";
ALTER TABLE "transactions" VALIDATE CONSTRAINT "transactions_amount_check";
ALTER TABLE "wallets" VALIDATE CONSTRAINT "wallets_balance_check";
