-- Reverts 20261205180002_id_lengths.

SET LOCAL lock_timeout = '5s';

DO $$
DECLARE
  bounded record;
BEGIN
  FOR bounded IN
    SELECT relname, conname FROM pg_constraint JOIN pg_class ON pg_class.oid = conrelid
    WHERE relnamespace = 'public'::regnamespace AND contype = 'c' AND conname = relname || '_ids_check'
    ORDER BY relname
  LOOP
    EXECUTE format('ALTER TABLE public.%I DROP CONSTRAINT %I', bounded.relname, bounded.conname);
  END LOOP;
END
$$;
