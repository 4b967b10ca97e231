-- Why: a memory moves between tiers by what is observed of it, and every move is recorded; replays have a checksum; rollbacks and what a
-- cycle changed are recorded together. Only functions write these tables.
-- Locks: none that wait for readers or writers for long: triggers are added.
-- Runs again: no, once per database; inside one transaction.

SET LOCAL lock_timeout = '5s';

-- Memory -------------------------------------------------------------------------------------------------------------

-- How long a memory stays in a tier without being observed; null is forever.
CREATE FUNCTION "tier_lifetime"("p_tier" text) RETURNS interval
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT CASE p_tier WHEN 'fast' THEN interval '1 day' WHEN 'medium' THEN interval '7 days' WHEN 'slow' THEN interval '90 days' END
$$;

CREATE FUNCTION "store_memory"("p_key" text, "p_id" text, "p_input" jsonb) RETURNS "continuum_memory"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  memory continuum_memory;
  earlier text := begin_request(p_key, 'store-memory', p_input);
  at timestamptz := database_time();
BEGIN
  IF earlier IS NOT NULL THEN
    SELECT * INTO memory FROM continuum_memory WHERE id = earlier;
    IF memory.id IS NULL THEN
      PERFORM refuse('memory_not_found', jsonb_build_object('memoryId', earlier));
    END IF;
    RETURN memory;
  END IF;
  INSERT INTO continuum_memory (id, tier, content, importance, metadata, expires_at, created_at, updated_at)
  VALUES (p_id, p_input ->> 'tier', p_input ->> 'content', (p_input ->> 'importance')::double precision, p_input -> 'metadata',
    at + tier_lifetime(p_input ->> 'tier'), at, at)
  RETURNING * INTO memory;
  PERFORM finish_request(p_key, p_id);
  RETURN memory;
END
$$;

-- Moves a memory, and gives it the lifetime of its new tier.
CREATE FUNCTION "move_memory"("p_memory" "continuum_memory", "p_to" text, "p_reason" text, "p_at" timestamptz) RETURNS "continuum_memory"
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  memory continuum_memory;
BEGIN
  INSERT INTO tier_transitions (memory_id, from_tier, to_tier, reason, surprise_score, created_at)
  VALUES (p_memory.id, p_memory.tier, p_to, p_reason, p_memory.surprise_score, p_at);
  UPDATE continuum_memory SET tier = p_to, expires_at = p_at + tier_lifetime(p_to), updated_at = p_at,
    last_promotion_at = CASE p_reason WHEN 'consolidated' THEN p_at ELSE last_promotion_at END
  WHERE id = p_memory.id RETURNING * INTO memory;
  PERFORM emit('memory-moved', memory.id, jsonb_build_object('memoryId', memory.id, 'from', p_memory.tier, 'to', p_to,
    'reason', p_reason), p_at);
  RETURN memory;
END
$$;

-- Records how much an outcome surprised, from 0 to 1, and whether the memory was right. Surprise is a moving average with the weight 0.3;
-- consolidation comes a fifth closer to 1 with a success, and is halved by a failure.
-- Surprise of at least 0.7 demotes the memory to the next faster tier, where it changes sooner. Consolidation of at least 0.7 promotes it to the
-- next slower one, unless it surprises by 0.3 or more. The score that moved it starts again, so that one observation moves it one tier.
CREATE FUNCTION "observe_memory"("p_key" text, "p_id" text, "p_surprise" double precision, "p_success" boolean) RETURNS "continuum_memory"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  memory continuum_memory;
  tiers constant text[] := '{fast,medium,slow,glacial}';
  place integer;
  earlier text := begin_request(p_key, 'observe-memory', jsonb_build_object('id', p_id, 'surprise', p_surprise, 'success', p_success));
  at timestamptz;
BEGIN
  IF p_surprise IS NULL OR p_surprise NOT BETWEEN 0 AND 1 THEN
    RAISE EXCEPTION 'The surprise is not between 0 and 1' USING ERRCODE = 'check_violation';
  END IF;
  SELECT * INTO memory FROM continuum_memory WHERE id = p_id FOR NO KEY UPDATE;
  at := database_time();
  IF memory.id IS NULL OR memory.expires_at <= at THEN
    PERFORM refuse('memory_not_found', jsonb_build_object('memoryId', p_id));
  END IF;
  IF earlier IS NOT NULL THEN
    RETURN memory;
  END IF;
  UPDATE continuum_memory SET update_count = update_count + 1, success_count = success_count + p_success::integer,
    failure_count = failure_count + (NOT p_success)::integer,
    surprise_score = least(0.7 * surprise_score + 0.3 * p_surprise, 1),
    consolidation_score = least(CASE WHEN p_success THEN consolidation_score + 0.2 * (1 - consolidation_score) ELSE consolidation_score / 2 END, 1),
    expires_at = at + tier_lifetime(tier), updated_at = at
  WHERE id = p_id RETURNING * INTO memory;
  place := array_position(tiers, memory.tier);
  IF memory.surprise_score >= 0.7 AND place > 1 THEN
    memory := move_memory(memory, tiers[place - 1], 'surprise', at);
    UPDATE continuum_memory SET surprise_score = 0, consolidation_score = 0 WHERE id = p_id RETURNING * INTO memory;
  ELSIF memory.consolidation_score >= 0.7 AND memory.surprise_score < 0.3 AND place < 4 THEN
    memory := move_memory(memory, tiers[place + 1], 'consolidated', at);
    UPDATE continuum_memory SET consolidation_score = 0 WHERE id = p_id RETURNING * INTO memory;
  END IF;
  RETURN memory;
