-- The unread count of a user becomes a counter that triggers maintain, and "mark all as read" moves a mark instead of rows.
--
-- A notification is unread if its own flag says so and its position is above the mark of its recipient, "read_through". Positions
-- come from one sequence. Whoever changes what is counted holds the row of the recipient locked:
-- - an insert takes its positions first and the lock later, in its trigger. A mark that was moved meanwhile may be above such a
--   position, and the trigger then gives the row a new one.
-- - mark_all_read takes the next position while it holds the lock, so the mark is above all that is counted.
-- A notification that expires leaves the count by a sweep. Until then unread counts subtract it, by a partial index.
-- Locks: ACCESS EXCLUSIVE on notifications, for columns with constant defaults and for triggers, and SHARE while three indexes are built.

SET LOCAL lock_timeout = '5s';

CREATE FUNCTION "database_time"() RETURNS timestamptz LANGUAGE sql VOLATILE PARALLEL SAFE
AS $$ SELECT pg_catalog.clock_timestamp() $$;

-- Rejects a call by the name of a rule; the store makes its error from it.
CREATE FUNCTION "refuse"("rule" text, "facts" jsonb) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  RAISE EXCEPTION USING ERRCODE = 'AZ001', MESSAGE = rule, DETAIL = facts::text;
END
$$;

-- The rows that exist keep one position, below all others and above a mark that was never moved.
ALTER TABLE "notifications"
  ADD COLUMN "position" BIGINT NOT NULL DEFAULT 1,
  ADD COLUMN "in_app" BOOLEAN NOT NULL DEFAULT true,
  ADD COLUMN "body_hash" CHAR(64);
-- lint-ignore constraint-missing-not-valid: the columns are new and have constant values
ALTER TABLE "notifications" ADD CONSTRAINT "notifications_position_check" CHECK ("position" > 0);
-- lint-ignore constraint-missing-not-valid: the columns are new and have constant values
ALTER TABLE "notifications" ADD CONSTRAINT "notifications_body_hash_check" CHECK ("body_hash" ~ '^[0-9a-f]{64}$');
-- Without a cache: a session that kept positions for later would give a new row a position below a mark.
CREATE SEQUENCE "notifications_position_seq" AS BIGINT START 2 CACHE 1 OWNED BY "notifications"."position";
ALTER TABLE "notifications" ALTER COLUMN "position" SET DEFAULT nextval('notifications_position_seq');

-- CreateTable
CREATE TABLE "recipients" (
    "user_id" TEXT NOT NULL,
    "unread" INTEGER NOT NULL DEFAULT 0,
    "read_through" BIGINT NOT NULL DEFAULT 0,
    "version" BIGINT NOT NULL DEFAULT 0,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT database_time(),
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT database_time(),

    CONSTRAINT "recipients_pkey" PRIMARY KEY ("user_id"),
    CONSTRAINT "recipients_unread_check" CHECK ("unread" >= 0),
    CONSTRAINT "recipients_times_check" CHECK (
      "created_at" >= to_timestamp(-62135596800) AND "created_at" < to_timestamp(253402300800) AND
      "updated_at" >= to_timestamp(-62135596800) AND "updated_at" < to_timestamp(253402300800)
    )
    -- A changed counter stays on its page, so that no index grows.
) WITH (fillfactor = 70);

-- CreateTable
CREATE TABLE "bulk_reads" (
    "user_id" TEXT NOT NULL,
    "read_through" BIGINT NOT NULL,
    "read_at" TIMESTAMPTZ(6) NOT NULL DEFAULT database_time(),

    CONSTRAINT "bulk_reads_pkey" PRIMARY KEY ("user_id", "read_through"),
    CONSTRAINT "bulk_reads_times_check" CHECK ("read_at" >= to_timestamp(-62135596800) AND "read_at" < to_timestamp(253402300800))
);

INSERT INTO "recipients" ("user_id", "unread")
SELECT "user_id", count(*) FILTER (WHERE NOT "is_read" AND "deleted_at" IS NULL) FROM "notifications" GROUP BY "user_id";

-- Indexes -------------------------------------------------------------------------------------------------------------

-- Nobody asks for all notifications of a type. Retention reads the oldest rows, which lie together.
-- lint-ignore require-concurrent-index-deletion: the table is locked already
DROP INDEX "notifications_type_idx";
-- lint-ignore require-concurrent-index-deletion: the table is locked already
DROP INDEX "notifications_created_at_idx";
-- lint-ignore index-not-concurrent: the table is locked already
CREATE INDEX "notifications_created_at_idx" ON "notifications" USING BRIN ("created_at");

