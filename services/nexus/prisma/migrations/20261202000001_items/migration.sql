-- Why: recommendations need to know which items a person used or rejected, how popular an item is, and which items are used together.
-- - "profile_items" follows from "interactions": triggers keep, per person and item, the last positive and the last negative signal.
-- - "counted" is the weight with which an item of a person counts for others. A refresh sets it; the profile waits in a queue, by
--   "stale_since", until then.
-- - "items"."popularity" and "item_pairs" follow from "counted": triggers change both in the same transaction, also for an administrator.
-- Decay: a weight doubles every 90 days from a fixed day on (forward decay: Cormode, Shkapenyuk, Srivastava and Xu, ICDE 2009), so
-- old weights need no update: only their ratio to new ones matters. Weights are whole numbers, so that sums are exact: taking a weight
-- away leaves what a recount would find.
-- Locks: ACCESS EXCLUSIVE on interactions, while its rows get their time and are read once.
-- Runs again: no, once per database; inside one transaction.

SET LOCAL lock_timeout = '5s';

-- Rejects a call by the name of a rule; the store makes its error from it.
CREATE FUNCTION "refuse"("rule" text, "facts" jsonb) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  RAISE EXCEPTION USING ERRCODE = 'AZ001', MESSAGE = rule, DETAIL = facts::text;
END
$$;

-- Tables --------------------------------------------------------------------------------------------------------------

ALTER TABLE "interactions"
  ADD COLUMN "event_id" VARCHAR(200),
  ADD COLUMN "rating" SMALLINT,
  ADD COLUMN "occurred_at" TIMESTAMPTZ(6);
UPDATE "interactions" SET "occurred_at" = "created_at";
-- lint-ignore adding-not-nullable-field: the update above has locked the table and filled the column
ALTER TABLE "interactions" ALTER COLUMN "occurred_at" SET NOT NULL;
ALTER TABLE "interactions" ALTER COLUMN "occurred_at" SET DEFAULT CURRENT_TIMESTAMP;
-- lint-ignore constraint-missing-not-valid: the new columns have locked the table already
ALTER TABLE "interactions" ADD CONSTRAINT "interactions_event_id_check" CHECK (btrim("event_id") <> '');
-- lint-ignore constraint-missing-not-valid: the new columns have locked the table already
ALTER TABLE "interactions" ADD CONSTRAINT "interactions_rating_check"
  CHECK ("rating" IS NULL OR ("kind" = 'rate' AND "rating" BETWEEN 1 AND 5));
-- A time from the client is not in the future and not older than what is kept, so it cannot outweigh the signals of others.
-- lint-ignore constraint-missing-not-valid: the new columns have locked the table already
ALTER TABLE "interactions" ADD CONSTRAINT "interactions_occurred_at_check"
  CHECK ("occurred_at" <= "created_at" AND "occurred_at" > "created_at" - interval '8784 hours');
-- lint-ignore constraint-missing-not-valid: the new columns have locked the table already
ALTER TABLE "interactions" DROP CONSTRAINT "interactions_times_check", ADD CONSTRAINT "interactions_times_check" CHECK (
  "created_at" >= to_timestamp(-62135596800) AND "created_at" < to_timestamp(253402300800) AND
  "occurred_at" >= to_timestamp(-62135596800) AND "occurred_at" < to_timestamp(253402300800));
-- lint-ignore index-not-concurrent: the new columns have locked the table already
CREATE UNIQUE INDEX "interactions_profile_id_event_id_key" ON "interactions"("profile_id", "event_id");

ALTER TABLE "user_profiles" ADD COLUMN "stale_since" TIMESTAMPTZ(6);
-- lint-ignore constraint-missing-not-valid: the new column has locked the table already
ALTER TABLE "user_profiles" DROP CONSTRAINT "user_profiles_times_check", ADD CONSTRAINT "user_profiles_times_check" CHECK (
  "last_active_at" >= to_timestamp(-62135596800) AND "last_active_at" < to_timestamp(253402300800) AND
  "created_at" >= to_timestamp(-62135596800) AND "created_at" < to_timestamp(253402300800) AND
  "updated_at" >= to_timestamp(-62135596800) AND "updated_at" < to_timestamp(253402300800) AND
  "stale_since" >= to_timestamp(-62135596800) AND "stale_since" < to_timestamp(253402300800));
-- The queue of the refresh.
-- lint-ignore index-not-concurrent: the new column has locked the table already
CREATE INDEX "user_profiles_stale_idx" ON "user_profiles" ("stale_since") WHERE "stale_since" IS NOT NULL;

