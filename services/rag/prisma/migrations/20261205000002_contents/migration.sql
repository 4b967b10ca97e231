-- Why: the chunks of a content are written by one function, which makes them equal to what it is given: a chunk that has not changed is
-- not written, one that has only moved keeps its row, and a text that has an embedding already, also under another name, needs no other one. The app role only reads the
-- tables, so that no client can put embeddings of two models into the answers of a workspace.
-- Locks: none, only functions are new.
-- Runs again: no, once per database; inside one transaction.

SET LOCAL lock_timeout = '5s';

-- Makes the chunks of contents of a workspace equal to "p_contents", an array of {contentId, path, type, hash, chunks: [{content, title,
-- type, metadata, embedding}]}, where "embedding" is the number of an element of "p_embeddings", from 1, or absent when a chunk of
-- the same text has one. "embedding_missing" rejects the call when no chunk has one any more. Rows of the space that a re-embedding
-- fills stay only if their text is still in its place.
CREATE FUNCTION "put_contents"("p_workspace_id" text, "p_model" text, "p_dimension" integer, "p_contents" jsonb, "p_embeddings" text[],
  OUT "added" integer, OUT "updated" integer, OUT "deleted" integer, OUT "unchanged" integer)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  place workspaces := lock_workspace(p_workspace_id);
  ids text[] := ARRAY(SELECT content ->> 'contentId' FROM jsonb_array_elements(p_contents) AS content);
  asked integer;
BEGIN
  IF place.embedding_model IS NULL THEN
    UPDATE workspaces SET embedding_model = p_model, embedding_dimension = p_dimension, updated_at = clock_timestamp()
    WHERE id = p_workspace_id;
  ELSIF (place.embedding_model, place.embedding_dimension) IS DISTINCT FROM (p_model, p_dimension) THEN
    PERFORM refuse('model_mismatch', jsonb_build_object('workspaceId', p_workspace_id, 'model', place.embedding_model,
      'dimension', place.embedding_dimension));
  END IF;
  IF EXISTS (SELECT FROM rag_chunks WHERE content_id = ANY (ids) AND workspace_path IS DISTINCT FROM place.path) THEN
    PERFORM refuse('content_elsewhere', jsonb_build_object('workspaceId', p_workspace_id));
  END IF;
  WITH wanted AS MATERIALIZED (
    SELECT c."contentId" AS content_id, (k.number - 1)::integer AS chunk_index, k.content, k.title, coalesce(k.type, c.type) AS content_type,
      c.path AS source_path, k.metadata, p_embeddings[k.embedding] AS embedding
    FROM jsonb_to_recordset(p_contents) AS c ("contentId" text, "path" text, "type" text, "chunks" jsonb),
      ROWS FROM (jsonb_to_recordset(c.chunks) AS ("content" text, "title" text, "type" text, "metadata" jsonb, "embedding" integer))
        WITH ORDINALITY AS k (content, title, type, metadata, embedding, number)
  ), kept AS MATERIALIZED (
    SELECT r.id, w.*, r.embedding_model = p_model AND r.embedding_dimension = p_dimension AS is_current
    FROM rag_chunks AS r JOIN wanted AS w USING (content_id, chunk_index)
    WHERE r.content_id = ANY (ids) AND r.content = w.content AND ((r.embedding_model, r.embedding_dimension) = (p_model, p_dimension)
      OR (r.embedding_model, r.embedding_dimension) = (place.next_embedding_model, place.next_embedding_dimension))
  ), changed AS (
    UPDATE rag_chunks AS r SET title = k.title, content_type = k.content_type, source_path = k.source_path, metadata = k.metadata,
      updated_at = clock_timestamp()
    FROM kept AS k WHERE r.id = k.id AND (r.title, r.content_type, r.source_path, r.metadata)
      IS DISTINCT FROM (k.title, k.content_type, k.source_path, k.metadata)
    RETURNING k.is_current
  ), missing AS MATERIALIZED (
    SELECT w.* FROM wanted AS w
    WHERE NOT EXISTS (SELECT FROM kept AS k WHERE k.is_current AND (k.content_id, k.chunk_index) = (w.content_id, w.chunk_index))
  ), gone AS (
    DELETE FROM rag_chunks AS r WHERE r.content_id = ANY (ids) AND NOT EXISTS (SELECT FROM kept WHERE kept.id = r.id)
    RETURNING r.content, r.embedding, r.embedding_model, r.embedding_dimension
  ), known AS MATERIALIZED (
    -- Sorting reads all of "gone", so that every old row is deleted before a new one can take its place.
    SELECT DISTINCT ON (content) content, embedding FROM (
      SELECT content, embedding::vector FROM missing WHERE embedding IS NOT NULL
      UNION ALL
      SELECT content, embedding FROM gone WHERE embedding_model = p_model AND embedding_dimension = p_dimension
      UNION ALL
      SELECT m.content, other.embedding FROM missing AS m, LATERAL (
        SELECT r.embedding FROM rag_chunks AS r WHERE chunk_hash(r.content) = chunk_hash(m.content)
          AND r.embedding_model = p_model AND r.embedding_dimension = p_dimension LIMIT 1) AS other
      WHERE m.embedding IS NULL
    ) AS given ORDER BY content
  ), inserted AS (
    INSERT INTO rag_chunks (content_id, chunk_index, content, embedding, embedding_dimension, embedding_model, source_path, content_type,
      title, workspace_path, metadata, created_at, updated_at)
    SELECT m.content_id, m.chunk_index, m.content, known.embedding, p_dimension, p_model, m.source_path, m.content_type, m.title,
      place.path, m.metadata, clock_timestamp(), clock_timestamp()
    FROM missing AS m JOIN known ON known.content = m.content
    RETURNING 1
  )
  SELECT (SELECT count(*) FROM inserted), (SELECT count(*) FROM gone), (SELECT count(*) FROM changed WHERE is_current),
      (SELECT count(*) FROM kept WHERE is_current), (SELECT count(*) FROM missing)
    INTO added, deleted, updated, unchanged, asked;
  IF added < asked THEN
    PERFORM refuse('embedding_missing', jsonb_build_object('chunks', asked - added));
  END IF;
  unchanged := unchanged - updated;
  INSERT INTO index_metadata (file_path, workspace_path, content_hash, index_type, indexed_at, created_at, updated_at)
  SELECT c.path, place.path, c.hash, 'rag', clock_timestamp(), clock_timestamp(), clock_timestamp()
  FROM jsonb_to_recordset(p_contents) AS c ("path" text, "hash" text) WHERE c.path IS NOT NULL AND c.hash IS NOT NULL
  ON CONFLICT (file_path, workspace_path, index_type) DO UPDATE SET content_hash = excluded.content_hash, indexed_at = excluded.indexed_at,
    updated_at = excluded.updated_at
  WHERE index_metadata.content_hash <> excluded.content_hash;
