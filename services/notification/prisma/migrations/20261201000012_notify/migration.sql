-- Sending: one function for one user and one for many, each one statement with the notifications, the counters, the planned
-- deliveries and the event.
-- Locks: none on rows that exist: the table is new.

SET LOCAL lock_timeout = '5s';

-- CreateTable
CREATE TABLE "batches" (
    "key" VARCHAR(200) NOT NULL,
    "id" TEXT NOT NULL,
    "body_hash" CHAR(64) NOT NULL,
    "notified" INTEGER NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT database_time(),

    CONSTRAINT "batches_pkey" PRIMARY KEY ("key"),
    CONSTRAINT "batches_body_hash_check" CHECK ("body_hash" ~ '^[0-9a-f]{64}$'),
    CONSTRAINT "batches_notified_check" CHECK ("notified" BETWEEN 1 AND 100000),
    CONSTRAINT "batches_times_check" CHECK ("created_at" >= to_timestamp(-62135596800) AND "created_at" < to_timestamp(253402300800))
);

-- Puts values into the places of a template, such as {{course}}. A value that looks like a place stays text.
CREATE FUNCTION "render_template"("p_field" text, "p_text" text, "p_values" jsonb, "p_most" integer) RETURNS text
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  parts text[] := regexp_split_to_array(p_text, '\{\{[a-z][A-Za-z0-9]*\}\}');
  names text[] := ARRAY(SELECT m[1] FROM regexp_matches(p_text, '\{\{([a-z][A-Za-z0-9]*)\}\}', 'g') AS m);
  missing text[] := ARRAY(SELECT DISTINCT name FROM unnest(names) AS name WHERE p_values ->> name IS NULL ORDER BY name);
  rendered text := parts[1];
BEGIN
  IF missing <> '{}' THEN
    PERFORM refuse('template_values', jsonb_build_object('missing', missing));
  END IF;
  FOR i IN 1 .. cardinality(names) LOOP
    rendered := rendered || (p_values ->> names[i]) || parts[i + 1];
  END LOOP;
  IF length(rendered) > p_most OR btrim(rendered) = '' THEN
    PERFORM refuse('rendered_text', jsonb_build_object('field', p_field, 'most', p_most));
  END IF;
  RETURN rendered;
END
$$;

CREATE FUNCTION "template_named"("p_name" text) RETURNS templates
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  it templates;
BEGIN
  SELECT * INTO it FROM templates WHERE name = p_name;
  IF NOT FOUND THEN
    PERFORM refuse('template_not_found', jsonb_build_object('template', p_name));
  END IF;
  RETURN it;
END
$$;

-- Sends one notification, once per user and key. A repeated call gets the row as it was sent.
CREATE FUNCTION "notify_user"("p_key" text, "p_hash" text, "p_id" text, "p_user_id" text, "p_type" notification_type, "p_title" text,
  "p_message" text, "p_template" text, "p_values" jsonb, "p_source" text, "p_action_url" text, "p_metadata" jsonb,
  "p_expires_in" interval, "p_channels" channel[], "p_urgent" boolean) RETURNS SETOF notifications
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  it notifications;
  from_template templates;
  now timestamptz := database_time();
