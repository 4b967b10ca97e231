-- Templates, the preferences and quiet hours of users, and deliveries beyond the app: one row for each notification and channel.
-- A worker claims what is due, sends it outside of the database, and records the outcome. A claim lapses by itself.
-- Preferences and quiet hours are read when a delivery is planned and again when it is claimed, so that a change applies to what waits.
-- Locks: none on rows that exist: the tables are new.

SET LOCAL lock_timeout = '5s';

-- CreateEnum
CREATE TYPE "channel" AS ENUM ('in_app', 'email', 'push', 'sms');

-- CreateEnum
CREATE TYPE "delivery_mode" AS ENUM ('instant', 'digest', 'off');

-- CreateEnum
CREATE TYPE "delivery_status" AS ENUM ('pending', 'sending', 'sent', 'failed', 'cancelled');

-- CreateTable
CREATE TABLE "templates" (
    "name" VARCHAR(100) NOT NULL,
    "type" "notification_type" NOT NULL DEFAULT 'info',
    "title" VARCHAR(200) NOT NULL,
    "message" VARCHAR(10000) NOT NULL,
    "action_url" VARCHAR(1000),
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT database_time(),
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT database_time(),

    CONSTRAINT "templates_pkey" PRIMARY KEY ("name"),
    CONSTRAINT "templates_name_check" CHECK ("name" ~ '^[a-z][a-z0-9]*([.-][a-z0-9]+)*$'),
    CONSTRAINT "templates_title_check" CHECK (btrim("title") <> ''),
    CONSTRAINT "templates_message_check" CHECK (btrim("message") <> ''),
    CONSTRAINT "templates_action_url_check" CHECK ("action_url" ~ '^/([^/]|$)'),
    CONSTRAINT "templates_times_check" CHECK (
      "created_at" >= to_timestamp(-62135596800) AND "created_at" < to_timestamp(253402300800) AND
      "updated_at" >= to_timestamp(-62135596800) AND "updated_at" < to_timestamp(253402300800)
    )
);

-- CreateTable
CREATE TABLE "preferences" (
    "user_id" TEXT NOT NULL,
    "source" VARCHAR(50) NOT NULL DEFAULT '*',
    "channel" "channel" NOT NULL,
    "mode" "delivery_mode" NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT database_time(),
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT database_time(),

    CONSTRAINT "preferences_pkey" PRIMARY KEY ("user_id", "source", "channel"),
    CONSTRAINT "preferences_user_id_check" CHECK (btrim("user_id") <> ''),
    CONSTRAINT "preferences_source_check" CHECK (btrim("source") <> ''),
    CONSTRAINT "preferences_mode_check" CHECK ("channel" <> 'in_app' OR "mode" <> 'digest'),
    CONSTRAINT "preferences_times_check" CHECK (
      "created_at" >= to_timestamp(-62135596800) AND "created_at" < to_timestamp(253402300800) AND
      "updated_at" >= to_timestamp(-62135596800) AND "updated_at" < to_timestamp(253402300800)
    )
);

-- CreateTable
CREATE TABLE "delivery_settings" (
    "user_id" TEXT NOT NULL,
    "time_zone" VARCHAR(64) NOT NULL DEFAULT 'UTC',
    "quiet_from" TIME(0),
    "quiet_until" TIME(0),
    "digest_at" TIME(0) NOT NULL DEFAULT '08:00',
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT database_time(),
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT database_time(),

    CONSTRAINT "delivery_settings_pkey" PRIMARY KEY ("user_id"),
    CONSTRAINT "delivery_settings_user_id_check" CHECK (btrim("user_id") <> ''),
    CONSTRAINT "delivery_settings_quiet_check" CHECK (num_nonnulls("quiet_from", "quiet_until") <> 1 AND "quiet_from" <> "quiet_until"),
    CONSTRAINT "delivery_settings_times_check" CHECK (
      "created_at" >= to_timestamp(-62135596800) AND "created_at" < to_timestamp(253402300800) AND
      "updated_at" >= to_timestamp(-62135596800) AND "updated_at" < to_timestamp(253402300800)
    )
);

