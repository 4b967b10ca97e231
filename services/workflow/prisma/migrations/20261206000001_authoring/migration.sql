-- Why: workflow becomes a store. A published version of a workflow never changes and has a number without gaps; the graph is checked
-- before it is published; a request that is sent twice takes effect once.
-- Locks: ACCESS EXCLUSIVE on workflows, plugins and logs until the end, while constraints read their rows: below a second for 100,000.
-- Runs again: no, once per database; inside one transaction.
-- Care: a workflow that is published already has no version yet, so it runs after its owner has published it again. Fails if the
-- version of a plugin is not a semantic version, as 1.0 is not; correct the row and run it again.

SET LOCAL lock_timeout = '5s';

-- Tells the time of every rule of this database, so that no client's clock counts. It reads the clock when it is called: a rule that
-- waited for a lock is judged at the time at which it holds the lock. Only the administrator can replace it, as tests do.
CREATE FUNCTION "database_time"() RETURNS timestamptz LANGUAGE sql VOLATILE PARALLEL SAFE
AS $$ SELECT pg_catalog.clock_timestamp() $$;

-- The rule that rejects a call, and its facts as JSON.
CREATE FUNCTION "refuse"("p_rule" text, "p_facts" jsonb) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  RAISE EXCEPTION USING ERRCODE = 'AZ001', MESSAGE = p_rule, DETAIL = p_facts::text;
END
$$;

-- Rejects a change of status that the trigger does not list as "from>to".
CREATE FUNCTION "check_transition"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF NOT (OLD.status || '>' || NEW.status) = ANY (string_to_array(TG_ARGV[1], ' ')) THEN
    PERFORM refuse('illegal_transition', jsonb_build_object('what', TG_ARGV[0], 'id', NEW.id, 'from', OLD.status, 'to', NEW.status));
  END IF;
  RETURN NULL;
END
$$;

-- CreateTable
CREATE TABLE "requests" (
    "key" VARCHAR(200) NOT NULL,
    "operation" VARCHAR(50) NOT NULL,
    "body_hash" CHAR(64) NOT NULL,
    "answer_id" TEXT NOT NULL,
    "user_id" TEXT,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "requests_pkey" PRIMARY KEY ("key"),
    CONSTRAINT "requests_key_check" CHECK (btrim("key") <> ''),
    CONSTRAINT "requests_times_check" CHECK (
      "created_at" >= to_timestamp(-62135596800) AND "created_at" < to_timestamp(253402300800))
);
CREATE INDEX "requests_user_id_idx" ON "requests"("user_id");
CREATE INDEX "requests_created_at_idx" ON "requests"("created_at");

-- Workflows and their versions ---------------------------------------------------------------------------------------

-- lint-ignore constraint-missing-not-valid: the table is locked by this migration already
ALTER TABLE "workflows"
  ADD COLUMN "created_by" TEXT,
  ADD COLUMN "updated_by" TEXT,
  ADD COLUMN "last_number" INTEGER NOT NULL DEFAULT 0,
  ADD CONSTRAINT "workflows_last_number_check" CHECK ("last_number" >= 0);
-- lint-ignore index-not-concurrent: the table is locked by this migration already
CREATE INDEX "workflows_owner_id_created_at_id_idx" ON "workflows"("owner_id", "created_at", "id");
-- For the erasure of a person.
-- lint-ignore index-not-concurrent: the table is locked by this migration already
CREATE INDEX "workflows_created_by_idx" ON "workflows"("created_by");
-- lint-ignore index-not-concurrent: the table is locked by this migration already
CREATE INDEX "workflows_updated_by_idx" ON "workflows"("updated_by");

CREATE TRIGGER "workflows_transition" AFTER UPDATE ON "workflows" FOR EACH ROW WHEN (OLD."status" <> NEW."status")
  EXECUTE FUNCTION "check_transition"('workflow', 'draft>published published>archived');

