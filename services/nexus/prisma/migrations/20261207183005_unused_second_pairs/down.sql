-- no-transaction
-- Reverts 20261207183005_unused_second_pairs.

CREATE INDEX CONCURRENTLY IF NOT EXISTS "item_pairs_second_id_weight_idx" ON "item_pairs"("second_id", "weight" DESC);
