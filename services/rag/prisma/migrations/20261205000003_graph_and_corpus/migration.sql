-- Why: the nodes and edges of a file are written by one function, which makes them equal to what it is given. The id of a node follows
-- from its workspace and its key, so that an edge of another file still leads to it after its file was indexed again. An entry of
-- the corpus is kept once per specification and signature, with the best result.
-- Locks: SHARE on code_nodes, code_edges and corpus_entries while the indexes are built; ACCESS EXCLUSIVE on corpus_entries for a column.
-- Runs again: no, once per database; inside one transaction.

SET LOCAL lock_timeout = '5s';

-- The code graph ------------------------------------------------------------------------------------------------------

-- lint-ignore index-not-concurrent: migrations run in one transaction; writers of nodes wait for seconds
CREATE INDEX "code_nodes_repository_path_file_path_idx" ON "code_nodes"("repository_path", "file_path");
-- The edges of a type from or to a node without a visit of the table. The first ones also serve what asks for all types.
-- lint-ignore index-not-concurrent: migrations run in one transaction; writers of edges wait for seconds
CREATE INDEX "code_edges_target_node_id_edge_type_source_node_id_idx" ON "code_edges"("target_node_id", "edge_type", "source_node_id");
-- lint-ignore index-not-concurrent: migrations run in one transaction; writers of nodes wait for seconds
CREATE INDEX "code_nodes_name_trigrams_idx" ON "code_nodes" USING gin ("name" gin_trgm_ops);

-- The id of the node with this key: a UUID of version 8, made of a hash.
CREATE FUNCTION "code_node_id"("p_workspace_id" text, "p_key" text) RETURNS uuid LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT encode(set_byte(set_byte(hash, 6, get_byte(hash, 6) & 15 | 128), 8, get_byte(hash, 8) & 63 | 128), 'hex')::uuid
  FROM (SELECT substring(sha256(convert_to(p_workspace_id || ' ' || p_key, 'UTF8')) FROM 1 FOR 16) AS hash) AS hashed
$$;

-- Makes the nodes of files of a workspace, and the edges that begin in them, equal to "p_files", an array of {path, hash, nodes: [{key,
-- name, qualifiedName, type, startLine, endLine, signature, documentation, metadata}], edges: [{from, to, type, metadata}]}, where
-- "from" and "to" are keys. Edges to or from an unknown key are left out and counted.
CREATE FUNCTION "put_graph"("p_workspace_id" text, "p_files" jsonb, OUT "nodes_written" integer, OUT "nodes_deleted" integer,
  OUT "edges_written" integer, OUT "edges_deleted" integer, OUT "edges_unresolved" integer)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  place workspaces := lock_workspace(p_workspace_id);
  paths text[] := ARRAY(SELECT file ->> 'path' FROM jsonb_array_elements(p_files) AS file);
