-- Why: usage is counted exactly once, whatever runs twice; the database keeps only hashes of share tokens; deliveries to webhooks are
-- claimed, retried and recorded. Only functions write these tables.
-- Locks: ACCESS EXCLUSIVE on usage_events, usage_months, share_links and webhook_configs until the end. Existing usage events are marked as
-- counted, which rewrites their rows: about 10 s for a million events.
-- Runs again: no, once per database; inside one transaction.

SET LOCAL lock_timeout = '5s';

-- Usage --------------------------------------------------------------------------------------------------------------

ALTER TABLE "usage_events" ADD COLUMN "counted_at" TIMESTAMPTZ(6);
DROP TRIGGER "usage_events_append_only" ON "usage_events";

-- The sums so far were computed from the events of whole months. An event that is no longer there is in the sum only, and one that came
-- later is in the events only.
INSERT INTO "usage_months" AS m ("org_id", "event_type", "month", "count")
SELECT "org_id", "event_type", date_trunc('month', "timestamp" AT TIME ZONE 'UTC')::date, sum("count")
FROM "usage_events" GROUP BY 1, 2, 3
ON CONFLICT ("org_id", "event_type", "month") DO UPDATE SET "count" = EXCLUDED."count", "updated_at" = database_time()
WHERE m."count" < EXCLUDED."count";
UPDATE "usage_events" SET "counted_at" = database_time();
-- lint-ignore constraint-missing-not-valid: the rule is part of the change of this transaction, which rewrites the table anyway
ALTER TABLE "usage_events" DROP CONSTRAINT "usage_events_times_check",
  ADD CONSTRAINT "usage_events_times_check" CHECK (
    "timestamp" >= to_timestamp(-62135596800) AND "timestamp" < to_timestamp(253402300800) AND
    "created_at" >= to_timestamp(-62135596800) AND "created_at" < to_timestamp(253402300800) AND
    "counted_at" >= to_timestamp(-62135596800) AND "counted_at" < to_timestamp(253402300800)
  );

-- What waits to be counted.
-- lint-ignore index-not-concurrent: the table is locked by this migration already
CREATE INDEX "usage_events_uncounted_idx" ON "usage_events" ("id") WHERE "counted_at" IS NULL;

-- Events are written once. Only the mark that an event was counted is set later, once.
CREATE TRIGGER "usage_events_append_only" BEFORE TRUNCATE
  OR UPDATE OF "id", "org_id", "event_type", "count", "metadata", "timestamp", "idempotency_key", "created_at" ON "usage_events"
  FOR EACH STATEMENT EXECUTE FUNCTION "refuse_change"();
CREATE TRIGGER "usage_events_counted_once" BEFORE UPDATE OF "counted_at" ON "usage_events" FOR EACH ROW
  WHEN (OLD."counted_at" IS NOT NULL OR NEW."counted_at" IS NULL) EXECUTE FUNCTION "refuse_change"();

-- Adds events to the sums of their months. The sums are locked in one order.
CREATE FUNCTION "add_usage"("p_org" text[], "p_type" text[], "p_time" timestamptz[], "p_count" integer[]) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, public, pg_temp AS $$
  INSERT INTO usage_months AS m (org_id, event_type, month, count, created_at, updated_at)
  SELECT org, type, month, sum(count), database_time(), database_time()
  FROM (SELECT org, type, date_trunc('month', at AT TIME ZONE 'UTC')::date AS month, count
        FROM unnest(p_org, p_type, p_time, p_count) AS u (org, type, at, count)) AS used
  GROUP BY org, type, month ORDER BY org COLLATE "C", type COLLATE "C", month
  ON CONFLICT (org_id, event_type, month) DO UPDATE SET count = m.count + EXCLUDED.count, updated_at = EXCLUDED.updated_at
$$;

