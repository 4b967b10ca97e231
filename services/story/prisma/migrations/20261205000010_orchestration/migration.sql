-- Why: steps run in waves under leases, and the status of a story follows from its steps and gates, whoever changes them. Triggers hold
-- the state machines, derive the status and publish it. Each attempt of a step is a row of its own, so that the history of claims and
-- errors stays.
-- Locks: ACCESS EXCLUSIVE on stories, story_steps and story_tasks for columns, constraints and triggers, while the status of each
-- story in execution is derived. SHARE on stories while its indexes are built.
-- Runs again: no, once per database; inside one transaction.
-- Existing rows: a running step gets a lease that has lapsed, so that a worker can claim it. Stories in execution get the status that
-- their steps give.

SET LOCAL lock_timeout = '5s';

-- Tells the time of every rule of this database, so that no client's clock counts. Only the administrator can replace it.
CREATE FUNCTION "database_time"() RETURNS timestamptz LANGUAGE sql VOLATILE PARALLEL SAFE
AS $$ SELECT pg_catalog.clock_timestamp() $$;

-- Raises the error of a rule: the store reads the name and the facts of the rule from it.
CREATE FUNCTION "refuse"("p_rule" text, "p_facts" jsonb) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  RAISE EXCEPTION USING ERRCODE = 'AZ001', MESSAGE = p_rule, DETAIL = p_facts::text;
END
$$;

CREATE TABLE "requests" (
  "key" VARCHAR(200) NOT NULL,
  "operation" VARCHAR(50) NOT NULL,
  "body_hash" CHAR(64) NOT NULL,
  "answer_id" UUID NOT NULL,
  "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT "requests_pkey" PRIMARY KEY ("key"),
  CONSTRAINT "requests_key_check" CHECK (btrim("key") <> ''),
  CONSTRAINT "requests_body_hash_check" CHECK ("body_hash" ~ '^[0-9a-f]{64}$'),
  CONSTRAINT "requests_times_check" CHECK ("created_at" >= to_timestamp(-62135596800) AND "created_at" < to_timestamp(253402300800))
);

-- Records a request under its key. Returns null for a new request, and the id of the first answer for a repeated one. A concurrent
-- request with the same key waits here until the first one commits.
CREATE FUNCTION "begin_request"("p_key" text, "p_operation" text, "p_hash" text, "p_answer_id" uuid) RETURNS uuid
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  earlier requests;
BEGIN
  INSERT INTO requests (key, operation, body_hash, answer_id, created_at)
    VALUES (p_key, p_operation, p_hash, p_answer_id, database_time()) ON CONFLICT (key) DO NOTHING;
  IF FOUND THEN
    RETURN NULL;
  END IF;
  SELECT * INTO STRICT earlier FROM requests WHERE key = p_key;
  IF earlier.operation <> p_operation OR earlier.body_hash <> p_hash THEN
    PERFORM refuse('key_reused', jsonb_build_object('operation', earlier.operation, 'asked', p_operation));
  END IF;
  RETURN earlier.answer_id;
END
$$;

-- Writes an event about a story in the transaction of its change. Called by functions that hold the locks of the change.
CREATE FUNCTION "emit"("p_name" text, "p_story_id" uuid, "p_payload" jsonb, "p_at" timestamptz) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, public, pg_temp AS $$
  INSERT INTO outbox (type, key, payload, created_at)
  VALUES ('story.' || p_name || '.v1', p_story_id::text, jsonb_build_object('storyId', p_story_id) || p_payload, p_at)
$$;

CREATE FUNCTION "audit"("p_user_id" text, "p_action" text, "p_type" text, "p_id" uuid, "p_details" jsonb, "p_at" timestamptz)
RETURNS void LANGUAGE sql SET search_path = pg_catalog, public, pg_temp AS $$
  INSERT INTO audit_logs (id, user_id, action, resource_type, resource_id, details, created_at)
  VALUES (gen_random_uuid()::text, p_user_id, p_action, p_type, p_id::text, p_details, p_at)
$$;

-- A status changes only as the arguments of the trigger list it, 'from>to', whoever changes it.
CREATE FUNCTION "check_transition"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF NOT (OLD.status || '>' || NEW.status = ANY (TG_ARGV)) THEN
    PERFORM refuse('status_transition', jsonb_build_object('table', TG_TABLE_NAME, 'id', NEW.id, 'from', OLD.status,
      'to', NEW.status));
  END IF;
  RETURN NEW;
