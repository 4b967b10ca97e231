-- no-transaction
-- Reverts 20261207183001_pairs_by_first.

DROP INDEX CONCURRENTLY IF EXISTS "item_pairs_first_id_weight_second_id_idx";
