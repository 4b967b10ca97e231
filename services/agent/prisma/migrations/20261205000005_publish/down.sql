-- Reverts 20261205000005_publish.

SET LOCAL lock_timeout = '5s';

DROP TRIGGER "zz_tasks_publish_moved" ON "tasks";
DROP TRIGGER "zz_tasks_publish_created" ON "tasks";
DROP FUNCTION "publish_task"();
DROP TRIGGER "zz_agent_executions_publish_ended" ON "agent_executions";
DROP TRIGGER "zz_agent_executions_publish_started" ON "agent_executions";
DROP FUNCTION "publish_execution"();
DROP TRIGGER "zz_messages_publish" ON "messages";
DROP FUNCTION "publish_messages"();
DROP TRIGGER "zz_conversations_publish_deleted" ON "conversations";
DROP TRIGGER "zz_conversations_publish_started" ON "conversations";
DROP FUNCTION "publish_conversations"();
