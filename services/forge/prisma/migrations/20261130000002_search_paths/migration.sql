-- PostgreSQL looks for a table in pg_temp first, unless the path names it. With the right to make temporary tables, the app role
-- could hide a table from these rules.

SET LOCAL lock_timeout = '5s';

ALTER FUNCTION "check_contract_total"() SET search_path = pg_catalog, public, pg_temp;
ALTER FUNCTION "check_milestones_total"() SET search_path = pg_catalog, public, pg_temp;