END
$$;

-- Removes contents of a workspace. Returns the number of their chunks.
CREATE FUNCTION "remove_contents"("p_workspace_id" text, "p_content_ids" text[]) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  place workspaces := lock_workspace(p_workspace_id);
  removed integer;
BEGIN
  DELETE FROM rag_chunks WHERE content_id = ANY (p_content_ids) AND workspace_path = place.path;
  GET DIAGNOSTICS removed = ROW_COUNT;
  RETURN removed;
END
$$;

-- Removes files of a workspace from its indexes: their chunks, nodes and entries. Returns the number of entries.
CREATE FUNCTION "remove_files"("p_workspace_id" text, "p_paths" text[], "p_content_ids" text[]) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  place workspaces := lock_workspace(p_workspace_id);
  removed integer;
BEGIN
  DELETE FROM rag_chunks WHERE content_id = ANY (p_content_ids) AND workspace_path = place.path;
  DELETE FROM code_nodes WHERE repository_path = place.path AND file_path = ANY (p_paths);
  DELETE FROM index_metadata WHERE workspace_path = place.path AND file_path = ANY (p_paths);
  GET DIAGNOSTICS removed = ROW_COUNT;
  RETURN removed;
END
$$;

-- Re-embedding --------------------------------------------------------------------------------------------------------

-- Begins to fill the space of another model, or goes on with it. Rows of a space that was begun before and given up are deleted.
CREATE FUNCTION "start_reembedding"("p_workspace_id" text, "p_model" text, "p_dimension" integer) RETURNS SETOF workspaces
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  place workspaces := lock_workspace(p_workspace_id);
BEGIN
  IF place.embedding_model = p_model AND place.embedding_dimension <> p_dimension
    OR place.next_embedding_model = p_model AND place.next_embedding_dimension <> p_dimension THEN
    PERFORM refuse('model_dimension', jsonb_build_object('model', p_model, 'dimension', CASE place.embedding_model
      WHEN p_model THEN place.embedding_dimension ELSE place.next_embedding_dimension END));
  END IF;
  IF place.embedding_model IS NULL THEN
    UPDATE workspaces SET embedding_model = p_model, embedding_dimension = p_dimension, updated_at = clock_timestamp()
    WHERE id = p_workspace_id RETURNING * INTO place;
  ELSIF place.embedding_model = p_model AND place.next_embedding_model IS NOT NULL THEN
    UPDATE workspaces SET next_embedding_model = NULL, next_embedding_dimension = NULL, updated_at = clock_timestamp()
    WHERE id = p_workspace_id RETURNING * INTO place;
  ELSIF place.embedding_model <> p_model AND place.next_embedding_model IS DISTINCT FROM p_model THEN
    UPDATE workspaces SET next_embedding_model = p_model, next_embedding_dimension = p_dimension, updated_at = clock_timestamp()
    WHERE id = p_workspace_id RETURNING * INTO place;
  END IF;
  DELETE FROM rag_chunks WHERE workspace_path = place.path AND embedding_model <> place.embedding_model
    AND embedding_model IS DISTINCT FROM place.next_embedding_model;
  RETURN NEXT place;
