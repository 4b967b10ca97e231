-- Why: the app role only reads the tables of the store. These functions make every change and take their locks in one order, so that no
-- two of them deadlock: the key of the request; the dependencies of tasks; the conversation or the task; what belongs to it.
-- A function reads its input from one JSON object, whose hash tells a repeated request from another one with the same key.
-- Locks: none: the functions are new.
-- Runs again: no, once per database; inside one transaction.

SET LOCAL lock_timeout = '5s';

-- Takes the key for this request. Null if it is new; the id of the first answer if the same request took effect before.
CREATE FUNCTION "begin_request"("p_key" text, "p_operation" text, "p_input" jsonb, "p_answer" text, "p_user" text) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  hash text := encode(sha256(convert_to(p_input::text, 'UTF8')), 'hex');
  earlier requests;
BEGIN
  INSERT INTO requests (key, operation, body_hash, answer_id, user_id, created_at)
  VALUES (p_key, p_operation, hash, p_answer, p_user, database_time()) ON CONFLICT (key) DO NOTHING;
  IF FOUND THEN
    RETURN NULL;
  END IF;
  SELECT * INTO earlier FROM requests WHERE key = p_key;
  IF (earlier.operation, earlier.body_hash) IS DISTINCT FROM (p_operation::varchar, hash::char(64)) THEN
    PERFORM refuse('key_reused', jsonb_build_object('operation', earlier.operation, 'asked', p_operation));
  END IF;
  RETURN earlier.answer_id;
END
$$;

-- An entry of the audit log about a change that cannot be undone. Only functions of this migration call it.
CREATE FUNCTION "audit"("p_user" text, "p_action" text, "p_type" text, "p_id" text, "p_at" timestamptz) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, public, pg_temp AS $$
  INSERT INTO audit_logs (id, user_id, action, resource_type, resource_id, created_at)
  VALUES (gen_random_uuid()::text, p_user, p_action, p_type, left(p_id, 255), p_at)
$$;

-- Conversations ------------------------------------------------------------------------------------------------------

-- Locks the conversation of this owner; null is the owner of what an agent started itself. Others learn nothing about it.
CREATE FUNCTION "lock_conversation"("p_id" uuid, "p_user" text) RETURNS "conversations"
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  conversation conversations;
BEGIN
  SELECT * INTO conversation FROM conversations WHERE id = p_id AND user_id IS NOT DISTINCT FROM p_user FOR NO KEY UPDATE;
  IF conversation.id IS NULL THEN
    PERFORM refuse('conversation_not_found', jsonb_build_object('conversationId', p_id));
  END IF;
  RETURN conversation;
END
$$;

CREATE FUNCTION "start_conversation"("p_key" text, "p_input" jsonb) RETURNS "conversations"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  conversation conversations;
  own uuid := uuid_v7();
  earlier text := begin_request(p_key, 'start_conversation', p_input, own::text, p_input ->> 'userId');
  at timestamptz := database_time();
BEGIN
  IF earlier IS NOT NULL THEN
    SELECT * INTO conversation FROM conversations WHERE id = earlier::uuid;
    IF conversation.id IS NULL THEN
      PERFORM refuse('conversation_not_found', jsonb_build_object('conversationId', earlier));
    END IF;
    RETURN conversation;
  END IF;
  INSERT INTO conversations (id, title, agent_id, repository_path, user_id, created_at, updated_at)
  VALUES (own, p_input ->> 'title', p_input ->> 'agentId', p_input ->> 'repositoryPath', p_input ->> 'userId', at, at)
  RETURNING * INTO conversation;
  RETURN conversation;
END
$$;

CREATE FUNCTION "rename_conversation"("p_conversation" uuid, "p_user" text, "p_title" text) RETURNS "conversations"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  conversation conversations := lock_conversation(p_conversation, p_user);
BEGIN
  UPDATE conversations SET title = p_title, updated_at = greatest(updated_at, database_time()) WHERE id = p_conversation
  RETURNING * INTO conversation;
  RETURN conversation;
END
$$;

