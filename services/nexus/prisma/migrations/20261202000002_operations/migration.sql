-- Why: the app role only reads the tables of the recommender. These functions make every change, and take their locks in one order,
-- so that no two of them deadlock: profiles, by id; items, by id; the lock of the pairs.
-- Locks: none: the functions are new.
-- Runs again: no, once per database; inside one transaction.

SET LOCAL lock_timeout = '5s';

-- Topics are words: upper and lower case are the same, and a word that is named twice counts once.
CREATE FUNCTION "topics_of"("p_words" jsonb) RETURNS text[]
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT ARRAY(SELECT DISTINCT lower(btrim(word)) FROM jsonb_array_elements_text(p_words) AS w (word) ORDER BY 1)
$$;

-- Writes an entry of the audit log in the transaction of the change.
CREATE FUNCTION "log_change"("p_id" text, "p_user" text, "p_action" text, "p_resource" text, "p_resource_id" text, "p_details" jsonb,
  "p_at" timestamptz) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, public, pg_temp AS $$
  INSERT INTO audit_logs (id, user_id, action, resource_type, resource_id, details, created_at)
  VALUES (p_id, p_user, p_action, p_resource, p_resource_id, p_details, p_at)
$$;

-- Profiles -----------------------------------------------------------------------------------------------------------

-- Makes the profiles that are missing and locks all of them. A profile is an object with a userId and the id of a new profile.
CREATE FUNCTION "lock_profiles"("p_profiles" jsonb, "p_at" timestamptz) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  users text[] := ARRAY(SELECT DISTINCT n."userId" FROM jsonb_to_recordset(p_profiles) AS n ("userId" text));
  locked integer := -1;
BEGIN
  -- A profile that was erased while this waited for its lock is made again.
  WHILE locked < cardinality(users) LOOP
    INSERT INTO user_profiles (id, user_id, created_at, updated_at)
    SELECT n.id, n."userId", p_at, p_at FROM jsonb_to_recordset(p_profiles) AS n (id text, "userId" text)
    WHERE NOT EXISTS (SELECT FROM user_profiles AS u WHERE u.user_id = n."userId")
    ORDER BY n."userId" COLLATE "C"
    ON CONFLICT (user_id) DO NOTHING;
    PERFORM FROM user_profiles WHERE user_id = ANY (users) ORDER BY id FOR NO KEY UPDATE;
    GET DIAGNOSTICS locked = ROW_COUNT;
  END LOOP;
END
$$;

