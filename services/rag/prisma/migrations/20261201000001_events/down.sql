-- Reverts 20261201000001_events. Events that were not relayed are lost, and consumers forget which events they have handled.

SET LOCAL lock_timeout = '5s';

DROP TABLE "inbox";
DROP TABLE "outbox";
DROP TABLE "outbox_relay";
DROP FUNCTION "prune_inbox"(interval, integer);
DROP FUNCTION "set_handled_at"();
DROP FUNCTION "prune_outbox"(pg_snapshot, interval, integer);
DROP FUNCTION "adopt_outbox"();
DROP FUNCTION "refuse_relay_change"();
DROP FUNCTION "wake_relay"();
DROP FUNCTION "publish_event"(text, text, jsonb, text);