BEGIN
  DELETE FROM code_nodes AS old WHERE old.repository_path = place.path AND old.file_path = ANY (paths) AND old.id NOT IN (
    SELECT code_node_id(p_workspace_id, node ->> 'key')
    FROM jsonb_array_elements(p_files) AS file, jsonb_array_elements(file -> 'nodes') AS node);
  GET DIAGNOSTICS nodes_deleted = ROW_COUNT;
  INSERT INTO code_nodes AS old (id, name, fully_qualified_name, node_type, file_path, start_line, end_line, signature, documentation,
    repository_path, metadata, created_at, updated_at)
  SELECT code_node_id(p_workspace_id, n.key), n.name, n."qualifiedName", n.type, f.path, n."startLine", n."endLine", n.signature,
    n.documentation, place.path, n.metadata, clock_timestamp(), clock_timestamp()
  FROM jsonb_to_recordset(p_files) AS f ("path" text, "nodes" jsonb),
    jsonb_to_recordset(f.nodes) AS n ("key" text, "name" text, "qualifiedName" text, "type" text, "startLine" integer, "endLine" integer,
      "signature" text, "documentation" text, "metadata" jsonb)
  ON CONFLICT (id) DO UPDATE SET name = excluded.name, fully_qualified_name = excluded.fully_qualified_name,
    node_type = excluded.node_type, file_path = excluded.file_path, start_line = excluded.start_line, end_line = excluded.end_line,
    signature = excluded.signature, documentation = excluded.documentation, metadata = excluded.metadata, updated_at = excluded.updated_at
  WHERE (old.name, old.fully_qualified_name, old.node_type, old.file_path, old.start_line, old.end_line, old.signature,
      old.documentation, old.metadata)
    IS DISTINCT FROM (excluded.name, excluded.fully_qualified_name, excluded.node_type, excluded.file_path, excluded.start_line,
      excluded.end_line, excluded.signature, excluded.documentation, excluded.metadata);
  GET DIAGNOSTICS nodes_written = ROW_COUNT;
  WITH wanted AS MATERIALIZED (
    SELECT DISTINCT ON (1, 2, 3) code_node_id(p_workspace_id, e."from") AS source, code_node_id(p_workspace_id, e."to") AS target,
      e.type, e.metadata, f.path
    FROM jsonb_to_recordset(p_files) AS f ("path" text, "edges" jsonb),
      jsonb_to_recordset(f.edges) AS e ("from" text, "to" text, "type" text, "metadata" jsonb)
  ), resolved AS MATERIALIZED (
    SELECT w.* FROM wanted AS w
    JOIN code_nodes AS s ON s.id = w.source AND s.repository_path = place.path AND s.file_path = w.path
    JOIN code_nodes AS t ON t.id = w.target AND t.repository_path = place.path
  ), gone AS (
    DELETE FROM code_edges AS old USING code_nodes AS s
    WHERE s.repository_path = place.path AND s.file_path = ANY (paths) AND old.source_node_id = s.id AND NOT EXISTS (
      SELECT FROM resolved AS r WHERE (r.source, r.target, r.type) = (old.source_node_id, old.target_node_id, old.edge_type))
    RETURNING 1
  ), added AS (
    INSERT INTO code_edges AS old (source_node_id, target_node_id, edge_type, metadata, created_at)
    SELECT source, target, type, metadata, clock_timestamp() FROM resolved
    ON CONFLICT (source_node_id, target_node_id, edge_type) DO UPDATE SET metadata = excluded.metadata
    WHERE old.metadata IS DISTINCT FROM excluded.metadata
    RETURNING 1
  )
  SELECT (SELECT count(*) FROM added), (SELECT count(*) FROM gone), (SELECT count(*) FROM wanted) - (SELECT count(*) FROM resolved)
    INTO edges_written, edges_deleted, edges_unresolved;
  INSERT INTO index_metadata (file_path, workspace_path, content_hash, index_type, indexed_at, created_at, updated_at)
  SELECT f.path, place.path, f.hash, 'graph', clock_timestamp(), clock_timestamp(), clock_timestamp()
  FROM jsonb_to_recordset(p_files) AS f ("path" text, "hash" text)
  ON CONFLICT (file_path, workspace_path, index_type) DO UPDATE SET content_hash = excluded.content_hash, indexed_at = excluded.indexed_at,
    updated_at = excluded.updated_at
  WHERE index_metadata.content_hash <> excluded.content_hash;
END
$$;

-- The nodes that depend on a node ("p_back"), or that it depends on, over edges of these types: each once, with its least distance, the
-- nearest first, at most "p_most" of them. A cycle ends, because a node counts once. The edges of a level are read in parts, so that
-- little is read beyond "p_most" nodes when thousands depend on one.
CREATE FUNCTION "reachable_nodes"("p_node_id" uuid, "p_types" text[], "p_back" boolean, "p_depth" integer, "p_most" integer)
RETURNS TABLE ("node_id" uuid, "depth" integer) LANGUAGE plpgsql STABLE SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  part_size integer := greatest(p_most / 10, 10);
  seen uuid[] := ARRAY[p_node_id];
  front uuid[] := ARRAY[p_node_id];
  part uuid[];
  found_nodes uuid[];
BEGIN
  FOR step IN 1..p_depth LOOP
    found_nodes := '{}';
    FOR place IN 1..cardinality(front) BY part_size LOOP
      part := front[place : place + part_size - 1];
      IF p_back THEN
        part := ARRAY(SELECT DISTINCT e.source_node_id FROM code_edges AS e WHERE e.target_node_id = ANY (part) AND e.edge_type = ANY (p_types)
          EXCEPT SELECT unnest(seen) ORDER BY 1);
      ELSE
        part := ARRAY(SELECT DISTINCT e.target_node_id FROM code_edges AS e WHERE e.source_node_id = ANY (part) AND e.edge_type = ANY (p_types)
          EXCEPT SELECT unnest(seen) ORDER BY 1);
      END IF;
      found_nodes := found_nodes || part;
      seen := seen || part;
      EXIT WHEN cardinality(seen) > p_most;
    END LOOP;
    EXIT WHEN cardinality(found_nodes) = 0;
    RETURN QUERY SELECT id, step FROM unnest(found_nodes) WITH ORDINALITY AS listed (id, number) ORDER BY number
      LIMIT p_most - cardinality(seen) + cardinality(found_nodes) + 1;
    EXIT WHEN cardinality(seen) > p_most;
    front := found_nodes;
  END LOOP;
