-- Why: debate becomes a store. The database holds the order of phases and stages, numbers the events of each cycle without gaps, and
-- fixes a debate when it has been concluded. Only functions write these tables. They take their locks in one order: the key of the
-- request, the loop, then rows.
-- Locks: ACCESS EXCLUSIVE on nomic_cycles, debate_artifacts and stream_events until the end. Existing events get their numbers, which
-- rewrites their rows: about 10 s for a million events.
-- Runs again: no, once per database; inside one transaction.

SET LOCAL lock_timeout = '5s';

-- One function tells the time of every rule of this database. It reads the clock when it is called: a rule that waited for a lock is
-- judged at the time at which it holds the lock. Only the administrator can replace the function, as tests do.
CREATE FUNCTION "database_time"() RETURNS timestamptz LANGUAGE sql VOLATILE PARALLEL SAFE
AS $$ SELECT pg_catalog.clock_timestamp() $$;

-- The rule that rejects a call, and its facts as JSON.
CREATE FUNCTION "refuse"("rule" text, "facts" jsonb) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  RAISE EXCEPTION USING ERRCODE = 'AZ001', MESSAGE = rule, DETAIL = facts::text;
END
$$;

CREATE FUNCTION "emit"("p_name" text, "p_key" text, "p_payload" jsonb, "p_at" timestamptz) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, public, pg_temp AS $$
  INSERT INTO outbox (type, key, payload, created_at) VALUES ('debate.' || p_name || '.v1', left(p_key, 200), p_payload, p_at)
$$;

-- Requests -----------------------------------------------------------------------------------------------------------

-- CreateTable
CREATE TABLE "requests" (
    "key" VARCHAR(200) NOT NULL,
    "operation" VARCHAR(50) NOT NULL,
    "body_hash" CHAR(64) NOT NULL,
    "answer_id" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "requests_pkey" PRIMARY KEY ("key"),
    CONSTRAINT "requests_key_check" CHECK (btrim("key") <> ''),
    CONSTRAINT "requests_times_check" CHECK (
      "created_at" >= to_timestamp(-62135596800) AND "created_at" < to_timestamp(253402300800))
);
CREATE INDEX "requests_created_at_idx" ON "requests"("created_at");

-- Takes the key for this request. Null if it is new; the answer to the first request if the same one took effect before.
CREATE FUNCTION "begin_request"("p_key" text, "p_operation" text, "p_input" jsonb) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  hash text := encode(sha256(convert_to(p_input::text, 'UTF8')), 'hex');
  earlier requests;
BEGIN
  INSERT INTO requests (key, operation, body_hash, answer_id, created_at)
  VALUES (p_key, p_operation, hash, '', database_time()) ON CONFLICT (key) DO NOTHING;
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

CREATE FUNCTION "finish_request"("p_key" text, "p_answer" text) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, public, pg_temp AS $$
  UPDATE requests SET answer_id = p_answer WHERE key = p_key
$$;

-- Cycles -------------------------------------------------------------------------------------------------------------

-- The steps of a phase hold for every role. A phase that has ended stays as it is.
CREATE FUNCTION "check_phase"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  facts jsonb := jsonb_build_object('loopId', OLD.loop_id, 'cycleNumber', OLD.cycle_number, 'phase', OLD.phase);
BEGIN
  IF OLD.completed_at IS NOT NULL OR (NEW.loop_id, NEW.cycle_number, NEW.phase) IS DISTINCT FROM (OLD.loop_id, OLD.cycle_number, OLD.phase) THEN
    PERFORM refuse('phase_ended', facts);
  END IF;
  IF OLD.stage <> NEW.stage AND NOT (OLD.stage || '>' || NEW.stage = ANY (TG_ARGV)) THEN
    PERFORM refuse('stage_transition', facts || jsonb_build_object('from', OLD.stage, 'to', NEW.stage));
  END IF;
  IF NEW.success AND NEW.stage <> 'executing' THEN
    PERFORM refuse('stage_transition', facts || jsonb_build_object('from', NEW.stage, 'to', 'completed'));
  END IF;
  RETURN NEW;