-- CreateTable
CREATE TABLE "deliveries" (
    "notification_id" TEXT NOT NULL,
    "channel" "channel" NOT NULL,
    "user_id" TEXT NOT NULL,
    "mode" "delivery_mode" NOT NULL,
    "urgent" BOOLEAN NOT NULL DEFAULT false,
    "status" "delivery_status" NOT NULL DEFAULT 'pending',
    "attempts" SMALLINT NOT NULL DEFAULT 0,
    "next_at" TIMESTAMPTZ(6) NOT NULL,
    "message_id" VARCHAR(200),
    "claim_id" VARCHAR(100),
    "sent_at" TIMESTAMPTZ(6),
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT database_time(),
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT database_time(),

    CONSTRAINT "deliveries_pkey" PRIMARY KEY ("notification_id", "channel"),
    CONSTRAINT "deliveries_channel_check" CHECK ("channel" <> 'in_app'),
    CONSTRAINT "deliveries_mode_check" CHECK ("mode" <> 'off'),
    CONSTRAINT "deliveries_attempts_check" CHECK ("attempts" BETWEEN 0 AND 5),
    CONSTRAINT "deliveries_sending_check" CHECK (("status" = 'sending') = ("claim_id" IS NOT NULL) AND ("status" <> 'sending' OR "message_id" IS NOT NULL)),
    CONSTRAINT "deliveries_sent_check" CHECK (("status" = 'sent') = ("sent_at" IS NOT NULL)),
    CONSTRAINT "deliveries_times_check" CHECK (
      "next_at" >= to_timestamp(-62135596800) AND "next_at" < to_timestamp(253402300800) AND
      "sent_at" >= to_timestamp(-62135596800) AND "sent_at" < to_timestamp(253402300800) AND
      "created_at" >= to_timestamp(-62135596800) AND "created_at" < to_timestamp(253402300800) AND
      "updated_at" >= to_timestamp(-62135596800) AND "updated_at" < to_timestamp(253402300800)
    )
);

-- AddForeignKey
ALTER TABLE "deliveries" ADD CONSTRAINT "deliveries_notification_id_fkey" FOREIGN KEY ("notification_id")
  REFERENCES "notifications"("id") ON DELETE CASCADE ON UPDATE RESTRICT;

-- CreateIndex
CREATE INDEX "deliveries_user_id_created_at_idx" ON "deliveries"("user_id", "created_at");

-- What is due, and what was claimed and never finished.
CREATE INDEX "deliveries_due_idx" ON "deliveries" ("next_at") WHERE "status" IN ('pending', 'sending');
-- What a digest of a user contains.
CREATE INDEX "deliveries_digest_idx" ON "deliveries" ("user_id", "channel")
  WHERE "status" IN ('pending', 'sending') AND "mode" = 'digest';

-- PostgreSQL knows the names of time zones; no constraint can ask it, because they change with its version.
CREATE FUNCTION "check_time_zone"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  PERFORM now() AT TIME ZONE NEW.time_zone;
  RETURN NEW;
EXCEPTION WHEN invalid_parameter_value THEN
  PERFORM refuse('time_zone_unknown', '{}');
  RETURN NULL;
END
$$;

CREATE TRIGGER "delivery_settings_time_zone" BEFORE INSERT OR UPDATE OF "time_zone" ON "delivery_settings"
  FOR EACH ROW EXECUTE FUNCTION "check_time_zone"();

-- A delivery is decided once. The trigger holds for every client.
CREATE FUNCTION "check_delivery_change"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF OLD.status IN ('sent', 'failed', 'cancelled') OR (OLD.status = 'pending' AND NEW.status = 'sent') THEN
    PERFORM refuse('delivery_decided', jsonb_build_object('notificationId', OLD.notification_id, 'channel', OLD.channel,
      'from', OLD.status, 'to', NEW.status));
  END IF;
  RETURN NEW;
END
$$;

CREATE TRIGGER "deliveries_status" BEFORE UPDATE OF "status" ON "deliveries" FOR EACH ROW
  WHEN (OLD."status" <> NEW."status") EXECUTE FUNCTION "check_delivery_change"();

CREATE FUNCTION "publish_deliveries"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  INSERT INTO outbox (type, key, payload, created_at)
  SELECT 'notification.delivery-' || l.status || '.v1', left(l.user_id, 200),
    jsonb_build_object('notificationId', l.notification_id, 'userId', l.user_id, 'channel', l.channel, 'attempts', l.attempts),
    l.updated_at
  FROM later AS l JOIN earlier AS e ON e.notification_id = l.notification_id AND e.channel = l.channel
  WHERE l.status IN ('sent', 'failed') AND e.status <> l.status
  ORDER BY l.notification_id, l.channel;
  RETURN NULL;
END
$$;

CREATE TRIGGER "deliveries_publish" AFTER UPDATE ON "deliveries" REFERENCING OLD TABLE AS "earlier" NEW TABLE AS "later"
  FOR EACH STATEMENT EXECUTE FUNCTION "publish_deliveries"();

-- Preferences ---------------------------------------------------------------------------------------------------------

