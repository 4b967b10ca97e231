-- no-transaction
-- Why: the indexes of 20261207183001 and 20261207183002 have the same columns and one more.
-- Locks: none that reads or writes wait for.
-- Runs again: yes.

DROP INDEX CONCURRENTLY IF EXISTS "item_pairs_first_id_weight_idx";
DROP INDEX CONCURRENTLY IF EXISTS "item_pairs_second_id_weight_idx";