END
$$;
-- A vote without a consensus leads to new proposals.
CREATE TRIGGER "nomic_cycles_transition" BEFORE UPDATE ON "nomic_cycles" FOR EACH ROW WHEN (OLD IS DISTINCT FROM NEW)
  EXECUTE FUNCTION "check_phase"('proposing>critiquing', 'critiquing>voting', 'voting>executing', 'voting>proposing');

CREATE FUNCTION "lock_loop"("p_loop" text) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT pg_advisory_xact_lock(hashtextextended('debate.loop ' || p_loop, 0))
$$;

-- Starts the next cycle of a loop with its phase debate. A loop has one open cycle.
CREATE FUNCTION "start_cycle"("p_key" text, "p_input" jsonb) RETURNS "nomic_cycles"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  loop_name text := p_input ->> 'loopId';
  earlier text := begin_request(p_key, 'start-cycle', p_input);
  phase nomic_cycles;
  at timestamptz;
BEGIN
  IF earlier IS NOT NULL THEN
    SELECT * INTO phase FROM nomic_cycles WHERE id = earlier::integer;
    RETURN phase;
  END IF;
  PERFORM lock_loop(loop_name);
  SELECT * INTO phase FROM nomic_cycles WHERE loop_id = loop_name AND completed_at IS NULL LIMIT 1;
  IF phase.id IS NOT NULL THEN
    PERFORM refuse('cycle_open', jsonb_build_object('loopId', loop_name, 'cycleNumber', phase.cycle_number));
  END IF;
  at := database_time();
  INSERT INTO nomic_cycles (loop_id, cycle_number, phase, stage, started_at, task_description, total_tasks, created_at, updated_at)
  VALUES (loop_name, (SELECT coalesce(max(cycle_number), 0) + 1 FROM nomic_cycles WHERE loop_id = loop_name), 'debate', 'proposing', at,
    p_input ->> 'task', coalesce((p_input ->> 'totalTasks')::integer, 0), at, at)
  RETURNING * INTO phase;
  PERFORM finish_request(p_key, phase.id::text);
  PERFORM emit('cycle-started', loop_name, jsonb_build_object('loopId', loop_name, 'cycleNumber', phase.cycle_number), at);
  RETURN phase;
END
$$;

-- The open phase of a cycle, locked with its loop.
CREATE FUNCTION "lock_phase"("p_loop" text, "p_cycle" integer, "p_phase" text) RETURNS "nomic_cycles"
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  found nomic_cycles;
BEGIN
  PERFORM lock_loop(p_loop);
  SELECT * INTO found FROM nomic_cycles WHERE loop_id = p_loop AND cycle_number = p_cycle AND phase = p_phase FOR NO KEY UPDATE;
  IF found.id IS NULL THEN
    PERFORM refuse('phase_not_found', jsonb_build_object('loopId', p_loop, 'cycleNumber', p_cycle, 'phase', p_phase));
  END IF;
  RETURN found;
END
$$;

CREATE FUNCTION "move_stage"("p_loop" text, "p_cycle" integer, "p_phase" text, "p_to" text) RETURNS "nomic_cycles"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  found nomic_cycles := lock_phase(p_loop, p_cycle, p_phase);
BEGIN
  IF found.stage = p_to AND found.completed_at IS NULL THEN
    RETURN found;
  END IF;
  UPDATE nomic_cycles SET stage = p_to, updated_at = database_time() WHERE id = found.id RETURNING * INTO found;
  RETURN found;
END
$$;

-- Records how many tasks are done. The number never falls: two workers may report in any order.
CREATE FUNCTION "report_tasks"("p_loop" text, "p_cycle" integer, "p_phase" text, "p_completed" integer, "p_total" integer) RETURNS "nomic_cycles"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  found nomic_cycles := lock_phase(p_loop, p_cycle, p_phase);
BEGIN
  UPDATE nomic_cycles SET completed_tasks = greatest(completed_tasks, p_completed), total_tasks = coalesce(p_total, total_tasks),
    updated_at = database_time()
  WHERE id = found.id RETURNING * INTO found;
  RETURN found;
