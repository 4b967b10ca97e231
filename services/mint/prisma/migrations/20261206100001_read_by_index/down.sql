-- Takes the settings back. Loses nothing.

SET LOCAL lock_timeout = '5s';

ALTER FUNCTION "capture_hold" RESET enable_seqscan RESET jit;
ALTER FUNCTION "claim_rewards" RESET enable_seqscan RESET jit;
ALTER FUNCTION "close_wallet" RESET enable_seqscan RESET jit;
ALTER FUNCTION "hold_money" RESET enable_seqscan RESET jit;
ALTER FUNCTION "issue_money" RESET enable_seqscan RESET jit;
ALTER FUNCTION "open_wallet" RESET enable_seqscan RESET jit;
ALTER FUNCTION "release_hold" RESET enable_seqscan RESET jit;
ALTER FUNCTION "stake_money" RESET enable_seqscan RESET jit;
ALTER FUNCTION "submit_knowledge" RESET enable_seqscan RESET jit;
ALTER FUNCTION "transfer_each" RESET jit;
ALTER FUNCTION "transfer_many" RESET enable_seqscan RESET jit;
ALTER FUNCTION "transfer_money" RESET enable_seqscan RESET jit;
ALTER FUNCTION "unstake_money" RESET enable_seqscan RESET jit;
