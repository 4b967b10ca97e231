-- Reverts 20261202000001_source_leases.

SET LOCAL lock_timeout = '5s';

DROP FUNCTION "renew_sources"(text[], uuid[], integer[]);
