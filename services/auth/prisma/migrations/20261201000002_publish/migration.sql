-- Security events are published: a trigger on the audit log writes an event for each entry whose action other services must know.
-- The entry holds the head of its chain locked, so the events of one account have the order of its entries.
--
-- Published is what changes an account, a session, an organization or a membership. Failed attempts, and messages that anyone can
-- ask for, are not: whoever guesses passwords would fill the outbox. They are counted under locks, and the lock that follows is
-- published. The jti of a revoked token is text of the caller, so `isRevoked` answers for it instead of an event.
-- A payload has ids, enums and times: no address, no IP, no user agent, and of the details only a role and the kind of a lock.
-- Locks: SHARE ROW EXCLUSIVE on audit_log, for the trigger, for milliseconds.

SET LOCAL lock_timeout = '5s';

-- The app role inserts entries, and may not insert events. The time zone makes the times of a payload the same everywhere.
CREATE FUNCTION "publish_audit_entries"() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp SET timezone = 'UTC' AS $$
BEGIN
  INSERT INTO "public"."outbox" ("type", "key", "payload", "created_at")
  SELECT 'auth.' || replace(lower("it"."action"), '_', '-') || '.v1',
    left(coalesce("it"."org_id", "it"."user_id", "it"."resource_id", "it"."id"), 200),
    jsonb_strip_nulls(jsonb_build_object(
      'auditId', "it"."id", 'userId', "it"."user_id", 'organizationId', "it"."org_id",
      'resourceType', CASE WHEN "it"."resource_type" IN ('user', 'session', 'organization', 'invitation') THEN "it"."resource_type" END,
      'resourceId', CASE WHEN "it"."resource_type" IN ('user', 'session', 'organization', 'invitation') THEN "it"."resource_id" END,
      'role', CASE WHEN coalesce("it"."details" ->> 'to', "it"."details" ->> 'role') IN ('owner', 'admin', 'member')
        THEN coalesce("it"."details" ->> 'to', "it"."details" ->> 'role') END,
      'lock', CASE WHEN "it"."details" ->> 'lock' IN ('password', 'factor') THEN "it"."details" ->> 'lock' END,
      'occurredAt', "it"."timestamp")),
    "it"."timestamp"
  FROM "entries" AS "it"
  WHERE "it"."action" IN ('USER_REGISTERED', 'EMAIL_VERIFIED', 'PROFILE_UPDATED', 'USER_DEACTIVATED', 'USER_DELETED',
    'PASSWORD_CHANGED', 'PASSWORD_RESET', 'ACCOUNT_LOCKED', 'ACCOUNT_UNLOCKED', 'FACTOR_BLOCKED',
    'USER_LOGIN', 'USER_LOGOUT', 'SESSION_REVOKED', 'SESSIONS_REVOKED', 'TOKEN_REUSED',
    'MFA_ENABLED', 'MFA_DISABLED', 'RECOVERY_CODES_REPLACED',
    'ORGANIZATION_CREATED', 'ORGANIZATION_CLOSED', 'MEMBER_INVITED', 'INVITATION_ACCEPTED', 'INVITATION_REVOKED',
    'MEMBER_ROLE_CHANGED', 'OWNERSHIP_TRANSFERRED', 'MEMBER_LEFT', 'MEMBER_REMOVED')
  ORDER BY "it"."seq", "it"."id";
  RETURN NULL;
END
$$;

CREATE TRIGGER "zz_audit_log_publish" AFTER INSERT ON "audit_log" REFERENCING NEW TABLE AS "entries"
  FOR EACH STATEMENT EXECUTE FUNCTION "publish_audit_entries"();
