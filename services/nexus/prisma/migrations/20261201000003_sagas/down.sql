-- loses: sagas
-- Reverts 20261201000003_sagas. The state of all sagas is lost: of unfinished ones, nobody knows which steps are done.

SET LOCAL lock_timeout = '5s';

DROP FUNCTION "retry_saga"(uuid);
DROP FUNCTION "record_sagas"(uuid, jsonb, boolean, integer);
DROP FUNCTION "claim_sagas"(uuid, jsonb, integer, integer);
DROP FUNCTION "start_saga"(text, text, jsonb, text[], bigint, integer);
DROP FUNCTION "saga_id"(text, text);
DROP FUNCTION "write_saga"("sagas", timestamptz);
DROP TABLE "sagas";
DROP FUNCTION "check_saga_change"();
DROP FUNCTION "saga_may_become"("saga_state", "saga_state");
DROP TYPE "saga_state";
