-- Why: embeddings of different models cannot be compared, so a workspace answers with the embeddings of one model, its vector space.
-- A re-embedding fills a second space beside it, and one statement at its end makes that space the one that answers: an interrupted
-- one changes no answer. The built-in embedder keeps the word frequencies that it has learned here.
-- Locks: ACCESS EXCLUSIVE on workspaces for milliseconds; SHARE on rag_chunks while the index is built, about 10 s per million chunks.
-- Runs again: no, once per database; inside one transaction.

SET LOCAL lock_timeout = '5s';

-- The similarity of words. The owner of a database may create the extension: it is trusted.
CREATE EXTENSION IF NOT EXISTS "pg_trgm";

-- Raises the rule that rejects a call, and its facts as JSON.
CREATE FUNCTION "refuse"("p_rule" text, "p_facts" jsonb) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  RAISE EXCEPTION USING ERRCODE = 'AZ001', MESSAGE = p_rule, DETAIL = p_facts::text;
END
$$;

-- AlterTable
-- lint-ignore constraint-missing-not-valid: the columns are new and empty
ALTER TABLE "workspaces"
  ADD COLUMN "embedding_model" VARCHAR(100),
  ADD COLUMN "embedding_dimension" INTEGER,
  ADD COLUMN "next_embedding_model" VARCHAR(100),
  ADD COLUMN "next_embedding_dimension" INTEGER,
  ADD CONSTRAINT "workspaces_embedding_check" CHECK (
    ("embedding_model" IS NULL) = ("embedding_dimension" IS NULL) AND btrim("embedding_model") <> ''
    AND "embedding_dimension" BETWEEN 1 AND 16000
  ),
  ADD CONSTRAINT "workspaces_next_embedding_check" CHECK (
    ("next_embedding_model" IS NULL) = ("next_embedding_dimension" IS NULL) AND btrim("next_embedding_model") <> ''
    AND "next_embedding_dimension" BETWEEN 1 AND 16000 AND "next_embedding_model" <> "embedding_model"
    AND NOT ("next_embedding_model" IS NOT NULL AND "embedding_model" IS NULL)
  );

-- A workspace whose chunks have one model answers with it. Nobody can say which of several was meant.
UPDATE "workspaces" AS w SET "embedding_model" = s."model", "embedding_dimension" = s."dimension"
FROM (
  SELECT "workspace_path", min("embedding_model") AS "model", min("embedding_dimension") AS "dimension" FROM "rag_chunks"
  GROUP BY "workspace_path" HAVING count(DISTINCT ("embedding_model", "embedding_dimension")) = 1
) AS s WHERE s."workspace_path" = w."path";

-- Finds a text that has an embedding already, wherever it stands. UTF-8 is the encoding of every database of the suite, so the function
-- is immutable, although convert_to is not declared so.
CREATE FUNCTION "chunk_hash"("p_content" text) RETURNS bytea LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
AS $$ SELECT pg_catalog.sha256(pg_catalog.convert_to(p_content, 'UTF8')) $$;

-- lint-ignore index-not-concurrent: migrations run in one transaction; writers of chunks wait for seconds
CREATE INDEX "rag_chunks_hash_idx" ON "rag_chunks" (chunk_hash("content"), "embedding_model", "embedding_dimension");

-- CreateTable
CREATE TABLE "hashing_models" (
    "model" VARCHAR(100) NOT NULL,
    "dimension" INTEGER NOT NULL,
    "documents" INTEGER NOT NULL,
    "frequencies" INTEGER[] NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT clock_timestamp(),

    CONSTRAINT "hashing_models_pkey" PRIMARY KEY ("model"),
    CONSTRAINT "hashing_models_dimension_check" CHECK ("dimension" BETWEEN 8 AND 16000),
    CONSTRAINT "hashing_models_documents_check" CHECK ("documents" >= 0),
    CONSTRAINT "hashing_models_frequencies_check" CHECK (
      cardinality("frequencies") BETWEEN 1 AND 65536 AND 0 <= ALL ("frequencies") AND "documents" >= ALL ("frequencies")
    ),
    CONSTRAINT "hashing_models_times_check" CHECK ("created_at" >= to_timestamp(-62135596800) AND "created_at" < to_timestamp(253402300800))
);

-- Keeps a built-in model and returns its name. The name contains the hash of what it has learned, so one name has one meaning.
CREATE FUNCTION "save_hashing_model"("p_dimension" integer, "p_documents" integer, "p_frequencies" integer[]) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  name text := format('azora-hash-%s-%s', p_dimension,
    left(encode(sha256(convert_to(p_documents || p_frequencies::text, 'UTF8')), 'hex'), 16));
