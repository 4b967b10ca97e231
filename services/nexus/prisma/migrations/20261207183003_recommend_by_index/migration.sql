-- Why: recommend_items reads the items of the person once, and looks candidates up in them. Before, it compared each candidate with each of
-- them. It finds the item that a recommendation is based on for the best candidates only. Nothing of it is compiled, which would take longer than the statement.
-- Locks: none but on the function, for milliseconds.
-- Runs again: yes.

SET LOCAL lock_timeout = '5s';

CREATE OR REPLACE FUNCTION "recommend_items"("p_profile" text, "p_user" text, "p_ids" text[], "p_context" jsonb, "p_expires_in" interval)
RETURNS SETOF "recommendations"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp SET plan_cache_mode = force_custom_plan
SET jit = off AS $$
DECLARE
  at timestamptz := database_time();
  wanted integer := least(cardinality(p_ids), 100);
  types text[] := CASE WHEN p_context ? 'itemTypes' THEN ARRAY(SELECT jsonb_array_elements_text(p_context -> 'itemTypes')) END;
  topics text[] := CASE WHEN p_context ? 'tags' THEN topics_of(p_context -> 'tags') ELSE '{}' END;
  profile user_profiles;
  seen bigint[];
  language text;
  damping float8 := 3 * signal_weight(1::smallint, at)::float8;
  most numeric := (SELECT max(popularity) FROM items WHERE is_available);
BEGIN
  PERFORM lock_profiles(jsonb_build_array(jsonb_build_object('id', p_profile, 'userId', p_user)), at);
  SELECT * INTO profile FROM user_profiles WHERE user_id = p_user;
  seen := ARRAY(SELECT item_id FROM profile_items WHERE profile_id = profile.id);
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
  ), contributions AS MATERIALIZED (
    SELECT near.id, s.item_type, s.outside_id,
      s.weight * near.weight::float8 / (s.root * sqrt(near.popularity::float8) + damping) AS part
    FROM seeds AS s CROSS JOIN LATERAL (
      (SELECT i.id, i.popularity, p.weight FROM item_pairs AS p JOIN items AS i ON i.id = p.second_id
        WHERE p.first_id = s.item_id AND i.is_available AND (types IS NULL OR i.item_type = ANY (types)) AND i.tags @> topics
          AND (i.locale IS NULL OR lower(split_part(i.locale, '-', 1)) = language)
          AND i.id <> ALL (seen)
        ORDER BY p.weight DESC LIMIT 100)
      UNION ALL
      (SELECT i.id, i.popularity, p.weight FROM item_pairs AS p JOIN items AS i ON i.id = p.first_id
        WHERE p.second_id = s.item_id AND i.is_available AND (types IS NULL OR i.item_type = ANY (types)) AND i.tags @> topics
          AND (i.locale IS NULL OR lower(split_part(i.locale, '-', 1)) = language)
          AND i.id <> ALL (seen)
        ORDER BY p.weight DESC LIMIT 100)
    ) AS near
  ), totals AS MATERIALIZED (
    SELECT c.id, sum(c.part) AS total FROM contributions AS c GROUP BY c.id HAVING sum(c.part) > 0
    ORDER BY sum(c.part) DESC, c.id LIMIT wanted
  ), strongest AS (
    SELECT DISTINCT ON (c.id) c.id, c.item_type, c.outside_id FROM contributions AS c JOIN totals AS t ON t.id = c.id
    ORDER BY c.id, c.part DESC, c.outside_id
  ), related AS (
    SELECT t.id, 0.5 + 0.5 * least(1, t.total / (SELECT sum(weight) FROM seeds WHERE weight > 0)) AS score,
      'co-occurrence' AS source, s.item_type AS based_type, s.outside_id AS based_id
    FROM totals AS t JOIN strongest AS s ON s.id = t.id
  ), interesting AS (
    SELECT i.id, 0.25 + 0.25 * coalesce((i.popularity / nullif(most, 0))::float8, 0) AS score, 'interests' AS source,
      'tag' AS based_type, (SELECT min(tag) FROM unnest(i.tags) AS t (tag) WHERE tag = ANY (profile.interests)) AS based_id
    FROM items AS i
    WHERE profile.personalized AND profile.interests <> '{}' AND i.tags && profile.interests
      AND i.is_available AND (types IS NULL OR i.item_type = ANY (types)) AND i.tags @> topics
      AND (i.locale IS NULL OR lower(split_part(i.locale, '-', 1)) = language)
      AND i.id <> ALL (seen)
    ORDER BY i.popularity DESC, i.id LIMIT wanted
  ), popular AS (
    SELECT i.id, 0.25 * coalesce((i.popularity / nullif(most, 0))::float8, 0) AS score, 'popularity' AS source,
      NULL::text AS based_type, NULL::text AS based_id
    FROM items AS i
    WHERE i.is_available AND (types IS NULL OR i.item_type = ANY (types)) AND i.tags @> topics
      AND (i.locale IS NULL OR lower(split_part(i.locale, '-', 1)) = language)
      AND i.id <> ALL (seen)
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