-- CreateTable
CREATE TABLE "items" (
    "id" BIGINT NOT NULL GENERATED ALWAYS AS IDENTITY,
    "item_type" VARCHAR(50) NOT NULL,
    "item_id" VARCHAR(100) NOT NULL,
    "tags" TEXT[] NOT NULL DEFAULT ARRAY[]::TEXT[],
    "locale" VARCHAR(35),
    "is_available" BOOLEAN NOT NULL DEFAULT true,
    "popularity" DECIMAL(100,0) NOT NULL DEFAULT 0,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT database_time(),
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT database_time(),

    CONSTRAINT "items_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "items_item_type_check" CHECK ("item_type" ~ '^[a-z][a-z0-9-]*$'),
    CONSTRAINT "items_item_id_check" CHECK ("item_id" ~ '^[A-Za-z0-9][A-Za-z0-9:._|-]*$'),
    CONSTRAINT "items_tags_check" CHECK (cardinality("tags") <= 50 AND array_position("tags", NULL) IS NULL
      AND octet_length(array_to_string("tags", '')) <= 10000),
    CONSTRAINT "items_locale_check" CHECK ("locale" ~ '^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$'),
    CONSTRAINT "items_popularity_check" CHECK ("popularity" >= 0 AND "popularity" <> 'NaN'),
    CONSTRAINT "items_times_check" CHECK (
      "created_at" >= to_timestamp(-62135596800) AND "created_at" < to_timestamp(253402300800) AND
      "updated_at" >= to_timestamp(-62135596800) AND "updated_at" < to_timestamp(253402300800)
    )
);

-- CreateIndex
CREATE UNIQUE INDEX "items_item_type_item_id_key" ON "items"("item_type", "item_id");
CREATE INDEX "items_popularity_idx" ON "items" ("popularity" DESC, "id") WHERE "is_available";
CREATE INDEX "items_type_popularity_idx" ON "items" ("item_type", "popularity" DESC, "id") WHERE "is_available";
CREATE INDEX "items_tags_idx" ON "items" USING GIN ("tags");

-- CreateTable
CREATE TABLE "profile_items" (
    "profile_id" TEXT NOT NULL,
    "item_id" BIGINT NOT NULL,
    "liked_at" TIMESTAMPTZ(6),
    "strength" SMALLINT NOT NULL DEFAULT 0,
    "disliked_at" TIMESTAMPTZ(6),
    "counted" DECIMAL(100,0) NOT NULL DEFAULT 0,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT database_time(),

    CONSTRAINT "profile_items_pkey" PRIMARY KEY ("profile_id", "item_id"),
    CONSTRAINT "profile_items_signal_check" CHECK (num_nonnulls("liked_at", "disliked_at") > 0),
    CONSTRAINT "profile_items_strength_check" CHECK ("strength" BETWEEN 0 AND 3 AND ("strength" > 0) = ("liked_at" IS NOT NULL)),
    CONSTRAINT "profile_items_counted_check" CHECK ("counted" >= 0 AND "counted" <> 'NaN'),
    CONSTRAINT "profile_items_times_check" CHECK (
      "liked_at" >= to_timestamp(-62135596800) AND "liked_at" < to_timestamp(253402300800) AND
      "disliked_at" >= to_timestamp(-62135596800) AND "disliked_at" < to_timestamp(253402300800) AND
      "created_at" >= to_timestamp(-62135596800) AND "created_at" < to_timestamp(253402300800)
    )
);

-- CreateIndex
CREATE INDEX "profile_items_item_id_idx" ON "profile_items"("item_id");
CREATE INDEX "profile_items_recent_idx" ON "profile_items" ("profile_id", (greatest("liked_at", "disliked_at")) DESC, "item_id");
CREATE INDEX "profile_items_counted_idx" ON "profile_items" ("profile_id") WHERE "counted" > 0;

-- CreateTable
CREATE TABLE "item_pairs" (
    "first_id" BIGINT NOT NULL,
    "second_id" BIGINT NOT NULL,
    "weight" DECIMAL(100,0) NOT NULL,

    CONSTRAINT "item_pairs_pkey" PRIMARY KEY ("first_id", "second_id"),
    CONSTRAINT "item_pairs_order_check" CHECK ("first_id" < "second_id"),
    CONSTRAINT "item_pairs_weight_check" CHECK ("weight" > 0 AND "weight" <> 'NaN')
);

