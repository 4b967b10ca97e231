-- What other services must know is published: triggers write the events into the outbox, so no client can change the store without
-- them. The key is the conversation, the execution or the task, whose row is locked when the position of an event is taken.
-- A payload has ids, numbers and words from closed lists; text of persons is left out. An event has the time of its row.
-- Locks: SHARE ROW EXCLUSIVE on four tables, for the triggers, for milliseconds.
-- Runs again: no, once per database; inside one transaction.

SET LOCAL lock_timeout = '5s';

CREATE FUNCTION "publish_conversations"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  INSERT INTO outbox (type, key, payload, created_at)
  SELECT 'agent.conversation-' || TG_ARGV[0] || '.v1', c.id::text,
    jsonb_build_object('conversationId', c.id, 'userId', c.user_id, 'agentId', c.agent_id),
    CASE TG_OP WHEN 'DELETE' THEN database_time() ELSE c.created_at END
  FROM changed AS c ORDER BY c.created_at, c.id;
  RETURN NULL;
END
$$;
CREATE TRIGGER "zz_conversations_publish_started" AFTER INSERT ON "conversations" REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION "publish_conversations"('started');
CREATE TRIGGER "zz_conversations_publish_deleted" AFTER DELETE ON "conversations" REFERENCING OLD TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION "publish_conversations"('deleted');

CREATE FUNCTION "publish_messages"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  INSERT INTO outbox (type, key, payload, created_at)
  SELECT 'agent.message-added.v1', m.conversation_id::text, jsonb_build_object('messageId', m.id, 'conversationId', m.conversation_id,
    'userId', m.user_id, 'position', m.position, 'role', m.role), m.created_at
  FROM changed AS m ORDER BY m.conversation_id, m.position;
  RETURN NULL;
END
$$;
CREATE TRIGGER "zz_messages_publish" AFTER INSERT ON "messages" REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION "publish_messages"();

-- An execution that is inserted when it has ended, as the seed does, has ended too.
CREATE FUNCTION "publish_execution"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  INSERT INTO outbox (type, key, payload, created_at)
  VALUES (CASE NEW.status WHEN 'running' THEN 'agent.execution-started.v1' ELSE 'agent.execution-ended.v1' END, NEW.id::text,
    jsonb_build_object('executionId', NEW.id, 'agentId', NEW.agent_id, 'userId', NEW.user_id, 'conversationId', NEW.conversation_id)
    || CASE NEW.status WHEN 'running' THEN '{}' ELSE jsonb_build_object('status', NEW.status, 'durationMs', NEW.duration_ms,
         'tokensUsed', NEW.tokens_used) END, coalesce(NEW.finished_at, NEW.created_at));
  RETURN NULL;
END
$$;
CREATE TRIGGER "zz_agent_executions_publish_started" AFTER INSERT ON "agent_executions" FOR EACH ROW
  EXECUTE FUNCTION "publish_execution"();
CREATE TRIGGER "zz_agent_executions_publish_ended" AFTER UPDATE ON "agent_executions" FOR EACH ROW
  WHEN (OLD."status" = 'running' AND NEW."status" <> 'running') EXECUTE FUNCTION "publish_execution"();

-- Claims are not published: only the worker needs them.
CREATE FUNCTION "publish_task"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  INSERT INTO outbox (type, key, payload, created_at)
  VALUES ('agent.task-' || CASE WHEN TG_OP = 'INSERT' THEN 'created' WHEN NEW.status = 'pending' THEN 'retried' ELSE NEW.status END || '.v1',
    NEW.id, jsonb_build_object('taskId', NEW.id) || CASE
      WHEN TG_OP = 'INSERT' THEN jsonb_build_object('createdBy', NEW.created_by, 'priority', NEW.priority)
      WHEN NEW.status IN ('completed', 'failed') THEN jsonb_build_object('attempts', NEW.attempts)
      ELSE '{}' END, CASE TG_OP WHEN 'INSERT' THEN NEW.created_at ELSE NEW.updated_at END);
  RETURN NULL;
END
$$;
CREATE TRIGGER "zz_tasks_publish_created" AFTER INSERT ON "tasks" FOR EACH ROW WHEN (NEW."status" = 'pending')
  EXECUTE FUNCTION "publish_task"();
CREATE TRIGGER "zz_tasks_publish_moved" AFTER UPDATE ON "tasks" FOR EACH ROW
  WHEN (OLD."status" <> NEW."status" AND (NEW."status" IN ('completed', 'failed', 'cancelled')
    OR (NEW."status" = 'pending' AND OLD."status" IN ('failed', 'cancelled'))))
  EXECUTE FUNCTION "publish_task"();
