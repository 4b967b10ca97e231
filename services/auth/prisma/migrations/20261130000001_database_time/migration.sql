-- One function tells the time of every rule of this database, so that no client's clock counts. It reads the clock when it is
-- called, not the start of the transaction: a rule that waited for a lock is judged at the time at which it holds the lock.
-- Only the administrator can replace it, as tests do.

SET LOCAL lock_timeout = '5s';

CREATE FUNCTION "database_time"() RETURNS timestamptz LANGUAGE sql VOLATILE PARALLEL SAFE
AS $$ SELECT pg_catalog.clock_timestamp() $$;
