-- Why: a member could start a conversation or answer after it had become inactive, when both happened at once. Of two calls that saved a
-- member at once, the one that waited for the other gave the member an earlier time of the change, even one before its creation.
-- Locks: none on tables.
-- Runs again: no, once per database; inside one transaction.

SET LOCAL lock_timeout = '5s';

-- A member that must be active stays so until the end of the transaction.
CREATE OR REPLACE FUNCTION "member_of"("p_id" text, "p_must_be_active" boolean) RETURNS "family_members"
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  it family_members;
BEGIN
  IF p_must_be_active THEN
    SELECT * INTO it FROM family_members WHERE id = p_id FOR SHARE;
  ELSE
    SELECT * INTO it FROM family_members WHERE id = p_id;
  END IF;
  IF it.id IS NULL THEN
    PERFORM refuse('member_not_found', jsonb_build_object('memberId', p_id));
  END IF;
  IF p_must_be_active AND NOT it.is_active THEN
    PERFORM refuse('member_inactive', jsonb_build_object('memberId', p_id));
  END IF;
  RETURN it;
END
$$;

-- Adds the member with this slug, or replaces what it says about itself.
CREATE OR REPLACE FUNCTION "save_member"("p_id" text, "p_input" jsonb) RETURNS "family_members"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  it family_members;
  at timestamptz := database_time();
BEGIN
  INSERT INTO family_members AS m (id, slug, name, role, background, traits, mood, temperature, avatar_url, is_active, created_at, updated_at)
  VALUES (p_id, p_input ->> 'slug', p_input ->> 'name', p_input ->> 'role', p_input ->> 'background',
    ARRAY(SELECT jsonb_array_elements_text(p_input -> 'traits')), (p_input ->> 'mood')::mood, (p_input ->> 'temperature')::float8,
    p_input ->> 'avatarUrl', (p_input ->> 'isActive')::boolean, at, at)
  -- Another call may have saved the member while this one waited for the lock, so that it reads the time after it has the lock.
  ON CONFLICT (slug) DO UPDATE SET name = excluded.name, role = excluded.role, background = excluded.background,
    traits = excluded.traits, mood = excluded.mood, temperature = excluded.temperature, avatar_url = excluded.avatar_url,
    is_active = excluded.is_active, updated_at = greatest(database_time(), m.updated_at)
  WHERE (m.name, m.role, m.background, m.traits, m.mood, m.temperature, m.avatar_url, m.is_active) IS DISTINCT FROM
    (excluded.name, excluded.role, excluded.background, excluded.traits, excluded.mood, excluded.temperature, excluded.avatar_url, excluded.is_active)
  RETURNING * INTO it;
  IF it.id IS NULL THEN
    SELECT * INTO it FROM family_members WHERE slug = p_input ->> 'slug';
    RETURN it;
  END IF;
  INSERT INTO audit_logs (id, action, resource_type, resource_id, created_at)
  VALUES (gen_random_uuid()::text, 'family.member-saved', 'FamilyMember', left(it.id, 255), it.updated_at);
  PERFORM emit('member-saved', it.id, jsonb_build_object('memberId', it.id, 'isActive', it.is_active), it.updated_at);
  RETURN it;
END
$$;
