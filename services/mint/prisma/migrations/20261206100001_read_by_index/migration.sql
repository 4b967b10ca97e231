-- Why: a session keeps the plans of its functions and foreign keys. A plan from when requests had few rows reads all of them, and the
-- session kept it until the next ANALYZE while the table grew: after 4,300 transfers, the next one read
-- 12,900 rows of requests. Each of these functions needs a few rows by their keys, whatever the statistics say.
-- jit: before PostgreSQL 18, a scan that cannot be avoided would look expensive enough for compilation.
-- Locks: none but on the functions, for milliseconds.
-- Runs again: yes.

SET LOCAL lock_timeout = '5s';

ALTER FUNCTION "capture_hold" SET enable_seqscan = off SET jit = off;
ALTER FUNCTION "claim_rewards" SET enable_seqscan = off SET jit = off;
ALTER FUNCTION "close_wallet" SET enable_seqscan = off SET jit = off;
ALTER FUNCTION "hold_money" SET enable_seqscan = off SET jit = off;
ALTER FUNCTION "issue_money" SET enable_seqscan = off SET jit = off;
ALTER FUNCTION "open_wallet" SET enable_seqscan = off SET jit = off;
ALTER FUNCTION "release_hold" SET enable_seqscan = off SET jit = off;
ALTER FUNCTION "stake_money" SET enable_seqscan = off SET jit = off;
ALTER FUNCTION "submit_knowledge" SET enable_seqscan = off SET jit = off;
-- It reads by index since 20261130000003.
ALTER FUNCTION "transfer_each" SET jit = off;
ALTER FUNCTION "transfer_many" SET enable_seqscan = off SET jit = off;
ALTER FUNCTION "transfer_money" SET enable_seqscan = off SET jit = off;
ALTER FUNCTION "unstake_money" SET enable_seqscan = off SET jit = off;