-- Sets what counts of these people for others; the profiles are locked.
CREATE FUNCTION "count_profiles"("p_profiles" text[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp SET plan_cache_mode = force_custom_plan AS $$
BEGIN
  UPDATE profile_items AS p SET counted = n.counted
  FROM (
    SELECT profile_id, item_id, coalesce(w.counted, 0) AS counted
    FROM (SELECT c.profile_id, c.item_id, c.counted FROM profile_items AS c WHERE c.profile_id = ANY (p_profiles) AND c.counted > 0) AS c
    FULL JOIN wanted_counts(p_profiles) AS w USING (profile_id, item_id)
    WHERE c.counted IS DISTINCT FROM w.counted
  ) AS n
  WHERE p.profile_id = n.profile_id AND p.item_id = n.item_id;
  UPDATE user_profiles AS u SET stale_since = NULL, behavior = CASE WHEN u.personalized THEN b.behavior ELSE '{}' END
  FROM unnest(p_profiles) AS asked (id) CROSS JOIN LATERAL (
    SELECT jsonb_build_object(
      'kinds', (SELECT coalesce(jsonb_object_agg(kind, number), '{}') FROM
        (SELECT kind, count(*) AS number FROM interactions WHERE profile_id = asked.id GROUP BY 1) AS by_kind),
      'itemTypes', (SELECT coalesce(jsonb_object_agg(item_type, number), '{}') FROM
        (SELECT item_type, count(*) AS number FROM interactions WHERE profile_id = asked.id GROUP BY 1) AS by_type),
      'hours', (SELECT coalesce(jsonb_object_agg(hour, number), '{}') FROM
        (SELECT extract(hour FROM occurred_at AT TIME ZONE 'UTC')::int AS hour, count(*) AS number
          FROM interactions WHERE profile_id = asked.id GROUP BY 1) AS by_hour)) AS behavior
  ) AS b
  WHERE u.id = asked.id;
END
$$;

-- Counts the profiles that changed first, at most so many of those that no other call has. Returns their number.
CREATE FUNCTION "refresh_profiles"("p_limit" integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  profiles text[] := ARRAY(SELECT id FROM user_profiles WHERE stale_since IS NOT NULL
    ORDER BY stale_since, id LIMIT least(p_limit, 1000) FOR NO KEY UPDATE SKIP LOCKED);
BEGIN
  PERFORM count_profiles(profiles);
  RETURN cardinality(profiles);
END
$$;

-- Makes a profile, or changes the named fields of one. Keys of the preferences are set one by one; null removes a key.
-- A person who switches personalization off counts for nobody from this moment on.
CREATE FUNCTION "save_profile"("p_id" text, "p_user" text, "p_changes" jsonb, "p_audit" text) RETURNS "user_profiles"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  at timestamptz := database_time();
  before user_profiles;
  after user_profiles;
  fields text[];
BEGIN
  PERFORM lock_profiles(jsonb_build_array(jsonb_build_object('id', p_id, 'userId', p_user)), at);
  SELECT * INTO before FROM user_profiles WHERE user_id = p_user;
  after := before;
  IF p_changes ? 'interests' THEN
    after.interests := topics_of(p_changes -> 'interests');
  END IF;
  IF p_changes ? 'preferences' THEN
    after.preferences := (SELECT coalesce(jsonb_object_agg(key, value), '{}')
      FROM jsonb_each(before.preferences || (p_changes -> 'preferences'))
      WHERE p_changes -> 'preferences' -> key IS DISTINCT FROM 'null');
    IF octet_length(after.preferences::text) > 16384 THEN
      PERFORM refuse('preferences_too_long', jsonb_build_object('userId', p_user));
    END IF;
  END IF;
  after.locale := coalesce(p_changes ->> 'locale', before.locale);
  after.personalized := coalesce((p_changes ->> 'personalized')::boolean, before.personalized);
  fields := array_remove(ARRAY[
    CASE WHEN after.interests <> before.interests THEN 'interests' END,
    CASE WHEN after.preferences <> before.preferences THEN 'preferences' END,
    CASE WHEN after.locale <> before.locale THEN 'locale' END,
    CASE WHEN after.personalized <> before.personalized THEN 'personalized' END], NULL);
  IF before.id <> p_id AND fields = '{}' THEN
    RETURN before;
  END IF;
  UPDATE user_profiles SET interests = after.interests, preferences = after.preferences, locale = after.locale,
    personalized = after.personalized, updated_at = at
  WHERE id = before.id;
  PERFORM log_change(p_audit, p_user, 'profile.saved', 'user-profile', before.id, jsonb_build_object('fields', fields), at);
  IF 'personalized' = ANY (fields) THEN
    PERFORM count_profiles(ARRAY[before.id]);
  END IF;
  SELECT * INTO after FROM user_profiles WHERE id = before.id;
  RETURN after;
END
$$;

-- Items and interactions ----------------------------------------------------------------------------------------------

-- Describes items: the fields that are absent keep their values. Returns how many items were described.
CREATE FUNCTION "save_items"("p_items" jsonb) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  at timestamptz := database_time();
  described integer;
BEGIN
  PERFORM add_items(array_agg(n."itemType"), array_agg(n."itemId"), at)
  FROM jsonb_to_recordset(p_items) AS n ("itemType" text, "itemId" text);
  PERFORM FROM items AS i JOIN jsonb_to_recordset(p_items) AS n ("itemType" text, "itemId" text)
    ON i.item_type = n."itemType" AND i.item_id = n."itemId" ORDER BY i.id FOR NO KEY UPDATE OF i;
  UPDATE items AS i SET
    tags = CASE WHEN n.item ? 'tags' THEN topics_of(n.item -> 'tags') ELSE i.tags END,
    locale = CASE WHEN n.item ? 'locale' THEN n.item ->> 'locale' ELSE i.locale END,
    is_available = coalesce((n.item ->> 'isAvailable')::boolean, i.is_available), updated_at = at
  FROM jsonb_array_elements(p_items) AS n (item)
  WHERE i.item_type = n.item ->> 'itemType' AND i.item_id = n.item ->> 'itemId';
  GET DIAGNOSTICS described = ROW_COUNT;
  RETURN described;
END
$$;

-- Records interactions, each event of a person once, and makes the profiles that are missing. A time up to 5 minutes in the future is
-- that of a fast clock and counts as now.
CREATE FUNCTION "track_interactions"("p_profiles" jsonb, "p_interactions" jsonb, OUT "recorded" integer, OUT "repeated" integer)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  at timestamptz;
  reused text;
BEGIN
  PERFORM lock_profiles(p_profiles, database_time());
  at := database_time();
  SELECT n."eventId" INTO reused FROM jsonb_to_recordset(p_interactions) AS n ("eventId" text, "occurredAt" timestamptz)
  WHERE n."occurredAt" > at + interval '5 minutes' OR n."occurredAt" <= at - interval '365 days' LIMIT 1;
  IF FOUND THEN
    PERFORM refuse('occurred_at_outside', jsonb_build_object('eventId', reused));
  END IF;
  SELECT n."eventId" INTO reused FROM jsonb_to_recordset(p_interactions) AS n ("userId" text, "eventId" text)
  WHERE n."eventId" IS NULL OR NOT EXISTS (SELECT FROM jsonb_to_recordset(p_profiles) AS p ("userId" text) WHERE p."userId" = n."userId")
  LIMIT 1;
  IF FOUND THEN
    PERFORM refuse('event_incomplete', jsonb_build_object('eventId', reused));
  END IF;

  INSERT INTO interactions (id, profile_id, event_id, kind, item_type, item_id, duration_ms, rating, context, occurred_at, created_at)
  SELECT n.id, u.id, n."eventId", n.kind, n."itemType", n."itemId", n."durationMs", n.rating, n.context,
    least(coalesce(n."occurredAt", at), at), at
  FROM jsonb_to_recordset(p_interactions) AS n (id text, "userId" text, "eventId" text, kind text, "itemType" text, "itemId" text,
    "durationMs" integer, rating smallint, context jsonb, "occurredAt" timestamptz)
  JOIN user_profiles AS u ON u.user_id = n."userId"
  ON CONFLICT (profile_id, event_id) DO NOTHING;
  GET DIAGNOSTICS recorded = ROW_COUNT;
  repeated := jsonb_array_length(p_interactions) - recorded;
  IF repeated > 0 THEN
    SELECT n."eventId" INTO reused
    FROM jsonb_to_recordset(p_interactions) AS n ("userId" text, "eventId" text, kind text, "itemType" text, "itemId" text,
      "durationMs" integer, rating smallint, context jsonb)
    JOIN user_profiles AS u ON u.user_id = n."userId"
    JOIN interactions AS i ON i.profile_id = u.id AND i.event_id = n."eventId"
    WHERE (i.kind::text, i.item_type::text, i.item_id::text, i.duration_ms, i.rating, i.context)
      IS DISTINCT FROM (n.kind, n."itemType", n."itemId", n."durationMs", n.rating, n.context)
    LIMIT 1;
    IF FOUND THEN
      PERFORM refuse('event_reused', jsonb_build_object('eventId', reused));
    END IF;
  END IF;
END
$$;

-- Recommendations -----------------------------------------------------------------------------------------------------

-- Ranks items for a person and stores the best, each with its score, its reason and its basis. Items that the person has used or
-- rejected are left out, and so are items that do not fit the context or the language of the person. In this order come:
-- - score 0.5 to 1: items that others use together with the latest 20 items of the person. The similarity of two items is the weight of
--   their pair over the root of the product of their popularities (cosine), damped by three fresh signals, so that a single person
--   proves little. An item that the person rejected counts against items that are like it.
-- - score 0.25 to 0.5: popular items with a tag that is an interest of the person.
-- - score 0 to 0.25: popular items. A person without personalization gets only these.
-- An item that is open to the person already gets the new score and reason and keeps its id and its status.
CREATE FUNCTION "recommend_items"("p_profile" text, "p_user" text, "p_ids" text[], "p_context" jsonb, "p_expires_in" interval)
RETURNS SETOF "recommendations"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp SET plan_cache_mode = force_custom_plan AS $$
DECLARE
  at timestamptz := database_time();
  wanted integer := least(cardinality(p_ids), 100);
  types text[] := CASE WHEN p_context ? 'itemTypes' THEN ARRAY(SELECT jsonb_array_elements_text(p_context -> 'itemTypes')) END;
  topics text[] := CASE WHEN p_context ? 'tags' THEN topics_of(p_context -> 'tags') ELSE '{}' END;
  profile user_profiles;
  language text;
  damping float8 := 3 * signal_weight(1::smallint, at)::float8;
  most numeric := (SELECT max(popularity) FROM items WHERE is_available);
BEGIN
  PERFORM lock_profiles(jsonb_build_array(jsonb_build_object('id', p_profile, 'userId', p_user)), at);
  SELECT * INTO profile FROM user_profiles WHERE user_id = p_user;
  language := lower(split_part(profile.locale, '-', 1));
  UPDATE recommendations SET status = 'expired', updated_at = at
  WHERE profile_id = profile.id AND status IN ('pending', 'shown') AND expires_at <= at;
  RETURN QUERY
  WITH seeds AS MATERIALIZED (
    SELECT p.item_id, i.item_type, i.item_id AS outside_id, sqrt(i.popularity::float8) AS root,
      power(2, -extract(epoch FROM at - greatest(p.liked_at, p.disliked_at))::float8 / 7776000)
        * CASE WHEN p.liked_at > p.disliked_at OR p.disliked_at IS NULL THEN p.strength ELSE -2 END AS weight
    FROM profile_items AS p JOIN items AS i ON i.id = p.item_id
    WHERE p.profile_id = profile.id AND profile.personalized
    ORDER BY greatest(p.liked_at, p.disliked_at) DESC, p.item_id LIMIT 20
  ), contributions AS (
    SELECT near.id, s.item_type, s.outside_id,
      s.weight * near.weight::float8 / (s.root * sqrt(near.popularity::float8) + damping) AS part
    FROM seeds AS s CROSS JOIN LATERAL (
      (SELECT i.id, i.popularity, p.weight FROM item_pairs AS p JOIN items AS i ON i.id = p.second_id
        WHERE p.first_id = s.item_id AND i.is_available AND (types IS NULL OR i.item_type = ANY (types)) AND i.tags @> topics
          AND (i.locale IS NULL OR lower(split_part(i.locale, '-', 1)) = language)
          AND NOT EXISTS (SELECT FROM profile_items AS seen WHERE seen.profile_id = profile.id AND seen.item_id = i.id)
        ORDER BY p.weight DESC LIMIT 100)
      UNION ALL
      (SELECT i.id, i.popularity, p.weight FROM item_pairs AS p JOIN items AS i ON i.id = p.first_id
        WHERE p.second_id = s.item_id AND i.is_available AND (types IS NULL OR i.item_type = ANY (types)) AND i.tags @> topics
          AND (i.locale IS NULL OR lower(split_part(i.locale, '-', 1)) = language)
          AND NOT EXISTS (SELECT FROM profile_items AS seen WHERE seen.profile_id = profile.id AND seen.item_id = i.id)
        ORDER BY p.weight DESC LIMIT 100)
    ) AS near
  ), related AS (
    SELECT c.id, 0.5 + 0.5 * least(1, sum(c.part) / (SELECT sum(weight) FROM seeds WHERE weight > 0)) AS score,
      'co-occurrence' AS source, (array_agg(c.item_type ORDER BY c.part DESC, c.outside_id))[1] AS based_type,
      (array_agg(c.outside_id ORDER BY c.part DESC, c.outside_id))[1] AS based_id
    FROM contributions AS c GROUP BY c.id HAVING sum(c.part) > 0
    ORDER BY sum(c.part) DESC, c.id LIMIT wanted
  ), interesting AS (
    SELECT i.id, 0.25 + 0.25 * coalesce((i.popularity / nullif(most, 0))::float8, 0) AS score, 'interests' AS source,
      'tag' AS based_type, (SELECT min(tag) FROM unnest(i.tags) AS t (tag) WHERE tag = ANY (profile.interests)) AS based_id
    FROM items AS i
    WHERE profile.personalized AND profile.interests <> '{}' AND i.tags && profile.interests
      AND i.is_available AND (types IS NULL OR i.item_type = ANY (types)) AND i.tags @> topics
      AND (i.locale IS NULL OR lower(split_part(i.locale, '-', 1)) = language)
      AND NOT EXISTS (SELECT FROM profile_items AS seen WHERE seen.profile_id = profile.id AND seen.item_id = i.id)
    ORDER BY i.popularity DESC, i.id LIMIT wanted
  ), popular AS (
    SELECT i.id, 0.25 * coalesce((i.popularity / nullif(most, 0))::float8, 0) AS score, 'popularity' AS source,
      NULL::text AS based_type, NULL::text AS based_id
    FROM items AS i
    WHERE i.is_available AND (types IS NULL OR i.item_type = ANY (types)) AND i.tags @> topics
      AND (i.locale IS NULL OR lower(split_part(i.locale, '-', 1)) = language)
      AND NOT EXISTS (SELECT FROM profile_items AS seen WHERE seen.profile_id = profile.id AND seen.item_id = i.id)
    ORDER BY i.popularity DESC, i.id LIMIT wanted
  ), best AS (
    SELECT DISTINCT ON (a.id) a.* FROM (TABLE related UNION ALL TABLE interesting UNION ALL TABLE popular) AS a ORDER BY a.id, a.score DESC
  ), ranked AS (
    SELECT b.*, row_number() OVER (ORDER BY b.score DESC, b.id) AS place FROM best AS b
  ), stored AS (
    INSERT INTO recommendations AS r (id, profile_id, item_type, item_id, score, reason, context, source, expires_at, created_at, updated_at)
    SELECT p_ids[b.place], profile.id, i.item_type, i.item_id, b.score,
      CASE b.source
        WHEN 'co-occurrence' THEN format('People who chose the %s %s also chose this.', b.based_type, b.based_id)
        WHEN 'interests' THEN format('It is popular and matches your interest in %s.', b.based_id)
        ELSE 'It is popular at the moment.' END,
      p_context || CASE b.source
        WHEN 'co-occurrence' THEN jsonb_build_object('basedOn', jsonb_build_object('itemType', b.based_type, 'itemId', b.based_id))
        WHEN 'interests' THEN jsonb_build_object('basedOn', jsonb_build_object('interest', b.based_id)) ELSE '{}' END,
      b.source, at + p_expires_in, at, at
    FROM ranked AS b JOIN items AS i ON i.id = b.id WHERE b.place <= wanted
    ON CONFLICT (profile_id, item_type, item_id) WHERE status IN ('pending', 'shown') DO UPDATE
      SET score = excluded.score, reason = excluded.reason, context = excluded.context, source = excluded.source,
        expires_at = excluded.expires_at, updated_at = excluded.updated_at
    RETURNING r.*
  )
  SELECT s.* FROM stored AS s ORDER BY s.score DESC, s.item_type, s.item_id;
END
$$;

-- The available items that people use together with an item, the most similar first, with the similarity of recommend_items.
CREATE FUNCTION "similar_items"("p_type" text, "p_id" text, "p_types" text[], "p_limit" integer)
RETURNS TABLE ("item_type" text, "item_id" text, "similarity" float8)
LANGUAGE sql VOLATILE SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT near.item_type, near.item_id, near.weight::float8
    / (sqrt(of.popularity::float8) * sqrt(near.popularity::float8) + 3 * signal_weight(1::smallint, database_time())::float8) AS similarity
  FROM items AS of CROSS JOIN LATERAL (
    (SELECT i.item_type, i.item_id, i.popularity, p.weight FROM item_pairs AS p JOIN items AS i ON i.id = p.second_id
      WHERE p.first_id = of.id AND i.is_available AND (p_types IS NULL OR i.item_type = ANY (p_types)) ORDER BY p.weight DESC LIMIT 300)
    UNION ALL
    (SELECT i.item_type, i.item_id, i.popularity, p.weight FROM item_pairs AS p JOIN items AS i ON i.id = p.first_id
      WHERE p.second_id = of.id AND i.is_available AND (p_types IS NULL OR i.item_type = ANY (p_types)) ORDER BY p.weight DESC LIMIT 300)
  ) AS near
  WHERE of.item_type = p_type AND of.item_id = p_id
  ORDER BY similarity DESC, near.item_type, near.item_id LIMIT p_limit
$$;

-- Marks recommendations of a person as shown, and returns them; those that were shown or answered before stay as they are.
CREATE FUNCTION "show_recommendations"("p_user" text, "p_ids" text[]) RETURNS SETOF "recommendations"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  at timestamptz;
  profile user_profiles;
  unknown text;
BEGIN
  SELECT * INTO profile FROM user_profiles WHERE user_id = p_user FOR NO KEY UPDATE;
  at := database_time();
  SELECT asked.id INTO unknown FROM unnest(p_ids) AS asked (id)
  WHERE NOT EXISTS (SELECT FROM recommendations AS r WHERE r.id = asked.id AND r.profile_id = profile.id) LIMIT 1;
  IF FOUND THEN
    PERFORM refuse('recommendation_not_found', jsonb_build_object('recommendationId', unknown));
  END IF;
  UPDATE recommendations SET status = 'shown', shown_at = at, updated_at = at
  WHERE id = ANY (p_ids) AND status = 'pending' AND (expires_at IS NULL OR expires_at > at);
  RETURN QUERY SELECT r.* FROM recommendations AS r WHERE r.id = ANY (p_ids) ORDER BY r.score DESC, r.item_type, r.item_id;
END
$$;

-- Records the answer to a recommendation as what it says about the item: an accepted item was chosen, a dismissed one is unwanted.
CREATE FUNCTION "answer_recommendation"("p_user" text, "p_id" text, "p_status" "recommendation_status", "p_interaction" text)
RETURNS "recommendations"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  at timestamptz;
  profile user_profiles;
  answered recommendations;
BEGIN
  SELECT * INTO profile FROM user_profiles WHERE user_id = p_user FOR NO KEY UPDATE;
  at := database_time();
  SELECT * INTO answered FROM recommendations WHERE id = p_id AND profile_id = profile.id FOR UPDATE;
  IF NOT FOUND THEN
    PERFORM refuse('recommendation_not_found', jsonb_build_object('recommendationId', p_id));
  END IF;
  IF p_status IS NULL OR p_status NOT IN ('accepted', 'dismissed') THEN
    PERFORM refuse('illegal_transition', jsonb_build_object('recommendationId', p_id, 'from', answered.status, 'to', p_status));
  END IF;
  IF answered.status = p_status THEN
    RETURN answered;
  END IF;
  IF answered.status IN ('pending', 'shown') AND answered.expires_at <= at THEN
    PERFORM refuse('illegal_transition', jsonb_build_object('recommendationId', p_id, 'from', 'expired', 'to', p_status));
  END IF;
  UPDATE recommendations SET status = p_status, shown_at = coalesce(shown_at, at), answered_at = at, updated_at = at
  WHERE id = p_id RETURNING * INTO answered;
  INSERT INTO interactions (id, profile_id, kind, item_type, item_id, context, occurred_at, created_at)
  VALUES (p_interaction, profile.id, CASE p_status WHEN 'accepted' THEN 'click' ELSE 'dismiss' END, answered.item_type,
    answered.item_id, jsonb_build_object('recommendationId', p_id), at, at);
  RETURN answered;
END
$$;

-- Expires open recommendations whose time has passed, at most so many. Returns their number.
CREATE FUNCTION "expire_recommendations"("p_limit" integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  at timestamptz := database_time();
  expired integer;
BEGIN
  UPDATE recommendations SET status = 'expired', updated_at = at
  WHERE id IN (SELECT id FROM recommendations WHERE status IN ('pending', 'shown') AND expires_at <= at
    ORDER BY expires_at LIMIT p_limit FOR UPDATE SKIP LOCKED);
  GET DIAGNOSTICS expired = ROW_COUNT;
  RETURN expired;
END
$$;

-- Retention and persons -----------------------------------------------------------------------------------------------

-- Deletes interactions and closed recommendations that are older than a year, at most so many of each.
CREATE FUNCTION "prune_history"("p_limit" integer, OUT "interactions" integer, OUT "recommendations" integer)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  at timestamptz := database_time();
  old text[] := ARRAY(SELECT n.id FROM interactions AS n WHERE n.created_at < at - interval '365 days' ORDER BY n.created_at LIMIT p_limit);
BEGIN
  PERFORM FROM user_profiles WHERE id IN (SELECT n.profile_id FROM interactions AS n WHERE n.id = ANY (old)) ORDER BY id FOR NO KEY UPDATE;
  DELETE FROM interactions AS n WHERE n.id = ANY (old);
  GET DIAGNOSTICS interactions = ROW_COUNT;
  DELETE FROM recommendations AS r WHERE r.id IN (SELECT o.id FROM recommendations AS o
    WHERE o.created_at < at - interval '365 days' AND o.status NOT IN ('pending', 'shown') ORDER BY o.created_at LIMIT p_limit FOR UPDATE SKIP LOCKED);
  GET DIAGNOSTICS recommendations = ROW_COUNT;
END
$$;

CREATE FUNCTION "export_person"("p_user" text) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp SET timezone = 'UTC' AS $$
  SELECT jsonb_build_object(
    'profiles', (SELECT coalesce(jsonb_agg(to_jsonb(u) - 'stale_since'), '[]') FROM user_profiles AS u WHERE u.user_id = p_user),
    'interactions', (SELECT coalesce(jsonb_agg(to_jsonb(n) ORDER BY n.created_at, n.id), '[]') FROM interactions AS n
      JOIN user_profiles AS u ON u.id = n.profile_id WHERE u.user_id = p_user),
    'items', (SELECT coalesce(jsonb_agg(jsonb_build_object('item_type', i.item_type, 'item_id', i.item_id, 'liked_at', p.liked_at,
        'strength', p.strength, 'disliked_at', p.disliked_at) ORDER BY i.item_type, i.item_id), '[]')
      FROM profile_items AS p JOIN items AS i ON i.id = p.item_id JOIN user_profiles AS u ON u.id = p.profile_id WHERE u.user_id = p_user),
    'recommendations', (SELECT coalesce(jsonb_agg(to_jsonb(r) ORDER BY r.created_at, r.id), '[]') FROM recommendations AS r
      JOIN user_profiles AS u ON u.id = r.profile_id WHERE u.user_id = p_user),
    'auditLogs', (SELECT coalesce(jsonb_agg(to_jsonb(l) ORDER BY l.created_at, l.id), '[]') FROM audit_logs AS l WHERE l.user_id = p_user))
$$;

-- Deletes everything about a person, with its part in the popularity of items and in the pairs. The person as an item that others see,
-- such as a member, is recommended to nobody any more. The audit log stays, for security.
CREATE FUNCTION "erase_person"("p_user" text, "p_audit" text) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  at timestamptz;
  profile user_profiles;
  counts jsonb := '{"profiles": 0, "interactions": 0, "recommendations": 0}';
BEGIN
  SELECT * INTO profile FROM user_profiles WHERE user_id = p_user FOR UPDATE;
  at := database_time();
  IF FOUND THEN
    counts := jsonb_build_object('profiles', 1,
      'interactions', (SELECT count(*) FROM interactions WHERE profile_id = profile.id),
      'recommendations', (SELECT count(*) FROM recommendations WHERE profile_id = profile.id));
    DELETE FROM user_profiles WHERE id = profile.id;
    PERFORM log_change(p_audit, p_user, 'profile.erased', 'user-profile', profile.id, '{}', at);
  END IF;
  UPDATE items SET is_available = false, tags = '{}', locale = NULL, updated_at = at
  WHERE item_type IN ('member', 'user') AND item_id = p_user AND is_available;
  UPDATE recommendations SET status = 'expired', updated_at = at
  WHERE item_type IN ('member', 'user') AND item_id = p_user AND status IN ('pending', 'shown');
  RETURN counts || jsonb_build_object('retained', (SELECT count(*) FROM audit_logs WHERE user_id = p_user));
END
$$;
