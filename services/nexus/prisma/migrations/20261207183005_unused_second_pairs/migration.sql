-- no-transaction
-- Why: the index of 20261207183002 has the same columns and one more.
-- Locks: none that reads or writes wait for.
-- Runs again: yes.

DROP INDEX CONCURRENTLY IF EXISTS "item_pairs_second_id_weight_idx";
