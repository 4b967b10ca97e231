-- Reverts 20261201000010_unread_counters. What a mark has read gets the flag of its own; what is not shown in the app is deleted
-- softly, because an older store would show it.

SET LOCAL lock_timeout = '5s';

DROP TRIGGER "notifications_forget_counts" ON "notifications";
DROP TRIGGER "notifications_count_removed" ON "notifications";
DROP TRIGGER "notifications_count_changed" ON "notifications";
DROP TRIGGER "notifications_count_added" ON "notifications";

UPDATE "notifications" AS n SET "is_read" = true, "read_at" = greatest(n."created_at", (
  SELECT b."read_at" FROM "bulk_reads" AS b
  WHERE b."user_id" = n."user_id" AND b."read_through" >= n."position" ORDER BY b."read_through" LIMIT 1))
FROM "recipients" AS r
WHERE r."user_id" = n."user_id" AND n."position" <= r."read_through" AND NOT n."is_read";
UPDATE "notifications" SET "deleted_at" = greatest(database_time(), "created_at") WHERE NOT "in_app" AND "deleted_at" IS NULL;

DROP FUNCTION "expire_notifications"(integer);
DROP FUNCTION "mark_all_read"(text);
DROP FUNCTION "count_expired"(recipients, timestamptz);
DROP FUNCTION "restore_notification"(text, text);
DROP FUNCTION "delete_notification"(text, text);
DROP FUNCTION "mark_unread"(text, text);
DROP FUNCTION "mark_read"(text, text);
DROP FUNCTION "publish_change"(text, notifications, timestamptz);
DROP FUNCTION "refuse_hidden"(notifications, timestamptz);
DROP FUNCTION "lock_notification"(text, text);
DROP FUNCTION "as_seen"(notifications);
DROP FUNCTION "forget_counts"();
DROP FUNCTION "count_removed_notifications"();
DROP FUNCTION "count_changed_notifications"();
DROP FUNCTION "count_added_notifications"();

-- lint-ignore require-concurrent-index-deletion: the table is locked already
DROP INDEX "notifications_expiry_idx";
-- lint-ignore require-concurrent-index-deletion: the table is locked already
DROP INDEX "notifications_user_expiry_idx";
-- lint-ignore require-concurrent-index-deletion: the table is locked already
DROP INDEX "notifications_unread_idx";
CREATE INDEX "notifications_unread_idx" ON "notifications" ("user_id", "created_at" DESC)
  WHERE NOT "is_read" AND "deleted_at" IS NULL;
-- lint-ignore require-concurrent-index-deletion: the table is locked already
DROP INDEX "notifications_user_id_idempotency_key_key";
CREATE UNIQUE INDEX "notifications_user_id_idempotency_key_key" ON "notifications"("user_id", "idempotency_key");
-- lint-ignore require-concurrent-index-deletion: the table is locked already
DROP INDEX "notifications_created_at_idx";
CREATE INDEX "notifications_created_at_idx" ON "notifications"("created_at");
CREATE INDEX "notifications_type_idx" ON "notifications"("type");

DROP TABLE "bulk_reads";
DROP TABLE "recipients";
ALTER TABLE "notifications" DROP COLUMN "body_hash", DROP COLUMN "in_app", DROP COLUMN "position";
DROP FUNCTION "refuse"(text, jsonb);
DROP FUNCTION "database_time"();
