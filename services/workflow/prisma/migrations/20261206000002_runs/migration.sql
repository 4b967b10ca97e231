-- Why: a published version is executed durably. A run has a step for each node; workers claim steps with leases that lapse by themselves,
-- and the result of a step is recorded once: a second row for it violates the primary key, and only the holder of the lease writes it.
-- Locks: ACCESS EXCLUSIVE on logs until the end, for a new column without a default.
-- Runs again: no, once per database; inside one transaction.

SET LOCAL lock_timeout = '5s';

-- CreateTable
CREATE TABLE "workflow_runs" (
    "id" VARCHAR(32) NOT NULL,
    "workflow_id" INTEGER NOT NULL,
    "number" INTEGER NOT NULL,
    "status" VARCHAR(20) NOT NULL DEFAULT 'running',
    "input" JSONB NOT NULL DEFAULT 'null',
    "error" TEXT,
    "started_by" TEXT,
    "deadline_at" TIMESTAMPTZ(6),
    "finished_at" TIMESTAMPTZ(6),
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "workflow_runs_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "workflow_runs_id_check" CHECK (btrim("id") <> ''),
    CONSTRAINT "workflow_runs_status_check" CHECK ("status" IN ('running', 'completed', 'failed', 'cancelled')),
    CONSTRAINT "workflow_runs_finished_at_check" CHECK (("status" = 'running') = ("finished_at" IS NULL)),
    CONSTRAINT "workflow_runs_error_check" CHECK ("error" IS NULL OR "status" = 'failed'),
    CONSTRAINT "workflow_runs_times_check" CHECK (
      "created_at" >= to_timestamp(-62135596800) AND "created_at" < to_timestamp(253402300800) AND
      "updated_at" >= to_timestamp(-62135596800) AND "updated_at" < to_timestamp(253402300800) AND
      "deadline_at" >= to_timestamp(-62135596800) AND "deadline_at" < to_timestamp(253402300800) AND
      "finished_at" >= to_timestamp(-62135596800) AND "finished_at" < to_timestamp(253402300800))
);
ALTER TABLE "workflow_runs" ADD CONSTRAINT "workflow_runs_workflow_id_number_fkey" FOREIGN KEY ("workflow_id", "number")
  REFERENCES "workflow_versions"("workflow_id", "number") ON DELETE CASCADE ON UPDATE RESTRICT;
CREATE INDEX "workflow_runs_workflow_id_number_idx" ON "workflow_runs"("workflow_id", "number");
CREATE INDEX "workflow_runs_workflow_id_created_at_id_idx" ON "workflow_runs"("workflow_id", "created_at", "id");
CREATE INDEX "workflow_runs_created_at_id_idx" ON "workflow_runs"("created_at", "id");
CREATE INDEX "workflow_runs_started_by_idx" ON "workflow_runs"("started_by");
-- Whose time may be over.
CREATE INDEX "workflow_runs_deadline_idx" ON "workflow_runs"("deadline_at") WHERE "status" = 'running' AND "deadline_at" IS NOT NULL;
CREATE TRIGGER "workflow_runs_transition" AFTER UPDATE ON "workflow_runs" FOR EACH ROW WHEN (OLD."status" <> NEW."status")
  EXECUTE FUNCTION "check_transition"('run', 'running>completed running>failed running>cancelled failed>running cancelled>running');

-- CreateTable
CREATE TABLE "run_steps" (
    "run_id" VARCHAR(32) NOT NULL,
    "node_id" VARCHAR(100) NOT NULL,
    "type" VARCHAR(255) NOT NULL,
    "position" INTEGER NOT NULL,
    "needs" TEXT[] NOT NULL DEFAULT '{}',
    "next_nodes" TEXT[] NOT NULL DEFAULT '{}',
    "status" VARCHAR(20) NOT NULL,
    "waiting_for" INTEGER NOT NULL DEFAULT 0,
    "attempts" INTEGER NOT NULL DEFAULT 0,
    "max_attempts" INTEGER NOT NULL DEFAULT 3,
    "retry_delay_ms" INTEGER NOT NULL DEFAULT 1000,
    "timeout_ms" INTEGER,
    "due_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "deadline_at" TIMESTAMPTZ(6),
    "lease_id" VARCHAR(100),
    "error" TEXT,
    "started_at" TIMESTAMPTZ(6),
    "finished_at" TIMESTAMPTZ(6),
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "run_steps_pkey" PRIMARY KEY ("run_id", "node_id"),
    CONSTRAINT "run_steps_node_id_check" CHECK ("node_id" <> ''),
    CONSTRAINT "run_steps_type_check" CHECK ("type" <> ''),
    CONSTRAINT "run_steps_position_check" CHECK ("position" >= 0),
    CONSTRAINT "run_steps_status_check" CHECK ("status" IN ('waiting', 'ready', 'running', 'completed', 'failed', 'cancelled')),
    CONSTRAINT "run_steps_waiting_for_check" CHECK ("waiting_for" >= 0),
    CONSTRAINT "run_steps_ready_check" CHECK (("status" = 'waiting') = ("waiting_for" > 0) OR "status" = 'cancelled'),
    CONSTRAINT "run_steps_max_attempts_check" CHECK ("max_attempts" BETWEEN 1 AND 100),
    CONSTRAINT "run_steps_attempts_check" CHECK ("attempts" BETWEEN 0 AND "max_attempts"),
    CONSTRAINT "run_steps_retry_delay_ms_check" CHECK ("retry_delay_ms" BETWEEN 0 AND 3600000),
    CONSTRAINT "run_steps_timeout_ms_check" CHECK ("timeout_ms" BETWEEN 1 AND 86400000),
    CONSTRAINT "run_steps_lease_id_check" CHECK (btrim("lease_id") <> '' AND ("status" <> 'running' OR "lease_id" IS NOT NULL)),
    CONSTRAINT "run_steps_finished_at_check" CHECK (("status" IN ('completed', 'failed', 'cancelled')) = ("finished_at" IS NOT NULL)),
    CONSTRAINT "run_steps_times_check" CHECK (
      "due_at" >= to_timestamp(-62135596800) AND "due_at" < to_timestamp(253402300800) AND
      "deadline_at" >= to_timestamp(-62135596800) AND "deadline_at" < to_timestamp(253402300800) AND
      "started_at" >= to_timestamp(-62135596800) AND "started_at" < to_timestamp(253402300800) AND
      "finished_at" >= to_timestamp(-62135596800) AND "finished_at" < to_timestamp(253402300800) AND
      "created_at" >= to_timestamp(-62135596800) AND "created_at" < to_timestamp(253402300800) AND
      "updated_at" >= to_timestamp(-62135596800) AND "updated_at" < to_timestamp(253402300800))
);
ALTER TABLE "run_steps" ADD CONSTRAINT "run_steps_run_id_fkey" FOREIGN KEY ("run_id")
  REFERENCES "workflow_runs"("id") ON DELETE CASCADE ON UPDATE RESTRICT;