-- Most rows of a broadcast have no key, and cost this index nothing.
-- lint-ignore require-concurrent-index-deletion: the table is locked already
DROP INDEX "notifications_user_id_idempotency_key_key";
-- lint-ignore index-not-concurrent: the table is locked already
CREATE UNIQUE INDEX "notifications_user_id_idempotency_key_key" ON "notifications" ("user_id", "idempotency_key")
  WHERE "idempotency_key" IS NOT NULL;

-- The unread list of a user: what is above the mark.
-- lint-ignore require-concurrent-index-deletion: the table is locked already
DROP INDEX "notifications_unread_idx";
-- lint-ignore index-not-concurrent: the table is locked already
CREATE INDEX "notifications_unread_idx" ON "notifications" ("user_id", "position")
  WHERE NOT "is_read" AND "deleted_at" IS NULL AND "in_app";

-- What has expired and is counted still.
-- lint-ignore index-not-concurrent: the table is locked already
CREATE INDEX "notifications_user_expiry_idx" ON "notifications" ("user_id", "expires_at")
  WHERE "expires_at" IS NOT NULL AND NOT "is_read" AND "deleted_at" IS NULL AND "in_app";
-- What the sweep has to delete.
-- lint-ignore index-not-concurrent: the table is locked already
CREATE INDEX "notifications_expiry_idx" ON "notifications" ("expires_at")
  WHERE "expires_at" IS NOT NULL AND "deleted_at" IS NULL;

-- The counter ---------------------------------------------------------------------------------------------------------

CREATE FUNCTION "count_added_notifications"() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  now timestamptz := database_time();
  highest bigint;
BEGIN
  WITH counted AS (
    SELECT user_id, count(*) FILTER (WHERE in_app AND NOT is_read AND deleted_at IS NULL)::integer AS unread
    FROM added GROUP BY user_id
  ), locked AS (
    -- In one order, so that two broadcasts do not wait for each other.
    INSERT INTO recipients AS r (user_id, unread, version, created_at, updated_at)
    SELECT user_id, unread, 1, now, now FROM counted ORDER BY user_id COLLATE "C"
    ON CONFLICT (user_id) DO UPDATE SET unread = r.unread + excluded.unread, version = r.version + 1, updated_at = now
    RETURNING read_through
  )
  SELECT max(read_through) INTO highest FROM locked;
  IF highest >= (SELECT min(position) FROM added) THEN
    -- A mark passed a row between its position and the lock. The row arrived after the mark: it gets a new position, and the
    -- trigger of this update counts it, which was counted above already.
    UPDATE recipients AS r SET unread = r.unread - late.rows
    FROM (
      SELECT a.user_id, count(*)::integer AS rows FROM added AS a JOIN recipients AS b ON b.user_id = a.user_id
      WHERE a.position <= b.read_through AND a.in_app AND NOT a.is_read AND a.deleted_at IS NULL
      GROUP BY a.user_id
    ) AS late
    WHERE r.user_id = late.user_id;
    UPDATE notifications AS n SET position = nextval('notifications_position_seq')
    FROM added AS a JOIN recipients AS b ON b.user_id = a.user_id
    WHERE n.id = a.id AND a.position <= b.read_through;
  END IF;
  RETURN NULL;
END
$$;

CREATE TRIGGER "notifications_count_added" AFTER INSERT ON "notifications" REFERENCING NEW TABLE AS "added"
  FOR EACH STATEMENT EXECUTE FUNCTION "count_added_notifications"();

CREATE FUNCTION "count_changed_notifications"() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  now timestamptz := database_time();
BEGIN
  -- Only the administrator gives a notification to another user.
  INSERT INTO recipients (user_id, created_at, updated_at)
  SELECT DISTINCT user_id, now, now FROM later AS l
  WHERE NOT EXISTS (SELECT FROM recipients AS r WHERE r.user_id = l.user_id)
  ON CONFLICT (user_id) DO NOTHING;
  -- The marks are read under the locks.
  PERFORM FROM recipients WHERE user_id IN (SELECT user_id FROM earlier UNION SELECT user_id FROM later)
  ORDER BY user_id COLLATE "C" FOR UPDATE;
  UPDATE recipients AS r SET unread = r.unread + changed.unread, version = r.version + 1, updated_at = now
  FROM (
    SELECT m.user_id, coalesce(sum(both_rows.sign) FILTER (WHERE is_counted AND both_rows.position > m.read_through), 0) AS unread
    FROM (
      SELECT user_id, position, in_app AND NOT is_read AND deleted_at IS NULL AS is_counted, -1 AS sign FROM earlier
      UNION ALL
      SELECT user_id, position, in_app AND NOT is_read AND deleted_at IS NULL, 1 FROM later
    ) AS both_rows
    JOIN recipients AS m ON m.user_id = both_rows.user_id
    GROUP BY m.user_id
  ) AS changed
  WHERE r.user_id = changed.user_id;
  RETURN NULL;
