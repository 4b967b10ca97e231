-- Applies the bounds of the last migration to the existing rows. It fails if a row has an id of more than 255 characters;
-- correct the row and run it again.
-- Locks: SHARE UPDATE EXCLUSIVE, which lets others read and write.

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
    EXECUTE format('ALTER TABLE public.%I VALIDATE CONSTRAINT %I', bounded.relname, bounded.conname);
  END LOOP;
END
$$;
