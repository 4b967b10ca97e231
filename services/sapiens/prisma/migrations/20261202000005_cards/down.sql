-- loses: cards, card_reviews
-- Reverts 20261202000005_cards.

SET LOCAL lock_timeout = '5s';

DROP FUNCTION "review_card"(text, integer, review_rating);
DROP FUNCTION "set_card_deleted"(text, boolean);
DROP FUNCTION "lock_card"(text);
DROP FUNCTION "add_card"(text, text, text, text, text, text, text);
DROP TABLE "card_reviews";
DROP FUNCTION "apply_review"();
DROP TABLE "cards";
DROP FUNCTION "check_schedule"();
DROP FUNCTION "fsrs_next"(card_state, smallint, double precision, double precision, integer, review_rating);
DROP FUNCTION "fsrs_interval"(double precision);
DROP FUNCTION "fsrs_stability"(double precision, double precision, integer, integer);
DROP FUNCTION "fsrs_retrievability"(double precision, double precision);
DROP FUNCTION "fsrs_round"(double precision);
DROP TYPE "review_rating";
DROP TYPE "card_state";
