-- Reverts 20261205000003_graph_and_corpus.
-- loses: corpus_entries.entry_key

SET LOCAL lock_timeout = '5s';

DROP FUNCTION "save_corpus_entry"(text, jsonb);
-- lint-ignore require-concurrent-index-deletion: the table is locked by this migration anyway
DROP INDEX "corpus_entries_words_idx";
-- lint-ignore require-concurrent-index-deletion: the table is locked by this migration anyway
DROP INDEX "corpus_entries_trigrams_idx";
-- lint-ignore require-concurrent-index-deletion: the table is locked by this migration anyway
DROP INDEX "corpus_entries_best_idx";
-- lint-ignore require-concurrent-index-deletion: the table is locked by this migration anyway
DROP INDEX "corpus_entries_entry_key_key";
ALTER TABLE "corpus_entries" DROP COLUMN "entry_key";
DROP FUNCTION "graph_path"(uuid, uuid, text[], integer);
DROP FUNCTION "reachable_nodes"(uuid, text[], boolean, integer, integer);
DROP FUNCTION "put_graph"(text, jsonb);
DROP FUNCTION "code_node_id"(text, text);
-- lint-ignore require-concurrent-index-deletion: the table is locked by this migration anyway
DROP INDEX "code_nodes_name_trigrams_idx";
-- lint-ignore require-concurrent-index-deletion: the table is locked by this migration anyway
DROP INDEX "code_edges_target_node_id_edge_type_source_node_id_idx";
-- lint-ignore require-concurrent-index-deletion: the table is locked by this migration anyway
DROP INDEX "code_nodes_repository_path_file_path_idx";