END
$$;

-- The chunks of a workspace whose text has no embedding in the space that a re-embedding fills: at most "p_most" of them.
CREATE FUNCTION "unembedded_chunks"("p_workspace_id" text, "p_most" integer) RETURNS SETOF rag_chunks
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT r.* FROM workspaces AS w
  JOIN rag_chunks AS r ON r.workspace_path = w.path AND (r.embedding_model, r.embedding_dimension) = (w.embedding_model, w.embedding_dimension)
  LEFT JOIN rag_chunks AS n ON n.content_id = r.content_id AND n.chunk_index = r.chunk_index AND n.embedding_model = w.next_embedding_model
    AND n.content = r.content
  WHERE w.id = p_workspace_id AND w.next_embedding_model IS NOT NULL AND n.id IS NULL
  LIMIT p_most
$$;

-- Adds embeddings of chunks to the space that a re-embedding fills. A chunk that has gone meanwhile is left out. Returns the number added.
CREATE FUNCTION "add_embeddings"("p_workspace_id" text, "p_model" text, "p_ids" uuid[], "p_embeddings" text[]) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  place workspaces := lock_workspace(p_workspace_id);
  added integer;
BEGIN
  IF place.next_embedding_model IS DISTINCT FROM p_model THEN
    PERFORM refuse('reembedding_ended', jsonb_build_object('workspaceId', p_workspace_id));
  END IF;
  INSERT INTO rag_chunks (content_id, chunk_index, content, embedding, embedding_dimension, embedding_model, source_path, content_type,
    title, workspace_path, metadata, created_at, updated_at)
  SELECT r.content_id, r.chunk_index, r.content, e.embedding::vector, place.next_embedding_dimension, p_model, r.source_path,
    r.content_type, r.title, r.workspace_path, r.metadata, clock_timestamp(), clock_timestamp()
  FROM unnest(p_ids, p_embeddings) AS e (id, embedding) JOIN rag_chunks AS r ON r.id = e.id
  WHERE r.workspace_path = place.path AND r.embedding_model = place.embedding_model
  ON CONFLICT (content_id, chunk_index, embedding_model) DO UPDATE SET content = excluded.content, embedding = excluded.embedding,
    embedding_dimension = excluded.embedding_dimension, source_path = excluded.source_path, content_type = excluded.content_type,
    title = excluded.title, metadata = excluded.metadata, updated_at = excluded.updated_at;
  GET DIAGNOSTICS added = ROW_COUNT;
  RETURN added;
END
$$;

-- Makes the space that a re-embedding has filled the one that answers, and deletes the other. Returns the number of chunks that
-- it lacks; nothing changes while that is above zero.
CREATE FUNCTION "finish_reembedding"("p_workspace_id" text, "p_model" text) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  place workspaces := lock_workspace(p_workspace_id);
  lacking integer;
BEGIN
  IF place.embedding_model = p_model AND place.next_embedding_model IS NULL THEN
    RETURN 0;
  END IF;
  IF place.next_embedding_model IS DISTINCT FROM p_model THEN
    PERFORM refuse('reembedding_ended', jsonb_build_object('workspaceId', p_workspace_id));
  END IF;
  SELECT count(*) INTO lacking FROM unembedded_chunks(p_workspace_id, 1000000);
  IF lacking > 0 THEN
    RETURN lacking;
  END IF;
  UPDATE workspaces SET embedding_model = next_embedding_model, embedding_dimension = next_embedding_dimension,
    next_embedding_model = NULL, next_embedding_dimension = NULL, updated_at = clock_timestamp() WHERE id = p_workspace_id;
  DELETE FROM rag_chunks WHERE workspace_path = place.path AND embedding_model <> p_model;
  PERFORM publish_event('rag.model-switched.v1', p_workspace_id, jsonb_build_object('workspaceId', p_workspace_id,
    'dimension', place.next_embedding_dimension), NULL);
  RETURN 0;
END
$$;
