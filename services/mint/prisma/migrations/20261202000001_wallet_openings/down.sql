-- Reverts 20261202000001_wallet_openings. The openings follow from the wallets.
-- loses: wallet_openings.wallet_id
-- loses: wallet_openings.created_at

SET LOCAL lock_timeout = '5s';

DROP TRIGGER wallets_record_opening ON wallets;
DROP FUNCTION record_opening();
DROP TABLE "wallet_openings";