END
$$;

CREATE TRIGGER "notifications_count_changed" AFTER UPDATE ON "notifications"
  REFERENCING OLD TABLE AS "earlier" NEW TABLE AS "later"
  FOR EACH STATEMENT EXECUTE FUNCTION "count_changed_notifications"();

CREATE FUNCTION "count_removed_notifications"() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  now timestamptz := database_time();
BEGIN
  PERFORM FROM recipients WHERE user_id IN (SELECT user_id FROM removed) ORDER BY user_id COLLATE "C" FOR UPDATE;
  UPDATE recipients AS r SET unread = r.unread - gone.unread, version = r.version + 1, updated_at = now
  FROM (
    SELECT n.user_id, count(*) FILTER (
        WHERE n.in_app AND NOT n.is_read AND n.deleted_at IS NULL AND n.position > b.read_through) AS unread
    FROM removed AS n JOIN recipients AS b ON b.user_id = n.user_id
    GROUP BY n.user_id
  ) AS gone
  WHERE r.user_id = gone.user_id;
  RETURN NULL;
END
$$;

CREATE TRIGGER "notifications_count_removed" AFTER DELETE ON "notifications" REFERENCING OLD TABLE AS "removed"
  FOR EACH STATEMENT EXECUTE FUNCTION "count_removed_notifications"();

CREATE FUNCTION "forget_counts"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  UPDATE recipients SET unread = 0, version = version + 1, updated_at = database_time() WHERE unread <> 0;
  RETURN NULL;
END
$$;

CREATE TRIGGER "notifications_forget_counts" AFTER TRUNCATE ON "notifications"
  FOR EACH STATEMENT EXECUTE FUNCTION "forget_counts"();

-- Changes of one notification -----------------------------------------------------------------------------------------

-- The row with what the mark says about it.
CREATE FUNCTION "as_seen"("p_notification" notifications) RETURNS notifications
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  seen notifications := p_notification;
BEGIN
  IF NOT seen.is_read AND EXISTS (
    SELECT FROM recipients WHERE user_id = seen.user_id AND read_through >= seen.position
  ) THEN
    seen.is_read := true;
    seen.read_at := (
      SELECT greatest(read_at, seen.created_at) FROM bulk_reads
      WHERE user_id = seen.user_id AND read_through >= seen.position ORDER BY read_through LIMIT 1
    );
  END IF;
  RETURN seen;
END
$$;

-- Locks the recipient, then the notification. Notifications that are not shown in the app do not exist for the user.
CREATE FUNCTION "lock_notification"("p_user_id" text, "p_id" text) RETURNS notifications
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  found_one notifications;
BEGIN
  PERFORM FROM recipients WHERE user_id = p_user_id FOR UPDATE;
  SELECT * INTO found_one FROM notifications WHERE id = p_id AND user_id = p_user_id AND in_app FOR UPDATE;
  IF NOT FOUND THEN
    PERFORM refuse('notification_not_found', jsonb_build_object('notificationId', p_id));
  END IF;
  RETURN as_seen(found_one);
END
$$;

-- Only what the user sees can be read.
CREATE FUNCTION "refuse_hidden"("p_notification" notifications, "p_now" timestamptz) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF p_notification.expires_at <= p_now THEN
    PERFORM refuse('notification_expired', jsonb_build_object('notificationId', p_notification.id, 'expiredAt', p_notification.expires_at));
  ELSIF p_notification.deleted_at IS NOT NULL THEN
    PERFORM refuse('notification_deleted', jsonb_build_object('notificationId', p_notification.id));
  END IF;
END
$$;

CREATE FUNCTION "publish_change"("p_event" text, "p_notification" notifications, "p_now" timestamptz) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, public, pg_temp AS $$
  INSERT INTO outbox (type, key, payload, created_at)
  VALUES ('notification.' || p_event || '.v1', left(p_notification.user_id, 200),
    jsonb_build_object('notificationId', p_notification.id, 'userId', p_notification.user_id), p_now)
$$;

CREATE FUNCTION "mark_read"("p_user_id" text, "p_id" text) RETURNS SETOF notifications
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  it notifications := lock_notification(p_user_id, p_id);
  now timestamptz := database_time();
BEGIN
  PERFORM refuse_hidden(it, now);
  IF NOT it.is_read THEN
    UPDATE notifications SET is_read = true, read_at = greatest(now, created_at), updated_at = greatest(now, created_at)
    WHERE id = p_id RETURNING * INTO it;
    PERFORM publish_change('notification-read', it, now);
  END IF;
  RETURN NEXT it;