-- CreateTable
CREATE TABLE "workflow_versions" (
    "workflow_id" INTEGER NOT NULL,
    "number" INTEGER NOT NULL,
    "draft_version" INTEGER NOT NULL,
    "name" VARCHAR(255) NOT NULL,
    "nodes" JSONB NOT NULL,
    "connections" JSONB NOT NULL,
    "settings" JSONB NOT NULL,
    "plugins" JSONB NOT NULL,
    "plan" JSONB NOT NULL,
    "published_by" TEXT,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "workflow_versions_pkey" PRIMARY KEY ("workflow_id", "number"),
    CONSTRAINT "workflow_versions_number_check" CHECK ("number" >= 1),
    CONSTRAINT "workflow_versions_draft_version_check" CHECK ("draft_version" >= 1),
    CONSTRAINT "workflow_versions_name_check" CHECK (btrim("name") <> ''),
    CONSTRAINT "workflow_versions_plan_check" CHECK (jsonb_typeof("plan") = 'array'),
    CONSTRAINT "workflow_versions_plugins_check" CHECK (jsonb_typeof("plugins") = 'array'),
    CONSTRAINT "workflow_versions_times_check" CHECK (
      "created_at" >= to_timestamp(-62135596800) AND "created_at" < to_timestamp(253402300800))
);
CREATE INDEX "workflow_versions_published_by_idx" ON "workflow_versions"("published_by");
ALTER TABLE "workflow_versions" ADD CONSTRAINT "workflow_versions_workflow_id_fkey" FOREIGN KEY ("workflow_id")
  REFERENCES "workflows"("id") ON DELETE CASCADE ON UPDATE RESTRICT;

-- A version never changes, and it is deleted only with its workflow. Only its publisher is forgotten.
CREATE FUNCTION "keep_version"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF TG_OP = 'DELETE' AND NOT EXISTS (SELECT FROM workflows WHERE id = OLD.workflow_id) THEN
    RETURN OLD;
  END IF;
  IF TG_OP = 'TRUNCATE' THEN
    PERFORM refuse('version_fixed', '{}');
  END IF;
  PERFORM refuse('version_fixed', jsonb_build_object('workflowId', OLD.workflow_id, 'number', OLD.number));
  RETURN NULL;
END
$$;
CREATE TRIGGER "workflow_versions_fixed" BEFORE UPDATE ON "workflow_versions" FOR EACH ROW
  WHEN (NEW."published_by" IS NOT NULL OR (OLD."workflow_id", OLD."number", OLD."draft_version", OLD."name", OLD."nodes", OLD."connections",
    OLD."settings", OLD."plugins", OLD."plan", OLD."created_at") IS DISTINCT FROM (NEW."workflow_id", NEW."number", NEW."draft_version",
    NEW."name", NEW."nodes", NEW."connections", NEW."settings", NEW."plugins", NEW."plan", NEW."created_at"))
  EXECUTE FUNCTION "keep_version"();
CREATE TRIGGER "workflow_versions_kept" BEFORE DELETE ON "workflow_versions" FOR EACH ROW EXECUTE FUNCTION "keep_version"();
CREATE TRIGGER "workflow_versions_all_kept" BEFORE TRUNCATE ON "workflow_versions" FOR EACH STATEMENT
  EXECUTE FUNCTION "keep_version"();

-- A version gets the next number of its workflow, whoever inserts it, so that there are no gaps.
CREATE FUNCTION "number_version"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  found_number integer;
BEGIN
  -- The primary key rejects it, or the seed skips it.
  IF EXISTS (SELECT FROM workflow_versions WHERE workflow_id = NEW.workflow_id AND number = NEW.number) THEN
    RETURN NEW;
  END IF;
  UPDATE workflows SET last_number = last_number + 1 WHERE id = NEW.workflow_id RETURNING last_number INTO found_number;
  IF found_number <> NEW.number THEN
    PERFORM refuse('version_number', jsonb_build_object('workflowId', NEW.workflow_id, 'number', NEW.number));
  END IF;
  RETURN NEW;
END
$$;
CREATE TRIGGER "workflow_versions_number" BEFORE INSERT ON "workflow_versions" FOR EACH ROW EXECUTE FUNCTION "number_version"();

-- The last number only grows, by one with each version.
CREATE FUNCTION "keep_last_number"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF EXISTS (SELECT FROM workflows AS w WHERE w.id = NEW.id AND w.last_number <>
    (SELECT coalesce(max(v.number), 0) FROM workflow_versions AS v WHERE v.workflow_id = w.id)) THEN
    PERFORM refuse('version_number', jsonb_build_object('workflowId', NEW.id, 'number', NEW.last_number));
  END IF;
  RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER "workflows_last_number" AFTER UPDATE ON "workflows" DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
  WHEN (OLD."last_number" <> NEW."last_number") EXECUTE FUNCTION "keep_last_number"();

-- The graph -----------------------------------------------------------------------------------------------------------

