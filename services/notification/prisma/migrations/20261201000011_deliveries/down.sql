-- Reverts 20261201000011_deliveries. Templates, preferences and settings are lost, and deliveries that wait are never sent.

SET LOCAL lock_timeout = '5s';

DROP FUNCTION "finish_deliveries"(text, text[], text[]);
DROP FUNCTION "claim_deliveries"(text, integer, interval);
DROP FUNCTION "plan_deliveries"(text[], channel[], boolean, timestamptz);
DROP FUNCTION "delivery_time"(timestamptz, delivery_mode, delivery_settings);
DROP FUNCTION "preferred_mode"(text, text, channel);
DROP TABLE "deliveries";
DROP FUNCTION "publish_deliveries"();
DROP FUNCTION "check_delivery_change"();
DROP TABLE "delivery_settings";
DROP FUNCTION "check_time_zone"();
DROP TABLE "preferences";
DROP TABLE "templates";
DROP TYPE "delivery_status";
DROP TYPE "delivery_mode";
DROP TYPE "channel";