-- The choice for the source, else the choice for all sources, else instant.
CREATE FUNCTION "preferred_mode"("p_user_id" text, "p_source" text, "p_channel" channel) RETURNS delivery_mode
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT coalesce((
    SELECT mode FROM preferences WHERE user_id = p_user_id AND channel = p_channel AND source IN (p_source, '*')
    ORDER BY source = '*' LIMIT 1
  ), 'instant')
$$;

-- When a delivery may leave: at once, at the end of the quiet hours, or at the hour of the digest, in the time zone of the user.
CREATE FUNCTION "delivery_time"("p_now" timestamptz, "p_mode" delivery_mode, "p_settings" delivery_settings) RETURNS timestamptz
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  zone text := coalesce(p_settings.time_zone, 'UTC');
  here timestamp := p_now AT TIME ZONE zone;
  goal timestamp;
  is_quiet boolean := coalesce(CASE
    WHEN p_settings.quiet_from < p_settings.quiet_until
      THEN here::time >= p_settings.quiet_from AND here::time < p_settings.quiet_until
    ELSE here::time >= p_settings.quiet_from OR here::time < p_settings.quiet_until
  END, false);
BEGIN
  IF p_mode = 'digest' THEN
    goal := here::date + coalesce(p_settings.digest_at, '08:00');
  ELSIF is_quiet THEN
    goal := here::date + p_settings.quiet_until;
  ELSE
    RETURN p_now;
  END IF;
  IF goal <= here THEN
    goal := goal + interval '1 day';
  END IF;
  -- When clocks go back, an hour comes twice.
  RETURN greatest(goal AT TIME ZONE zone, p_now);
END
$$;

-- Plans the deliveries of new notifications. The joins are those of preferred_mode, for many users at once.
CREATE FUNCTION "plan_deliveries"("p_ids" text[], "p_channels" channel[], "p_urgent" boolean, "p_now" timestamptz) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, public, pg_temp AS $$
  INSERT INTO deliveries (notification_id, channel, user_id, mode, urgent, next_at, created_at, updated_at)
  SELECT planned.id, planned.channel, planned.user_id, planned.mode, p_urgent,
    -- Most users have no settings, and the function costs more than all else.
    CASE WHEN p_urgent OR (s.user_id IS NULL AND planned.mode = 'instant') THEN p_now ELSE delivery_time(p_now, planned.mode, s) END,
    p_now, p_now
  FROM (
    SELECT n.id, n.user_id, c.channel,
      CASE WHEN p_urgent THEN 'instant' ELSE coalesce(own.mode, general.mode, 'instant') END AS mode
    FROM notifications AS n CROSS JOIN unnest(p_channels) AS c (channel)
    LEFT JOIN preferences AS own ON own.user_id = n.user_id AND own.source = n.source AND own.channel = c.channel
    LEFT JOIN preferences AS general ON general.user_id = n.user_id AND general.source = '*' AND general.channel = c.channel
    WHERE n.id = ANY (p_ids)
  ) AS planned
  LEFT JOIN delivery_settings AS s ON s.user_id = planned.user_id
  WHERE planned.mode <> 'off'
$$;

-- Claims --------------------------------------------------------------------------------------------------------------

-- Claims what is due, the oldest first: at most "p_limit" deliveries, and with each digest all that belongs to it. The claim lapses
-- after "p_lease". "message_id" names what is sent as one message, and stays the same when it is sent again.
-- Decides on the way what is not to be sent: cancelled is what the user deleted, switched off, or has read before the digest, and what
-- has expired; failed is what was claimed five times and never finished. Quiet hours postpone.
CREATE FUNCTION "claim_deliveries"("p_claim" text, "p_limit" integer, "p_lease" interval)
RETURNS TABLE ("message_id" text, "notification_id" text, "user_id" text, "channel" channel, "is_digest" boolean, "attempts" integer)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
DECLARE
  now timestamptz;