-- The edges of a workflow, each once. Editors write a list of {from, to}, or lists of ends by the node that they start from. A connection
-- that is neither has no ends.
CREATE FUNCTION "edges_of"("p_connections" jsonb) RETURNS TABLE ("position" bigint, "start" text, "finish" text) LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT min(found.position), found.start, found.finish FROM (
    SELECT place - 1 AS position, CASE jsonb_typeof(item -> 'from') WHEN 'string' THEN item ->> 'from' END AS start,
      CASE jsonb_typeof(item -> 'to') WHEN 'string' THEN item ->> 'to' END AS finish
    FROM jsonb_array_elements(CASE jsonb_typeof(p_connections) WHEN 'array' THEN p_connections ELSE '[]' END)
      WITH ORDINALITY AS listed (item, place)
    UNION ALL
    SELECT row_number() OVER (ORDER BY key, place) - 1, key, CASE jsonb_typeof(item) WHEN 'string' THEN item #>> '{}' END
    FROM jsonb_each(CASE jsonb_typeof(p_connections) WHEN 'object' THEN p_connections ELSE '{}' END) AS keyed (key, ends),
      jsonb_array_elements(CASE jsonb_typeof(ends) WHEN 'array' THEN ends ELSE jsonb_build_array(NULL) END)
        WITH ORDINALITY AS listed (item, place)
  ) AS found GROUP BY found.start, found.finish, CASE WHEN num_nonnulls(found.start, found.finish) < 2 THEN found.position END
$$;

-- The nodes of a workflow that have an id and a type.
CREATE FUNCTION "nodes_of"("p_nodes" jsonb) RETURNS TABLE ("position" bigint, "id" text, "type" text, "node" jsonb) LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT place - 1, item ->> 'id', item ->> 'type', item FROM jsonb_array_elements(p_nodes) WITH ORDINALITY AS listed (item, place)
  WHERE jsonb_typeof(item) = 'object' AND jsonb_typeof(item -> 'id') = 'string' AND jsonb_typeof(item -> 'type') = 'string'
    AND length(item ->> 'id') BETWEEN 1 AND 100 AND length(item ->> 'type') BETWEEN 1 AND 255
$$;

-- The nodes that lie on a cycle. Nodes without a way in, and then those without a way out, are dropped as long as there are any, so
-- that the ways are followed only in what is left, which is nothing in a graph without a cycle.
CREATE FUNCTION "nodes_on_cycles"("p_starts" text[], "p_finishes" text[]) RETURNS text[] LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  starts text[] := p_starts;
  finishes text[] := p_finishes;
  before integer;
BEGIN
  LOOP
    before := cardinality(starts);
    SELECT coalesce(array_agg(e.s), '{}'), coalesce(array_agg(e.f), '{}') INTO starts, finishes
    FROM unnest(starts, finishes) AS e (s, f) WHERE e.s IN (SELECT unnest(finishes)) AND e.f IN (SELECT unnest(starts));
    EXIT WHEN cardinality(starts) = before;
  END LOOP;
  RETURN ARRAY(
    WITH RECURSIVE edges AS (
      SELECT * FROM unnest(starts, finishes) AS e (s, f)
    ), ways AS (
      SELECT s, f FROM edges UNION SELECT w.s, e.f FROM ways AS w JOIN edges AS e ON e.s = w.f
    )
    SELECT DISTINCT s FROM ways WHERE s = f ORDER BY s);
END
$$;

-- Everything that is wrong with the graph of a workflow, as a list of {problem, …}; empty if it can run. A run begins at the nodes of
-- type "trigger", so nothing leads to them, and everything else is reached from one of them. The other types are names of plugins.
CREATE FUNCTION "graph_findings"("p_nodes" jsonb, "p_connections" jsonb, "p_types" text[]) RETURNS jsonb LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  ids text[];
  starts text[];
  finishes text[];
