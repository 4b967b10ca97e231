-- loses: requests
-- Reverts 20261202000001_requests. Requests that are repeated after this take effect again.

SET LOCAL lock_timeout = '5s';

DROP FUNCTION "lock_known_student"(text, text, jsonb);
DROP FUNCTION "lock_student"(text);
DROP FUNCTION "emit"(text, text, jsonb, timestamptz);
DROP FUNCTION "begin_request"(text, text, text, text, text);
DROP TABLE "requests";
DROP FUNCTION "check_transition"();
DROP FUNCTION "refuse"(text, jsonb);
DROP FUNCTION "database_time"();