BEGIN
  INSERT INTO hashing_models (model, dimension, documents, frequencies) VALUES (name, p_dimension, p_documents, p_frequencies)
  ON CONFLICT (model) DO NOTHING;
  RETURN name;
END
$$;

-- Workspaces ----------------------------------------------------------------------------------------------------------

-- Locks the row of a workspace and returns it. Whoever writes what belongs to a workspace takes its turn here.
CREATE FUNCTION "lock_workspace"("p_id" text) RETURNS workspaces
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  place workspaces;
BEGIN
  SELECT * INTO place FROM workspaces WHERE id = p_id FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    PERFORM refuse('workspace_not_found', jsonb_build_object('workspaceId', p_id));
  END IF;
  RETURN place;
END
$$;

-- Registers a workspace, or updates what is known about it. An absent value leaves what is there.
CREATE FUNCTION "register_workspace"("p_id" text, "p_path" text, "p_name" text, "p_is_git" boolean, "p_commit" text)
RETURNS SETOF workspaces LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  result workspaces;
BEGIN
  INSERT INTO workspaces (id, name, path, is_git_repository, current_commit_sha, created_at, updated_at)
  VALUES (p_id, coalesce(p_name, left(regexp_replace(p_path, '^.*[/\\](?=[^/\\])', ''), 500)), p_path, coalesce(p_is_git, false),
    p_commit, clock_timestamp(), clock_timestamp())
  ON CONFLICT (id) DO NOTHING RETURNING * INTO result;
  IF FOUND THEN
    PERFORM publish_event('rag.workspace-registered.v1', p_id, jsonb_build_object('workspaceId', p_id), NULL);
  ELSE
    UPDATE workspaces SET name = coalesce(p_name, name), is_git_repository = coalesce(p_is_git, is_git_repository),
      current_commit_sha = coalesce(p_commit, current_commit_sha), updated_at = clock_timestamp()
    WHERE id = p_id AND (coalesce(p_name, name), coalesce(p_is_git, is_git_repository), coalesce(p_commit, current_commit_sha))
      IS DISTINCT FROM (name, is_git_repository, current_commit_sha);
    SELECT * INTO result FROM workspaces WHERE id = p_id;
  END IF;
  RETURN NEXT result;
END
$$;

-- Removes a workspace with everything that is indexed of it. Returns whether it was there.
CREATE FUNCTION "remove_workspace"("p_id" text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  removed text;
BEGIN
  DELETE FROM workspaces WHERE id = p_id RETURNING path INTO removed;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  DELETE FROM rag_chunks WHERE workspace_path = removed;
  DELETE FROM code_nodes WHERE repository_path = removed;
  DELETE FROM index_metadata WHERE workspace_path = removed;
  PERFORM publish_event('rag.workspace-removed.v1', p_id, jsonb_build_object('workspaceId', p_id), NULL);
  RETURN true;
END
$$;

-- Notes that an index of a workspace is complete as of a commit.
CREATE FUNCTION "finish_index"("p_id" text, "p_index_type" text, "p_commit" text) RETURNS SETOF workspaces
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  result workspaces := lock_workspace(p_id);
BEGIN
  IF p_index_type = 'rag' THEN
    UPDATE workspaces SET rag_indexed_at = clock_timestamp(), rag_indexed_commit_sha = p_commit,
      current_commit_sha = coalesce(p_commit, current_commit_sha), updated_at = clock_timestamp() WHERE id = p_id RETURNING * INTO result;
  ELSIF p_index_type = 'graph' THEN
    UPDATE workspaces SET graph_indexed_at = clock_timestamp(), graph_indexed_commit_sha = p_commit,
      current_commit_sha = coalesce(p_commit, current_commit_sha), updated_at = clock_timestamp() WHERE id = p_id RETURNING * INTO result;
  ELSE
    PERFORM refuse('index_type', jsonb_build_object());
  END IF;
  PERFORM publish_event('rag.workspace-indexed.v1', p_id, jsonb_strip_nulls(jsonb_build_object('workspaceId', p_id,
    'index', p_index_type, 'commit', lower(p_commit), 'files', (SELECT count(*) FROM index_metadata
      WHERE workspace_path = result.path AND index_type = p_index_type))), NULL);
  RETURN NEXT result;
END
$$;