BEGIN
  SELECT coalesce(array_agg(DISTINCT n.id), '{}') INTO ids FROM nodes_of(p_nodes) AS n;
  SELECT coalesce(array_agg(e.start), '{}'), coalesce(array_agg(e.finish), '{}') INTO starts, finishes
  FROM edges_of(p_connections) AS e WHERE e.start = ANY (ids) AND e.finish = ANY (ids);
  RETURN (
    WITH RECURSIVE nodes AS MATERIALIZED (
      SELECT * FROM nodes_of(p_nodes)
    ), edges AS MATERIALIZED (
      SELECT * FROM unnest(starts, finishes) AS e (start, finish)
    ), reached AS (
      SELECT n.id FROM nodes AS n WHERE n.type = 'trigger'
      UNION SELECT e.finish FROM reached AS r JOIN edges AS e ON e.start = r.id
    ), findings AS (
      SELECT 1 AS kind, place AS position, jsonb_build_object('problem', 'invalid_node', 'position', place - 1) AS finding
      FROM jsonb_array_elements(p_nodes) WITH ORDINALITY AS listed (item, place)
      WHERE place - 1 NOT IN (SELECT n.position FROM nodes AS n)
      UNION ALL
      SELECT 2, min(n.position), jsonb_build_object('problem', 'duplicate_node', 'node', n.id)
      FROM nodes AS n GROUP BY n.id HAVING count(*) > 1
      UNION ALL
      SELECT 3, n.position, jsonb_build_object('problem', 'unknown_type', 'node', n.id, 'type', n.type)
      FROM nodes AS n WHERE n.type <> 'trigger' AND n.type <> ALL (p_types)
      UNION ALL
      SELECT 4, e.position, jsonb_build_object('problem', 'invalid_connection', 'position', e.position)
      FROM edges_of(p_connections) AS e WHERE num_nonnulls(e.start, e.finish) < 2
      UNION ALL
      SELECT 5, min(e.position), jsonb_build_object('problem', 'unknown_node', 'node', missing.id)
      FROM edges_of(p_connections) AS e CROSS JOIN LATERAL unnest(ARRAY[e.start, e.finish]) AS missing (id)
      WHERE num_nonnulls(e.start, e.finish) = 2 AND missing.id <> ALL (ids) GROUP BY missing.id
      UNION ALL
      SELECT 6, 0, jsonb_build_object('problem', 'no_trigger') WHERE NOT EXISTS (SELECT FROM nodes AS n WHERE n.type = 'trigger')
      UNION ALL
      SELECT 7, min(n.position), jsonb_build_object('problem', 'trigger_not_first', 'node', n.id)
      FROM nodes AS n JOIN edges AS e ON e.finish = n.id WHERE n.type = 'trigger' GROUP BY n.id
      UNION ALL
      SELECT 8, 0, jsonb_build_object('problem', 'cycle', 'nodes', to_jsonb(found.ids))
      FROM nodes_on_cycles(starts, finishes) AS found (ids) WHERE cardinality(found.ids) > 0
      UNION ALL
      SELECT 9, min(n.position), jsonb_build_object('problem', 'unreachable_node', 'node', n.id)
      FROM nodes AS n WHERE n.id NOT IN (SELECT r.id FROM reached AS r) GROUP BY n.id
    )
    SELECT coalesce(jsonb_agg(f.finding ORDER BY f.kind, f.position, f.finding), '[]') FROM findings AS f);
END
$$;

-- A whole number of a JSON object, brought into its bounds; the default for everything else.
CREATE FUNCTION "bounded"("p_value" jsonb, "p_default" integer, "p_least" integer, "p_most" integer) RETURNS integer LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT CASE jsonb_typeof(p_value) WHEN 'number' THEN least(greatest(trunc(p_value::numeric), p_least), p_most)::integer ELSE p_default END
$$;

-- The steps of a run, one for each node, with what each waits for and what waits for it. A node without an own rule of retries has that
-- of the workflow; without both, a step is tried 3 times, at first after a second.
CREATE FUNCTION "plan_of"("p_nodes" jsonb, "p_connections" jsonb, "p_settings" jsonb) RETURNS jsonb LANGUAGE sql STABLE
SET search_path = pg_catalog, public, pg_temp AS $$
  WITH edges AS MATERIALIZED (SELECT * FROM edges_of(p_connections))
  SELECT coalesce(jsonb_agg(jsonb_build_object('node_id', n.id, 'type', n.type, 'position', n.position,
    'needs', ARRAY(SELECT e.start FROM edges AS e WHERE e.finish = n.id ORDER BY e.start),
    'next_nodes', ARRAY(SELECT e.finish FROM edges AS e WHERE e.start = n.id ORDER BY e.finish),
    'max_attempts', bounded(coalesce(n.node -> 'retry', p_settings -> 'retry') -> 'maxAttempts', 3, 1, 100),
    'retry_delay_ms', bounded(coalesce(n.node -> 'retry', p_settings -> 'retry') -> 'delayMs', 1000, 0, 3600000),
    'timeout_ms', bounded(n.node -> 'timeoutMs', NULL, 1, 86400000)) ORDER BY n.position), '[]')
  FROM nodes_of(p_nodes) AS n
$$;

-- Plugins and logs ----------------------------------------------------------------------------------------------------

-- The expression of semver.org, without groups.
-- lint-ignore constraint-missing-not-valid: the table is locked by this migration already
ALTER TABLE "plugins" ADD CONSTRAINT "plugins_semver_check" CHECK (
  "version" ~ '^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(\.(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*)?(\+[0-9a-zA-Z-]+(\.[0-9a-zA-Z-]+)*)?$');
-- lint-ignore index-not-concurrent: the table is locked by this migration already
CREATE INDEX "plugins_created_at_id_idx" ON "plugins"("created_at", "id");
-- lint-ignore index-not-concurrent: the table is locked by this migration already
CREATE INDEX "logs_workflow_id_created_at_id_idx" ON "logs"("workflow_id", "created_at", "id");