END
$$;

-- Leases and attempts -------------------------------------------------------------------------------------------------

ALTER TABLE "story_steps"
  ADD COLUMN "claim_id" UUID,
  ADD COLUMN "lease_until" TIMESTAMPTZ(6),
  ADD COLUMN "lapses" SMALLINT NOT NULL DEFAULT 0;

CREATE TABLE "step_attempts" (
  "id" UUID NOT NULL DEFAULT gen_random_uuid(),
  "step_id" UUID NOT NULL,
  "story_id" UUID NOT NULL,
  "number" INTEGER NOT NULL,
  "agent_id" VARCHAR(100) NOT NULL,
  "started_at" TIMESTAMPTZ(6) NOT NULL,
  "lease_until" TIMESTAMPTZ(6) NOT NULL,
  "ended_at" TIMESTAMPTZ(6),
  "outcome" VARCHAR(50),
  "outcome_hash" CHAR(64),
  "error" TEXT,
  "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT "step_attempts_pkey" PRIMARY KEY ("id"),
  CONSTRAINT "step_attempts_step_id_fkey" FOREIGN KEY ("step_id") REFERENCES "story_steps" ("id")
    ON DELETE CASCADE ON UPDATE RESTRICT,
  CONSTRAINT "step_attempts_story_id_fkey" FOREIGN KEY ("story_id") REFERENCES "stories" ("id")
    ON DELETE CASCADE ON UPDATE RESTRICT,
  CONSTRAINT "step_attempts_number_check" CHECK ("number" > 0),
  CONSTRAINT "step_attempts_agent_id_check" CHECK (btrim("agent_id") <> ''),
  CONSTRAINT "step_attempts_lease_check" CHECK ("lease_until" >= "started_at"),
  CONSTRAINT "step_attempts_outcome_check" CHECK ("outcome" IN ('Completed', 'Failed', 'Lapsed', 'Revoked')),
  CONSTRAINT "step_attempts_ended_check" CHECK (("ended_at" IS NULL) = ("outcome" IS NULL) AND ("ended_at" >= "started_at") IS NOT FALSE),
  CONSTRAINT "step_attempts_outcome_hash_check" CHECK (
    ("outcome_hash" IS NOT NULL) = coalesce("outcome" IN ('Completed', 'Failed'), false)
    AND ("outcome_hash" ~ '^[0-9a-f]{64}$') IS NOT FALSE),
  CONSTRAINT "step_attempts_times_check" CHECK (
    "started_at" >= to_timestamp(-62135596800) AND "started_at" < to_timestamp(253402300800) AND
    "lease_until" >= to_timestamp(-62135596800) AND "lease_until" < to_timestamp(253402300800) AND
    "ended_at" >= to_timestamp(-62135596800) AND "ended_at" < to_timestamp(253402300800) AND
    "created_at" >= to_timestamp(-62135596800) AND "created_at" < to_timestamp(253402300800) AND
    "updated_at" >= to_timestamp(-62135596800) AND "updated_at" < to_timestamp(253402300800))
);
CREATE UNIQUE INDEX "step_attempts_step_id_number_key" ON "step_attempts" ("step_id", "number");
CREATE INDEX "step_attempts_story_id_created_at_id_idx" ON "step_attempts" ("story_id", "created_at", "id");
-- A step has one attempt that has not ended.
CREATE UNIQUE INDEX "step_attempts_open_key" ON "step_attempts" ("step_id") WHERE "ended_at" IS NULL;

UPDATE "story_steps" SET "claim_id" = gen_random_uuid(), "lease_until" = now(), "attempts" = greatest("attempts", 1),
  "started_at" = coalesce("started_at", now())
WHERE "status" = 'Running';
INSERT INTO "step_attempts" ("id", "step_id", "story_id", "number", "agent_id", "started_at", "lease_until")
SELECT "claim_id", "id", "story_id", "attempts", coalesce(nullif(btrim("assigned_agent_id"), ''), 'unknown'),
  least("started_at", "lease_until"), "lease_until"
FROM "story_steps" WHERE "status" = 'Running';

