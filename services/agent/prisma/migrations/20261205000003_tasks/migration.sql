-- Why: workers take tasks from the table, each with a lease that lapses by itself; a task is tried again after a failure, and waits for
-- the tasks that it depends on.
-- Locks: ACCESS EXCLUSIVE on tasks until the end. The new columns rewrite the table: about 10 s for a million tasks.
-- Runs again: no, once per database; inside one transaction.
-- Care: a task that is in progress has no lease yet, so the next worker may claim it.

SET LOCAL lock_timeout = '5s';

-- lint-ignore constraint-missing-not-valid: the table is locked by this migration already
ALTER TABLE "tasks"
  ADD COLUMN "attempts" INTEGER NOT NULL DEFAULT 0,
  ADD COLUMN "max_attempts" INTEGER NOT NULL DEFAULT 5,
  ADD COLUMN "next_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  ADD COLUMN "lease_id" VARCHAR(100),
  ADD COLUMN "last_error" TEXT,
  ADD COLUMN "waiting_for" INTEGER NOT NULL DEFAULT 0,
  DROP CONSTRAINT "tasks_times_check",
  ADD CONSTRAINT "tasks_times_check" CHECK (
    "created_at" >= to_timestamp(-62135596800) AND "created_at" < to_timestamp(253402300800) AND
    "updated_at" >= to_timestamp(-62135596800) AND "updated_at" < to_timestamp(253402300800) AND
    "completed_at" >= to_timestamp(-62135596800) AND "completed_at" < to_timestamp(253402300800) AND
    "next_at" >= to_timestamp(-62135596800) AND "next_at" < to_timestamp(253402300800)
  );
UPDATE "tasks" SET "lease_id" = 'imported' WHERE "status" = 'in_progress';
-- lint-ignore constraint-missing-not-valid: the table is locked by this migration already
ALTER TABLE "tasks"
  ADD CONSTRAINT "tasks_max_attempts_check" CHECK ("max_attempts" BETWEEN 1 AND 100),
  ADD CONSTRAINT "tasks_attempts_check" CHECK ("attempts" BETWEEN 0 AND "max_attempts"),
  ADD CONSTRAINT "tasks_lease_id_check" CHECK (btrim("lease_id") <> '' AND ("status" <> 'in_progress' OR "lease_id" IS NOT NULL)),
  ADD CONSTRAINT "tasks_waiting_for_check" CHECK ("waiting_for" >= 0),
  ADD CONSTRAINT "tasks_ready_check" CHECK ("waiting_for" = 0 OR "status" NOT IN ('in_progress', 'completed'));
-- What is due, in the order of the claims: of all types, and of one.
-- lint-ignore index-not-concurrent: the table is locked by this migration already
CREATE INDEX "tasks_due_idx" ON "tasks"("priority", "next_at", "id")
  WHERE "status" IN ('pending', 'in_progress') AND "waiting_for" = 0;
-- lint-ignore index-not-concurrent: the table is locked by this migration already
CREATE INDEX "tasks_due_of_type_idx" ON "tasks"("task_type", "priority", "next_at", "id")
  WHERE "status" IN ('pending', 'in_progress') AND "waiting_for" = 0;
-- Whose lease may have lapsed.
-- lint-ignore index-not-concurrent: the table is locked by this migration already
CREATE INDEX "tasks_leased_idx" ON "tasks"("next_at") WHERE "status" = 'in_progress';
-- lint-ignore index-not-concurrent: the table is locked by this migration already
CREATE INDEX "tasks_created_at_id_idx" ON "tasks"("created_at", "id");
-- lint-ignore index-not-concurrent: the table is locked by this migration already
CREATE INDEX "tasks_created_by_created_at_id_idx" ON "tasks"("created_by", "created_at", "id");

-- SQL that was written before tasks had leases inserts tasks in progress without one. The next worker may claim them.
CREATE FUNCTION "set_lease"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  NEW.lease_id := 'imported';
  RETURN NEW;
END
$$;
CREATE TRIGGER "tasks_lease" BEFORE INSERT ON "tasks" FOR EACH ROW WHEN (NEW."status" = 'in_progress' AND NEW."lease_id" IS NULL)
  EXECUTE FUNCTION "set_lease"();
CREATE TRIGGER "tasks_transition" AFTER UPDATE ON "tasks" FOR EACH ROW WHEN (OLD."status" <> NEW."status")
  EXECUTE FUNCTION "check_transition"('task', 'pending>in_progress pending>cancelled in_progress>pending in_progress>completed in_progress>failed in_progress>cancelled failed>pending cancelled>pending');

-- Dependencies -------------------------------------------------------------------------------------------------------

