-- Why: stories are created, described, analysed and planned by functions, in the time of the database. Applies the constraints of the
-- last migration to the existing rows: it fails if the gate result of a story that has not ended has no wave and verdict, or if a chat
-- history is larger than 1 MB; correct the row and run it again.
-- Locks: SHARE UPDATE EXCLUSIVE on stories and story_steps, which lets others read and write.
-- Runs again: no, once per database; inside one transaction.

SET LOCAL lock_timeout = '5s';

ALTER TABLE "story_steps" VALIDATE CONSTRAINT "story_steps_claim_check";
ALTER TABLE "story_steps" VALIDATE CONSTRAINT "story_steps_lapses_check";
ALTER TABLE "story_steps" VALIDATE CONSTRAINT "story_steps_lease_until_check";
ALTER TABLE "stories" VALIDATE CONSTRAINT "stories_verification_agrees_check";
ALTER TABLE "stories" VALIDATE CONSTRAINT "stories_gate_decision_check";
ALTER TABLE "stories" VALIDATE CONSTRAINT "stories_chat_size_check";

-- Every change of a story, its steps and their tasks holds the lock of the story, and takes it first.
CREATE FUNCTION "lock_story"("p_id" uuid) RETURNS stories LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  story stories;
BEGIN
  SELECT * INTO story FROM stories WHERE id = p_id FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    PERFORM refuse('story_not_found', jsonb_build_object('storyId', p_id));
  END IF;
  RETURN story;
END
$$;

CREATE FUNCTION "lock_open_story"("p_id" uuid) RETURNS stories LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  story stories := lock_story(p_id);
BEGIN
  IF story.status IN ('Completed', 'Cancelled') THEN
    PERFORM refuse('story_ended', jsonb_build_object('storyId', p_id, 'status', story.status));
  END IF;
  RETURN story;
END
$$;

CREATE FUNCTION "refuse_move"("p_table" text, "p_id" uuid, "p_from" text, "p_to" text) RETURNS void LANGUAGE sql
SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT refuse('status_transition', jsonb_build_object('table', p_table, 'id', p_id, 'from', p_from, 'to', p_to))
$$;

CREATE FUNCTION "create_story"("p_key" text, "p_hash" text, "p_fields" jsonb) RETURNS SETOF stories
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  new_id uuid := uuid_v7();
  earlier uuid := begin_request(p_key, 'createStory', p_hash, new_id);
  at timestamptz := database_time();
  given stories := jsonb_populate_record(NULL::stories, p_fields);
BEGIN
  IF earlier IS NOT NULL THEN
    RETURN QUERY SELECT * FROM stories WHERE id = earlier;
    RETURN;
  END IF;
  INSERT INTO stories (id, title, description, repository_path, worktree_path, git_branch, issue_url, issue_provider, issue_number,
    issue_owner, issue_repo, automation_mode, dispatch_target, source, source_guardian_id, user_id, pattern_name, pattern_language,
    priority, suggested_capability, gate_mode, max_parallelism, created_at, updated_at)
  VALUES (new_id, given.title, given.description, given.repository_path, given.worktree_path, given.git_branch, given.issue_url,
    given.issue_provider, given.issue_number, given.issue_owner, given.issue_repo, coalesce(given.automation_mode, 'Assisted'),
    coalesce(given.dispatch_target, 'CopilotCli'), coalesce(given.source, 'User'), given.source_guardian_id, given.user_id,
    given.pattern_name, given.pattern_language, coalesce(given.priority, 'Medium'), given.suggested_capability,
    coalesce(given.gate_mode, 'AutoProceed'), coalesce(given.max_parallelism, 4), at, at);
  PERFORM emit('story-created', new_id, jsonb_build_object('userId', given.user_id, 'source', coalesce(given.source, 'User'),
    'priority', coalesce(given.priority, 'Medium')), at);
  RETURN QUERY SELECT * FROM stories WHERE id = new_id;
END
$$;

-- Changes the given fields; null clears one. Columns that only other functions change are not among them, whatever the caller passes.
CREATE FUNCTION "update_story"("p_id" uuid, "p_patch" jsonb) RETURNS SETOF stories
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  story stories := lock_open_story(p_id);
  at timestamptz := greatest(database_time(), story.updated_at);
  changed stories := jsonb_populate_record(story, p_patch);
BEGIN
  RETURN QUERY UPDATE stories SET title = changed.title, description = changed.description, repository_path = changed.repository_path,
    worktree_path = changed.worktree_path, git_branch = changed.git_branch, issue_url = changed.issue_url,
    issue_provider = changed.issue_provider, issue_number = changed.issue_number, issue_owner = changed.issue_owner,
    issue_repo = changed.issue_repo, automation_mode = changed.automation_mode, dispatch_target = changed.dispatch_target,
    pattern_name = changed.pattern_name, pattern_language = changed.pattern_language, priority = changed.priority,
    suggested_capability = changed.suggested_capability, gate_mode = changed.gate_mode, max_parallelism = changed.max_parallelism,
    pull_request_url = changed.pull_request_url, updated_at = at
  WHERE id = p_id AND story IS DISTINCT FROM changed RETURNING *;
  IF NOT FOUND THEN
    RETURN NEXT story;
  END IF;