-- A result that says whether the verification has passed agrees with the column.
UPDATE "stories" SET "verification_passed" = ("verification_result" -> 'passed')::boolean
WHERE jsonb_typeof("verification_result" -> 'passed') = 'boolean'
  AND "verification_passed" IS DISTINCT FROM ("verification_result" -> 'passed')::boolean;

-- The next migration applies them to the existing rows. The bounds of the new time are in a constraint of their own.
ALTER TABLE "story_steps"
  ADD CONSTRAINT "story_steps_claim_check" CHECK (
    ("status" = 'Running') = ("claim_id" IS NOT NULL) AND ("claim_id" IS NULL) = ("lease_until" IS NULL)) NOT VALID,
  ADD CONSTRAINT "story_steps_lapses_check" CHECK ("lapses" BETWEEN 0 AND 5) NOT VALID,
  ADD CONSTRAINT "story_steps_lease_until_check" CHECK (
    "lease_until" >= to_timestamp(-62135596800) AND "lease_until" < to_timestamp(253402300800)) NOT VALID;
ALTER TABLE "stories"
  ADD CONSTRAINT "stories_verification_agrees_check" CHECK (
    coalesce(jsonb_typeof("verification_result" -> 'passed') <> 'boolean', true)
    OR "verification_passed" IS NOT DISTINCT FROM ("verification_result" -> 'passed')::boolean) NOT VALID,
  -- The derived status reads both fields. A gate of a story that has ended may have a result of an earlier application.
  ADD CONSTRAINT "stories_gate_decision_check" CHECK (
    "gate_result" IS NULL OR "status" IN ('Completed', 'Cancelled')
    OR ("gate_result" ?& '{wave,passed}' AND jsonb_typeof("gate_result" -> 'wave') = 'number'
      AND jsonb_typeof("gate_result" -> 'passed') = 'boolean')) NOT VALID,
  ADD CONSTRAINT "stories_chat_size_check" CHECK (octet_length("chat_history"::text) <= 1000000) NOT VALID;

-- The order in which workers without a story find work.
CREATE FUNCTION "priority_rank"("p_priority" text) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT CASE p_priority WHEN 'Critical' THEN 1 WHEN 'High' THEN 2 WHEN 'Medium' THEN 3 ELSE 4 END
$$;
-- lint-ignore index-not-concurrent: it covers stories in execution only, which are few
CREATE INDEX "stories_executing_idx" ON "stories" ((priority_rank("priority")), "created_at", "id") WHERE "status" = 'Executing';
-- lint-ignore index-not-concurrent: it covers failed verifications only, which are few
CREATE INDEX "stories_verification_failed_idx" ON "stories" ("created_at", "id")
  WHERE "verification_result" ->> 'passed' = 'false';

-- State machines and the derived status -------------------------------------------------------------------------------

-- The status of a story in execution, from its steps and the gate. The first wave with an unfinished step is the current one, unless the
-- gate after the wave before holds it back. A failed step fails the story.
CREATE FUNCTION "derive_story"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  open_wave integer;
  last_wave integer;
  has_failed boolean;
BEGIN
  IF NEW.status NOT IN ('Executing', 'GatePending', 'GateFailed', 'ReadyToComplete', 'Failed')
    OR (NEW.status = 'Failed' AND NEW.current_wave = 0) THEN
    RETURN NEW;
  END IF;
  SELECT min(wave) FILTER (WHERE status IN ('Pending', 'Running', 'Failed')), max(wave) INTO open_wave, last_wave
    FROM story_steps WHERE story_id = NEW.id;
  IF last_wave IS NULL THEN
    RETURN NEW;
  ELSIF open_wave IS NULL THEN
    NEW.current_wave := last_wave;
    NEW.status := 'ReadyToComplete';
  ELSIF open_wave > NEW.current_wave AND NEW.current_wave > 0 AND NEW.gate_mode = 'PauseAlways'
    AND NOT coalesce(NEW.gate_result -> 'wave' = to_jsonb(NEW.current_wave) AND NEW.gate_result -> 'passed' = 'true', false) THEN
    NEW.status := CASE WHEN NEW.gate_result -> 'wave' = to_jsonb(NEW.current_wave) THEN 'GateFailed' ELSE 'GatePending' END;
  ELSE
    SELECT bool_or(status = 'Failed') INTO has_failed FROM story_steps WHERE story_id = NEW.id AND wave = open_wave;
    NEW.current_wave := open_wave;
    NEW.status := CASE WHEN has_failed THEN 'Failed' ELSE 'Executing' END;
    -- A wave that runs again comes to its gate again.
    IF (NEW.gate_result -> 'wave')::numeric >= open_wave THEN
      NEW.gate_result := NULL;
    END IF;
  END IF;
  IF NEW.status <> 'Failed' THEN
    NEW.completed_at := NULL;
  END IF;
  RETURN NEW;