END
$$;

-- A shortest path over edges of these types, from the first node to the last; no rows when there is none within "p_depth" edges.
CREATE FUNCTION "graph_path"("p_from" uuid, "p_to" uuid, "p_types" text[], "p_depth" integer)
RETURNS TABLE ("node_id" uuid, "depth" integer) LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp AS $$
  WITH RECURSIVE reached AS MATERIALIZED (
    SELECT p_from AS node_id, 0 AS depth UNION ALL SELECT r.node_id, r.depth FROM reachable_nodes(p_from, p_types, false, p_depth, 1000000) AS r
  ), path AS (
    SELECT r.node_id, r.depth FROM reached AS r WHERE r.node_id = p_to
    UNION ALL
    SELECT earlier.node_id, path.depth - 1 FROM path, LATERAL (
      SELECT r.node_id FROM code_edges AS e JOIN reached AS r ON r.node_id = e.source_node_id AND r.depth = path.depth - 1
      WHERE e.target_node_id = path.node_id AND e.edge_type = ANY (p_types) ORDER BY r.node_id LIMIT 1) AS earlier
    WHERE path.depth > 0
  )
  SELECT path.node_id, path.depth FROM path ORDER BY path.depth
$$;

-- The corpus ----------------------------------------------------------------------------------------------------------

-- AlterTable
ALTER TABLE "corpus_entries" ADD COLUMN "entry_key" CHAR(64);
-- CreateIndex
-- lint-ignore index-not-concurrent: the column is new and empty
CREATE UNIQUE INDEX "corpus_entries_entry_key_key" ON "corpus_entries"("entry_key");
-- lint-ignore index-not-concurrent: migrations run in one transaction; writers of the corpus wait for seconds
CREATE INDEX "corpus_entries_best_idx" ON "corpus_entries" ("func_name", "score" DESC NULLS LAST, "id");
-- lint-ignore index-not-concurrent: migrations run in one transaction; writers of the corpus wait for seconds
CREATE INDEX "corpus_entries_trigrams_idx" ON "corpus_entries" USING gin ("func_name" gin_trgm_ops, "func_signature" gin_trgm_ops);
-- lint-ignore index-not-concurrent: migrations run in one transaction; writers of the corpus wait for seconds
CREATE INDEX "corpus_entries_words_idx" ON "corpus_entries"
  USING gin (to_tsvector('simple', "func_name" || ' ' || "func_signature" || ' ' || left(coalesce("snippet", ''), 100000)));

-- Keeps an entry of the corpus once per specification and signature: of two entries the one with the higher score stays, and of
-- equal scores the later one. Returns the entry that is kept.
CREATE FUNCTION "save_corpus_entry"("p_key" text, "p_entry" jsonb) RETURNS SETOF corpus_entries
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  INSERT INTO corpus_entries AS old (entry_key, func_name, func_signature, snippet, score, passed, total, complexity, iteration, spec_hash,
    spec_id, sig_key, metadata, timestamp, created_at)
  SELECT p_key, e."functionName", e.signature, e.snippet, e.score, e.passed, e.total, e.complexity, e.iteration, e."specHash", e."specId",
    e."signatureKey", e.metadata, clock_timestamp(), clock_timestamp()
  FROM jsonb_to_record(p_entry) AS e ("functionName" text, "signature" text, "snippet" text, "score" double precision, "passed" integer,
    "total" integer, "complexity" integer, "iteration" integer, "specHash" text, "specId" text, "signatureKey" text, "metadata" jsonb)
  ON CONFLICT (entry_key) DO UPDATE SET func_name = excluded.func_name, func_signature = excluded.func_signature, snippet = excluded.snippet,
    score = excluded.score, passed = excluded.passed, total = excluded.total, complexity = excluded.complexity,
    iteration = excluded.iteration, spec_hash = excluded.spec_hash, spec_id = excluded.spec_id, sig_key = excluded.sig_key,
    metadata = excluded.metadata, timestamp = excluded.timestamp
  WHERE coalesce(excluded.score, -1) >= coalesce(old.score, -1) AND (excluded.snippet, excluded.score, excluded.passed, excluded.total,
    excluded.metadata) IS DISTINCT FROM (old.snippet, old.score, old.passed, old.total, old.metadata);
  RETURN QUERY SELECT * FROM corpus_entries WHERE entry_key = p_key;
END
$$;
