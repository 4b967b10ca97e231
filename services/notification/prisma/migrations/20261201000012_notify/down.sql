-- Reverts 20261201000012_notify. The keys of batches are lost, so a batch that is sent again is a new one.

SET LOCAL lock_timeout = '5s';

DROP FUNCTION "prune_notifications"(integer);
DROP FUNCTION "erase_recipient"(text);
DROP FUNCTION "notify_many"(text, text, text, text[], notification_type, text, text, text, jsonb[], text, text, jsonb, interval, channel[], boolean);
DROP FUNCTION "notify_user"(text, text, text, text, notification_type, text, text, text, jsonb, text, text, jsonb, interval, channel[], boolean);
DROP FUNCTION "template_named"(text);
DROP FUNCTION "render_template"(text, text, jsonb, integer);
DROP TABLE "batches";
