-- Why: 'infinity' and times beyond the year 9999 are no times for a client: a Date cannot hold them, and a rule that compares
-- with them never ends. Every column with a time or a date gets the bound.
-- Locks: ACCESS EXCLUSIVE on each table for a moment, to add constraints that are not validated: earlier rows stay as they are.
-- Runs again: no, once per database; inside one transaction.

SET LOCAL lock_timeout = '5s';

-- The year 1 begins at -62135596800 s, and the year 10000 at 253402300800 s. Numbers print alike in every time zone.
DO $$
DECLARE
  bounded record;
BEGIN
  FOR bounded IN
    SELECT relname, string_agg(
      format(CASE atttypid
        WHEN 'date'::regtype THEN '%1$I >= make_date(1, 1, 1) AND %1$I < make_date(10000, 1, 1)'
        ELSE '%1$I >= to_timestamp(-62135596800) AND %1$I < to_timestamp(253402300800)'
      END, attname), ' AND ' ORDER BY attnum
    ) AS condition
    FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
    WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relname <> '_prisma_migrations'
      AND atttypid IN ('timestamptz'::regtype, 'date'::regtype) AND attnum > 0 AND NOT attisdropped
    GROUP BY relname ORDER BY relname
  LOOP
    EXECUTE format('ALTER TABLE public.%I ADD CONSTRAINT %I CHECK (%s) NOT VALID',
      bounded.relname, bounded.relname || '_times_check', bounded.condition);
  END LOOP;
END
$$;