-- CreateIndex
CREATE INDEX "item_pairs_first_id_weight_idx" ON "item_pairs"("first_id", "weight" DESC);
CREATE INDEX "item_pairs_second_id_weight_idx" ON "item_pairs"("second_id", "weight" DESC);

-- AddForeignKey
ALTER TABLE "profile_items" ADD CONSTRAINT "profile_items_profile_id_fkey" FOREIGN KEY ("profile_id") REFERENCES "user_profiles"("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "profile_items" ADD CONSTRAINT "profile_items_item_id_fkey" FOREIGN KEY ("item_id") REFERENCES "items"("id") ON DELETE RESTRICT ON UPDATE CASCADE;
ALTER TABLE "item_pairs" ADD CONSTRAINT "item_pairs_first_id_fkey" FOREIGN KEY ("first_id") REFERENCES "items"("id") ON DELETE RESTRICT ON UPDATE CASCADE;
ALTER TABLE "item_pairs" ADD CONSTRAINT "item_pairs_second_id_fkey" FOREIGN KEY ("second_id") REFERENCES "items"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- Signals -------------------------------------------------------------------------------------------------------------

-- How much an interaction says for its item: 1 to 3, 0 if it speaks against it, and null if it is about no item. A search names words.
CREATE FUNCTION "signal_strength"("p_kind" text, "p_rating" smallint) RETURNS smallint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE p_kind
    WHEN 'view' THEN 1 WHEN 'click' THEN 2 WHEN 'complete' THEN 3 WHEN 'dismiss' THEN 0
    WHEN 'rate' THEN CASE WHEN p_rating <= 2 THEN 0 WHEN p_rating >= 4 THEN 3 ELSE 2 END
  END::smallint
$$;

-- The weight of a signal: its strength in units that double every 90 days from 2020 on. A signal of one day (UTC) has one weight.
CREATE FUNCTION "signal_weight"("p_strength" smallint, "p_at" timestamptz) RETURNS numeric
LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT p_strength * greatest(1, round(1024 * power(2::numeric, (floor(extract(epoch FROM p_at) / 86400) - 18262) / 90)))
$$;

-- What counts of these people for others: the latest 30 items that each likes, unless the person switched personalization off.
CREATE FUNCTION "wanted_counts"("p_profiles" text[]) RETURNS TABLE ("profile_id" text, "item_id" bigint, "counted" numeric)
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT u.id, latest.item_id, signal_weight(latest.strength, latest.liked_at)
  FROM user_profiles AS u CROSS JOIN LATERAL (
    SELECT p.item_id, p.strength, p.liked_at FROM profile_items AS p
    WHERE p.profile_id = u.id AND p.liked_at IS NOT NULL AND (p.disliked_at IS NULL OR p.disliked_at < p.liked_at)
    ORDER BY greatest(p.liked_at, p.disliked_at) DESC, p.item_id LIMIT 30
  ) AS latest
  WHERE u.id = ANY (p_profiles) AND u.personalized
$$;

-- From interactions to the items of a person ---------------------------------------------------------------------------

-- Adds the items that are new to the catalog, in one order, so that two calls with the same new items do not wait for each other.
-- The catalog has only ids that an event may hold; interactions from before that have others are about no item.
CREATE FUNCTION "add_items"("p_types" text[], "p_ids" text[], "p_at" timestamptz) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, public, pg_temp AS $$
  INSERT INTO items (item_type, item_id, created_at, updated_at)
  SELECT DISTINCT n.item_type COLLATE "C", n.item_id COLLATE "C", p_at, p_at
  FROM unnest(p_types, p_ids) AS n (item_type, item_id)
  WHERE n.item_type ~ '^[a-z][a-z0-9-]*$' AND n.item_id ~ '^[A-Za-z0-9][A-Za-z0-9:._|-]*$'
    AND NOT EXISTS (SELECT FROM items AS i WHERE i.item_type = n.item_type AND i.item_id = n.item_id)
  ORDER BY 1, 2
  ON CONFLICT (item_type, item_id) DO NOTHING
$$;

CREATE FUNCTION "learn_interactions"() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  at timestamptz := database_time();
BEGIN
  PERFORM FROM user_profiles WHERE id IN (SELECT profile_id FROM added) ORDER BY id FOR NO KEY UPDATE;
  PERFORM add_items(array_agg(a.item_type::text), array_agg(a.item_id::text), at) FROM added AS a
  WHERE signal_strength(a.kind, a.rating) IS NOT NULL;
  INSERT INTO profile_items AS p (profile_id, item_id, liked_at, strength, disliked_at, created_at)
  SELECT a.profile_id, i.id, max(a.occurred_at) FILTER (WHERE s.strength > 0), max(s.strength),
    max(a.occurred_at) FILTER (WHERE s.strength = 0), at
  FROM added AS a CROSS JOIN LATERAL (SELECT signal_strength(a.kind, a.rating) AS strength) AS s
  JOIN items AS i ON i.item_type = a.item_type AND i.item_id = a.item_id
  WHERE s.strength IS NOT NULL
  GROUP BY a.profile_id, i.id
  ON CONFLICT (profile_id, item_id) DO UPDATE SET liked_at = greatest(p.liked_at, excluded.liked_at),
    strength = greatest(p.strength, excluded.strength), disliked_at = greatest(p.disliked_at, excluded.disliked_at);
  UPDATE user_profiles AS u SET last_active_at = greatest(u.last_active_at, a.last_at), stale_since = coalesce(u.stale_since, at)
  FROM (SELECT profile_id, max(occurred_at) AS last_at FROM added GROUP BY profile_id) AS a WHERE u.id = a.profile_id;
  RETURN NULL;
END
$$;

-- Derives the items of people again from the interactions that are left.
CREATE FUNCTION "relearn_items"("p_profiles" text[], "p_types" text[], "p_ids" text[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  at timestamptz := database_time();
BEGIN
  PERFORM FROM user_profiles WHERE id = ANY (p_profiles) ORDER BY id FOR NO KEY UPDATE;
  PERFORM add_items(p_types, p_ids, at);
  WITH changed AS MATERIALIZED (
    SELECT DISTINCT u.id AS profile_id, i.id AS item_id, i.item_type, i.item_id AS outside_id
    FROM unnest(p_profiles, p_types, p_ids) AS c (profile_id, item_type, item_id)
    JOIN user_profiles AS u ON u.id = c.profile_id
    JOIN items AS i ON i.item_type = c.item_type AND i.item_id = c.item_id
  ), found AS MATERIALIZED (
    SELECT c.profile_id, c.item_id, max(n.occurred_at) FILTER (WHERE s.strength > 0) AS liked_at, max(s.strength) AS strength,
      max(n.occurred_at) FILTER (WHERE s.strength = 0) AS disliked_at
    FROM changed AS c JOIN interactions AS n
      ON n.profile_id = c.profile_id AND n.item_type = c.item_type AND n.item_id = c.outside_id
    CROSS JOIN LATERAL (SELECT signal_strength(n.kind, n.rating) AS strength) AS s
    WHERE s.strength IS NOT NULL
    GROUP BY c.profile_id, c.item_id
  ), kept AS (
    INSERT INTO profile_items (profile_id, item_id, liked_at, strength, disliked_at, created_at)
    SELECT profile_id, item_id, liked_at, strength, disliked_at, at FROM found
    ON CONFLICT (profile_id, item_id) DO UPDATE
      SET liked_at = excluded.liked_at, strength = excluded.strength, disliked_at = excluded.disliked_at
  )
  DELETE FROM profile_items AS p USING changed AS c
  WHERE p.profile_id = c.profile_id AND p.item_id = c.item_id
    AND NOT EXISTS (SELECT FROM found AS f WHERE f.profile_id = c.profile_id AND f.item_id = c.item_id);
  UPDATE user_profiles SET stale_since = coalesce(stale_since, at) WHERE id = ANY (p_profiles);
END
$$;

CREATE FUNCTION "forget_interactions"() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  PERFORM relearn_items(array_agg(profile_id), array_agg(item_type::text), array_agg(item_id::text))
  FROM removed WHERE signal_strength(kind, rating) IS NOT NULL HAVING count(*) > 0;
  RETURN NULL;
END
$$;

CREATE FUNCTION "change_interactions"() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  PERFORM relearn_items(array_agg(profile_id), array_agg(item_type::text), array_agg(item_id::text))
  FROM (SELECT profile_id, item_type, item_id, kind, rating FROM removed
    UNION ALL SELECT profile_id, item_type, item_id, kind, rating FROM added) AS changed
  WHERE signal_strength(kind, rating) IS NOT NULL HAVING count(*) > 0;
  RETURN NULL;
END
$$;

CREATE FUNCTION "forget_all_interactions"() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  DELETE FROM profile_items;
  RETURN NULL;
END
$$;

CREATE TRIGGER "interactions_learn" AFTER INSERT ON "interactions" REFERENCING NEW TABLE AS "added"
  FOR EACH STATEMENT EXECUTE FUNCTION "learn_interactions"();
CREATE TRIGGER "interactions_change" AFTER UPDATE ON "interactions" REFERENCING OLD TABLE AS "removed" NEW TABLE AS "added"
  FOR EACH STATEMENT EXECUTE FUNCTION "change_interactions"();
CREATE TRIGGER "interactions_forget" AFTER DELETE ON "interactions" REFERENCING OLD TABLE AS "removed"
  FOR EACH STATEMENT EXECUTE FUNCTION "forget_interactions"();
CREATE TRIGGER "interactions_forget_all" AFTER TRUNCATE ON "interactions"
  FOR EACH STATEMENT EXECUTE FUNCTION "forget_all_interactions"();

-- From the items of people to popularity and pairs ---------------------------------------------------------------------

-- Two items are a pair with the smaller of the two weights that they have for a person; the sum over all people is the weight of the
-- pair. One transaction at a time changes the sums, after it has locked the profiles: so no two wait for each other.
-- A generic plan would expect few changes and compare each with every other.
CREATE FUNCTION "count_items"() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp SET plan_cache_mode = force_custom_plan AS $$
DECLARE
  profiles text[];
  changed_items bigint[];
  before numeric[];
  after numeric[];
  firsts bigint[];
  seconds bigint[];
  changes numeric[];
BEGIN
  IF TG_OP = 'INSERT' THEN
    SELECT array_agg(l.profile_id), array_agg(l.item_id), array_agg(0::numeric), array_agg(l.counted)
    INTO profiles, changed_items, before, after FROM later AS l WHERE l.counted > 0;
  ELSIF TG_OP = 'DELETE' THEN
    SELECT array_agg(e.profile_id), array_agg(e.item_id), array_agg(e.counted), array_agg(0::numeric)
    INTO profiles, changed_items, before, after FROM earlier AS e WHERE e.counted > 0;
  ELSE
    SELECT array_agg(coalesce(e.profile_id, l.profile_id)), array_agg(coalesce(e.item_id, l.item_id)),
      array_agg(coalesce(e.counted, 0)), array_agg(coalesce(l.counted, 0))
    INTO profiles, changed_items, before, after
    FROM earlier AS e FULL JOIN later AS l ON l.profile_id = e.profile_id AND l.item_id = e.item_id
    WHERE coalesce(e.counted, 0) <> coalesce(l.counted, 0);
  END IF;
  IF profiles IS NULL THEN
    RETURN NULL;
  END IF;
  PERFORM FROM user_profiles WHERE id = ANY (profiles) ORDER BY id FOR NO KEY UPDATE;
  PERFORM pg_advisory_xact_lock(hashtextextended('nexus.item_pairs', 0));

  PERFORM FROM items WHERE id = ANY (changed_items) ORDER BY id FOR NO KEY UPDATE;
  UPDATE items AS i SET popularity = i.popularity + t.change
  FROM (SELECT c.item_id, sum(c.after - c.before) AS change FROM unnest(changed_items, before, after) AS c (item_id, before, after)
    GROUP BY c.item_id) AS t
  WHERE i.id = t.item_id AND t.change <> 0;

  WITH changed AS MATERIALIZED (
    SELECT c.profile_id, c.item_id, c.before, c.after
    FROM unnest(profiles, changed_items, before, after) AS c (profile_id, item_id, before, after)
  ), others AS MATERIALIZED (
    SELECT p.profile_id, p.item_id, p.counted FROM profile_items AS p
    WHERE p.counted > 0 AND p.profile_id = ANY (profiles)
      AND NOT EXISTS (SELECT FROM changed AS c WHERE c.profile_id = p.profile_id AND c.item_id = p.item_id)
  ), deltas AS (
    SELECT d.first_id, d.second_id, sum(d.change) AS change
    FROM (
      SELECT a.item_id AS first_id, b.item_id AS second_id, least(a.after, b.after) - least(a.before, b.before) AS change
      FROM changed AS a JOIN changed AS b ON b.profile_id = a.profile_id AND b.item_id > a.item_id
      UNION ALL
      SELECT least(a.item_id, o.item_id), greatest(a.item_id, o.item_id), least(a.after, o.counted) - least(a.before, o.counted)
      FROM changed AS a JOIN others AS o ON o.profile_id = a.profile_id
    ) AS d
    GROUP BY d.first_id, d.second_id HAVING sum(d.change) <> 0
  )
  SELECT array_agg(first_id), array_agg(second_id), array_agg(change) INTO firsts, seconds, changes FROM deltas;
  INSERT INTO item_pairs AS p (first_id, second_id, weight)
  SELECT d.first_id, d.second_id, d.change FROM unnest(firsts, seconds, changes) AS d (first_id, second_id, change) WHERE d.change > 0
  ON CONFLICT (first_id, second_id) DO UPDATE SET weight = p.weight + excluded.weight;
  DELETE FROM item_pairs AS p USING unnest(firsts, seconds, changes) AS d (first_id, second_id, change)
  WHERE d.change < 0 AND p.first_id = d.first_id AND p.second_id = d.second_id AND p.weight + d.change = 0;
  UPDATE item_pairs AS p SET weight = p.weight + d.change FROM unnest(firsts, seconds, changes) AS d (first_id, second_id, change)
  WHERE d.change < 0 AND p.first_id = d.first_id AND p.second_id = d.second_id;
  RETURN NULL;
END
$$;

CREATE FUNCTION "forget_pairs"() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  DELETE FROM item_pairs;
  UPDATE items SET popularity = 0 WHERE popularity <> 0;
  RETURN NULL;
END
$$;

CREATE TRIGGER "profile_items_count_added" AFTER INSERT ON "profile_items" REFERENCING NEW TABLE AS "later"
  FOR EACH STATEMENT EXECUTE FUNCTION "count_items"();
CREATE TRIGGER "profile_items_count_changed" AFTER UPDATE ON "profile_items" REFERENCING OLD TABLE AS "earlier" NEW TABLE AS "later"
  FOR EACH STATEMENT EXECUTE FUNCTION "count_items"();
CREATE TRIGGER "profile_items_count_removed" AFTER DELETE ON "profile_items" REFERENCING OLD TABLE AS "earlier"
  FOR EACH STATEMENT EXECUTE FUNCTION "count_items"();
CREATE TRIGGER "profile_items_forget_pairs" AFTER TRUNCATE ON "profile_items"
  FOR EACH STATEMENT EXECUTE FUNCTION "forget_pairs"();

-- Recommendations -----------------------------------------------------------------------------------------------------

-- pending → shown → accepted or dismissed; an open one may be answered without having been reported as shown, or expire.
CREATE FUNCTION "check_recommendation_change"() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF NOT (OLD.status = 'pending' OR (OLD.status = 'shown' AND NEW.status <> 'pending')) THEN
    PERFORM refuse('illegal_transition', jsonb_build_object('recommendationId', OLD.id, 'from', OLD.status, 'to', NEW.status));
  END IF;
  RETURN NEW;
END
$$;
CREATE TRIGGER "recommendations_transition" BEFORE UPDATE ON "recommendations" FOR EACH ROW
  WHEN (OLD."status" <> NEW."status") EXECUTE FUNCTION "check_recommendation_change"();

-- What the sweep has to expire.
-- lint-ignore index-not-concurrent: the new trigger has locked the table already
CREATE INDEX "recommendations_expiry_idx" ON "recommendations" ("expires_at") WHERE "status" IN ('pending', 'shown');

-- The rows that exist --------------------------------------------------------------------------------------------------

SELECT add_items(array_agg("item_type"::text), array_agg("item_id"::text), database_time())
FROM (SELECT DISTINCT "item_type", "item_id" FROM "interactions" WHERE signal_strength("kind", "rating") IS NOT NULL) AS used;
INSERT INTO "profile_items" ("profile_id", "item_id", "liked_at", "strength", "disliked_at")
SELECT n."profile_id", i."id", max(n."occurred_at") FILTER (WHERE s.strength > 0), max(s.strength),
  max(n."occurred_at") FILTER (WHERE s.strength = 0)
FROM "interactions" AS n CROSS JOIN LATERAL (SELECT signal_strength(n."kind", n."rating") AS strength) AS s
JOIN "items" AS i ON i."item_type" = n."item_type" AND i."item_id" = n."item_id"
WHERE s.strength IS NOT NULL
GROUP BY n."profile_id", i."id";
UPDATE "user_profiles" AS u SET "stale_since" = database_time()
WHERE EXISTS (SELECT FROM "profile_items" AS p WHERE p."profile_id" = u."id");
