-- The database dates the entries that the app role adds to the audit log: an entry cannot claim another time. The owner of the
-- table, who restores and imports, keeps the dates of its entries.
-- Locks: SHARE ROW EXCLUSIVE on audit_logs, for the trigger, for milliseconds.

SET LOCAL lock_timeout = '5s';

CREATE FUNCTION "set_audit_time"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF NOT pg_has_role((SELECT "relowner" FROM "pg_catalog"."pg_class" WHERE "oid" = TG_RELID), 'USAGE') THEN
    NEW."created_at" := clock_timestamp();
  END IF;
  RETURN NEW;
END
$$;

CREATE TRIGGER "audit_logs_time" BEFORE INSERT ON "audit_logs" FOR EACH ROW EXECUTE FUNCTION "set_audit_time"();
