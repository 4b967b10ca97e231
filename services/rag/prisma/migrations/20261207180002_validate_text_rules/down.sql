-- Reverts 20261207180002_validate_text_rules. Lists that were repaired stay so.

SET LOCAL lock_timeout = '5s';

DO $$
DECLARE
  bounded record;
BEGIN
  FOR bounded IN
    SELECT relname, conname, pg_get_constraintdef(pg_constraint.oid) AS condition
    FROM pg_constraint JOIN pg_class ON pg_class.oid = conrelid
    WHERE relnamespace = 'public'::regnamespace AND contype = 'c' AND conname = relname || '_texts_check'
    ORDER BY relname
  LOOP
    EXECUTE format('ALTER TABLE public.%1$I DROP CONSTRAINT %2$I, ADD CONSTRAINT %2$I %3$s NOT VALID',
      bounded.relname, bounded.conname, bounded.condition);
  END LOOP;
END
$$;
