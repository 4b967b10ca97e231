-- Why: "azora-db prune" deletes the rows of a table by its function prune_<table>, which keeps the order of locks.
-- Locks: none that reads or writes wait for.

-- Deletes interactions that are older than "p_keep", which counts as 365 days if it is less: at most "p_most" of them. Locks their
-- profiles first, as a new interaction does.
CREATE FUNCTION "prune_interactions"("p_keep" interval, "p_most" integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  kept_since timestamptz := database_time() - greatest(p_keep, interval '365 days');
  old text[] := ARRAY(SELECT n.id FROM interactions AS n WHERE n.created_at < kept_since
    ORDER BY n.created_at LIMIT least(greatest(p_most, 1), 100000));
  deleted integer;
BEGIN
  PERFORM FROM user_profiles WHERE id IN (SELECT n.profile_id FROM interactions AS n WHERE n.id = ANY (old)) ORDER BY id FOR NO KEY UPDATE;
  DELETE FROM interactions AS n WHERE n.id = ANY (old);
  GET DIAGNOSTICS deleted = ROW_COUNT;
  RETURN deleted;
END
$$;
