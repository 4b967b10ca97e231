-- Reverts 20261205000002_contents.

SET LOCAL lock_timeout = '5s';

DROP FUNCTION "finish_reembedding"(text, text);
DROP FUNCTION "add_embeddings"(text, text, uuid[], text[]);
DROP FUNCTION "unembedded_chunks"(text, integer);
DROP FUNCTION "start_reembedding"(text, text, integer);
DROP FUNCTION "remove_files"(text, text[], text[]);
DROP FUNCTION "remove_contents"(text, text[]);
DROP FUNCTION "put_contents"(text, text, integer, jsonb, text[]);
