-- Reverts 20261130000001_database_time.

SET LOCAL lock_timeout = '5s';

DROP FUNCTION "database_time"();