END
$$;

-- Ends a phase. After a success the next phase begins, in the same transaction; after the phase commit, or a failure, the cycle has ended.
CREATE FUNCTION "complete_phase"("p_loop" text, "p_cycle" integer, "p_phase" text, "p_success" boolean, "p_commit" text, "p_error" text)
RETURNS "nomic_cycles" LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  found nomic_cycles := lock_phase(p_loop, p_cycle, p_phase);
  phases constant text[] := '{debate,design,implement,verify,commit}';
  next text := phases[array_position(phases, p_phase) + 1];
  named jsonb := jsonb_build_object('loopId', p_loop, 'cycleNumber', p_cycle);
  at timestamptz := database_time();
BEGIN
  IF p_success IS NULL THEN
    RAISE EXCEPTION 'A phase ends with a success or a failure' USING ERRCODE = 'null_value_not_allowed';
  END IF;
  IF found.completed_at IS NOT NULL AND found.success = p_success THEN
    RETURN found;
  END IF;
  UPDATE nomic_cycles SET completed_at = greatest(at, started_at), success = p_success, git_commit = coalesce(p_commit, git_commit),
    error_message = p_error, updated_at = at
  WHERE id = found.id RETURNING * INTO found;
  PERFORM emit('phase-completed', p_loop, named || jsonb_build_object('phase', p_phase, 'success', p_success), at);
  IF p_success AND next IS NOT NULL THEN
    INSERT INTO nomic_cycles (loop_id, cycle_number, phase, stage, started_at, task_description, total_tasks, created_at, updated_at)
    VALUES (p_loop, p_cycle, next, 'proposing', at, found.task_description, found.total_tasks, at, at);
  ELSE
    PERFORM emit('cycle-ended', p_loop, named || jsonb_build_object('status', CASE WHEN p_success THEN 'succeeded' ELSE 'failed' END), at);
  END IF;
  RETURN found;
END
$$;

-- Debates ------------------------------------------------------------------------------------------------------------

ALTER TABLE "debate_artifacts" ADD COLUMN "concluded_at" TIMESTAMPTZ(6);
UPDATE "debate_artifacts" SET "concluded_at" = "created_at";
-- lint-ignore constraint-missing-not-valid: the rule is part of the change of this transaction, which reads the table anyway
ALTER TABLE "debate_artifacts" DROP CONSTRAINT "debate_artifacts_times_check",
  ADD CONSTRAINT "debate_artifacts_times_check" CHECK (
    "created_at" >= to_timestamp(-62135596800) AND "created_at" < to_timestamp(253402300800) AND
    "updated_at" >= to_timestamp(-62135596800) AND "updated_at" < to_timestamp(253402300800) AND
    "concluded_at" >= to_timestamp(-62135596800) AND "concluded_at" < to_timestamp(253402300800)
  );

-- CreateTable
CREATE TABLE "artifact_votes" (
    "artifact_id" INTEGER NOT NULL,
    "agent_name" TEXT NOT NULL,
    "choice" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "artifact_votes_pkey" PRIMARY KEY ("artifact_id", "agent_name"),
    CONSTRAINT "artifact_votes_agent_name_check" CHECK (btrim("agent_name") <> ''),
    CONSTRAINT "artifact_votes_choice_check" CHECK (btrim("choice") <> ''),
    CONSTRAINT "artifact_votes_times_check" CHECK (
      "created_at" >= to_timestamp(-62135596800) AND "created_at" < to_timestamp(253402300800) AND
      "updated_at" >= to_timestamp(-62135596800) AND "updated_at" < to_timestamp(253402300800))
);
ALTER TABLE "artifact_votes" ADD CONSTRAINT "artifact_votes_artifact_id_fkey" FOREIGN KEY ("artifact_id")
  REFERENCES "debate_artifacts"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- A concluded debate stays as it is; only its views are still counted. An erasure by the administrator may replace its text.
