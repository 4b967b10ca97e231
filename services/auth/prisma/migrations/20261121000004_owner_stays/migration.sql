-- Why: a member with the role owner is the owner of the organization, and now the owner is always such a member.
-- Locks: organization_members against writes, until the end; no row is read or written.
-- Runs again: no, once per database; inside one transaction.

SET LOCAL lock_timeout = '5s';

-- Deferred, so that one transaction can hand an organization over or end it. The lock is that of a hand-over, which goes
-- on elsewhere without seeing this transaction.
CREATE FUNCTION "check_organization_owner_stays"() RETURNS trigger
  LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
BEGIN
  PERFORM FROM "public"."organizations" WHERE "id" = OLD."org_id" FOR UPDATE;
  IF EXISTS (
    SELECT FROM "public"."organizations" AS "organization"
    WHERE "organization"."id" = OLD."org_id" AND "organization"."owner_id" = OLD."user_id"
      AND NOT EXISTS (
        SELECT FROM "public"."organization_members" AS "member"
        WHERE "member"."org_id" = "organization"."id" AND "member"."user_id" = "organization"."owner_id"
          AND "member"."role" = 'owner'
      )
  ) THEN
    RAISE EXCEPTION 'organization_owner_stays' USING ERRCODE = 'AZ001',
      DETAIL = jsonb_build_object('orgId', OLD."org_id", 'userId', OLD."user_id")::text,
      HINT = 'Change organizations.owner_id and the roles of both members in one transaction.';
  END IF;
  RETURN NULL;
END
$$;

CREATE CONSTRAINT TRIGGER "organization_members_owner_stays" AFTER UPDATE OR DELETE ON "organization_members"
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (OLD."role" = 'owner')
  EXECUTE FUNCTION "check_organization_owner_stays"();
