-- Reverts 20261201000002_publish. Events that were published stay in the outbox.
-- loses: outbox_relay.created_at

SET LOCAL lock_timeout = '5s';

DROP TRIGGER zz_transactions_publish ON transactions;
DROP TRIGGER zz_transactions_renumbered ON transactions;
DROP TRIGGER zz_holds_publish_placed ON holds;
DROP TRIGGER zz_holds_publish_resolved ON holds;
DROP TRIGGER zz_stakes_publish_opened ON stakes;
DROP TRIGGER zz_stakes_publish_paid ON stakes;
DROP TRIGGER zz_wallets_publish_opened ON wallets;
DROP TRIGGER zz_wallets_publish_closed ON wallets;
DROP TRIGGER zz_mining_records_publish_born ON mining_records;
DROP TRIGGER zz_mining_records_publish_decided ON mining_records;
DROP FUNCTION publish_transactions();
DROP FUNCTION note_renumbering();
DROP FUNCTION publish_holds();
DROP FUNCTION publish_stake();
DROP FUNCTION publish_wallet();
DROP FUNCTION publish_knowledge();
