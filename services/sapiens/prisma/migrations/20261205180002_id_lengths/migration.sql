-- Why: the app role could call a function with an id of any length, which no client can send back: the store takes ids of up to 100
-- characters, and events ids of up to 255. Every column with an id gets the bound of events. The next migration reads the existing rows.
-- Locks: ACCESS EXCLUSIVE on each table for a moment, to add constraints that are not validated.
-- Runs again: no, once per database; inside one transaction.

SET LOCAL lock_timeout = '5s';

-- Without the tables of events, sagas and the audit log, which are the same in every service.
DO $$
DECLARE
  bounded record;
BEGIN
  FOR bounded IN
    SELECT relname, string_agg(format('char_length(%I) <= 255', attname), ' AND ' ORDER BY attnum) AS condition
    FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
    WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relname NOT IN ('_prisma_migrations', 'audit_logs', 'outbox',
      'outbox_relay', 'inbox', 'events', 'event_log', 'event_sources', 'deliveries', 'sagas')
      AND relname NOT LIKE 'subscription%' AND atttypid = 'text'::regtype AND (attname = 'id' OR attname LIKE '%\_id') AND attnum > 0 AND NOT attisdropped
    GROUP BY relname ORDER BY relname
  LOOP
    EXECUTE format('ALTER TABLE public.%I ADD CONSTRAINT %I CHECK (%s) NOT VALID',
      bounded.relname, bounded.relname || '_ids_check', bounded.condition);
  END LOOP;
END
$$;
