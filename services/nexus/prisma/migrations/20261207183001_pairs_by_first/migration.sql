-- no-transaction
-- Why: a recommendation reads the 100 strongest pairs of each of 20 items. With the other item in the index, it reads them next to each
-- other, and not from 100 places of the table.
-- Locks: none that reads or writes wait for.
-- Runs again: yes.

CREATE INDEX CONCURRENTLY IF NOT EXISTS "item_pairs_first_id_weight_second_id_idx"
  ON "item_pairs"("first_id", "weight" DESC, "second_id");
