-- loses: requests
-- Reverts 20261201000010_requests. Which requests took effect is forgotten.

SET LOCAL lock_timeout = '5s';

DROP FUNCTION "check_transition"();
DROP FUNCTION "audit"(text, text, text, text, jsonb, timestamptz);
DROP FUNCTION "emit"(text, text, jsonb, timestamptz);
DROP FUNCTION "begin_request"(text, text, text, text);
DROP TABLE "requests";
DROP FUNCTION "refuse"(text, jsonb, text);
DROP FUNCTION "database_time"();
