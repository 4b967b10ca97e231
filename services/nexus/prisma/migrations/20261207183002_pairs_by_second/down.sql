-- no-transaction
-- Reverts 20261207183002_pairs_by_second.

DROP INDEX CONCURRENTLY IF EXISTS "item_pairs_second_id_weight_first_id_idx";