-- CreateTable
CREATE TABLE "task_dependencies" (
    "task_id" VARCHAR(32) NOT NULL,
    "depends_on_id" VARCHAR(32) NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "task_dependencies_pkey" PRIMARY KEY ("task_id", "depends_on_id"),
    CONSTRAINT "task_dependencies_self_check" CHECK ("task_id" <> "depends_on_id"),
    CONSTRAINT "task_dependencies_times_check" CHECK (
      "created_at" >= to_timestamp(-62135596800) AND "created_at" < to_timestamp(253402300800))
);
CREATE INDEX "task_dependencies_depends_on_id_idx" ON "task_dependencies"("depends_on_id");
ALTER TABLE "task_dependencies" ADD CONSTRAINT "task_dependencies_task_id_fkey" FOREIGN KEY ("task_id")
  REFERENCES "tasks"("id") ON DELETE CASCADE ON UPDATE RESTRICT;
ALTER TABLE "task_dependencies" ADD CONSTRAINT "task_dependencies_depends_on_id_fkey" FOREIGN KEY ("depends_on_id")
  REFERENCES "tasks"("id") ON DELETE RESTRICT ON UPDATE RESTRICT;

-- A snapshot that is older than a lock would not see the dependency that another transaction has just added: the cycle, or the task
-- that waits, would be missed.
CREATE FUNCTION "demand_read_committed"() RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN
    RAISE EXCEPTION 'Tasks are completed and get dependencies in READ COMMITTED transactions only' USING ERRCODE = 'active_sql_transaction';
  END IF;
END
$$;

-- Dependencies are added one transaction after the other, and not while a task that others may depend on is being completed.
CREATE FUNCTION "lock_dependencies"() RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  PERFORM demand_read_committed();
  PERFORM pg_advisory_xact_lock(hashtextextended('agent.dependencies', 0));
END
$$;

-- Rejects a dependency that would close a circle, and counts what the task waits for. The share lock keeps the status of what it
-- depends on until the end, also if a hand-written statement completes it.
CREATE FUNCTION "add_to_waiting"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  waiting tasks;
  wanted text;
BEGIN
  PERFORM lock_dependencies();
  IF EXISTS (
    WITH RECURSIVE needed AS (
      SELECT NEW.depends_on_id AS id
      UNION SELECT d.depends_on_id FROM needed AS n JOIN task_dependencies AS d ON d.task_id = n.id
    )
    SELECT FROM needed WHERE id = NEW.task_id
  ) THEN
    PERFORM refuse('dependency_cycle', jsonb_build_object('taskId', NEW.task_id, 'dependsOnId', NEW.depends_on_id));
  END IF;
  SELECT status INTO wanted FROM tasks WHERE id = NEW.depends_on_id FOR SHARE;
  SELECT * INTO waiting FROM tasks WHERE id = NEW.task_id FOR NO KEY UPDATE;
  IF waiting.status <> 'pending' THEN
    PERFORM refuse('task_started', jsonb_build_object('taskId', NEW.task_id, 'status', waiting.status));
  END IF;
  IF wanted <> 'completed' THEN
    UPDATE tasks SET waiting_for = waiting_for + 1 WHERE id = NEW.task_id;
  END IF;
  RETURN NULL;
END
$$;
CREATE TRIGGER "task_dependencies_wait" AFTER INSERT ON "task_dependencies" FOR EACH ROW EXECUTE FUNCTION "add_to_waiting"();

CREATE FUNCTION "keep_dependency"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  PERFORM refuse('dependency_fixed', jsonb_build_object('taskId', OLD.task_id, 'dependsOnId', OLD.depends_on_id));
  RETURN NULL;
END
$$;
CREATE TRIGGER "task_dependencies_fixed" BEFORE UPDATE ON "task_dependencies" FOR EACH ROW EXECUTE FUNCTION "keep_dependency"();

-- What waited for a completed task waits for one less. In the order of ids, because two tasks may be completed at the same time.
CREATE FUNCTION "release_dependents"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  PERFORM demand_read_committed();
  PERFORM FROM tasks WHERE id IN (SELECT task_id FROM task_dependencies WHERE depends_on_id = NEW.id)
    ORDER BY id FOR NO KEY UPDATE;
  UPDATE tasks SET waiting_for = waiting_for - 1, updated_at = greatest(updated_at, NEW.updated_at)
  WHERE id IN (SELECT task_id FROM task_dependencies WHERE depends_on_id = NEW.id);
  RETURN NULL;
END
$$;
CREATE TRIGGER "tasks_release" AFTER UPDATE ON "tasks" FOR EACH ROW
  WHEN (OLD."status" <> NEW."status" AND NEW."status" = 'completed') EXECUTE FUNCTION "release_dependents"();
