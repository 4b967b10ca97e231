-- Reverts 20261205000003_tasks.
-- loses: tasks.attempts, tasks.max_attempts, tasks.next_at, tasks.lease_id, tasks.last_error, tasks.waiting_for, task_dependencies

SET LOCAL lock_timeout = '5s';

DROP TRIGGER "tasks_release" ON "tasks";
DROP FUNCTION "release_dependents"();
DROP TABLE "task_dependencies";
DROP FUNCTION "keep_dependency"();
DROP FUNCTION "add_to_waiting"();
DROP FUNCTION "lock_dependencies"();
DROP FUNCTION "demand_read_committed"();
DROP TRIGGER "tasks_transition" ON "tasks";
DROP TRIGGER "tasks_lease" ON "tasks";
DROP FUNCTION "set_lease"();
-- lint-ignore require-concurrent-index-deletion: the migration is one transaction
DROP INDEX "tasks_created_by_created_at_id_idx";
-- lint-ignore require-concurrent-index-deletion: the migration is one transaction
DROP INDEX "tasks_created_at_id_idx";
ALTER TABLE "tasks"
  DROP CONSTRAINT "tasks_ready_check",
  DROP CONSTRAINT "tasks_lease_id_check",
  DROP CONSTRAINT "tasks_times_check",
  DROP COLUMN "attempts",
  DROP COLUMN "max_attempts",
  DROP COLUMN "next_at",
  DROP COLUMN "lease_id",
  DROP COLUMN "last_error",
  DROP COLUMN "waiting_for",
  ADD CONSTRAINT "tasks_times_check" CHECK (
    "created_at" >= to_timestamp(-62135596800) AND "created_at" < to_timestamp(253402300800) AND
    "updated_at" >= to_timestamp(-62135596800) AND "updated_at" < to_timestamp(253402300800) AND
    "completed_at" >= to_timestamp(-62135596800) AND "completed_at" < to_timestamp(253402300800)
  );
