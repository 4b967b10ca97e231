-- Reverts 20261206000001_indexing.
-- loses: workspaces.index_owner, workspaces.index_owner_until, workspaces.index_reader, workspaces.index_tree
-- loses: index_metadata.edges_hash

SET LOCAL lock_timeout = '5s';

CREATE OR REPLACE FUNCTION "put_graph"("p_workspace_id" text, "p_files" jsonb, OUT "nodes_written" integer, OUT "nodes_deleted" integer,
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
CREATE OR REPLACE FUNCTION "remove_files"("p_workspace_id" text, "p_paths" text[], "p_content_ids" text[]) RETURNS integer
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

DROP FUNCTION "delete_code_nodes"(text, uuid[]);
DROP FUNCTION "finish_indexing"(text, text, text, text, text);
DROP FUNCTION "release_index"(text, text);
DROP FUNCTION "hold_index"(text, text, integer);
DROP FUNCTION "claim_index"(text, text, text, integer);
DROP TRIGGER "index_metadata_tree" ON "index_metadata";
DROP FUNCTION "forget_index_tree"();
ALTER TABLE "index_metadata" DROP COLUMN "edges_hash";
ALTER TABLE "workspaces"
  DROP COLUMN "index_owner",
  DROP COLUMN "index_owner_until",
  DROP COLUMN "index_reader",
  DROP COLUMN "index_tree";