END
$$;
CREATE TRIGGER "stories_derived" BEFORE UPDATE ON "stories" FOR EACH ROW EXECUTE FUNCTION "derive_story"();

UPDATE "stories" SET "status" = "status" WHERE "status" IN ('Executing', 'GatePending', 'GateFailed', 'ReadyToComplete', 'Failed');

-- The trigger before it has decided the status by then, because triggers run in the order of their names.
CREATE TRIGGER "stories_transition" BEFORE UPDATE ON "stories" FOR EACH ROW
  WHEN (OLD."status" IS DISTINCT FROM NEW."status")
  EXECUTE FUNCTION "check_transition"(
    'Created>Analyzing', 'Created>Planning', 'Created>Cancelled',
    'Analyzing>Analyzed', 'Analyzing>Failed', 'Analyzing>Cancelled',
    'Analyzed>Analyzing', 'Analyzed>Planning', 'Analyzed>Cancelled',
    'Planning>Planned', 'Planning>Failed', 'Planning>Cancelled',
    'Planned>Planning', 'Planned>Executing', 'Planned>ReadyToComplete', 'Planned>Cancelled',
    'Executing>GatePending', 'Executing>ReadyToComplete', 'Executing>Failed', 'Executing>Cancelled',
    'GatePending>Executing', 'GatePending>GateFailed', 'GatePending>ReadyToComplete', 'GatePending>Cancelled',
    'GateFailed>Executing', 'GateFailed>ReadyToComplete', 'GateFailed>Cancelled',
    'ReadyToComplete>Executing', 'ReadyToComplete>Completed', 'ReadyToComplete>Cancelled',
    'Failed>Analyzing', 'Failed>Planning', 'Failed>Executing', 'Failed>GatePending', 'Failed>ReadyToComplete', 'Failed>Cancelled');

CREATE FUNCTION "publish_story"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF OLD.status <> NEW.status THEN
    PERFORM emit('status-changed', NEW.id, jsonb_build_object('from', OLD.status, 'to', NEW.status, 'wave', NEW.current_wave),
      NEW.updated_at);
  END IF;
  IF NEW.status = 'Executing' AND (OLD.current_wave <> NEW.current_wave) THEN
    PERFORM emit('wave-started', NEW.id, jsonb_build_object('wave', NEW.current_wave), NEW.updated_at);
  END IF;
  RETURN NULL;
END
$$;
CREATE TRIGGER "stories_publish" AFTER UPDATE ON "stories" FOR EACH ROW
  WHEN (OLD."status" <> NEW."status" OR OLD."current_wave" <> NEW."current_wave") EXECUTE FUNCTION "publish_story"();

CREATE TRIGGER "story_steps_transition" BEFORE UPDATE ON "story_steps" FOR EACH ROW
  WHEN (OLD."status" IS DISTINCT FROM NEW."status")
  EXECUTE FUNCTION "check_transition"('Pending>Running', 'Pending>Skipped', 'Running>Completed', 'Running>Failed', 'Running>Skipped',
    'Running>Pending', 'Completed>Pending', 'Failed>Pending', 'Failed>Skipped', 'Skipped>Pending');

-- Derives the stories whose steps a statement has changed so that it can matter: a claim changes no status of a story.
CREATE FUNCTION "derive_from_steps"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF TG_OP = 'UPDATE' THEN
    UPDATE stories AS s SET updated_at = greatest(s.updated_at, c.updated_at)
    FROM (
      SELECT later.story_id, max(later.updated_at) AS updated_at FROM later JOIN earlier ON earlier.id = later.id
      WHERE later.wave <> earlier.wave OR later.status <> earlier.status AND NOT (
        later.status IN ('Pending', 'Running') AND earlier.status IN ('Pending', 'Running'))
      GROUP BY later.story_id
    ) AS c
    WHERE s.id = c.story_id AND s.status IN ('Executing', 'GatePending', 'GateFailed', 'ReadyToComplete', 'Failed');
  ELSE
    UPDATE stories AS s SET updated_at = greatest(s.updated_at, c.updated_at)
    FROM (SELECT story_id, max(updated_at) AS updated_at FROM changed GROUP BY story_id) AS c
    WHERE s.id = c.story_id AND s.status IN ('Executing', 'GatePending', 'GateFailed', 'ReadyToComplete', 'Failed');
  END IF;
  RETURN NULL;
