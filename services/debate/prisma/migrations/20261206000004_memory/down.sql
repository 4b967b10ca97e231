-- Reverts 20261206000004_memory.

SET LOCAL lock_timeout = '5s';

DROP FUNCTION "erase_person"(text);
DROP FUNCTION "export_person"(text);
DROP FUNCTION "record_rollback"(text, text, jsonb);
DROP FUNCTION "record_evolution"(text, jsonb);
DROP FUNCTION "verify_replay"(text);
DROP FUNCTION "record_replay"(text, text, jsonb);
DROP FUNCTION "replay_checksum"("traces");
DROP FUNCTION "expire_memories"(integer);
DROP FUNCTION "forget_memory"(text);
DROP FUNCTION "observe_memory"(text, text, double precision, boolean);
DROP FUNCTION "move_memory"("continuum_memory", text, text, timestamptz);
DROP FUNCTION "store_memory"(text, text, jsonb);
DROP FUNCTION "tier_lifetime"(text);
