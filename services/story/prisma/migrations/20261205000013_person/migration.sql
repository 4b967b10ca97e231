-- Why: what this database holds about a person, as one document, and its erasure. Erasure follows the annotations of the schema: stories
-- become anonymous, and the audit log is retained.
-- Locks: none.
-- Runs again: no, once per database; inside one transaction.

SET LOCAL lock_timeout = '5s';

CREATE FUNCTION "export_person"("p_user_id" text) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET timezone = 'UTC' SET search_path = pg_catalog, public, pg_temp AS $$
  WITH own AS MATERIALIZED (SELECT * FROM stories WHERE user_id = p_user_id)
  SELECT jsonb_build_object(
    'stories', (SELECT coalesce(jsonb_agg(to_jsonb(t) ORDER BY t.created_at, t.id), '[]') FROM own AS t),
    'steps', (SELECT coalesce(jsonb_agg(to_jsonb(t) ORDER BY t.story_id, t."order"), '[]') FROM story_steps AS t
      WHERE story_id IN (SELECT id FROM own)),
    'tasks', (SELECT coalesce(jsonb_agg(to_jsonb(t) ORDER BY t.step_id, t."order"), '[]') FROM story_tasks AS t
      WHERE step_id IN (SELECT s.id FROM story_steps AS s JOIN own ON own.id = s.story_id)),
    'attempts', (SELECT coalesce(jsonb_agg(to_jsonb(t) ORDER BY t.step_id, t.number), '[]') FROM step_attempts AS t
      WHERE story_id IN (SELECT id FROM own)),
    'auditLogs', (SELECT coalesce(jsonb_agg(to_jsonb(t) ORDER BY t.created_at, t.id), '[]') FROM audit_logs AS t
      WHERE user_id = p_user_id))
$$;

-- Cancels the stories of a person that have not ended, and removes the person and every text from all of them. A repeated call finds no
-- story.
CREATE FUNCTION "erase_person"("p_user_id" text) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  story stories;
  at timestamptz;
  erased integer := 0;
  cancelled integer := 0;
BEGIN
  FOR story IN SELECT * FROM stories WHERE user_id = p_user_id ORDER BY id FOR NO KEY UPDATE LOOP
    at := greatest(database_time(), story.updated_at, story.created_at);
    IF story.status NOT IN ('Completed', 'Cancelled') THEN
      PERFORM end_story(story, at);
      cancelled := cancelled + 1;
    END IF;
    UPDATE stories SET title = 'Erased', description = NULL, repository_path = NULL, worktree_path = NULL, git_branch = NULL,
      analyzed_context = NULL, execution_plan = NULL, issue_url = NULL, issue_provider = NULL, issue_number = NULL, issue_owner = NULL,
      issue_repo = NULL, user_id = NULL, chat_history = NULL, verification_result = NULL, gate_result = NULL, pull_request_url = NULL,
      updated_at = at
    WHERE id = story.id;
    UPDATE story_tasks SET description = 'Erased', updated_at = at WHERE step_id IN (SELECT id FROM story_steps WHERE story_id = story.id);
    UPDATE story_steps SET name = 'Erased', description = NULL, output = NULL, error = NULL, review_feedback = NULL, updated_at = at
      WHERE story_id = story.id;
    UPDATE step_attempts SET error = NULL, updated_at = at WHERE story_id = story.id AND error IS NOT NULL;
    PERFORM emit('story-erased', story.id, '{}', at);
    erased := erased + 1;
  END LOOP;
  RETURN jsonb_build_object('stories', erased, 'cancelled', cancelled);
END
$$;
