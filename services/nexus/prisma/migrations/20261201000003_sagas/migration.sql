-- Why: a process over several services has no transaction. Its state is a row of this table, so that any worker can continue it after
-- a crash, and its steps are either all done or all undone. A worker owns a saga for the time of a lease; the version of the row
-- fences a worker whose lease has ended. The database's clock decides leases and deadlines.
-- Locks: none: the table is new.
-- Runs again: no, once per database; inside one transaction.

SET LOCAL lock_timeout = '5s';

-- CreateEnum
CREATE TYPE "saga_state" AS ENUM ('running', 'compensating', 'done', 'compensated', 'stuck');

-- CreateTable
CREATE TABLE "sagas" (
    "id" UUID NOT NULL DEFAULT gen_random_uuid(),
    "name" VARCHAR(100) NOT NULL,
    "key" VARCHAR(200) NOT NULL,
    "input" JSONB NOT NULL,
    "steps" TEXT[],
    "state" "saga_state" NOT NULL DEFAULT 'running',
    "step" SMALLINT NOT NULL DEFAULT 0,
    "results" JSONB NOT NULL DEFAULT '{}',
    "attempts" INTEGER NOT NULL DEFAULT 0,
    "max_attempts" INTEGER NOT NULL DEFAULT 20,
    "next_at" TIMESTAMPTZ(6) NOT NULL DEFAULT database_time(),
    "deadline" TIMESTAMPTZ(6),
    "owner" UUID,
    "version" BIGINT NOT NULL DEFAULT 0,
    "failure" VARCHAR(500),
    "last_error" VARCHAR(500),
    "finished_at" TIMESTAMPTZ(6),
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT database_time(),
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT database_time(),

    CONSTRAINT "sagas_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "sagas_state_created_at_idx" ON "sagas"("state", "created_at");

-- CreateIndex
CREATE UNIQUE INDEX "sagas_name_key_key" ON "sagas"("name", "key");

-- What the schema language cannot say.

ALTER TABLE "sagas"
  ALTER COLUMN "steps" SET NOT NULL,
  ADD CONSTRAINT "sagas_name_check" CHECK ("name" ~ '^[a-z][a-z0-9-]*([.][a-z0-9-]+)*$'),
  ADD CONSTRAINT "sagas_key_check" CHECK (btrim("key") <> ''),
  ADD CONSTRAINT "sagas_input_check" CHECK (jsonb_typeof("input") = 'object' AND octet_length("input"::text) <= 131072),
  ADD CONSTRAINT "sagas_steps_check" CHECK (
    -- Without BETWEEN, whose parentheses a restore would leave out.
    cardinality("steps") >= 1 AND cardinality("steps") <= 50
    AND array_to_string("steps", ',', '*') ~ '^[a-z][a-z0-9-]{0,49}(,[a-z][a-z0-9-]{0,49})*$'),
  -- How many steps have taken effect, or may have.
  ADD CONSTRAINT "sagas_step_check" CHECK (
    CASE "state"
      WHEN 'running' THEN "step" >= 0 AND "step" < cardinality("steps")
      WHEN 'compensating' THEN "step" > 0 AND "step" <= cardinality("steps")
      WHEN 'done' THEN "step" = cardinality("steps")
      WHEN 'compensated' THEN "step" = 0
      ELSE "step" >= 0 AND "step" <= cardinality("steps")
    END),
  ADD CONSTRAINT "sagas_results_check" CHECK (jsonb_typeof("results") = 'object'),
  ADD CONSTRAINT "sagas_attempts_check" CHECK ("attempts" >= 0),
  ADD CONSTRAINT "sagas_max_attempts_check" CHECK ("max_attempts" BETWEEN 1 AND 1000),
  ADD CONSTRAINT "sagas_deadline_check" CHECK ("deadline" IS NULL OR "state" = 'running'),
  ADD CONSTRAINT "sagas_owner_check" CHECK ("owner" IS NULL OR "state" IN ('running', 'compensating')),
  ADD CONSTRAINT "sagas_failure_check" CHECK (
    CASE WHEN "state" IN ('compensating', 'compensated') THEN "failure" IS NOT NULL
         ELSE "failure" IS NULL OR "state" = 'stuck' END),
  ADD CONSTRAINT "sagas_finished_at_check" CHECK (("state" IN ('done', 'compensated')) = ("finished_at" IS NOT NULL)),
  ADD CONSTRAINT "sagas_times_check" CHECK (
    "next_at" >= to_timestamp(-62135596800) AND "next_at" < to_timestamp(253402300800) AND
    "deadline" >= to_timestamp(-62135596800) AND "deadline" < to_timestamp(253402300800) AND
    "finished_at" >= to_timestamp(-62135596800) AND "finished_at" < to_timestamp(253402300800) AND
    "created_at" >= to_timestamp(-62135596800) AND "created_at" < to_timestamp(253402300800) AND
    "updated_at" >= to_timestamp(-62135596800) AND "updated_at" < to_timestamp(253402300800)
  );

-- The sagas that a worker may take, however many have finished.
CREATE INDEX "sagas_due_idx" ON "sagas" ("name", "next_at") WHERE "state" IN ('running', 'compensating');

-- The state machine ---------------------------------------------------------------------------------------------------

-- The table of transitions. SAGA_TRANSITIONS of @azora/db-events is the same table, and a test compares them.
CREATE FUNCTION "saga_may_become"("was" "saga_state", "becomes" "saga_state") RETURNS boolean
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT (was, becomes) IN (
    ('running', 'running'), ('running', 'done'), ('running', 'compensating'), ('running', 'compensated'), ('running', 'stuck'),
    ('compensating', 'compensating'), ('compensating', 'compensated'), ('compensating', 'stuck'),
    ('stuck', 'running'), ('stuck', 'compensating')
  )
$$;

-- Checks every change, whoever makes it. An AFTER trigger, so that the constraints of the table come first.
CREATE FUNCTION "check_saga_change"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  moved smallint;
BEGIN
  IF TG_OP = 'DELETE' THEN
    RAISE EXCEPTION 'Saga % cannot be deleted while it is %', OLD.id, OLD.state
      USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME, CONSTRAINT = TG_NAME;
  ELSIF (OLD.id, OLD.name, OLD.key, OLD.input, OLD.steps, OLD.max_attempts, OLD.created_at)
    IS DISTINCT FROM (NEW.id, NEW.name, NEW.key, NEW.input, NEW.steps, NEW.max_attempts, NEW.created_at)
    OR OLD.failure IS NOT NULL AND OLD.failure IS DISTINCT FROM NEW.failure
    OR NEW.version <> OLD.version + 1
  THEN
    RAISE EXCEPTION 'The identity, the input, the steps and the failure of saga % stay, and its version grows by one', OLD.id
      USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME, CONSTRAINT = TG_NAME;
  ELSIF NOT saga_may_become(OLD.state, NEW.state) THEN
    RAISE EXCEPTION 'A saga cannot go from % to %', OLD.state, NEW.state
      USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME, CONSTRAINT = TG_NAME;
  END IF;
  -- One step forwards at most, one step back at most, and none while the saga is stuck. A failure turns a saga round for ever.
  moved := NEW.step - OLD.step;
  IF moved <> ALL (CASE
      WHEN 'stuck' IN (OLD.state, NEW.state) THEN '{0}'
      WHEN OLD.state = 'running' AND NEW.state = 'done' THEN '{1}'
      WHEN OLD.state = 'running' AND NEW.state <> 'compensated' THEN '{0,1}'
      WHEN OLD.state = 'running' THEN '{0}'
      WHEN NEW.state = 'compensated' THEN '{-1}'
      ELSE '{-1,0}'
    END::smallint[])
    OR OLD.state = 'stuck' AND (NEW.state = 'running') <> (OLD.failure IS NULL)
    OR NEW.state = 'stuck' AND NEW.failure IS DISTINCT FROM OLD.failure
  THEN
    RAISE EXCEPTION 'A saga that goes from % to % cannot move from step % to %', OLD.state, NEW.state, OLD.step, NEW.step
      USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME, CONSTRAINT = TG_NAME;
  END IF;
  RETURN NULL;
END
$$;

CREATE TRIGGER "sagas_transition" AFTER UPDATE ON "sagas" FOR EACH ROW EXECUTE FUNCTION "check_saga_change"();
CREATE TRIGGER "sagas_kept" AFTER DELETE ON "sagas" FOR EACH ROW
  WHEN (OLD."finished_at" IS NULL) EXECUTE FUNCTION "check_saga_change"();

-- Operations ----------------------------------------------------------------------------------------------------------

-- The id of a saga follows from its name and its key. So a saga that a restored database has lost, and that is started again, has the
-- same id, and the services that it calls recognize its idempotency keys. A UUID of version 8 (RFC 9562).
CREATE FUNCTION "saga_id"("p_name" text, "p_key" text) RETURNS uuid
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT overlay(overlay(left(encode(sha256(convert_to(p_name || ':' || p_key, 'UTF8')), 'hex'), 32)
    PLACING '8' FROM 13) PLACING '8' FROM 17)::uuid
$$;

-- Starts a saga in the transaction of its caller, once per name and key. Returns the saga of the key, whether this call started it,
-- and whether it was started with this input.
CREATE FUNCTION "start_saga"(
  "p_name" text, "p_key" text, "p_input" jsonb, "p_steps" text[], "p_deadline_ms" bigint, "p_max_attempts" integer
) RETURNS TABLE ("id" uuid, "is_new" boolean, "is_same" boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
DECLARE
  at timestamptz := database_time();
BEGIN
  RETURN QUERY INSERT INTO sagas (id, name, key, input, steps, max_attempts, next_at, deadline, created_at, updated_at)
    VALUES (saga_id(p_name, p_key), p_name, p_key, p_input, p_steps, p_max_attempts, at, at + p_deadline_ms * interval '1 ms', at, at)
    ON CONFLICT DO NOTHING
    RETURNING sagas.id, true, true;
  IF NOT FOUND THEN
    RETURN QUERY SELECT sagas.id, false, sagas.input = p_input FROM sagas WHERE sagas.name = p_name AND sagas.key = p_key;
  END IF;
END
$$;

-- Writes the next version of a saga that its caller has locked.
CREATE FUNCTION "write_saga"("saga" "sagas", "at" timestamptz) RETURNS SETOF "sagas"
LANGUAGE sql VOLATILE SET search_path = pg_catalog, public, pg_temp AS $$
  UPDATE sagas AS s SET
    state = saga.state, step = saga.step, results = saga.results, attempts = saga.attempts, next_at = saga.next_at,
    deadline = saga.deadline, failure = saga.failure, last_error = saga.last_error, version = s.version + 1, updated_at = at,
    owner = CASE WHEN saga.state IN ('running', 'compensating') THEN saga.owner END,
    finished_at = CASE WHEN saga.state IN ('done', 'compensated') THEN at END
  WHERE s.id = saga.id RETURNING s.*
$$;

-- Gives up to "p_limit" due sagas of these definitions to a worker, the longest due ones first, and counts an attempt of each. A saga
-- is due at "next_at", which is the end of the lease while the saga has an owner.
-- If the deadline of a step has passed, its saga turns round first; the step counts as done if an attempt of it began, because the
-- outcome of that attempt is unknown. A saga whose attempts are used up, by workers that ended without a word, gets stuck. Also
-- returns the sagas that ended in this way; they have no owner.
CREATE FUNCTION "claim_sagas"("p_owner" uuid, "p_definitions" jsonb, "p_limit" integer, "p_lease_ms" integer)
RETURNS SETOF "sagas"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  definition record;
  saga sagas;
  at timestamptz;
  remaining integer := least(p_limit, 1000);
BEGIN
  -- In random order, so that none of them has to wait for the others.
  FOR definition IN
    SELECT d ->> 'name' AS name, ARRAY(SELECT jsonb_array_elements_text(d -> 'steps')) AS steps
    FROM jsonb_array_elements(p_definitions) AS d ORDER BY random()
  LOOP
    EXIT WHEN remaining <= 0;
    -- A row that another worker has locked is skipped, and one that it has changed is judged as it is now.
    at := database_time();
    FOR saga IN
      SELECT * FROM sagas
      WHERE name = definition.name AND state IN ('running', 'compensating') AND next_at <= at AND steps = definition.steps
      ORDER BY next_at LIMIT remaining FOR UPDATE SKIP LOCKED
    LOOP
      saga.owner := p_owner;
      saga.attempts := saga.attempts + 1;
      saga.next_at := at + least(greatest(p_lease_ms, 100), 3600000) * interval '1 ms';
      IF saga.deadline <= at THEN
        saga.failure := format('The deadline of step "%s" passed', saga.steps[saga.step + 1]);
        saga.step := saga.step + (saga.attempts > 1)::integer;
        saga.state := CASE saga.step WHEN 0 THEN 'compensated' ELSE 'compensating' END;
        saga.deadline := NULL;
        saga.attempts := 1;
      ELSIF saga.deadline IS NULL AND saga.attempts > saga.max_attempts THEN
        saga.attempts := saga.max_attempts;
        saga.state := 'stuck';
      END IF;
      RETURN QUERY SELECT * FROM write_saga(saga, at);
      remaining := remaining - 1;
    END LOOP;
  END LOOP;
END
$$;

-- Records how steps, or their compensations, ended, and returns the sagas as they are now. Each outcome is an object with
--   id, version  the saga as the worker claimed it; skipped if the worker no longer owns this version
--   outcome      succeeded, refused (the step will never succeed) or failed (it may succeed later)
--   result       of a step that succeeded
--   error        of one that was refused or failed
--   deadlineMs   of the next step; null if it has none
-- After "max_attempts", a compensation, or a step without a deadline, gets stuck.
-- A worker that goes on ("p_goes_on") keeps the saga after a success and a refusal, for another lease.
CREATE FUNCTION "record_sagas"("p_owner" uuid, "p_outcomes" jsonb, "p_goes_on" boolean, "p_lease_ms" integer)
RETURNS SETOF "sagas"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  ended record;
  saga sagas;
  at timestamptz;
  is_retried boolean;
BEGIN
  FOR ended IN
    SELECT * FROM jsonb_to_recordset(p_outcomes) AS o ("id" uuid, "version" bigint, "outcome" text, "result" jsonb, "error" text,
      "deadlineMs" bigint)
    ORDER BY id, version
  LOOP
    SELECT * INTO saga FROM sagas WHERE sagas.id = ended.id FOR UPDATE;
    CONTINUE WHEN NOT FOUND OR (saga.owner = p_owner AND saga.version = ended.version) IS NOT TRUE;
    at := database_time();
    is_retried := false;
    IF ended.outcome = 'succeeded' AND saga.state = 'running' THEN
      saga.results := saga.results || jsonb_build_object(saga.steps[saga.step + 1], coalesce(ended.result, 'null'));
      saga.step := saga.step + 1;
      IF saga.deadline <= at THEN
        saga.state := 'compensating';
        saga.failure := format('The deadline of step "%s" passed', saga.steps[saga.step]);
      ELSIF saga.step = cardinality(saga.steps) THEN
        saga.state := 'done';
      END IF;
      saga.deadline := CASE WHEN saga.state = 'running' THEN at + ended."deadlineMs" * interval '1 ms' END;
    ELSIF ended.outcome = 'succeeded' THEN
      saga.step := saga.step - 1;
    ELSIF ended.outcome = 'refused' AND saga.state = 'running' THEN
      saga.state := 'compensating';
      saga.failure := left(coalesce(ended.error, 'The step was refused'), 500);
      saga.deadline := NULL;
      -- An earlier attempt, whose outcome is unknown, may still take effect. A retry by hand counts from the beginning, and leaves the
      -- error of the attempts before it.
      saga.step := saga.step + (saga.attempts > 1 OR saga.last_error IS NOT NULL)::integer;
    ELSIF ended.outcome IN ('refused', 'failed') THEN
      is_retried := saga.deadline IS NOT NULL OR saga.attempts < saga.max_attempts;
      saga.state := CASE WHEN is_retried THEN saga.state ELSE 'stuck' END;
    ELSE
      RAISE EXCEPTION 'A step cannot end as "%"', ended.outcome USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF saga.state = 'compensating' AND saga.step = 0 THEN
      saga.state := 'compensated';
    END IF;
    saga.last_error := CASE ended.outcome WHEN 'succeeded' THEN NULL ELSE left(ended.error, 500) END;
    IF is_retried THEN
      saga.owner := NULL;
      saga.next_at := least(saga.deadline, at + retry_delay(saga.attempts));
    ELSIF saga.state = 'stuck' OR NOT p_goes_on THEN
      saga.owner := NULL;
      saga.next_at := at;
      saga.attempts := CASE saga.state WHEN 'stuck' THEN saga.attempts ELSE 0 END;
    ELSE
      saga.next_at := at + least(greatest(p_lease_ms, 100), 3600000) * interval '1 ms';
      saga.attempts := 1;
    END IF;
    RETURN QUERY SELECT * FROM write_saga(saga, at);
  END LOOP;
END
$$;

-- Lets a stuck saga go on where it stopped, with all its attempts. Returns nothing if the saga is not stuck.
CREATE FUNCTION "retry_saga"("p_id" uuid) RETURNS SETOF "sagas"
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  UPDATE sagas SET
    state = CASE WHEN failure IS NULL THEN 'running' ELSE 'compensating' END::saga_state,
    attempts = 0, last_error = coalesce(last_error, 'The outcome of an attempt is unknown'),
    next_at = database_time(), version = version + 1, updated_at = database_time()
  WHERE id = p_id AND state = 'stuck'
  RETURNING *
$$;