CREATE FUNCTION "keep_artifact"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF OLD.concluded_at IS DISTINCT FROM NEW.concluded_at OR (OLD.transcript, OLD.vote_tally, OLD.consensus_reached, OLD.confidence)
    IS DISTINCT FROM (NEW.transcript, NEW.vote_tally, NEW.consensus_reached, NEW.confidence) THEN
    PERFORM refuse('artifact_concluded', jsonb_build_object('artifactId', OLD.id));
  END IF;
  RETURN NEW;
END
$$;
CREATE TRIGGER "debate_artifacts_concluded" BEFORE UPDATE ON "debate_artifacts" FOR EACH ROW WHEN (OLD."concluded_at" IS NOT NULL)
  EXECUTE FUNCTION "keep_artifact"();

CREATE FUNCTION "open_artifact"("p_key" text, "p_input" jsonb) RETURNS "debate_artifacts"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  artifact debate_artifacts;
  earlier text := begin_request(p_key, 'open-artifact', p_input);
  at timestamptz := database_time();
BEGIN
  IF earlier IS NOT NULL THEN
    SELECT * INTO artifact FROM debate_artifacts WHERE id = earlier::integer;
    RETURN artifact;
  END IF;
  INSERT INTO debate_artifacts (loop_id, cycle_number, phase, task, agents, transcript, created_at, updated_at)
  VALUES (p_input ->> 'loopId', (p_input ->> 'cycleNumber')::integer, p_input ->> 'phase', p_input ->> 'task', p_input -> 'agents',
    coalesce(p_input -> 'transcript', '[]'), at, at)
  RETURNING * INTO artifact;
  PERFORM finish_request(p_key, artifact.id::text);
  RETURN artifact;
END
$$;

CREATE FUNCTION "lock_artifact"("p_id" integer) RETURNS "debate_artifacts"
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  artifact debate_artifacts;
BEGIN
  SELECT * INTO artifact FROM debate_artifacts WHERE id = p_id FOR NO KEY UPDATE;
  IF artifact.id IS NULL THEN
    PERFORM refuse('artifact_not_found', jsonb_build_object('artifactId', p_id));
  END IF;
  RETURN artifact;
END
$$;