BEGIN
  -- One claim at a time: two would tear a digest apart. "deli" in ASCII.
  PERFORM pg_advisory_xact_lock(x'64656c69'::integer);
  now := database_time();
  RETURN QUERY
  WITH heads AS (
    SELECT d.notification_id, d.channel, d.user_id, d.mode, d.message_id FROM deliveries AS d
    WHERE d.status IN ('pending', 'sending') AND d.next_at <= now
    ORDER BY d.next_at LIMIT least(greatest(p_limit, 1), 10000)
  ), due AS (
    SELECT h.notification_id, h.channel FROM heads AS h
    UNION
    SELECT d.notification_id, d.channel FROM heads AS h
    JOIN deliveries AS d ON d.user_id = h.user_id AND d.channel = h.channel
      AND d.message_id IS NOT DISTINCT FROM h.message_id
    WHERE h.mode = 'digest' AND d.mode = 'digest' AND d.status IN ('pending', 'sending') AND d.next_at <= now
  ), judged AS (
    SELECT d.notification_id, d.channel, d.mode, d.user_id, d.message_id, allowed.at,
      CASE
        WHEN n.deleted_at IS NOT NULL OR n.expires_at <= now THEN 'cancelled'
        WHEN NOT d.urgent AND preferred_mode(d.user_id, n.source, d.channel) = 'off' THEN 'cancelled'
        WHEN d.mode = 'digest' AND (n.is_read OR n.position <= r.read_through) THEN 'cancelled'
        WHEN d.attempts >= 5 THEN 'failed'
        WHEN allowed.at > now THEN 'pending'
        ELSE 'sending'
      END::delivery_status AS verdict
    FROM due
    JOIN deliveries AS d ON d.notification_id = due.notification_id AND d.channel = due.channel
    JOIN notifications AS n ON n.id = d.notification_id
    LEFT JOIN recipients AS r ON r.user_id = d.user_id
    LEFT JOIN delivery_settings AS s ON s.user_id = d.user_id
    CROSS JOIN LATERAL (
      SELECT CASE WHEN d.urgent OR d.mode = 'digest' THEN now ELSE delivery_time(now, d.mode, s) END AS at
    ) AS allowed
  ), numbered AS (
    SELECT j.*, coalesce(j.message_id, CASE j.mode
      WHEN 'digest' THEN p_claim || ':' || dense_rank() OVER (ORDER BY j.user_id, j.channel)
      ELSE left(j.notification_id, 180) || ':' || j.channel
    END) AS message
    FROM judged AS j
  ), decided AS (
    UPDATE deliveries AS d SET
      status = n.verdict,
      attempts = d.attempts + CASE n.verdict WHEN 'sending' THEN 1 ELSE 0 END,
      next_at = CASE n.verdict WHEN 'sending' THEN now + p_lease ELSE n.at END,
      message_id = CASE n.verdict WHEN 'sending' THEN n.message ELSE d.message_id END,
      claim_id = CASE n.verdict WHEN 'sending' THEN p_claim END,
      updated_at = now
    FROM numbered AS n
    WHERE d.notification_id = n.notification_id AND d.channel = n.channel
    RETURNING d.*
  )
  SELECT d.message_id::text, d.notification_id, d.user_id, d.channel, d.mode = 'digest', d.attempts::integer
  FROM decided AS d WHERE d.status = 'sending';
END
$$;

-- Records the outcomes of a claim: sent, retry or undeliverable. What the claim lost meanwhile is left alone. Returns the number of
-- deliveries that got each status.
CREATE FUNCTION "finish_deliveries"("p_claim" text, "p_message_ids" text[], "p_outcomes" text[])
RETURNS TABLE ("status" delivery_status, "deliveries" integer)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
DECLARE
  now timestamptz;
BEGIN
  PERFORM FROM deliveries AS d WHERE d.claim_id = p_claim AND d.status = 'sending' AND d.message_id = ANY (p_message_ids)
  ORDER BY d.notification_id, d.channel FOR UPDATE;
  now := database_time();
  RETURN QUERY
  WITH finished AS (
    UPDATE deliveries AS d SET
      status = CASE
        WHEN o.outcome = 'sent' THEN 'sent'
        WHEN o.outcome = 'retry' AND d.attempts < 5 THEN 'pending'
        ELSE 'failed'
      END::delivery_status,
      sent_at = CASE WHEN o.outcome = 'sent' THEN now END,
      -- 30 s, 2 min, 8 min and 32 min, up to a quarter less, so that many failures do not come back at once.
      next_at = CASE WHEN o.outcome = 'retry' THEN now + interval '30 seconds' * 4 ^ (d.attempts - 1) * (1 - random() / 4) ELSE d.next_at END,
      claim_id = NULL,
      updated_at = now
    FROM unnest(p_message_ids, p_outcomes) AS o (message_id, outcome)
    WHERE d.claim_id = p_claim AND d.status = 'sending' AND d.message_id = o.message_id
    RETURNING d.status
  )
  SELECT f.status, count(*)::integer FROM finished AS f GROUP BY f.status;
END
$$;

-- What a claim holds, so that finishing it reads no other deliveries.
CREATE INDEX "deliveries_claim_idx" ON "deliveries" ("claim_id") WHERE "status" = 'sending';