-- An archived conversation is read only. Archiving it again changes nothing.
CREATE FUNCTION "archive_conversation"("p_conversation" uuid, "p_user" text, "p_archived" boolean) RETURNS "conversations"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  conversation conversations := lock_conversation(p_conversation, p_user);
  at timestamptz := database_time();
BEGIN
  IF (conversation.archived_at IS NOT NULL) = p_archived THEN
    RETURN conversation;
  END IF;
  UPDATE conversations SET archived_at = CASE WHEN p_archived THEN at END, updated_at = greatest(updated_at, at)
  WHERE id = p_conversation RETURNING * INTO conversation;
  RETURN conversation;
END
$$;

-- Deletes the conversation with its messages and their retrieved context. Executions stay. False if there is none.
CREATE FUNCTION "delete_conversation"("p_conversation" uuid, "p_user" text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  DELETE FROM conversations WHERE id = p_conversation AND user_id IS NOT DISTINCT FROM p_user;
  RETURN FOUND;
END
$$;

-- Adds a message and the chunks that were retrieved for it, all or nothing.
CREATE FUNCTION "add_message"("p_key" text, "p_input" jsonb) RETURNS "messages"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  message messages;
  conversation conversations;
  own uuid := uuid_v7();
  earlier text := begin_request(p_key, 'add_message', p_input, own::text, p_input ->> 'userId');
  at timestamptz;
BEGIN
  IF earlier IS NOT NULL THEN
    SELECT * INTO message FROM messages WHERE id = earlier::uuid;
    IF message.id IS NULL THEN
      PERFORM refuse('message_not_found', jsonb_build_object('messageId', earlier));
    END IF;
    RETURN message;
  END IF;
  conversation := lock_conversation((p_input ->> 'conversationId')::uuid, p_input ->> 'userId');
  IF conversation.archived_at IS NOT NULL THEN
    PERFORM refuse('conversation_archived', jsonb_build_object('conversationId', conversation.id));
  END IF;
  at := database_time();
  INSERT INTO messages (id, conversation_id, role, content, model, tokens_used, created_at)
  VALUES (own, conversation.id, p_input ->> 'role', p_input ->> 'content', p_input ->> 'model', (p_input ->> 'tokensUsed')::integer, at)
  RETURNING * INTO message;
  INSERT INTO message_rag_contexts (message_id, query, content_id, chunk_index, chunk_content, score, source_path, content_type,
    retrieved_at, created_at)
  SELECT own, chunk ->> 'query', chunk ->> 'contentId', (chunk ->> 'chunkIndex')::integer, chunk ->> 'chunkContent',
    (chunk ->> 'score')::double precision, chunk ->> 'sourcePath', chunk ->> 'contentType',
    coalesce((chunk ->> 'retrievedAt')::timestamptz, at), at
  FROM jsonb_array_elements(p_input -> 'context') WITH ORDINALITY AS listed (chunk, place) ORDER BY place;
  RETURN message;
END
$$;

-- A line of the Aurora chat.
CREATE FUNCTION "add_chat_message"("p_key" text, "p_input" jsonb) RETURNS "chat_messages"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  line chat_messages;
  own integer := nextval('chat_messages_id_seq');
  earlier text := begin_request(p_key, 'add_chat_message', p_input, own::text, p_input ->> 'userId');
BEGIN
  IF earlier IS NOT NULL THEN
    SELECT * INTO line FROM chat_messages WHERE id = earlier::integer;
    IF line.id IS NULL THEN
      PERFORM refuse('message_not_found', jsonb_build_object('messageId', earlier));
    END IF;
    RETURN line;
  END IF;
  INSERT INTO chat_messages (id, session_id, role, content, metadata, user_id, created_at)
  VALUES (own, p_input ->> 'sessionId', p_input ->> 'role', p_input ->> 'content', p_input -> 'metadata', p_input ->> 'userId',
    database_time())
  RETURNING * INTO line;
  RETURN line;
END
$$;

-- Executions ---------------------------------------------------------------------------------------------------------

CREATE FUNCTION "start_execution"("p_key" text, "p_input" jsonb) RETURNS "agent_executions"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  execution agent_executions;
  own uuid := uuid_v7();
  earlier text := begin_request(p_key, 'start_execution', p_input, own::text, p_input ->> 'userId');
  conversation uuid := (p_input ->> 'conversationId')::uuid;
BEGIN
  IF earlier IS NOT NULL THEN
    SELECT * INTO execution FROM agent_executions WHERE id = earlier::uuid;
    IF execution.id IS NULL THEN
      PERFORM refuse('execution_not_found', jsonb_build_object('executionId', earlier));
    END IF;
    RETURN execution;
  END IF;
  IF conversation IS NOT NULL AND NOT EXISTS (
    SELECT FROM conversations WHERE id = conversation AND user_id IS NOT DISTINCT FROM p_input ->> 'userId' FOR KEY SHARE
  ) THEN
    PERFORM refuse('conversation_not_found', jsonb_build_object('conversationId', conversation));
  END IF;
  INSERT INTO agent_executions (id, agent_id, conversation_id, user_id, prompt, model, success, status, created_at)
  VALUES (own, p_input ->> 'agentId', conversation, p_input ->> 'userId', p_input ->> 'prompt', p_input ->> 'model', false, 'running',
    database_time())
  RETURNING * INTO execution;
  RETURN execution;
END
$$;

-- Ends a running execution as "succeeded" or "failed", with the time that it took by the clock of the database. The same outcome again
-- changes nothing.
CREATE FUNCTION "end_execution"("p_execution" uuid, "p_status" "execution_status", "p_outcome" jsonb) RETURNS "agent_executions"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  execution agent_executions;
  at timestamptz;
  asked integer := (p_outcome ->> 'promptTokens')::integer;
  answered integer := (p_outcome ->> 'completionTokens')::integer;
  total integer := coalesce(asked + answered, (p_outcome ->> 'tokensUsed')::integer);
BEGIN
  SELECT * INTO execution FROM agent_executions WHERE id = p_execution FOR NO KEY UPDATE;
  IF execution.id IS NULL THEN
    PERFORM refuse('execution_not_found', jsonb_build_object('executionId', p_execution));
  END IF;
  IF execution.status = p_status AND p_status <> 'running' AND (execution.response, execution.error, execution.prompt_tokens,
    execution.completion_tokens, execution.tokens_used) IS NOT DISTINCT FROM (p_outcome ->> 'response', p_outcome ->> 'error', asked, answered, total) THEN
    RETURN execution;
  END IF;
  IF execution.status <> 'running' OR p_status = 'running' THEN
    PERFORM refuse('illegal_transition', jsonb_build_object('what', 'execution', 'id', p_execution, 'from', execution.status,
      'to', p_status));
  END IF;
  at := database_time();
  UPDATE agent_executions SET status = p_status, success = p_status = 'succeeded', response = p_outcome ->> 'response',
    error = p_outcome ->> 'error', model = coalesce(p_outcome ->> 'model', model), prompt_tokens = asked, completion_tokens = answered,
    tokens_used = total, finished_at = greatest(at, created_at),
    duration_ms = least(greatest(round(extract(epoch FROM at - created_at) * 1000), 0), 2147483647)::integer
  WHERE id = p_execution RETURNING * INTO execution;
  RETURN execution;
END
$$;

-- Fails executions that started longer than "p_age" ago and never ended, the oldest first, at most "p_limit". Returns their number.
CREATE FUNCTION "fail_stalled_executions"("p_age" interval, "p_limit" integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  stalled uuid;
  failed integer := 0;
BEGIN
  FOR stalled IN
    SELECT id FROM agent_executions WHERE status = 'running' AND created_at <= database_time() - greatest(p_age, interval '1 second')
    ORDER BY created_at LIMIT least(greatest(p_limit, 1), 10000) FOR NO KEY UPDATE SKIP LOCKED
  LOOP
    PERFORM end_execution(stalled, 'failed', jsonb_build_object('error', 'STALLED: the execution never ended'));
    failed := failed + 1;
  END LOOP;
  RETURN failed;
END
$$;

-- The same price again changes nothing.
CREATE FUNCTION "set_model_price"("p_model" text, "p_valid_from" timestamptz, "p_prompt" numeric, "p_completion" numeric)
RETURNS "model_prices" LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  price model_prices;
BEGIN
  INSERT INTO model_prices (model, valid_from, prompt_price, completion_price, created_at)
  VALUES (p_model, p_valid_from, p_prompt, p_completion, database_time()) ON CONFLICT (model, valid_from) DO NOTHING
  RETURNING * INTO price;
  IF FOUND THEN
    PERFORM audit(NULL, 'price.added', 'model_price', p_model, price.created_at);
    RETURN price;
  END IF;
  SELECT * INTO price FROM model_prices WHERE model = p_model AND valid_from = p_valid_from;
  IF (price.prompt_price, price.completion_price) IS DISTINCT FROM (p_prompt, p_completion) THEN
    PERFORM refuse('price_fixed', jsonb_build_object('model', p_model, 'validFrom', p_valid_from));
  END IF;
  RETURN price;
END
$$;

-- Tasks --------------------------------------------------------------------------------------------------------------

CREATE FUNCTION "lock_task"("p_id" text) RETURNS "tasks"
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  task tasks;
BEGIN
  SELECT * INTO task FROM tasks WHERE id = p_id FOR NO KEY UPDATE;
  IF task.id IS NULL THEN
    PERFORM refuse('task_not_found', jsonb_build_object('taskId', p_id));
  END IF;
  RETURN task;
END
$$;

-- A new task, which waits for the tasks that it depends on.
CREATE FUNCTION "create_task"("p_key" text, "p_id" text, "p_input" jsonb) RETURNS "tasks"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  task tasks;
  earlier text := begin_request(p_key, 'create_task', p_input, p_id, p_input ->> 'createdBy');
  at timestamptz;
  needed text[] := ARRAY(SELECT DISTINCT id FROM jsonb_array_elements_text(p_input -> 'dependsOn') AS id);
  missing text;
BEGIN
  IF earlier IS NOT NULL THEN
    RETURN lock_task(earlier);
  END IF;
  IF cardinality(needed) > 0 THEN
    PERFORM lock_dependencies();
    SELECT asked.id INTO missing FROM unnest(needed) AS asked (id) WHERE NOT EXISTS (SELECT FROM tasks AS t WHERE t.id = asked.id);
  END IF;
  IF missing IS NOT NULL THEN
    PERFORM refuse('task_not_found', jsonb_build_object('taskId', missing));
  END IF;
  at := database_time();
  INSERT INTO tasks (id, title, description, priority, task_type, created_by, metadata, max_attempts, next_at, created_at, updated_at)
  VALUES (p_id, p_input ->> 'title', p_input ->> 'description', p_input ->> 'priority', p_input ->> 'taskType', p_input ->> 'createdBy',
    p_input -> 'metadata', (p_input ->> 'maxAttempts')::integer, at, at, at);
  INSERT INTO task_dependencies (task_id, depends_on_id, created_at) SELECT p_id, id, at FROM unnest(needed) AS id ORDER BY id;
  SELECT * INTO task FROM tasks WHERE id = p_id;
  RETURN task;
END
$$;

-- Lets a pending task wait for another one. A known dependency changes nothing.
CREATE FUNCTION "add_dependency"("p_task" text, "p_depends_on" text) RETURNS "tasks"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  task tasks;
BEGIN
  PERFORM lock_dependencies();
  IF NOT EXISTS (SELECT FROM tasks WHERE id = p_depends_on) THEN
    PERFORM refuse('task_not_found', jsonb_build_object('taskId', p_depends_on));
  END IF;
  task := lock_task(p_task);
  IF EXISTS (SELECT FROM task_dependencies WHERE task_id = p_task AND depends_on_id = p_depends_on) THEN
    RETURN task;
  END IF;
  INSERT INTO task_dependencies (task_id, depends_on_id, created_at) VALUES (p_task, p_depends_on, database_time());
  UPDATE tasks SET updated_at = greatest(updated_at, database_time()) WHERE id = p_task RETURNING * INTO task;
  RETURN task;
END
$$;

-- Locks tasks of a priority that are due, the longest due first, and passes over those that another worker is claiming.
CREATE FUNCTION "lock_due_tasks"("p_priority" text, "p_type" text, "p_now" timestamptz, "p_limit" integer) RETURNS SETOF text
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp SET enable_seqscan = off AS $$
BEGIN
  IF p_type IS NULL THEN
    RETURN QUERY SELECT t.id::text FROM tasks AS t
      WHERE t.priority = p_priority AND t.status IN ('pending', 'in_progress') AND t.waiting_for = 0 AND t.next_at <= p_now
        AND t.attempts < t.max_attempts
      ORDER BY t.next_at, t.id LIMIT p_limit FOR NO KEY UPDATE SKIP LOCKED;
  ELSE
    RETURN QUERY SELECT t.id::text FROM tasks AS t
      WHERE t.task_type = p_type AND t.priority = p_priority AND t.status IN ('pending', 'in_progress') AND t.waiting_for = 0
        AND t.next_at <= p_now AND t.attempts < t.max_attempts
      ORDER BY t.next_at, t.id LIMIT p_limit FOR NO KEY UPDATE SKIP LOCKED;
  END IF;
END
$$;

-- Claims at most "p_limit" tasks that are ready, by priority and then the longest due first. The lease ends after "p_lease": then the
-- task is due again. A task whose lease has lapsed at its last attempt is dead: it fails.
CREATE FUNCTION "claim_tasks"("p_lease_id" text, "p_limit" integer, "p_lease" interval, "p_type" text) RETURNS SETOF "tasks"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  now timestamptz := database_time();
  rest integer := least(greatest(p_limit, 1), 1000);
  found_rows integer;
  level text;
BEGIN
  UPDATE tasks SET status = 'failed', last_error = coalesce(last_error, 'LAPSED: no worker finished the task within its lease'),
    updated_at = greatest(updated_at, now)
  WHERE id IN (
    SELECT t.id FROM tasks AS t WHERE t.status = 'in_progress' AND t.next_at <= now AND t.attempts >= t.max_attempts
    ORDER BY t.next_at LIMIT 100 FOR NO KEY UPDATE SKIP LOCKED);
  FOREACH level IN ARRAY '{critical,high,medium,normal,low}'::text[] LOOP
    RETURN QUERY
      WITH due AS MATERIALIZED (
        SELECT id, place FROM lock_due_tasks(level, p_type, now, rest) WITH ORDINALITY AS listed (id, place)
      ), claimed AS (
        UPDATE tasks AS t SET status = 'in_progress', attempts = t.attempts + 1, lease_id = p_lease_id,
          next_at = now + least(greatest(p_lease, interval '1 millisecond'), interval '1 day'), updated_at = greatest(t.updated_at, now)
        FROM due WHERE t.id = due.id
        RETURNING t AS task, due.place
      )
      SELECT (c.task).* FROM claimed AS c ORDER BY c.place;
    GET DIAGNOSTICS found_rows = ROW_COUNT;
    rest := rest - found_rows;
    EXIT WHEN rest = 0;
  END LOOP;
END
$$;

-- Rejects a worker whose task another one has claimed, or that has ended.
CREATE FUNCTION "demand_lease"("p_task" "tasks", "p_lease_id" text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF p_task.status <> 'in_progress' OR p_task.lease_id IS DISTINCT FROM p_lease_id THEN
    PERFORM refuse('lease_lost', jsonb_build_object('taskId', p_task.id, 'status', p_task.status));
  END IF;
END
$$;

CREATE FUNCTION "extend_lease"("p_task" text, "p_lease_id" text, "p_lease" interval) RETURNS "tasks"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  task tasks := lock_task(p_task);
  now timestamptz := database_time();
BEGIN
  PERFORM demand_lease(task, p_lease_id);
  UPDATE tasks SET next_at = now + least(greatest(p_lease, interval '1 millisecond'), interval '1 day'),
    updated_at = greatest(updated_at, now)
  WHERE id = p_task RETURNING * INTO task;
  RETURN task;
END
$$;

-- Completes the task of a lease, for the last worker that claimed it. The same call again changes nothing.
CREATE FUNCTION "complete_task"("p_task" text, "p_lease_id" text) RETURNS "tasks"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  task tasks;
  now timestamptz;
BEGIN
  PERFORM demand_read_committed();
  PERFORM pg_advisory_xact_lock_shared(hashtextextended('agent.dependencies', 0));
  task := lock_task(p_task);
  IF task.status = 'completed' AND task.lease_id = p_lease_id THEN
    RETURN task;
  END IF;
  PERFORM demand_lease(task, p_lease_id);
  now := database_time();
  UPDATE tasks SET status = 'completed', completed_at = now, updated_at = greatest(updated_at, now) WHERE id = p_task
  RETURNING * INTO task;
  RETURN task;
END
$$;

-- 5 seconds after the first attempt, twice as long after each further one, an hour at most; at random shortened by up to one half, so
-- that tasks that failed together do not come back together.
CREATE FUNCTION "retry_delay"("p_attempts" integer) RETURNS interval LANGUAGE sql VOLATILE
SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT least(5 * 2::double precision ^ (p_attempts - 1), 3600) * (0.5 + random() / 2) * interval '1 second'
$$;

-- Gives the task of a lease back after a failure. It is due again later, or dead after its last attempt and if no retry is wanted.
CREATE FUNCTION "fail_task"("p_task" text, "p_lease_id" text, "p_error" text, "p_retry" boolean) RETURNS "tasks"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  task tasks := lock_task(p_task);
  now timestamptz := database_time();
BEGIN
  IF task.status IN ('pending', 'failed') AND task.lease_id = p_lease_id THEN
    RETURN task;
  END IF;
  PERFORM demand_lease(task, p_lease_id);
  IF p_retry AND task.attempts < task.max_attempts THEN
    UPDATE tasks SET status = 'pending', last_error = p_error, next_at = now + retry_delay(attempts), updated_at = greatest(updated_at, now)
    WHERE id = p_task RETURNING * INTO task;
  ELSE
    UPDATE tasks SET status = 'failed', last_error = p_error, updated_at = greatest(updated_at, now)
    WHERE id = p_task RETURNING * INTO task;
  END IF;
  RETURN task;
END
$$;

CREATE FUNCTION "demand_status"("p_task" "tasks", "p_allowed" text[], "p_to" text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF NOT p_task.status = ANY (p_allowed) THEN
    PERFORM refuse('illegal_transition', jsonb_build_object('what', 'task', 'id', p_task.id, 'from', p_task.status, 'to', p_to));
  END IF;
END
$$;

-- Cancels a task that is pending or in progress; its worker loses the lease. Canceling it again changes nothing.
CREATE FUNCTION "cancel_task"("p_task" text) RETURNS "tasks"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  task tasks := lock_task(p_task);
BEGIN
  IF task.status = 'cancelled' THEN
    RETURN task;
  END IF;
  PERFORM demand_status(task, '{pending,in_progress}', 'cancelled');
  UPDATE tasks SET status = 'cancelled', lease_id = NULL, updated_at = greatest(updated_at, database_time())
  WHERE id = p_task RETURNING * INTO task;
  RETURN task;
END
$$;

-- Makes a dead or canceled task pending again, with all of its attempts. A pending task stays as it is.
CREATE FUNCTION "retry_task"("p_task" text) RETURNS "tasks"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  task tasks := lock_task(p_task);
  now timestamptz := database_time();
BEGIN
  IF task.status = 'pending' THEN
    RETURN task;
  END IF;
  PERFORM demand_status(task, '{failed,cancelled}', 'pending');
  UPDATE tasks SET status = 'pending', attempts = 0, lease_id = NULL, next_at = now, updated_at = greatest(updated_at, now)
  WHERE id = p_task RETURNING * INTO task;
  RETURN task;
END
$$;

-- Persons ------------------------------------------------------------------------------------------------------------

-- Everything about a person, as one JSON object of lists of rows.
CREATE FUNCTION "export_person"("p_user" text) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp SET timezone = 'UTC' AS $$
  SELECT jsonb_build_object(
    'conversations', (SELECT coalesce(jsonb_agg(to_jsonb(c) ORDER BY c.created_at, c.id), '[]') FROM conversations AS c WHERE c.user_id = p_user),
    'messages', (SELECT coalesce(jsonb_agg(to_jsonb(m) - 'search' ORDER BY m.conversation_id, m.position), '[]') FROM messages AS m
      WHERE m.user_id = p_user),
    'ragContexts', (SELECT coalesce(jsonb_agg(to_jsonb(r) ORDER BY r.created_at, r.id), '[]') FROM message_rag_contexts AS r
      JOIN messages AS m ON m.id = r.message_id WHERE m.user_id = p_user),
    'executions', (SELECT coalesce(jsonb_agg(to_jsonb(e) ORDER BY e.created_at, e.id), '[]') FROM agent_executions AS e
      WHERE e.user_id = p_user OR e.conversation_id IN (SELECT id FROM conversations WHERE user_id = p_user)),
    'tasks', (SELECT coalesce(jsonb_agg(to_jsonb(t) ORDER BY t.created_at, t.id), '[]') FROM tasks AS t WHERE t.created_by = p_user),
    'chatMessages', (SELECT coalesce(jsonb_agg(to_jsonb(l) ORDER BY l.id), '[]') FROM chat_messages AS l WHERE l.user_id = p_user),
    'requests', (SELECT coalesce(jsonb_agg(to_jsonb(q) ORDER BY q.created_at, q.key), '[]') FROM requests AS q WHERE q.user_id = p_user),
    'auditLogs', (SELECT coalesce(jsonb_agg(to_jsonb(a) ORDER BY a.created_at, a.id), '[]') FROM audit_logs AS a WHERE a.user_id = p_user))
$$;

-- Deletes what a person and agents said to each other, and takes the text and the person from tasks. Tasks that have not ended are
-- canceled: their work was for the person. The audit log stays, for security. Returns how many rows changed.
CREATE FUNCTION "erase_person"("p_user" text) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  now timestamptz;
  deleted integer := 0;
  anonymised integer;
  changed integer;
BEGIN
  -- Others complete tasks, and lock what waits for them, only while no person is being erased.
  PERFORM lock_dependencies();
  PERFORM FROM conversations WHERE user_id = p_user ORDER BY id FOR UPDATE;
  now := database_time();
  DELETE FROM agent_executions WHERE user_id = p_user OR conversation_id IN (SELECT id FROM conversations WHERE user_id = p_user);
  GET DIAGNOSTICS changed = ROW_COUNT;
  deleted := deleted + changed;
  SELECT deleted + count(*) INTO deleted FROM messages WHERE user_id = p_user;
  DELETE FROM conversations WHERE user_id = p_user;
  GET DIAGNOSTICS changed = ROW_COUNT;
  deleted := deleted + changed;
  DELETE FROM chat_messages WHERE user_id = p_user;
  GET DIAGNOSTICS changed = ROW_COUNT;
  deleted := deleted + changed;
  PERFORM FROM tasks WHERE created_by = p_user ORDER BY id FOR NO KEY UPDATE;
  UPDATE tasks SET title = '[erased]', description = NULL, metadata = NULL, last_error = NULL, created_by = NULL,
    status = CASE WHEN status IN ('pending', 'in_progress') THEN 'cancelled' ELSE status END,
    lease_id = CASE WHEN status IN ('pending', 'in_progress') THEN NULL ELSE lease_id END, updated_at = greatest(updated_at, now)
  WHERE created_by = p_user;
  GET DIAGNOSTICS anonymised = ROW_COUNT;
  DELETE FROM requests WHERE user_id = p_user;
  IF deleted + anonymised > 0 THEN
    PERFORM audit(p_user, 'person.erased', 'person', p_user, now);
  END IF;
  RETURN jsonb_build_object('deleted', deleted, 'anonymised', anonymised);
END
$$;