END
$$;
CREATE TRIGGER "story_steps_derive_new" AFTER INSERT ON "story_steps" REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION "derive_from_steps"();
CREATE TRIGGER "story_steps_derive_changed" AFTER UPDATE ON "story_steps" REFERENCING OLD TABLE AS earlier NEW TABLE AS later
  FOR EACH STATEMENT EXECUTE FUNCTION "derive_from_steps"();
CREATE TRIGGER "story_steps_derive_gone" AFTER DELETE ON "story_steps" REFERENCING OLD TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION "derive_from_steps"();

-- A story that has ended has no step to run.
CREATE FUNCTION "check_story_open"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  ended text := (SELECT status FROM stories WHERE id = NEW.story_id FOR SHARE);
BEGIN
  IF ended IN ('Completed', 'Cancelled') THEN
    PERFORM refuse('story_ended', jsonb_build_object('storyId', NEW.story_id, 'status', ended));
  END IF;
  RETURN NEW;
END
$$;
CREATE TRIGGER "story_steps_open_new" BEFORE INSERT ON "story_steps" FOR EACH ROW
  WHEN (NEW."status" NOT IN ('Completed', 'Skipped')) EXECUTE FUNCTION "check_story_open"();
CREATE TRIGGER "story_steps_open_changed" BEFORE UPDATE ON "story_steps" FOR EACH ROW
  WHEN (NEW."status" NOT IN ('Completed', 'Skipped') AND OLD."status" <> NEW."status") EXECUTE FUNCTION "check_story_open"();

CREATE TRIGGER "story_tasks_transition" BEFORE UPDATE ON "story_tasks" FOR EACH ROW
  WHEN (OLD."status" IS DISTINCT FROM NEW."status")
  EXECUTE FUNCTION "check_transition"('Pending>Running', 'Pending>Completed', 'Pending>Failed', 'Pending>Skipped', 'Running>Pending',
    'Running>Completed', 'Running>Failed', 'Running>Skipped', 'Failed>Pending', 'Failed>Running', 'Failed>Skipped',
    'Completed>Pending', 'Skipped>Pending');

-- A completed or skipped step has no unfinished task.
CREATE FUNCTION "check_tasks_done"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  unfinished integer := (SELECT count(*) FROM story_tasks WHERE step_id = NEW.id AND status NOT IN ('Completed', 'Skipped'));
BEGIN
  IF unfinished > 0 THEN
    PERFORM refuse('tasks_open', jsonb_build_object('stepId', NEW.id, 'tasks', unfinished));
  END IF;
  RETURN NEW;
END
$$;
CREATE TRIGGER "story_steps_tasks_done" BEFORE UPDATE ON "story_steps" FOR EACH ROW
  WHEN (NEW."status" IN ('Completed', 'Skipped') AND OLD."status" <> NEW."status") EXECUTE FUNCTION "check_tasks_done"();

CREATE FUNCTION "check_step_open"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  -- Waits for a change of the step that has not been committed.
  ended text := (SELECT status FROM story_steps WHERE id = NEW.step_id FOR SHARE);
BEGIN
  IF ended IN ('Completed', 'Skipped') THEN
    PERFORM refuse('step_ended', jsonb_build_object('stepId', NEW.step_id, 'status', ended));
  END IF;
  RETURN NEW;
END
$$;
CREATE TRIGGER "story_tasks_open_new" BEFORE INSERT ON "story_tasks" FOR EACH ROW
  WHEN (NEW."status" NOT IN ('Completed', 'Skipped')) EXECUTE FUNCTION "check_step_open"();
CREATE TRIGGER "story_tasks_open_changed" BEFORE UPDATE ON "story_tasks" FOR EACH ROW
  WHEN (NEW."status" NOT IN ('Completed', 'Skipped') AND OLD."status" <> NEW."status") EXECUTE FUNCTION "check_step_open"();