BEGIN
  SELECT * INTO it FROM notifications WHERE user_id = p_user_id AND idempotency_key = p_key;
  IF NOT FOUND THEN
    IF p_template IS NOT NULL THEN
      from_template := template_named(p_template);
      p_title := render_template('title', from_template.title, p_values, 200);
      p_message := render_template('message', from_template.message, p_values, 10000);
    END IF;
    INSERT INTO notifications (id, user_id, type, title, message, source, action_url, metadata, in_app, idempotency_key, body_hash,
      expires_at, created_at, updated_at)
    VALUES (p_id, p_user_id, coalesce(p_type, from_template.type, 'info'), p_title, p_message, p_source,
      coalesce(p_action_url, from_template.action_url), p_metadata,
      p_urgent OR preferred_mode(p_user_id, p_source, 'in_app') <> 'off', p_key, p_hash, now + p_expires_in, now, now)
    ON CONFLICT (user_id, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING
    RETURNING * INTO it;
    IF FOUND THEN
      IF cardinality(p_channels) > 0 THEN
        PERFORM plan_deliveries(ARRAY[it.id], p_channels, p_urgent, now);
      END IF;
      INSERT INTO outbox (type, key, payload, created_at)
      VALUES ('notification.notification-sent.v1', left(p_user_id, 200), jsonb_build_object('notificationId', it.id,
        'userId', p_user_id, 'notificationType', it.type), now);
      RETURN NEXT it;
      RETURN;
    END IF;
    -- Another call with the key was faster.
    SELECT * INTO it FROM notifications WHERE user_id = p_user_id AND idempotency_key = p_key;
  END IF;
  -- A row of an older store has no hash.
  IF it.body_hash <> p_hash THEN
    PERFORM refuse('key_reused', '{}');
  END IF;
  it.is_read := false;
  it.read_at := NULL;
  it.deleted_at := NULL;
  it.updated_at := it.created_at;
  RETURN NEXT it;
END
$$;

-- Sends a notification to many users, once per key: all of them or none. "p_values" has an element for each user, or is null.
CREATE FUNCTION "notify_many"("p_key" text, "p_hash" text, "p_id" text, "p_user_ids" text[], "p_type" notification_type, "p_title" text,
  "p_message" text, "p_template" text, "p_values" jsonb[], "p_source" text, "p_action_url" text, "p_metadata" jsonb,
  "p_expires_in" interval, "p_channels" channel[], "p_urgent" boolean) RETURNS SETOF batches
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  it batches;
  from_template templates;
  now timestamptz := database_time();
  first_id text := left(p_id, 19);
  is_personal boolean := p_template IS NOT NULL AND p_values IS NOT NULL;
BEGIN
  INSERT INTO batches (key, id, body_hash, notified, created_at) VALUES (p_key, p_id, p_hash, cardinality(p_user_ids), now)
  ON CONFLICT (key) DO NOTHING RETURNING * INTO it;
  IF NOT FOUND THEN
    SELECT * INTO it FROM batches WHERE key = p_key;
    IF it.body_hash <> p_hash THEN
      PERFORM refuse('key_reused', '{}');
    END IF;
    RETURN NEXT it;
    RETURN;
  END IF;
  IF p_template IS NOT NULL THEN
    from_template := template_named(p_template);
    IF NOT is_personal THEN
      p_title := render_template('title', from_template.title, '{}', 200);
      p_message := render_template('message', from_template.message, '{}', 10000);
    END IF;
  END IF;
  p_type := coalesce(p_type, from_template.type, 'info');
  p_action_url := coalesce(p_action_url, from_template.action_url);
  IF is_personal THEN
    INSERT INTO notifications (id, user_id, type, title, message, source, action_url, metadata, in_app, expires_at, created_at, updated_at)
    SELECT first_id || lpad(u.place::text, 6, '0'), u.user_id, p_type,
      render_template('title', from_template.title, u.values, 200), render_template('message', from_template.message, u.values, 10000),
      p_source, p_action_url, p_metadata, p_urgent OR coalesce(own.mode, general.mode, 'instant') <> 'off', now + p_expires_in, now, now
    FROM unnest(p_user_ids, p_values) WITH ORDINALITY AS u (user_id, values, place)
    LEFT JOIN preferences AS own ON own.user_id = u.user_id AND own.source = p_source AND own.channel = 'in_app'
    LEFT JOIN preferences AS general ON general.user_id = u.user_id AND general.source = '*' AND general.channel = 'in_app';
  ELSE
    INSERT INTO notifications (id, user_id, type, title, message, source, action_url, metadata, in_app, expires_at, created_at, updated_at)
    SELECT first_id || lpad(u.place::text, 6, '0'), u.user_id, p_type, p_title, p_message, p_source, p_action_url, p_metadata,
      p_urgent OR coalesce(own.mode, general.mode, 'instant') <> 'off', now + p_expires_in, now, now
    FROM unnest(p_user_ids) WITH ORDINALITY AS u (user_id, place)
    LEFT JOIN preferences AS own ON own.user_id = u.user_id AND own.source = p_source AND own.channel = 'in_app'
    LEFT JOIN preferences AS general ON general.user_id = u.user_id AND general.source = '*' AND general.channel = 'in_app';
  END IF;
  IF cardinality(p_channels) > 0 THEN
    PERFORM plan_deliveries(ARRAY(SELECT first_id || lpad(place::text, 6, '0') FROM generate_series(1, cardinality(p_user_ids)) AS place),
      p_channels, p_urgent, now);
  END IF;
  INSERT INTO outbox (type, key, payload, created_at)
  VALUES ('notification.batch-sent.v1', p_id, jsonb_build_object('batchId', p_id, 'notifications', it.notified,
    'notificationType', p_type), now);
  RETURN NEXT it;
END
$$;

-- Deletes all that is kept about a user except the audit log. Returns the number of notifications.
CREATE FUNCTION "erase_recipient"("p_user_id" text) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  erased integer;
BEGIN
  -- The row is locked even if it is new: a first notification that is being sent waits for the end of this transaction.
  INSERT INTO recipients (user_id) VALUES (p_user_id) ON CONFLICT (user_id) DO UPDATE SET updated_at = database_time();
  DELETE FROM notifications WHERE user_id = p_user_id;
  GET DIAGNOSTICS erased = ROW_COUNT;
  DELETE FROM bulk_reads WHERE user_id = p_user_id;
  DELETE FROM recipients WHERE user_id = p_user_id;
  DELETE FROM preferences WHERE user_id = p_user_id;
  DELETE FROM delivery_settings WHERE user_id = p_user_id;
  RETURN erased;
END
$$;

-- Deletes notifications that are older than a year, whole blocks of the oldest first, and what belongs to them.
CREATE FUNCTION "prune_notifications"("p_limit" integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  kept_since timestamptz := database_time() - interval '365 days';
  pruned integer;
BEGIN
  WITH users AS (
    SELECT user_id FROM recipients
    WHERE user_id IN (SELECT user_id FROM notifications WHERE created_at < kept_since LIMIT least(greatest(p_limit, 1), 10000))
    ORDER BY user_id COLLATE "C" FOR UPDATE SKIP LOCKED
  )
  DELETE FROM notifications WHERE id = ANY (ARRAY(
    SELECT id FROM notifications WHERE created_at < kept_since AND user_id IN (SELECT user_id FROM users)
    LIMIT least(greatest(p_limit, 1), 10000)));
  GET DIAGNOSTICS pruned = ROW_COUNT;
  -- The time of a mark is needed as long as it has notifications.
  IF pruned = 0 THEN
    DELETE FROM bulk_reads WHERE read_at < kept_since;
  END IF;
  DELETE FROM batches WHERE key = ANY (ARRAY(
    SELECT key FROM batches WHERE created_at < kept_since LIMIT least(greatest(p_limit, 1), 10000)));
  RETURN pruned;
END
$$;
