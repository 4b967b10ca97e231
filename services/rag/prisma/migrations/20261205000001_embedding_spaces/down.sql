-- Reverts 20261205000001_embedding_spaces.
-- loses: workspaces.embedding_model, workspaces.embedding_dimension, workspaces.next_embedding_model, workspaces.next_embedding_dimension
-- loses: hashing_models

SET LOCAL lock_timeout = '5s';

DROP FUNCTION "finish_index"(text, text, text);
DROP FUNCTION "remove_workspace"(text);
DROP FUNCTION "register_workspace"(text, text, text, boolean, text);
DROP FUNCTION "lock_workspace"(text);
DROP FUNCTION "save_hashing_model"(integer, integer, integer[]);
DROP TABLE "hashing_models";
-- lint-ignore require-concurrent-index-deletion: the table is locked by this migration anyway
DROP INDEX "rag_chunks_hash_idx";
DROP FUNCTION "chunk_hash"(text);
ALTER TABLE "workspaces"
  DROP CONSTRAINT "workspaces_embedding_check",
  DROP CONSTRAINT "workspaces_next_embedding_check",
  DROP COLUMN "embedding_model",
  DROP COLUMN "embedding_dimension",
  DROP COLUMN "next_embedding_model",
  DROP COLUMN "next_embedding_dimension";
DROP FUNCTION "refuse"(text, jsonb);
DROP EXTENSION "pg_trgm";
