-- The database dates the entries that the app role adds to the audit log: an entry cannot claim another time. The owner of the
-- table, who restores and imports, keeps the dates of its entries.
-- A time of an entry that a Date cannot hold is refused from the owner too, as in every other table.
-- Locks: ACCESS EXCLUSIVE on audit_logs for milliseconds, to add a constraint that is not validated: earlier rows never change.

SET LOCAL lock_timeout = '5s';

CREATE FUNCTION "set_audit_time"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF NOT pg_has_role((SELECT "relowner" FROM "pg_catalog"."pg_class" WHERE "oid" = TG_RELID), 'USAGE') THEN
    NEW."created_at" := "public"."database_time"();
  END IF;
  RETURN NEW;
END
$$;

CREATE TRIGGER "audit_logs_time" BEFORE INSERT ON "audit_logs" FOR EACH ROW EXECUTE FUNCTION "set_audit_time"();

ALTER TABLE "audit_logs" ADD CONSTRAINT "audit_logs_times_check" CHECK (
  "created_at" >= to_timestamp(-62135596800) AND "created_at" < to_timestamp(253402300800)) NOT VALID;
