-- no-transaction
-- Why: the index of 20261207183001 has the same columns and one more.
-- Locks: none that reads or writes wait for.
-- Runs again: yes.

DROP INDEX CONCURRENTLY IF EXISTS "item_pairs_first_id_weight_idx";