-- Counts events that were not counted yet, at most "p_most", and returns their number. The mark and the sum are one transaction, and two
-- calls at once take different events, so each event is counted once.
CREATE FUNCTION "aggregate_usage"("p_most" integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  orgs text[];
  types text[];
  times timestamptz[];
  counts integer[];
BEGIN
  WITH picked AS (
    SELECT id FROM usage_events WHERE counted_at IS NULL ORDER BY id LIMIT least(greatest(p_most, 1), 100000) FOR UPDATE SKIP LOCKED
  ), counted AS (
    UPDATE usage_events AS e SET counted_at = database_time() FROM picked WHERE e.id = picked.id
    RETURNING e.org_id, e.event_type, e.timestamp, e.count
  )
  SELECT array_agg(org_id), array_agg(event_type), array_agg(timestamp), array_agg(count) INTO orgs, types, times, counts FROM counted;
  IF orgs IS NULL THEN
    RETURN 0;
  END IF;
  PERFORM add_usage(orgs, types, times, counts);
  RETURN cardinality(orgs);
END
$$;

-- Retention deletes events after 90 days. One that was not counted until then is counted when any role deletes it. A younger event that is
-- deleted was a mistake, such as an import that is rolled back, and does not count.
CREATE FUNCTION "count_pruned_usage"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  PERFORM add_usage(array_agg(org_id), array_agg(event_type), array_agg(timestamp), array_agg(count))
  FROM gone WHERE counted_at IS NULL AND timestamp < database_time() - interval '90 days' HAVING count(*) > 0;
  RETURN NULL;
END
$$;
CREATE TRIGGER "usage_events_count_pruned" AFTER DELETE ON "usage_events" REFERENCING OLD TABLE AS "gone"
  FOR EACH STATEMENT EXECUTE FUNCTION "count_pruned_usage"();

-- Records events, each once per key, and returns how many are new. Keys are taken in one order, so that two calls do not deadlock.
CREATE FUNCTION "record_usage"("p_events" jsonb) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  recorded integer;
  other text;
BEGIN
  IF EXISTS (SELECT FROM jsonb_array_elements(p_events) WHERE value ->> 'idempotencyKey' IS NULL) THEN
    RAISE EXCEPTION 'A usage event has no key' USING ERRCODE = 'null_value_not_allowed';
  END IF;
  INSERT INTO usage_events (org_id, event_type, count, metadata, idempotency_key, timestamp, created_at)
  SELECT value ->> 'orgId', value ->> 'eventType', (value ->> 'count')::integer, value -> 'metadata', value ->> 'idempotencyKey', now, now
  FROM jsonb_array_elements(p_events), LATERAL (SELECT database_time() AS now) AS clock
  ORDER BY value ->> 'idempotencyKey' COLLATE "C"
  ON CONFLICT (idempotency_key) DO NOTHING;
  GET DIAGNOSTICS recorded = ROW_COUNT;
  IF recorded < jsonb_array_length(p_events) THEN
    SELECT e.idempotency_key INTO other FROM jsonb_array_elements(p_events) JOIN usage_events AS e ON e.idempotency_key = value ->> 'idempotencyKey'
    WHERE (e.org_id, e.event_type, e.count) IS DISTINCT FROM (value ->> 'orgId', value ->> 'eventType', (value ->> 'count')::integer) LIMIT 1;
    IF other IS NOT NULL THEN
      PERFORM refuse('key_reused', jsonb_build_object('operation', 'record-usage', 'asked', 'record-usage'));
    END IF;
  END IF;
  RETURN recorded;
END
$$;

-- Deletes events that are older than "p_keep", which counts as 90 days if it is less: at most "p_most", the oldest first.
CREATE FUNCTION "prune_usage"("p_keep" interval, "p_most" integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  deleted integer;
BEGIN
  DELETE FROM usage_events WHERE id = ANY (ARRAY(
    SELECT id FROM usage_events WHERE timestamp < database_time() - greatest(p_keep, interval '90 days')
    ORDER BY timestamp LIMIT least(greatest(p_most, 1), 100000) FOR UPDATE SKIP LOCKED));
  GET DIAGNOSTICS deleted = ROW_COUNT;
  RETURN deleted;
END
$$;

-- Share links --------------------------------------------------------------------------------------------------------

UPDATE "share_links" SET "token" = 'sha256:' || encode(sha256(convert_to("token", 'UTF8')), 'hex');

-- A token is never stored, not even by the administrator: a new row with a token gets its hash.
CREATE FUNCTION "hash_share_token"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  NEW.token := 'sha256:' || encode(sha256(convert_to(NEW.token, 'UTF8')), 'hex');
  RETURN NEW;
END
$$;
CREATE TRIGGER "share_links_hash_token" BEFORE INSERT OR UPDATE OF "token" ON "share_links" FOR EACH ROW
  WHEN (NEW."token" !~ '^sha256:[0-9a-f]{64}$' AND btrim(NEW."token") <> '') EXECUTE FUNCTION "hash_share_token"();

CREATE FUNCTION "create_share_link"("p_token" text, "p_input" jsonb) RETURNS "share_links"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  link share_links;
  at timestamptz := database_time();
BEGIN
  INSERT INTO share_links (token, debate_id, visibility, owner_id, org_id, expires_at, allow_comments, allow_forking, created_at, updated_at)
  VALUES (p_token, p_input ->> 'debateId', p_input ->> 'visibility', p_input ->> 'ownerId', p_input ->> 'orgId',
    at + (p_input ->> 'expiresInMs')::bigint * interval '1 millisecond', (p_input ->> 'allowComments')::boolean,
    (p_input ->> 'allowForking')::boolean, at, at)
  RETURNING * INTO link;
  PERFORM emit('debate-shared', link.debate_id, jsonb_build_object('debateId', link.debate_id, 'ownerId', link.owner_id,
    'visibility', link.visibility), at);
  RETURN link;
END
$$;

-- The link of a debate, if the person owns it. To everybody else it does not exist.
CREATE FUNCTION "lock_share_link"("p_debate" text, "p_by" text) RETURNS "share_links"
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  link share_links;
BEGIN
  SELECT * INTO link FROM share_links WHERE debate_id = p_debate AND owner_id = p_by FOR UPDATE;
  IF link.token IS NULL THEN
    PERFORM refuse('share_not_found', jsonb_build_object('debateId', p_debate));
  END IF;
  RETURN link;
END
$$;

-- Changes what the input names; with a token, the old one ends.
CREATE FUNCTION "update_share_link"("p_debate" text, "p_by" text, "p_token" text, "p_input" jsonb) RETURNS "share_links"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  link share_links := lock_share_link(p_debate, p_by);
  at timestamptz := database_time();
BEGIN
  UPDATE share_links SET token = coalesce(p_token, token), visibility = coalesce(p_input ->> 'visibility', visibility),
    org_id = CASE WHEN p_input ? 'orgId' THEN p_input ->> 'orgId' ELSE org_id END,
    expires_at = CASE WHEN p_input ? 'expiresInMs' THEN at + (p_input ->> 'expiresInMs')::bigint * interval '1 millisecond' ELSE expires_at END,
    allow_comments = coalesce((p_input ->> 'allowComments')::boolean, allow_comments),
    allow_forking = coalesce((p_input ->> 'allowForking')::boolean, allow_forking), updated_at = at
  WHERE debate_id = p_debate RETURNING * INTO link;
  RETURN link;
END
$$;

CREATE FUNCTION "revoke_share_link"("p_debate" text, "p_by" text) RETURNS "share_links"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  link share_links := lock_share_link(p_debate, p_by);
BEGIN
  DELETE FROM share_links WHERE debate_id = p_debate;
  RETURN link;
END
$$;

-- Counts a view of a person who may see the debate: the owner, a member of the organization of a team link, everybody with the token of a public
-- one. A link that does not exist, has expired or is not for this person is the same to the caller.
CREATE FUNCTION "follow_share_link"("p_token" text, "p_user" text, "p_orgs" text[]) RETURNS "share_links"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  link share_links;
BEGIN
  UPDATE share_links SET view_count = view_count + 1, last_viewed_at = greatest(database_time(), last_viewed_at)
  WHERE token = p_token AND (expires_at IS NULL OR expires_at > database_time())
    AND (visibility = 'public' OR owner_id = p_user OR (visibility = 'team' AND org_id = ANY (p_orgs)))
  RETURNING * INTO link;
  IF link.token IS NULL THEN
    PERFORM refuse('share_not_found', '{}');
  END IF;
  RETURN link;
END
$$;

-- Webhooks -----------------------------------------------------------------------------------------------------------

-- lint-ignore constraint-missing-not-valid: the columns are new
ALTER TABLE "webhook_configs"
  ADD COLUMN "consecutive_failures" INTEGER NOT NULL DEFAULT 0,
  ADD COLUMN "disabled_at" TIMESTAMPTZ(6),
  ADD CONSTRAINT "webhook_configs_consecutive_failures_check" CHECK ("consecutive_failures" >= 0),
  ADD CONSTRAINT "webhook_configs_disabled_at_check" CHECK ("disabled_at" IS NULL OR NOT "active");
-- lint-ignore constraint-missing-not-valid: the rule is part of the change of this transaction, and the table is small
ALTER TABLE "webhook_configs" DROP CONSTRAINT "webhook_configs_times_check",
  ADD CONSTRAINT "webhook_configs_times_check" CHECK (
    "created_at" >= to_timestamp(-62135596800) AND "created_at" < to_timestamp(253402300800) AND
    "updated_at" >= to_timestamp(-62135596800) AND "updated_at" < to_timestamp(253402300800) AND
    "last_delivery_at" >= to_timestamp(-62135596800) AND "last_delivery_at" < to_timestamp(253402300800) AND
    "disabled_at" >= to_timestamp(-62135596800) AND "disabled_at" < to_timestamp(253402300800)
  );

-- CreateTable
CREATE TABLE "webhook_deliveries" (
    "webhook_id" TEXT NOT NULL,
    "message_id" VARCHAR(100) NOT NULL,
    "event_type" TEXT NOT NULL,
    "body" TEXT NOT NULL,
    "status" TEXT NOT NULL DEFAULT 'pending',
    "attempts" SMALLINT NOT NULL DEFAULT 0,
    "next_at" TIMESTAMPTZ(6) NOT NULL,
    "claim_id" VARCHAR(100),
    "response_status" INTEGER,
    "finished_at" TIMESTAMPTZ(6),
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "webhook_deliveries_pkey" PRIMARY KEY ("webhook_id", "message_id"),
    CONSTRAINT "webhook_deliveries_message_id_check" CHECK (btrim("message_id") <> ''),
    CONSTRAINT "webhook_deliveries_event_type_check" CHECK (btrim("event_type") <> ''),
    CONSTRAINT "webhook_deliveries_status_check" CHECK ("status" IN ('pending', 'sending', 'delivered', 'failed', 'cancelled')),
    CONSTRAINT "webhook_deliveries_attempts_check" CHECK ("attempts" BETWEEN 0 AND 6),
    CONSTRAINT "webhook_deliveries_claim_check" CHECK (("status" = 'sending') = ("claim_id" IS NOT NULL)),
    CONSTRAINT "webhook_deliveries_finished_at_check"
      CHECK (("status" IN ('delivered', 'failed', 'cancelled')) = ("finished_at" IS NOT NULL)),
    CONSTRAINT "webhook_deliveries_response_status_check" CHECK ("response_status" BETWEEN 100 AND 599),
    CONSTRAINT "webhook_deliveries_times_check" CHECK (
      "next_at" >= to_timestamp(-62135596800) AND "next_at" < to_timestamp(253402300800) AND
      "finished_at" >= to_timestamp(-62135596800) AND "finished_at" < to_timestamp(253402300800) AND
      "created_at" >= to_timestamp(-62135596800) AND "created_at" < to_timestamp(253402300800) AND
      "updated_at" >= to_timestamp(-62135596800) AND "updated_at" < to_timestamp(253402300800))
);
CREATE INDEX "webhook_deliveries_webhook_id_created_at_idx" ON "webhook_deliveries"("webhook_id", "created_at");
CREATE INDEX "webhook_deliveries_created_at_idx" ON "webhook_deliveries"("created_at");
-- What is due, and what was claimed and never finished.
CREATE INDEX "webhook_deliveries_due_idx" ON "webhook_deliveries" ("next_at") WHERE "status" IN ('pending', 'sending');
ALTER TABLE "webhook_deliveries" ADD CONSTRAINT "webhook_deliveries_webhook_id_fkey" FOREIGN KEY ("webhook_id")
  REFERENCES "webhook_configs"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- A delivery is decided once.
CREATE FUNCTION "check_webhook_delivery"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF NOT (OLD.status || '>' || NEW.status = ANY (TG_ARGV)) THEN
    PERFORM refuse('delivery_decided', jsonb_build_object('webhookId', OLD.webhook_id, 'from', OLD.status, 'to', NEW.status));
  END IF;
  RETURN NEW;
END
$$;
CREATE TRIGGER "webhook_deliveries_transition" BEFORE UPDATE OF "status" ON "webhook_deliveries" FOR EACH ROW
  WHEN (OLD."status" <> NEW."status") EXECUTE FUNCTION "check_webhook_delivery"('pending>sending', 'pending>cancelled', 'sending>pending',
    'sending>delivered', 'sending>failed', 'sending>cancelled');

-- The store encrypts the secret; only an import of the administrator may bring one that is not encrypted yet.
CREATE FUNCTION "demand_sealed"("p_secret" text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF p_secret IS NOT NULL AND p_secret !~ '^v[1-9][0-9]{0,8}\.[A-Za-z0-9_-]{16}\.[A-Za-z0-9_-]{22,}$' THEN
    PERFORM refuse('secret_not_sealed', '{}');
  END IF;
END
$$;

CREATE FUNCTION "create_webhook"("p_key" text, "p_id" text, "p_secret" text, "p_input" jsonb) RETURNS "webhook_configs"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  webhook webhook_configs;
  earlier text := begin_request(p_key, 'create-webhook', p_input);
  at timestamptz := database_time();
BEGIN
  IF earlier IS NOT NULL THEN
    SELECT * INTO webhook FROM webhook_configs WHERE id = earlier;
    RETURN webhook;
  END IF;
  PERFORM demand_sealed(p_secret);
  INSERT INTO webhook_configs (id, url, events_json, secret, name, description, user_id, workspace_id, created_at, updated_at)
  VALUES (p_id, p_input ->> 'url', p_input -> 'eventTypes', p_secret, p_input ->> 'name', p_input ->> 'description', p_input ->> 'userId',
    p_input ->> 'workspaceId', at, at)
  RETURNING * INTO webhook;
  PERFORM finish_request(p_key, p_id);
  RETURN webhook;
END
$$;

CREATE FUNCTION "lock_webhook"("p_id" text, "p_by" text) RETURNS "webhook_configs"
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  webhook webhook_configs;
BEGIN
  SELECT * INTO webhook FROM webhook_configs WHERE id = p_id AND user_id = p_by FOR NO KEY UPDATE;
  IF webhook.id IS NULL THEN
    PERFORM refuse('webhook_not_found', jsonb_build_object('webhookId', p_id));
  END IF;
  RETURN webhook;
END
$$;

-- Changes what the input names. A webhook that is switched on again begins without failures.
CREATE FUNCTION "update_webhook"("p_id" text, "p_by" text, "p_secret" text, "p_input" jsonb) RETURNS "webhook_configs"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  webhook webhook_configs := lock_webhook(p_id, p_by);
  turned boolean := (p_input ->> 'active')::boolean;
  at timestamptz := database_time();
BEGIN
  PERFORM demand_sealed(p_secret);
  UPDATE webhook_configs SET url = coalesce(p_input ->> 'url', url), events_json = coalesce(p_input -> 'eventTypes', events_json),
    secret = coalesce(p_secret, secret), name = CASE WHEN p_input ? 'name' THEN p_input ->> 'name' ELSE name END,
    description = CASE WHEN p_input ? 'description' THEN p_input ->> 'description' ELSE description END,
    active = coalesce(turned, active), disabled_at = CASE WHEN turned THEN NULL ELSE disabled_at END,
    consecutive_failures = CASE WHEN turned AND NOT active THEN 0 ELSE consecutive_failures END, updated_at = at
  WHERE id = p_id RETURNING * INTO webhook;
  IF NOT webhook.active THEN
    PERFORM cancel_webhook_deliveries(p_id, at);
  END IF;
  RETURN webhook;
END
$$;

CREATE FUNCTION "cancel_webhook_deliveries"("p_id" text, "p_at" timestamptz) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, public, pg_temp AS $$
  UPDATE webhook_deliveries SET status = 'cancelled', claim_id = NULL, finished_at = p_at, updated_at = p_at
  WHERE webhook_id = p_id AND status IN ('pending', 'sending')
$$;

CREATE FUNCTION "delete_webhook"("p_id" text, "p_by" text) RETURNS "webhook_configs"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  webhook webhook_configs := lock_webhook(p_id, p_by);
BEGIN
  DELETE FROM webhook_configs WHERE id = p_id;
  RETURN webhook;
END
$$;

-- Encrypts the secret of a webhook again, if nothing has changed it since it was read.
CREATE FUNCTION "reseal_webhook"("p_id" text, "p_from" text, "p_to" text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  PERFORM demand_sealed(p_to);
  UPDATE webhook_configs SET secret = p_to, updated_at = database_time() WHERE id = p_id AND secret = p_from;
  RETURN FOUND;
END
$$;

-- Plans a delivery of a message to each webhook of the owner that wants its type; the same message once. Returns their number.
CREATE FUNCTION "queue_webhooks"("p_message" text, "p_input" jsonb) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  planned integer;
  at timestamptz := database_time();
  answer text := begin_request('webhook-message ' || p_message, 'queue-webhooks', p_input);
BEGIN
  IF answer IS NOT NULL THEN
    RETURN answer::integer;
  END IF;
  INSERT INTO webhook_deliveries (webhook_id, message_id, event_type, body, next_at, created_at, updated_at)
  SELECT id, p_message, p_input ->> 'eventType', p_input ->> 'body', at, at, at FROM webhook_configs
  WHERE active AND events_json ? (p_input ->> 'eventType')
    AND CASE WHEN p_input ? 'userId' THEN user_id = p_input ->> 'userId' ELSE workspace_id = p_input ->> 'workspaceId' END
  ORDER BY id FOR KEY SHARE;
  GET DIAGNOSTICS planned = ROW_COUNT;
  PERFORM finish_request('webhook-message ' || p_message, planned::text);
  RETURN planned;
END
$$;

-- Claims what is due, the oldest first. The claim lapses after "p_lease". What was claimed six times and never finished has failed.
CREATE FUNCTION "claim_webhook_deliveries"("p_claim" text, "p_limit" integer, "p_lease" interval)
RETURNS TABLE ("webhook_id" text, "message_id" text, "url" text, "secret" text, "body" text, "attempt" integer, "sent_at" timestamptz)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
DECLARE
  at timestamptz := database_time();
BEGIN
  RETURN QUERY
  WITH due AS (
    SELECT d.webhook_id, d.message_id FROM webhook_deliveries AS d
    WHERE d.status IN ('pending', 'sending') AND d.next_at <= at
    ORDER BY d.next_at LIMIT least(greatest(p_limit, 1), 1000) FOR UPDATE SKIP LOCKED
  ), claimed AS (
    UPDATE webhook_deliveries AS d SET
      status = CASE WHEN d.attempts >= 6 THEN 'failed' ELSE 'sending' END,
      claim_id = CASE WHEN d.attempts >= 6 THEN NULL ELSE p_claim END,
      finished_at = CASE WHEN d.attempts >= 6 THEN at END,
      attempts = least(d.attempts + 1, 6), next_at = at + least(greatest(p_lease, interval '1 second'), interval '1 hour'), updated_at = at
    FROM due WHERE d.webhook_id = due.webhook_id AND d.message_id = due.message_id
    RETURNING d.*
  )
  SELECT c.webhook_id, c.message_id::text, w.url, w.secret, c.body, c.attempts::integer, at
  FROM claimed AS c JOIN webhook_configs AS w ON w.id = c.webhook_id WHERE c.status = 'sending';
END
$$;

-- Records the outcome of an attempt, if the claim still holds. A failure is tried again after 30 s, 2, 8, 32 and 128 minutes. The tenth
-- failure in a row, or the answer 410 Gone, switches the webhook off and cancels what waits for it.
CREATE FUNCTION "finish_webhook_delivery"("p_claim" text, "p_webhook" text, "p_message" text, "p_delivered" boolean, "p_response" integer)
RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  webhook webhook_configs;
  delivery webhook_deliveries;
  at timestamptz;
BEGIN
  SELECT * INTO webhook FROM webhook_configs WHERE id = p_webhook FOR NO KEY UPDATE;
  SELECT * INTO delivery FROM webhook_deliveries WHERE webhook_id = p_webhook AND message_id = p_message FOR UPDATE;
  IF delivery.claim_id IS DISTINCT FROM p_claim OR delivery.claim_id IS NULL THEN
    RETURN 'lost';
  END IF;
  at := database_time();
  UPDATE webhook_deliveries SET
    status = CASE WHEN p_delivered THEN 'delivered' WHEN attempts >= 6 THEN 'failed' ELSE 'pending' END,
    finished_at = CASE WHEN p_delivered OR attempts >= 6 THEN at END, claim_id = NULL, response_status = p_response,
    next_at = at + interval '30 seconds' * power(4, attempts - 1), updated_at = at
  WHERE webhook_id = p_webhook AND message_id = p_message RETURNING * INTO delivery;
  UPDATE webhook_configs SET delivery_count = delivery_count + 1, failure_count = failure_count + (NOT p_delivered)::integer,
    consecutive_failures = CASE WHEN p_delivered THEN 0 ELSE consecutive_failures + 1 END,
    last_delivery_at = at, last_delivery_status = p_response, updated_at = at
  WHERE id = p_webhook RETURNING * INTO webhook;
  IF webhook.active AND NOT p_delivered AND (webhook.consecutive_failures >= 10 OR p_response IS NOT DISTINCT FROM 410) THEN
    UPDATE webhook_configs SET active = false, disabled_at = at WHERE id = p_webhook;
    PERFORM cancel_webhook_deliveries(p_webhook, at);
    PERFORM emit('webhook-disabled', p_webhook, jsonb_build_object('webhookId', p_webhook, 'userId', webhook.user_id,
      'failures', webhook.consecutive_failures), at);
    RETURN 'disabled';
  END IF;
  RETURN delivery.status;
END
$$;

-- Deletes deliveries that ended longer ago than "p_keep", which counts as 30 days if it is less.
CREATE FUNCTION "prune_webhook_deliveries"("p_keep" interval, "p_most" integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  deleted integer;
BEGIN
  DELETE FROM webhook_deliveries WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM webhook_deliveries
    WHERE created_at < database_time() - greatest(p_keep, interval '30 days') AND finished_at IS NOT NULL
    ORDER BY created_at LIMIT least(greatest(p_most, 1), 100000) FOR UPDATE SKIP LOCKED));
  GET DIAGNOSTICS deleted = ROW_COUNT;
  RETURN deleted;
END
$$;
