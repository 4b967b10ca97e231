-- Why: what other services must know is published: triggers write the events into the outbox, so no client can change a profile or a
-- recommendation without them. The key is the person. Interactions are not published: they come from other services, in bulk.
-- A payload has ids and words from closed lists; interests, preferences and reasons are left out.
-- Locks: SHARE ROW EXCLUSIVE on two tables, for the triggers, for milliseconds.
-- Runs again: no, once per database; inside one transaction.

SET LOCAL lock_timeout = '5s';

CREATE FUNCTION "publish_profiles"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    INSERT INTO outbox (type, key, payload, created_at)
    SELECT 'nexus.profile-created.v1', left(p.user_id, 200), jsonb_build_object('profileId', p.id, 'userId', p.user_id), p.created_at
    FROM posted AS p;
  ELSIF TG_OP = 'UPDATE' THEN
    INSERT INTO outbox (type, key, payload, created_at)
    SELECT 'nexus.profile-changed.v1', left(p.user_id, 200),
      jsonb_build_object('profileId', p.id, 'userId', p.user_id, 'fields', to_jsonb(c.fields)), p.updated_at
    FROM posted AS p JOIN earlier AS e ON e.id = p.id
    CROSS JOIN LATERAL (SELECT array_remove(ARRAY[
      CASE WHEN e.interests <> p.interests THEN 'interests' END,
      CASE WHEN e.preferences <> p.preferences THEN 'preferences' END,
      CASE WHEN e.locale <> p.locale THEN 'locale' END,
      CASE WHEN e.personalized <> p.personalized THEN 'personalized' END], NULL) AS fields) AS c
    WHERE c.fields <> '{}';
  ELSE
    INSERT INTO outbox (type, key, payload, created_at)
    SELECT 'nexus.profile-erased.v1', left(e.user_id, 200), jsonb_build_object('profileId', e.id, 'userId', e.user_id), database_time()
    FROM earlier AS e;
  END IF;
  RETURN NULL;
END
$$;
CREATE TRIGGER "zz_profiles_publish_posted" AFTER INSERT ON "user_profiles" REFERENCING NEW TABLE AS posted
  FOR EACH STATEMENT EXECUTE FUNCTION "publish_profiles"();
CREATE TRIGGER "zz_profiles_publish_changed" AFTER UPDATE ON "user_profiles" REFERENCING OLD TABLE AS earlier NEW TABLE AS posted
  FOR EACH STATEMENT EXECUTE FUNCTION "publish_profiles"();
CREATE TRIGGER "zz_profiles_publish_erased" AFTER DELETE ON "user_profiles" REFERENCING OLD TABLE AS earlier
  FOR EACH STATEMENT EXECUTE FUNCTION "publish_profiles"();

-- One event names all that a person was recommended by a statement, at most 100.
CREATE FUNCTION "publish_recommendations"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    INSERT INTO outbox (type, key, payload, created_at)
    SELECT 'nexus.recommended.v1', left(u.user_id, 200), jsonb_build_object('userId', u.user_id, 'recommendationIds', r.ids), r.at
    FROM (SELECT n.profile_id, jsonb_agg(n.id ORDER BY n.id) AS ids, max(n.created_at) AS at
      FROM (SELECT p.*, row_number() OVER (PARTITION BY p.profile_id ORDER BY p.id) AS place FROM posted AS p) AS n
      GROUP BY n.profile_id, (n.place - 1) / 100) AS r
    JOIN user_profiles AS u ON u.id = r.profile_id;
  ELSE
    INSERT INTO outbox (type, key, payload, created_at)
    SELECT 'nexus.recommendation-answered.v1', left(u.user_id, 200), jsonb_build_object('recommendationId', p.id, 'userId', u.user_id,
      'itemType', p.item_type, 'itemId', p.item_id, 'answer', p.status), p.updated_at
    FROM posted AS p JOIN earlier AS e ON e.id = p.id JOIN user_profiles AS u ON u.id = p.profile_id
    WHERE e.status <> p.status AND p.status IN ('accepted', 'dismissed');
  END IF;
  RETURN NULL;
END
$$;
CREATE TRIGGER "zz_recommendations_publish_posted" AFTER INSERT ON "recommendations" REFERENCING NEW TABLE AS posted
  FOR EACH STATEMENT EXECUTE FUNCTION "publish_recommendations"();
CREATE TRIGGER "zz_recommendations_publish_answered" AFTER UPDATE ON "recommendations" REFERENCING OLD TABLE AS earlier NEW TABLE AS posted
  FOR EACH STATEMENT EXECUTE FUNCTION "publish_recommendations"();