END
$$;

-- Begins the analysis or the planning, or ends one as failed. A story that has failed in its execution runs its steps again instead.
CREATE FUNCTION "move_story"("p_id" uuid, "p_to" text) RETURNS SETOF stories
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  story stories := lock_story(p_id);
BEGIN
  IF story.status = p_to AND (p_to <> 'Failed' OR story.current_wave = 0) THEN
    RETURN NEXT story;
    RETURN;
  ELSIF story.current_wave > 0 OR p_to NOT IN ('Analyzing', 'Planning', 'Failed') THEN
    PERFORM refuse_move('stories', p_id, story.status, p_to);
  END IF;
  RETURN QUERY UPDATE stories SET status = p_to, updated_at = greatest(database_time(), updated_at) WHERE id = p_id RETURNING *;
END
$$;

CREATE FUNCTION "record_analysis"("p_id" uuid, "p_context" jsonb) RETURNS SETOF stories
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  story stories := lock_story(p_id);
BEGIN
  IF story.status = 'Analyzed' AND story.analyzed_context = p_context THEN
    RETURN NEXT story;
    RETURN;
  ELSIF story.status <> 'Analyzing' THEN
    PERFORM refuse_move('stories', p_id, story.status, 'Analyzed');
  END IF;
  RETURN QUERY UPDATE stories SET status = 'Analyzed', analyzed_context = p_context, updated_at = greatest(database_time(), updated_at)
    WHERE id = p_id RETURNING *;
END
$$;

-- Replaces the steps of a story that is being planned by those of the plan, in their order. The plan is kept as it was given.
CREATE FUNCTION "record_plan"("p_id" uuid, "p_plan" jsonb) RETURNS SETOF stories
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  story stories := lock_story(p_id);
  at timestamptz := greatest(database_time(), story.updated_at);
BEGIN
  IF story.status = 'Planned' AND story.execution_plan = p_plan THEN
    RETURN NEXT story;
    RETURN;
  ELSIF story.status <> 'Planning' THEN
    PERFORM refuse_move('stories', p_id, story.status, 'Planned');
  ELSIF (jsonb_array_length(p_plan -> 'steps') BETWEEN 1 AND 500) IS NOT TRUE OR EXISTS (
    SELECT FROM jsonb_to_recordset(p_plan -> 'steps') AS s (wave integer) WHERE (s.wave BETWEEN 1 AND 1000) IS NOT TRUE) THEN
    PERFORM refuse('plan_invalid', jsonb_build_object('storyId', p_id));
  END IF;
  DELETE FROM story_steps WHERE story_id = p_id;
  WITH planned AS (
    SELECT uuid_v7() AS id, s.ordinality::integer AS place, s.value AS step
    FROM jsonb_array_elements(p_plan -> 'steps') WITH ORDINALITY AS s
  ), added AS (
    INSERT INTO story_steps (id, story_id, "order", name, capability, description, wave, created_at, updated_at)
    SELECT id, p_id, place, step ->> 'name', step ->> 'capability', step ->> 'description', (step ->> 'wave')::integer, at, at
    FROM planned
  )
  INSERT INTO story_tasks (step_id, "order", description, created_at, updated_at)
  SELECT p.id, t.ordinality::integer, t.value, at, at
  FROM planned AS p CROSS JOIN jsonb_array_elements_text(coalesce(p.step -> 'tasks', '[]')) WITH ORDINALITY AS t;
  RETURN QUERY UPDATE stories SET status = 'Planned', execution_plan = p_plan, updated_at = at WHERE id = p_id RETURNING *;
END
$$;

-- Adds a message to the end of the conversation about a story, once per key.
CREATE FUNCTION "append_chat"("p_key" text, "p_hash" text, "p_id" uuid, "p_role" text, "p_content" text) RETURNS SETOF stories
LANGUAGE plpgsql SECURITY DEFINER SET timezone = 'UTC' SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  story stories;
  at timestamptz;
BEGIN
  IF begin_request(p_key, 'appendChat', p_hash, p_id) IS NOT NULL THEN
    RETURN QUERY SELECT * FROM stories WHERE id = p_id;
    RETURN;
  END IF;
  story := lock_open_story(p_id);
  at := greatest(database_time(), story.updated_at);
  IF p_role IS NULL OR p_role NOT IN ('user', 'assistant', 'system') OR p_content IS NULL THEN
    PERFORM refuse('chat_invalid', '{}');
  ELSIF jsonb_array_length(coalesce(story.chat_history, '[]')) >= 1000
    OR octet_length(coalesce(story.chat_history, '[]')::text) + octet_length(to_jsonb(p_content)::text) > 999000 THEN
    PERFORM refuse('chat_full', jsonb_build_object('storyId', p_id));
  END IF;
  RETURN QUERY UPDATE stories SET updated_at = at,
    chat_history = coalesce(chat_history, '[]') || jsonb_build_object('role', p_role, 'content', p_content, 'at', at)
  WHERE id = p_id RETURNING *;
  PERFORM emit('chat-message-added', p_id, jsonb_build_object('role', p_role), at);
END
$$;