-- Only an agent of the debate speaks and votes in it.
CREATE FUNCTION "demand_agent"("p_artifact" "debate_artifacts", "p_agent" text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF NOT p_artifact.agents ? p_agent THEN
    PERFORM refuse('not_in_debate', jsonb_build_object('artifactId', p_artifact.id, 'agent', p_agent));
  END IF;
END
$$;

-- Adds messages to the end of a transcript, once per key.
CREATE FUNCTION "append_messages"("p_key" text, "p_id" integer, "p_messages" jsonb) RETURNS "debate_artifacts"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  artifact debate_artifacts;
  earlier text := begin_request(p_key, 'append-messages', jsonb_build_object('id', p_id, 'messages', p_messages));
BEGIN
  artifact := lock_artifact(p_id);
  IF earlier IS NOT NULL THEN
    RETURN artifact;
  END IF;
  PERFORM demand_agent(artifact, value ->> 'agent') FROM jsonb_array_elements(p_messages);
  UPDATE debate_artifacts SET transcript = transcript || p_messages, updated_at = database_time() WHERE id = p_id RETURNING * INTO artifact;
  RETURN artifact;
END
$$;

-- Each agent has one vote, which it may change until the debate is concluded. The tally counts the votes by choice.
CREATE FUNCTION "cast_vote"("p_id" integer, "p_agent" text, "p_choice" text) RETURNS "debate_artifacts"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  artifact debate_artifacts := lock_artifact(p_id);
  at timestamptz := database_time();
BEGIN
  PERFORM demand_agent(artifact, p_agent);
  INSERT INTO artifact_votes (artifact_id, agent_name, choice, created_at, updated_at) VALUES (p_id, p_agent, p_choice, at, at)
  ON CONFLICT (artifact_id, agent_name) DO UPDATE SET choice = EXCLUDED.choice, updated_at = EXCLUDED.updated_at
  WHERE artifact_votes.choice <> EXCLUDED.choice;
  UPDATE debate_artifacts SET updated_at = at, vote_tally = (
    SELECT jsonb_object_agg(counted.choice, counted.votes)
    FROM (SELECT choice, count(*) AS votes FROM artifact_votes WHERE artifact_id = p_id GROUP BY choice) AS counted)
  WHERE id = p_id RETURNING * INTO artifact;
  RETURN artifact;
END
$$;

CREATE FUNCTION "conclude_artifact"("p_id" integer, "p_input" jsonb) RETURNS "debate_artifacts"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  artifact debate_artifacts := lock_artifact(p_id);
  at timestamptz := database_time();
BEGIN
  IF artifact.concluded_at IS NOT NULL AND artifact.consensus_reached = (p_input ->> 'consensusReached')::boolean
    AND artifact.confidence = (p_input ->> 'confidence')::double precision
    AND artifact.winning_proposal IS NOT DISTINCT FROM p_input ->> 'winningProposal' THEN
    RETURN artifact;
  END IF;
  UPDATE debate_artifacts SET consensus_reached = (p_input ->> 'consensusReached')::boolean,
    confidence = (p_input ->> 'confidence')::double precision, winning_proposal = p_input ->> 'winningProposal',
    concluded_at = at, updated_at = at
  WHERE id = p_id RETURNING * INTO artifact;
  PERFORM emit('artifact-concluded', artifact.loop_id, jsonb_build_object('artifactId', artifact.id, 'loopId', artifact.loop_id,
    'cycleNumber', artifact.cycle_number, 'phase', artifact.phase, 'consensusReached', artifact.consensus_reached), at);
  RETURN artifact;
END
$$;

CREATE FUNCTION "view_artifact"("p_id" integer) RETURNS "debate_artifacts"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  artifact debate_artifacts;
BEGIN
  UPDATE debate_artifacts SET view_count = view_count + 1 WHERE id = p_id RETURNING * INTO artifact;
  IF artifact.id IS NULL THEN
    PERFORM refuse('artifact_not_found', jsonb_build_object('artifactId', p_id));
  END IF;
  RETURN artifact;
END
$$;

-- Stream events ------------------------------------------------------------------------------------------------------

-- The last number that a cycle has given to an event. It outlives the events, so that no number comes twice.
-- CreateTable
CREATE TABLE "stream_cursors" (
    "loop_id" TEXT NOT NULL,
    "cycle" INTEGER NOT NULL,
    "last_sequence" BIGINT NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "stream_cursors_pkey" PRIMARY KEY ("loop_id", "cycle"),
    CONSTRAINT "stream_cursors_last_sequence_check" CHECK ("last_sequence" > 0),
    CONSTRAINT "stream_cursors_times_check" CHECK (
      "created_at" >= to_timestamp(-62135596800) AND "created_at" < to_timestamp(253402300800) AND
      "updated_at" >= to_timestamp(-62135596800) AND "updated_at" < to_timestamp(253402300800))
);

ALTER TABLE "stream_events" ADD COLUMN "sequence" BIGINT;
ALTER TABLE "stream_events" DISABLE TRIGGER "stream_events_append_only";
UPDATE "stream_events" AS e SET "sequence" = numbered."n"
FROM (SELECT "id", row_number() OVER (PARTITION BY "loop_id", "cycle" ORDER BY "timestamp", "id") AS "n" FROM "stream_events") AS numbered
WHERE numbered."id" = e."id";
ALTER TABLE "stream_events" ENABLE TRIGGER "stream_events_append_only";
INSERT INTO "stream_cursors" ("loop_id", "cycle", "last_sequence")
SELECT "loop_id", "cycle", max("sequence") FROM "stream_events" GROUP BY "loop_id", "cycle";
-- lint-ignore adding-not-nullable-field: the statement before fills the column
ALTER TABLE "stream_events" ALTER COLUMN "sequence" SET NOT NULL;
-- lint-ignore constraint-missing-not-valid: the rule is part of the change of this transaction, which rewrites the table anyway
ALTER TABLE "stream_events" ADD CONSTRAINT "stream_events_sequence_check" CHECK ("sequence" > 0);
-- lint-ignore index-not-concurrent: the table is locked by this migration already
CREATE UNIQUE INDEX "stream_events_loop_id_cycle_sequence_key" ON "stream_events"("loop_id", "cycle", "sequence");

-- Takes the next numbers of a cycle and returns the last one. The lock of the cursor makes events visible in the order of their numbers:
-- a reader that asks for what comes after a number misses nothing.
CREATE FUNCTION "take_sequence"("p_loop" text, "p_cycle" integer, "p_count" integer) RETURNS bigint
LANGUAGE sql SET search_path = pg_catalog, public, pg_temp AS $$
  INSERT INTO stream_cursors AS c (loop_id, cycle, last_sequence) VALUES (p_loop, p_cycle, p_count)
  ON CONFLICT (loop_id, cycle) DO UPDATE SET last_sequence = c.last_sequence + p_count, updated_at = database_time()
  RETURNING last_sequence
$$;

-- A row that comes without a number, as from a seed or an import, gets the next one.
CREATE FUNCTION "number_stream_event"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  NEW.sequence := take_sequence(NEW.loop_id, NEW.cycle, 1);
  RETURN NEW;
END
$$;
CREATE TRIGGER "stream_events_number" BEFORE INSERT ON "stream_events" FOR EACH ROW WHEN (NEW."sequence" IS NULL)
  EXECUTE FUNCTION "number_stream_event"();

-- Appends events to a cycle, once per key, and returns the number of the last one. Wakes those who tail the cycle: the payload is a hash,
-- because a notification is limited to 8,000 bytes.
CREATE FUNCTION "append_stream_events"("p_key" text, "p_loop" text, "p_cycle" integer, "p_events" jsonb) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  total integer := jsonb_array_length(p_events);
  earlier text := begin_request(p_key, 'append-events', jsonb_build_object('loop', p_loop, 'cycle', p_cycle, 'events', p_events));
  last bigint;
  at timestamptz;
BEGIN
  IF earlier IS NOT NULL THEN
    RETURN earlier::bigint;
  END IF;
  last := take_sequence(p_loop, p_cycle, total);
  at := database_time();
  INSERT INTO stream_events (loop_id, cycle, sequence, event_type, event_data, agent, timestamp, created_at)
  SELECT p_loop, p_cycle, last - total + e.place, e.value ->> 'eventType', coalesce(e.value -> 'eventData', '{}'), e.value ->> 'agent', at, at
  FROM jsonb_array_elements(p_events) WITH ORDINALITY AS e (value, place);
  PERFORM finish_request(p_key, last::text);
  PERFORM pg_notify('debate_stream', md5(p_loop || '/' || p_cycle));
  RETURN last;
END
$$;

-- Deletes events that are older than "p_keep", which counts as 90 days if it is less: at most "p_most", the oldest first. Returns their
-- number; call it again while it is "p_most".
CREATE FUNCTION "prune_stream_events"("p_keep" interval, "p_most" integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  deleted integer;
BEGIN
  DELETE FROM stream_events WHERE id = ANY (ARRAY(
    SELECT id FROM stream_events WHERE timestamp < database_time() - greatest(p_keep, interval '90 days')
    ORDER BY timestamp LIMIT least(greatest(p_most, 1), 100000) FOR UPDATE SKIP LOCKED));
  GET DIAGNOSTICS deleted = ROW_COUNT;
  RETURN deleted;
END
$$;
