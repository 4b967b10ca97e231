-- no-transaction
-- Reverts 20261207183004_unused_first_pairs.

CREATE INDEX CONCURRENTLY IF NOT EXISTS "item_pairs_first_id_weight_idx" ON "item_pairs"("first_id", "weight" DESC);
