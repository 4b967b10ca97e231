-- loses: elo_history.domain, elo_history.domain_elo, matches.k_factor, matches.domain_changes
-- Reverts 20261206000002_ratings. Ratings are binary fractions again.

SET LOCAL lock_timeout = '5s';

DROP FUNCTION "count_critiques"(text, text, integer, integer);
DROP FUNCTION "record_metrics"(text, jsonb);
DROP FUNCTION "reverse_position"(text, text);
DROP FUNCTION "resolve_position"(text, text);
DROP FUNCTION "brier_error"(double precision, text);
DROP FUNCTION "lock_position"(text);
DROP FUNCTION "take_position"(text, text, jsonb);
DROP TRIGGER "positions_transition" ON "positions";
DROP FUNCTION "check_position"();
DROP FUNCTION "replay_matches"();
DROP FUNCTION "record_match"(jsonb);
DROP FUNCTION "elo_changes"(jsonb, jsonb, numeric);

ALTER TABLE "matches" DROP COLUMN "domain_changes", DROP COLUMN "k_factor";
-- lint-ignore changing-column-type: the tables are small
ALTER TABLE "elo_history" DROP COLUMN "domain_elo", DROP COLUMN "domain", ALTER COLUMN "elo" TYPE DOUBLE PRECISION;
-- lint-ignore changing-column-type: the table is small
ALTER TABLE "ratings" ALTER COLUMN "elo" TYPE DOUBLE PRECISION, ALTER COLUMN "calibration_brier_sum" TYPE DOUBLE PRECISION;