END
$$;

-- The new position is above the mark.
CREATE FUNCTION "mark_unread"("p_user_id" text, "p_id" text) RETURNS SETOF notifications
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  it notifications := lock_notification(p_user_id, p_id);
  now timestamptz := database_time();
BEGIN
  PERFORM refuse_hidden(it, now);
  IF it.is_read THEN
    UPDATE notifications SET is_read = false, read_at = NULL, position = nextval('notifications_position_seq'),
      updated_at = greatest(now, created_at)
    WHERE id = p_id RETURNING * INTO it;
    PERFORM publish_change('notification-unread', it, now);
  END IF;
  RETURN NEXT it;
END
$$;

CREATE FUNCTION "delete_notification"("p_user_id" text, "p_id" text) RETURNS SETOF notifications
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  it notifications := lock_notification(p_user_id, p_id);
  now timestamptz := database_time();
BEGIN
  IF it.deleted_at IS NULL THEN
    UPDATE notifications SET deleted_at = greatest(now, created_at), updated_at = greatest(now, created_at)
    WHERE id = p_id RETURNING * INTO it;
    it := as_seen(it);
    PERFORM publish_change('notification-deleted', it, now);
  END IF;
  RETURN NEXT it;
END
$$;

CREATE FUNCTION "restore_notification"("p_user_id" text, "p_id" text) RETURNS SETOF notifications
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  it notifications := lock_notification(p_user_id, p_id);
  now timestamptz := database_time();
BEGIN
  IF it.expires_at <= now THEN
    PERFORM refuse_hidden(it, now);
  END IF;
  IF it.deleted_at IS NOT NULL THEN
    UPDATE notifications SET deleted_at = NULL, updated_at = greatest(now, created_at) WHERE id = p_id RETURNING * INTO it;
    it := as_seen(it);
    PERFORM publish_change('notification-restored', it, now);
  END IF;
  RETURN NEXT it;
END
$$;

-- Changes of many -----------------------------------------------------------------------------------------------------

-- What has expired by "p_now" and is in the counter still.
CREATE FUNCTION "count_expired"("p_recipient" recipients, "p_now" timestamptz) RETURNS integer
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT count(*)::integer FROM notifications
  WHERE user_id = p_recipient.user_id AND expires_at <= p_now AND position > p_recipient.read_through
    AND NOT is_read AND deleted_at IS NULL AND in_app
$$;

-- Writes one row for the mark, one for its time and one event, however many notifications there are. Returns how many it read.
CREATE FUNCTION "mark_all_read"("p_user_id" text) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  it recipients;
  now timestamptz;
  mark bigint;
  marked integer;
BEGIN
  SELECT * INTO it FROM recipients WHERE user_id = p_user_id FOR UPDATE;
  now := database_time();
  IF NOT FOUND OR it.unread = 0 THEN
    RETURN 0;
  END IF;
  marked := it.unread - count_expired(it, now);
  mark := nextval('notifications_position_seq');
  UPDATE recipients SET unread = 0, read_through = mark, version = version + 1, updated_at = now WHERE user_id = p_user_id;
  INSERT INTO bulk_reads (user_id, read_through, read_at) VALUES (p_user_id, mark, now);
  INSERT INTO outbox (type, key, payload, created_at)
  VALUES ('notification.all-read.v1', left(p_user_id, 200), jsonb_build_object('userId', p_user_id, 'marked', marked), now);
  RETURN marked;
END
$$;

-- Deletes what has expired, the oldest first. Recipients that someone else works on are left to the next call.
CREATE FUNCTION "expire_notifications"("p_limit" integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  now timestamptz := database_time();
  due text[];
  users text[];
  expired integer;
BEGIN
  SELECT array_agg(id) INTO due FROM (
    SELECT id FROM notifications WHERE expires_at <= now AND deleted_at IS NULL
    ORDER BY expires_at LIMIT least(greatest(p_limit, 1), 10000)
  ) AS oldest;
  SELECT array_agg(user_id) INTO users FROM (
    SELECT user_id FROM recipients
    WHERE user_id IN (SELECT user_id FROM notifications WHERE id = ANY (due))
    ORDER BY user_id COLLATE "C" FOR UPDATE SKIP LOCKED
  ) AS locked;
  UPDATE notifications SET deleted_at = greatest(now, created_at), updated_at = greatest(now, created_at)
  WHERE id = ANY (due) AND user_id = ANY (users) AND deleted_at IS NULL;
  GET DIAGNOSTICS expired = ROW_COUNT;
  RETURN expired;
END
$$;
