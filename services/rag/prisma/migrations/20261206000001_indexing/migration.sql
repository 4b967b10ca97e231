-- Why: an index of a workspace is made by many statements. One process at a time makes it: it holds a lease, which its statements check
-- and renew, so that a process that lost the lease writes nothing more. The hash of the tree tells when nothing is left to do, and the
-- hash of the edges of a file tells which files need new ones.
-- Locks: ACCESS EXCLUSIVE on workspaces and index_metadata for milliseconds.
-- Runs again: no, once per database; inside one transaction.

SET LOCAL lock_timeout = '5s';

-- AlterTable
-- lint-ignore constraint-missing-not-valid: the columns are new and empty
ALTER TABLE "workspaces"
  ADD COLUMN "index_owner" VARCHAR(300),
  ADD COLUMN "index_owner_until" TIMESTAMPTZ(6),
  ADD COLUMN "index_reader" VARCHAR(100),
  ADD COLUMN "index_tree" VARCHAR(64),
  ADD CONSTRAINT "workspaces_index_owner_check" CHECK (
    ("index_owner" IS NULL) = ("index_owner_until" IS NULL) AND btrim("index_owner") <> ''
    AND "index_owner_until" >= to_timestamp(-62135596800) AND "index_owner_until" < to_timestamp(253402300800)
  ),
  ADD CONSTRAINT "workspaces_index_tree_check" CHECK (
    "index_tree" IS NULL OR "index_tree" ~ '^[0-9a-f]{64}$' AND "index_reader" IS NOT NULL
  );

-- AlterTable
-- lint-ignore constraint-missing-not-valid: the column is new and empty
ALTER TABLE "index_metadata"
  ADD COLUMN "edges_hash" VARCHAR(64),
  ADD CONSTRAINT "index_metadata_edges_hash_check" CHECK (
    "edges_hash" IS NULL OR "edges_hash" ~ '^[0-9a-f]{64}$' AND "index_type" = 'graph'
  );

-- Whatever changes an entry makes the index of its workspace incomplete, until the end of the next run over the tree.
CREATE FUNCTION "forget_index_tree"() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  UPDATE workspaces SET index_tree = NULL
  WHERE path = coalesce(NEW.workspace_path, OLD.workspace_path) AND index_tree IS NOT NULL;
  RETURN NULL;
END
$$;
CREATE TRIGGER "index_metadata_tree" AFTER INSERT OR UPDATE OR DELETE ON "index_metadata"
  FOR EACH ROW EXECUTE FUNCTION forget_index_tree();

-- The lease -----------------------------------------------------------------------------------------------------------

-- Takes the lease of a workspace for some seconds. One that has expired can be taken by anybody. The first indexer of a workspace notes
-- how it reads files, so that another one can tell after an interruption whether the entries are of its own kind.
CREATE FUNCTION "claim_index"("p_id" text, "p_owner" text, "p_reader" text, "p_seconds" integer) RETURNS SETOF workspaces
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  place workspaces := lock_workspace(p_id);
BEGIN
  IF place.index_owner <> p_owner AND place.index_owner_until > clock_timestamp() THEN
    PERFORM refuse('index_claimed', jsonb_build_object('workspaceId', p_id, 'owner', place.index_owner, 'until', place.index_owner_until));
  END IF;
  RETURN QUERY UPDATE workspaces SET index_owner = p_owner, index_owner_until = clock_timestamp() + make_interval(secs => p_seconds),
      index_reader = CASE WHEN index_reader IS NULL AND NOT EXISTS (SELECT FROM index_metadata WHERE workspace_path = place.path)
        THEN p_reader ELSE index_reader END
    WHERE id = p_id RETURNING *;
END
$$;

-- Renews the lease for whoever still has it, also after its time if nobody took it. Each statement of an indexer calls it.
CREATE FUNCTION "hold_index"("p_id" text, "p_owner" text, "p_seconds" integer) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  place workspaces := lock_workspace(p_id);
BEGIN
  IF place.index_owner IS DISTINCT FROM p_owner THEN
    PERFORM refuse('index_lost', jsonb_build_object('workspaceId', p_id));
  END IF;
  UPDATE workspaces SET index_owner_until = clock_timestamp() + make_interval(secs => p_seconds) WHERE id = p_id;
END
$$;