END
$$;

CREATE FUNCTION "forget_memory"("p_id" text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  DELETE FROM continuum_memory WHERE id = p_id;
  RETURN FOUND;
END
$$;

-- Deletes memories whose time is over, at most "p_most", and returns their number.
CREATE FUNCTION "expire_memories"("p_most" integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  deleted integer;
BEGIN
  DELETE FROM continuum_memory WHERE id = ANY (ARRAY(
    SELECT id FROM continuum_memory WHERE expires_at <= database_time()
    ORDER BY expires_at LIMIT least(greatest(p_most, 1), 100000) FOR UPDATE SKIP LOCKED));
  GET DIAGNOSTICS deleted = ROW_COUNT;
  RETURN deleted;
END
$$;

-- Replays ------------------------------------------------------------------------------------------------------------

-- The checksum of a replay: SHA-256 over what it consists of, in the spelling of jsonb, which has one order of keys.
CREATE FUNCTION "replay_checksum"("p_replay" "traces") RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT 'sha256:' || encode(sha256(convert_to(jsonb_build_array(p_replay.debate_id, p_replay.task, p_replay.agents,
    p_replay.random_seed::text, p_replay.trace_json)::text, 'UTF8')), 'hex')
$$;

CREATE FUNCTION "record_replay"("p_key" text, "p_id" text, "p_input" jsonb) RETURNS "traces"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  replay traces;
  earlier text := begin_request(p_key, 'record-replay', p_input);
  at timestamptz := database_time();
BEGIN
  IF earlier IS NOT NULL THEN
    SELECT * INTO replay FROM traces WHERE trace_id = earlier;
    RETURN replay;
  END IF;
  replay.trace_id := p_id;
  replay.debate_id := p_input ->> 'debateId';
  replay.task := p_input ->> 'task';
  replay.agents := p_input -> 'agents';
  replay.random_seed := (p_input ->> 'randomSeed')::bigint;
  replay.trace_json := p_input -> 'trace';
  replay.started_at := (p_input ->> 'startedAt')::timestamptz;
  replay.completed_at := (p_input ->> 'completedAt')::timestamptz;
  replay.created_at := at;
  replay.updated_at := at;
  replay.checksum := replay_checksum(replay);
  INSERT INTO traces SELECT (replay).* RETURNING * INTO replay;
  PERFORM finish_request(p_key, p_id);
  RETURN replay;
END
$$;

-- Whether a replay is what was recorded: intact, changed, or unchecked if its checksum is of another system.
CREATE FUNCTION "verify_replay"("p_id" text) RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  replay traces;
BEGIN
  SELECT * INTO replay FROM traces WHERE trace_id = p_id;
  IF replay.trace_id IS NULL THEN
    PERFORM refuse('replay_not_found', jsonb_build_object('traceId', p_id));
  END IF;
  RETURN CASE WHEN replay.checksum IS NULL OR replay.checksum NOT LIKE 'sha256:%' THEN 'unchecked'
    WHEN replay.checksum = replay_checksum(replay) THEN 'intact' ELSE 'changed' END;
END
$$;

-- What a cycle changed -----------------------------------------------------------------------------------------------

-- Records what a cycle changed, once per cycle: the evolution with its files.
CREATE FUNCTION "record_evolution"("p_id" text, "p_input" jsonb) RETURNS "cycle_evolution"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  evolution cycle_evolution;
  files jsonb := (SELECT coalesce(jsonb_agg(value ->> 'path' ORDER BY value ->> 'path' COLLATE "C"), '[]') FROM jsonb_array_elements(p_input -> 'files'));
  loop_name text := p_input ->> 'loopId';
  number integer := (p_input ->> 'cycleNumber')::integer;
  at timestamptz;
BEGIN
  PERFORM lock_loop(loop_name);
  SELECT * INTO evolution FROM cycle_evolution WHERE loop_id = loop_name AND cycle_number = number;
  IF evolution.id IS NOT NULL THEN
    IF (evolution.files_changed, evolution.git_commit, evolution.debate_artifact_id) IS DISTINCT FROM
       (files, p_input ->> 'gitCommit', (p_input ->> 'artifactId')::integer) THEN
      PERFORM refuse('evolution_recorded', jsonb_build_object('loopId', loop_name, 'cycleNumber', number));
    END IF;
    RETURN evolution;
  END IF;
  PERFORM lock_artifact((p_input ->> 'artifactId')::integer) WHERE p_input ->> 'artifactId' IS NOT NULL;
  at := database_time();
  INSERT INTO cycle_evolution (id, loop_id, cycle_number, debate_artifact_id, winning_proposal_summary, files_changed, git_commit,
    created_at, updated_at)
  VALUES (p_id, loop_name, number, (p_input ->> 'artifactId')::integer, p_input ->> 'summary', files, p_input ->> 'gitCommit', at, at)
  RETURNING * INTO evolution;
  INSERT INTO cycle_file_changes (loop_id, cycle_number, file_path, change_type, insertions, deletions, created_at)
  SELECT loop_name, number, value ->> 'path', value ->> 'change', (value ->> 'insertions')::integer, (value ->> 'deletions')::integer, at
  FROM jsonb_array_elements(p_input -> 'files');
  PERFORM emit('evolution-recorded', loop_name, jsonb_build_object('evolutionId', p_id, 'loopId', loop_name, 'cycleNumber', number,
    'files', jsonb_array_length(files)), at);
  RETURN evolution;
END
$$;

-- Records a rollback, and links the evolution that it reverts.
CREATE FUNCTION "record_rollback"("p_key" text, "p_id" text, "p_input" jsonb) RETURNS "nomic_rollbacks"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  undone nomic_rollbacks;
  earlier text := begin_request(p_key, 'record-rollback', p_input);
  at timestamptz;
BEGIN
  IF earlier IS NOT NULL THEN
    SELECT * INTO undone FROM nomic_rollbacks WHERE id = earlier;
    RETURN undone;
  END IF;
  PERFORM lock_loop(p_input ->> 'loopId');
  at := database_time();
  INSERT INTO nomic_rollbacks (id, loop_id, cycle_number, phase, reason, severity, rolled_back_commit, preserved_branch, files_affected,
    diff_summary, error_message, created_at)
  VALUES (p_id, p_input ->> 'loopId', (p_input ->> 'cycleNumber')::integer, p_input ->> 'phase', p_input ->> 'reason',
    p_input ->> 'severity', p_input ->> 'commit', p_input ->> 'preservedBranch', p_input -> 'files', p_input ->> 'diffSummary',
    p_input ->> 'error', at)
  RETURNING * INTO undone;
  -- The first rollback is the one that reverted the changes.
  UPDATE cycle_evolution SET rollback_id = p_id, updated_at = at
  WHERE loop_id = undone.loop_id AND cycle_number = undone.cycle_number AND rollback_id IS NULL;
  PERFORM finish_request(p_key, p_id);
  PERFORM emit('cycle-rolled-back', undone.loop_id, jsonb_build_object('rollbackId', p_id, 'loopId', undone.loop_id,
    'cycleNumber', undone.cycle_number, 'reason', undone.reason, 'severity', undone.severity), at);
  RETURN undone;
END
$$;

-- Persons ------------------------------------------------------------------------------------------------------------

-- Everything about a person, as one JSON object of lists of rows. Hashes of tokens and sealed secrets are not about the person.
CREATE FUNCTION "export_person"("p_user" text) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp SET timezone = 'UTC' AS $$
  SELECT jsonb_build_object(
    'shareLinks', (SELECT coalesce(jsonb_agg(to_jsonb(s) - 'token' ORDER BY s.created_at, s.debate_id), '[]') FROM share_links AS s
      WHERE s.owner_id = p_user),
    'webhooks', (SELECT coalesce(jsonb_agg(to_jsonb(w) - 'secret' ORDER BY w.created_at, w.id), '[]') FROM webhook_configs AS w
      WHERE w.user_id = p_user),
    'webhookDeliveries', (SELECT coalesce(jsonb_agg(to_jsonb(d) ORDER BY d.created_at, d.message_id), '[]') FROM webhook_deliveries AS d
      JOIN webhook_configs AS w ON w.id = d.webhook_id WHERE w.user_id = p_user),
    'auditLogs', (SELECT coalesce(jsonb_agg(to_jsonb(l) ORDER BY l.created_at, l.id), '[]') FROM audit_logs AS l WHERE l.user_id = p_user))
$$;

-- Deletes the share links and the webhooks of a person, with their deliveries. The audit log stays, for security.
CREATE FUNCTION "erase_person"("p_user" text) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  links integer;
  hooks integer;
BEGIN
  PERFORM FROM share_links WHERE owner_id = p_user ORDER BY debate_id FOR UPDATE;
  DELETE FROM share_links WHERE owner_id = p_user;
  GET DIAGNOSTICS links = ROW_COUNT;
  PERFORM FROM webhook_configs WHERE user_id = p_user ORDER BY id FOR UPDATE;
  DELETE FROM webhook_configs WHERE user_id = p_user;
  GET DIAGNOSTICS hooks = ROW_COUNT;
  RETURN jsonb_build_object('shareLinks', links, 'webhooks', hooks,
    'retained', (SELECT count(*) FROM audit_logs WHERE user_id = p_user));
END
$$;