-- What is due, in the order of the claims of one type.
CREATE INDEX "run_steps_due_idx" ON "run_steps"("type", "due_at", "run_id", "node_id") WHERE "status" IN ('ready', 'running');
-- Whose lease may have lapsed.
CREATE INDEX "run_steps_leased_idx" ON "run_steps"("due_at") WHERE "status" = 'running';

-- CreateTable
CREATE TABLE "step_results" (
    "run_id" VARCHAR(32) NOT NULL,
    "node_id" VARCHAR(100) NOT NULL,
    "lease_id" VARCHAR(100) NOT NULL,
    "result" JSONB NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "step_results_pkey" PRIMARY KEY ("run_id", "node_id"),
    CONSTRAINT "step_results_lease_id_check" CHECK (btrim("lease_id") <> ''),
    CONSTRAINT "step_results_result_check" CHECK (octet_length("result"::text) <= 1048576),
    CONSTRAINT "step_results_times_check" CHECK (
      "created_at" >= to_timestamp(-62135596800) AND "created_at" < to_timestamp(253402300800))
);
ALTER TABLE "step_results" ADD CONSTRAINT "step_results_run_id_node_id_fkey" FOREIGN KEY ("run_id", "node_id")
  REFERENCES "run_steps"("run_id", "node_id") ON DELETE CASCADE ON UPDATE RESTRICT;

-- A result stays as it was recorded, as long as its step.
CREATE FUNCTION "keep_result"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF TG_OP = 'DELETE' AND NOT EXISTS (SELECT FROM run_steps WHERE run_id = OLD.run_id AND node_id = OLD.node_id) THEN
    RETURN OLD;
  END IF;
  PERFORM refuse('result_fixed', CASE TG_LEVEL WHEN 'ROW' THEN jsonb_build_object('runId', OLD.run_id, 'nodeId', OLD.node_id) ELSE '{}' END);
  RETURN NULL;
END
$$;
CREATE TRIGGER "step_results_fixed" BEFORE UPDATE OR DELETE ON "step_results" FOR EACH ROW EXECUTE FUNCTION "keep_result"();
CREATE TRIGGER "step_results_all_kept" BEFORE TRUNCATE ON "step_results" FOR EACH STATEMENT EXECUTE FUNCTION "keep_result"();

-- A step moves only as listed, and it is completed only with a result, which the lease of the step has recorded.
CREATE FUNCTION "check_step"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF (OLD.status, NEW.status) NOT IN (('waiting', 'ready'), ('waiting', 'cancelled'), ('ready', 'running'), ('ready', 'cancelled'),
    ('running', 'completed'), ('running', 'ready'), ('running', 'failed'), ('running', 'cancelled'), ('failed', 'ready'),
    ('cancelled', 'ready'), ('cancelled', 'waiting')) THEN
    PERFORM refuse('illegal_transition', jsonb_build_object('what', 'step', 'id', NEW.run_id || ' ' || NEW.node_id, 'from', OLD.status,
      'to', NEW.status));
  END IF;
  IF NEW.status = 'completed' AND NOT EXISTS (
    SELECT FROM step_results AS r WHERE r.run_id = NEW.run_id AND r.node_id = NEW.node_id AND r.lease_id = OLD.lease_id) THEN
    PERFORM refuse('result_missing', jsonb_build_object('runId', NEW.run_id, 'nodeId', NEW.node_id));
  END IF;
  RETURN NULL;
END
$$;
CREATE TRIGGER "run_steps_transition" AFTER UPDATE ON "run_steps" FOR EACH ROW WHEN (OLD."status" <> NEW."status")
  EXECUTE FUNCTION "check_step"();

ALTER TABLE "logs" ADD COLUMN "run_id" VARCHAR(32);
-- lint-ignore adding-foreign-key-constraint: the column is new, so there is nothing to check
ALTER TABLE "logs" ADD CONSTRAINT "logs_run_id_fkey" FOREIGN KEY ("run_id") REFERENCES "workflow_runs"("id")
  ON DELETE CASCADE ON UPDATE RESTRICT;
-- lint-ignore index-not-concurrent: the table is locked by this migration already
CREATE INDEX "logs_run_id_created_at_id_idx" ON "logs"("run_id", "created_at", "id");