-- Gives a lease back. Returns whether this owner had it.
CREATE FUNCTION "release_index"("p_id" text, "p_owner" text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  UPDATE workspaces SET index_owner = NULL, index_owner_until = NULL WHERE id = p_id AND index_owner = p_owner;
  RETURN FOUND;
END
$$;

-- Notes that both indexes are complete, and gives the lease back. Without a tree, as when files changed meanwhile, the next run compares again.
CREATE FUNCTION "finish_indexing"("p_id" text, "p_owner" text, "p_reader" text, "p_tree" text, "p_commit" text) RETURNS SETOF workspaces
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  PERFORM hold_index(p_id, p_owner, 0);
  PERFORM finish_index(p_id, 'rag', p_commit);
  PERFORM finish_index(p_id, 'graph', p_commit);
  RETURN QUERY UPDATE workspaces SET index_owner = NULL, index_owner_until = NULL, index_reader = p_reader, index_tree = p_tree
    WHERE id = p_id RETURNING *;
END
$$;

-- Writing -------------------------------------------------------------------------------------------------------------

-- Deletes nodes of a workspace. Files whose edges led to them lose these edges, so the hash of their edges is true no more.
CREATE FUNCTION "delete_code_nodes"("p_path" text, "p_ids" uuid[]) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  deleted integer;
BEGIN
  UPDATE index_metadata AS m SET edges_hash = NULL, updated_at = clock_timestamp() FROM (
    SELECT DISTINCT s.file_path FROM code_edges AS e JOIN code_nodes AS s ON s.id = e.source_node_id WHERE e.target_node_id = ANY (p_ids)
  ) AS source
  WHERE m.workspace_path = p_path AND m.index_type = 'graph' AND m.file_path = source.file_path AND m.edges_hash IS NOT NULL;
  DELETE FROM code_nodes WHERE id = ANY (p_ids);
  GET DIAGNOSTICS deleted = ROW_COUNT;
  RETURN deleted;
END
$$;

-- Makes the nodes of files of a workspace, and the edges that begin in them, equal to "p_files", an array of {path, hash, edgesHash, nodes:
-- [{key, name, qualifiedName, type, startLine, endLine, signature, documentation, metadata}], edges: [{from, to, type, metadata}]}, where
-- "from" and "to" are keys. A file without "nodes" or without "edges" keeps those that it has. Edges to or from an unknown key are left
-- out and counted.
CREATE OR REPLACE FUNCTION "put_graph"("p_workspace_id" text, "p_files" jsonb, OUT "nodes_written" integer, OUT "nodes_deleted" integer,
  OUT "edges_written" integer, OUT "edges_deleted" integer, OUT "edges_unresolved" integer)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  place workspaces := lock_workspace(p_workspace_id);
  -- The files that are given with their nodes, and those that are given with their edges.
  node_paths text[] := ARRAY(SELECT file ->> 'path' FROM jsonb_array_elements(p_files) AS file WHERE file ? 'nodes');
  edge_paths text[] := ARRAY(SELECT file ->> 'path' FROM jsonb_array_elements(p_files) AS file WHERE file ? 'edges');
  lacking text[];
BEGIN
  nodes_deleted := delete_code_nodes(place.path, ARRAY(
    SELECT old.id FROM code_nodes AS old WHERE old.repository_path = place.path AND old.file_path = ANY (node_paths) AND old.id NOT IN (
      SELECT code_node_id(p_workspace_id, node ->> 'key')
      FROM jsonb_array_elements(p_files) AS file, jsonb_array_elements(file -> 'nodes') AS node)));
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
    WHERE s.repository_path = place.path AND s.file_path = ANY (edge_paths) AND old.source_node_id = s.id AND NOT EXISTS (
      SELECT FROM resolved AS r WHERE (r.source, r.target, r.type) = (old.source_node_id, old.target_node_id, old.edge_type))
    RETURNING 1
  ), added AS (
    INSERT INTO code_edges AS old (source_node_id, target_node_id, edge_type, metadata, created_at)
    SELECT source, target, type, metadata, clock_timestamp() FROM resolved
    ON CONFLICT (source_node_id, target_node_id, edge_type) DO UPDATE SET metadata = excluded.metadata
    WHERE old.metadata IS DISTINCT FROM excluded.metadata
    RETURNING 1
  )
  SELECT (SELECT count(*) FROM added), (SELECT count(*) FROM gone), (SELECT count(*) FROM wanted) - (SELECT count(*) FROM resolved),
    ARRAY(SELECT path FROM wanted EXCEPT ALL SELECT path FROM resolved)
    INTO edges_written, edges_deleted, edges_unresolved, lacking;
  -- A file that has its new nodes but not its edges yet is not indexed.
  DELETE FROM index_metadata WHERE workspace_path = place.path AND index_type = 'graph' AND file_path = ANY (node_paths)
    AND NOT file_path = ANY (edge_paths);
  INSERT INTO index_metadata AS old (file_path, workspace_path, content_hash, index_type, edges_hash, indexed_at, created_at, updated_at)
  SELECT f.path, place.path, f.hash, 'graph', CASE WHEN NOT f.path = ANY (lacking) THEN f."edgesHash" END, clock_timestamp(),
    clock_timestamp(), clock_timestamp()
  FROM jsonb_to_recordset(p_files) AS f ("path" text, "hash" text, "edgesHash" text) WHERE f.path = ANY (edge_paths)
  ON CONFLICT (file_path, workspace_path, index_type) DO UPDATE SET content_hash = excluded.content_hash,
    edges_hash = excluded.edges_hash, indexed_at = excluded.indexed_at, updated_at = excluded.updated_at
  WHERE (old.content_hash, old.edges_hash) IS DISTINCT FROM (excluded.content_hash, excluded.edges_hash);
END
$$;

-- Removes files of a workspace from its indexes: their chunks, nodes and entries. Returns the number of entries.
CREATE OR REPLACE FUNCTION "remove_files"("p_workspace_id" text, "p_paths" text[], "p_content_ids" text[]) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  place workspaces := lock_workspace(p_workspace_id);
  removed integer;
BEGIN
  DELETE FROM rag_chunks WHERE content_id = ANY (p_content_ids) AND workspace_path = place.path;
  PERFORM delete_code_nodes(place.path, ARRAY(SELECT id FROM code_nodes WHERE repository_path = place.path AND file_path = ANY (p_paths)));
  DELETE FROM index_metadata WHERE workspace_path = place.path AND file_path = ANY (p_paths);
  GET DIAGNOSTICS removed = ROW_COUNT;
  RETURN removed;
END
$$;
