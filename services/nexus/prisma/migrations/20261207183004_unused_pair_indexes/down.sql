-- no-transaction
-- Reverts 20261207183004_unused_pair_indexes.

CREATE INDEX CONCURRENTLY IF NOT EXISTS "item_pairs_first_id_weight_idx" ON "item_pairs"("first_id", "weight" DESC);
CREATE INDEX CONCURRENTLY IF NOT EXISTS "item_pairs_second_id_weight_idx" ON "item_pairs"("second_id", "weight" DESC);
