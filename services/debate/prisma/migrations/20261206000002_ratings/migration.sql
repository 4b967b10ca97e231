-- Why: ratings are exact numbers now: the changes of a match add up to zero to the last digit, and a replay of all matches gives the same
-- ratings. Only functions write ratings, matches, their history and positions.
-- Locks: ACCESS EXCLUSIVE on ratings, matches, elo_history and positions until the end; ratings and elo_history are rewritten.
-- Runs again: no, once per database; inside one transaction.

SET LOCAL lock_timeout = '5s';

-- lint-ignore changing-column-type: a binary fraction cannot hold a decimal, and the tables are small
ALTER TABLE "ratings"
  ALTER COLUMN "elo" TYPE DECIMAL(18,8) USING round("elo"::numeric, 8),
  ALTER COLUMN "calibration_brier_sum" TYPE DECIMAL(24,12) USING round("calibration_brier_sum"::numeric, 12);

ALTER TABLE "elo_history" DISABLE TRIGGER "elo_history_append_only";
-- lint-ignore changing-column-type: a binary fraction cannot hold a decimal, and the rewrite takes seconds
ALTER TABLE "elo_history"
  ALTER COLUMN "elo" TYPE DECIMAL(18,8) USING round("elo"::numeric, 8),
  ADD COLUMN "domain" TEXT,
  ADD COLUMN "domain_elo" DECIMAL(18,8);
ALTER TABLE "elo_history" ENABLE TRIGGER "elo_history_append_only";
-- lint-ignore constraint-missing-not-valid: the column is new and empty
ALTER TABLE "elo_history" ADD CONSTRAINT "elo_history_domain_elo_check"
  CHECK ("domain_elo" > 0 AND "domain_elo" <> 'NaN' AND ("domain_elo" IS NULL OR "domain" IS NOT NULL));

-- Null in a match of another system: its changes are taken as they are.
-- lint-ignore constraint-missing-not-valid: the columns are new and empty
ALTER TABLE "matches"
  ADD COLUMN "k_factor" DECIMAL(6,2),
  ADD COLUMN "domain_changes" JSONB,
  ADD CONSTRAINT "matches_k_factor_check" CHECK ("k_factor" BETWEEN 1 AND 100),
  ADD CONSTRAINT "matches_domain_changes_check" CHECK ("domain_changes" IS NULL OR (jsonb_typeof("domain_changes") = 'object' AND "domain" IS NOT NULL));

-- Elo ----------------------------------------------------------------------------------------------------------------

-- The changes of ratings in a match (A. Elo, The Rating of Chessplayers, 1978). A match of several agents counts as one of each pair, with
-- a share of K: the higher score wins, equal scores are a draw. What one agent of a pair wins the other loses, rounded to four
-- decimals, so that the sum is exactly zero.
CREATE FUNCTION "elo_changes"("p_ratings" jsonb, "p_scores" jsonb, "p_k" numeric) RETURNS jsonb
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, public, pg_temp AS $$
  WITH players AS (
    -- The precision of a quotient depends on the digits of its operands, so they always have the same.
    SELECT key AS agent, value::text::numeric AS score, (p_ratings ->> key)::numeric(18, 8) AS elo, count(*) OVER () AS number
    FROM jsonb_each(p_scores)
  ), pairs AS (
    SELECT a.agent AS one, b.agent AS other, round(p_k::numeric(6, 2) / (a.number - 1) * (
      CASE WHEN a.score > b.score THEN 1 WHEN a.score < b.score THEN 0 ELSE 0.5 END
      - 1 / (1 + power(10::numeric, (b.elo - a.elo) / 400))), 4) AS change
    FROM players AS a JOIN players AS b ON a.agent COLLATE "C" < b.agent COLLATE "C"
  )
  SELECT jsonb_object_agg(agent, change) FROM (
    SELECT agent, sum(change) AS change
    FROM (SELECT one AS agent, change FROM pairs UNION ALL SELECT other, -change FROM pairs) AS each
    GROUP BY agent
  ) AS summed
$$;

-- Rates a debate, once. Locks the ratings of all agents in the order of their names, so that no change is lost and no two calls deadlock. The
-- number of the match is taken under these locks: for every agent the order of numbers is the order in which the matches took effect.
CREATE FUNCTION "record_match"("p_input" jsonb) RETURNS "matches"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  match matches;
  scored jsonb := p_input -> 'scores';
  k numeric := (p_input ->> 'kFactor')::numeric;
  area text := p_input ->> 'domain';
  agents text[] := ARRAY(SELECT key FROM jsonb_each(p_input -> 'scores') ORDER BY key COLLATE "C");
  best text[];
  at timestamptz;
  changes jsonb;
  domain_shift jsonb;
BEGIN
  INSERT INTO ratings (agent_name, created_at, updated_at)
  SELECT agent, database_time(), database_time() FROM unnest(agents) AS agent ON CONFLICT DO NOTHING;
  PERFORM FROM ratings WHERE agent_name = ANY (agents) ORDER BY agent_name COLLATE "C" FOR NO KEY UPDATE;
  SELECT * INTO match FROM matches WHERE debate_id = p_input ->> 'debateId';
  IF match.id IS NOT NULL THEN
    IF (match.scores, match.domain, match.k_factor) IS DISTINCT FROM (scored, area, k) THEN
      PERFORM refuse('match_recorded', jsonb_build_object('debateId', match.debate_id));
    END IF;
    RETURN match;
  END IF;
  at := database_time();
  best := ARRAY(SELECT key FROM jsonb_each(scored)
    WHERE value::text::numeric = (SELECT max(value::text::numeric) FROM jsonb_each(scored)));
  SELECT elo_changes(jsonb_object_agg(agent_name, elo), scored, k),
    CASE WHEN area IS NOT NULL THEN elo_changes(jsonb_object_agg(agent_name, coalesce(domain_elos -> area, '1500')), scored, k) END
    INTO changes, domain_shift FROM ratings WHERE agent_name = ANY (agents);
  INSERT INTO matches (debate_id, winner, participants, domain, scores, elo_changes, domain_changes, k_factor, created_at)
  VALUES (p_input ->> 'debateId', CASE WHEN cardinality(best) = 1 THEN best[1] END, to_jsonb(agents), area, scored, changes, domain_shift, k, at)
  RETURNING * INTO match;
  UPDATE ratings AS r SET elo = r.elo + (changes ->> r.agent_name)::numeric,
    domain_elos = r.domain_elos || CASE WHEN area IS NULL THEN '{}' ELSE jsonb_build_object(area,
      coalesce(r.domain_elos ->> area, '1500')::numeric + (domain_shift ->> r.agent_name)::numeric) END,
    wins = r.wins + (match.winner IS NOT DISTINCT FROM r.agent_name)::integer,
    losses = r.losses + (match.winner <> r.agent_name AND match.winner IS NOT NULL)::integer,
    draws = r.draws + (match.winner IS NULL)::integer,
    debates_count = r.debates_count + 1, updated_at = at
  WHERE r.agent_name = ANY (agents);
  INSERT INTO elo_history (agent_name, elo, debate_id, domain, domain_elo, created_at)
  SELECT agent_name, elo, match.debate_id, area, (domain_elos ->> area)::numeric, at
  FROM ratings WHERE agent_name = ANY (agents) ORDER BY agent_name COLLATE "C";
  PERFORM emit('match-rated', match.debate_id, jsonb_build_object('matchId', match.id, 'debateId', match.debate_id, 'winner', match.winner,
    'participants', match.participants), at);
  RETURN match;
END
$$;

-- What the ratings are if all matches are played again from 1500, in the order in which they took effect: {"ratings": {agent: ...},
-- "changed": debates whose recorded changes differ from the computed ones}.
CREATE FUNCTION "replay_matches"() RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  match matches;
  elos jsonb := '{}';
  domains jsonb := '{}';
  earlier jsonb;
  changes jsonb;
  changed jsonb := '[]';
BEGIN
  FOR match IN SELECT * FROM matches ORDER BY id LOOP
    SELECT jsonb_object_agg(agent, coalesce(elos -> agent, '1500')) INTO earlier FROM jsonb_array_elements_text(match.participants) AS agent;
    changes := CASE WHEN match.k_factor IS NULL THEN match.elo_changes ELSE elo_changes(earlier, match.scores, match.k_factor) END;
    IF changes <> match.elo_changes THEN
      changed := changed || to_jsonb(match.debate_id);
    END IF;
    elos := elos || (SELECT jsonb_object_agg(key, value::text::numeric + coalesce(changes ->> key, '0')::numeric) FROM jsonb_each(earlier));
    CONTINUE WHEN match.domain IS NULL;
    SELECT jsonb_object_agg(agent, coalesce(domains -> match.domain -> agent, '1500')) INTO earlier
    FROM jsonb_array_elements_text(match.participants) AS agent;
    changes := CASE WHEN match.k_factor IS NULL THEN match.elo_changes ELSE elo_changes(earlier, match.scores, match.k_factor) END;
    IF changes <> coalesce(match.domain_changes, match.elo_changes) THEN
      changed := changed || to_jsonb(match.debate_id);
    END IF;
    domains := jsonb_set(domains, ARRAY[match.domain], coalesce(domains -> match.domain, '{}')
      || (SELECT jsonb_object_agg(key, value::text::numeric + coalesce(changes ->> key, '0')::numeric) FROM jsonb_each(earlier)));
  END LOOP;
  RETURN jsonb_build_object('changed', changed, 'ratings', coalesce((
    SELECT jsonb_object_agg(played.agent, jsonb_build_object('elo', elos -> played.agent,
      'domainElos', (SELECT coalesce(jsonb_object_agg(d.key, d.value -> played.agent), '{}') FROM jsonb_each(domains) AS d WHERE d.value ? played.agent),
      'wins', played.wins, 'losses', played.total - played.wins - played.draws, 'draws', played.draws, 'debatesCount', played.total))
    FROM (SELECT agent, count(*) AS total, count(*) FILTER (WHERE winner = agent) AS wins, count(*) FILTER (WHERE winner IS NULL) AS draws
          FROM matches, jsonb_array_elements_text(participants) AS agent GROUP BY agent) AS played), '{}'));
END
$$;

-- Positions ----------------------------------------------------------------------------------------------------------

-- A claim stays as it was made; its outcome is decided once, and it is reversed at most once.
CREATE FUNCTION "check_position"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF (OLD.agent_name, OLD.claim, OLD.confidence, OLD.debate_id, OLD.round_num) IS DISTINCT FROM
     (NEW.agent_name, NEW.claim, NEW.confidence, NEW.debate_id, NEW.round_num) THEN
    PERFORM refuse('position_fixed', jsonb_build_object('positionId', OLD.id));
  END IF;
  IF OLD.outcome <> NEW.outcome AND NOT (OLD.outcome || '>' || NEW.outcome = ANY (TG_ARGV)) THEN
    PERFORM refuse('outcome_transition', jsonb_build_object('positionId', OLD.id, 'from', OLD.outcome, 'to', NEW.outcome));
  END IF;
  IF OLD.reversed AND (NEW.reversed, NEW.reversal_debate_id) IS DISTINCT FROM (true, OLD.reversal_debate_id) THEN
    PERFORM refuse('position_reversed', jsonb_build_object('positionId', OLD.id, 'debateId', OLD.reversal_debate_id));
  END IF;
  RETURN NEW;
END
$$;
CREATE TRIGGER "positions_transition" BEFORE UPDATE ON "positions" FOR EACH ROW
  EXECUTE FUNCTION "check_position"('pending>correct', 'pending>incorrect', 'pending>unknown');

CREATE FUNCTION "take_position"("p_key" text, "p_id" text, "p_input" jsonb) RETURNS "positions"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  taken positions;
  earlier text := begin_request(p_key, 'take-position', p_input);
  at timestamptz := database_time();
BEGIN
  IF earlier IS NOT NULL THEN
    SELECT * INTO taken FROM positions WHERE id = earlier;
    RETURN taken;
  END IF;
  INSERT INTO positions (id, agent_name, claim, confidence, debate_id, round_num, domain, created_at, updated_at)
  VALUES (p_id, p_input ->> 'agentName', p_input ->> 'claim', (p_input ->> 'confidence')::double precision, p_input ->> 'debateId',
    (p_input ->> 'roundNum')::integer, p_input ->> 'domain', at, at)
  RETURNING * INTO taken;
  PERFORM finish_request(p_key, taken.id);
  RETURN taken;
END
$$;

CREATE FUNCTION "lock_position"("p_id" text) RETURNS "positions"
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  taken positions;
BEGIN
  SELECT * INTO taken FROM positions WHERE id = p_id FOR NO KEY UPDATE;
  IF taken.id IS NULL THEN
    PERFORM refuse('position_not_found', jsonb_build_object('positionId', p_id));
  END IF;
  RETURN taken;
END
$$;

-- The squared error of one forecast (G. W. Brier, 1950): 0 is perfect, 1 is the worst. A confidence counts with six decimals, so that sums
-- are exact in every order.
CREATE FUNCTION "brier_error"("p_confidence" double precision, "p_outcome" text) RETURNS numeric
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT power(round(p_confidence::numeric, 6) - (p_outcome = 'correct')::integer, 2)
$$;

-- Decides a position and counts it in the calibration of its agent; unknown does not count.
CREATE FUNCTION "resolve_position"("p_id" text, "p_outcome" text) RETURNS "positions"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  taken positions := lock_position(p_id);
  at timestamptz;
BEGIN
  IF taken.outcome = p_outcome THEN
    RETURN taken;
  END IF;
  at := database_time();
  UPDATE positions SET outcome = p_outcome, resolved_at = greatest(at, created_at), updated_at = at WHERE id = p_id RETURNING * INTO taken;
  IF p_outcome IN ('correct', 'incorrect') THEN
    INSERT INTO ratings AS r (agent_name, calibration_total, calibration_correct, calibration_brier_sum, created_at, updated_at)
    VALUES (taken.agent_name, 1, (p_outcome = 'correct')::integer, brier_error(taken.confidence, p_outcome), at, at)
    ON CONFLICT (agent_name) DO UPDATE SET calibration_total = r.calibration_total + 1,
      calibration_correct = r.calibration_correct + EXCLUDED.calibration_correct,
      calibration_brier_sum = r.calibration_brier_sum + EXCLUDED.calibration_brier_sum, updated_at = at;
  END IF;
  PERFORM emit('position-resolved', taken.agent_name, jsonb_build_object('positionId', taken.id, 'agentName', taken.agent_name,
    'debateId', taken.debate_id, 'outcome', p_outcome), at);
  RETURN taken;
END
$$;

-- Records that the agent holds the opposite now.
CREATE FUNCTION "reverse_position"("p_id" text, "p_debate" text) RETURNS "positions"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  taken positions := lock_position(p_id);
  at timestamptz := database_time();
BEGIN
  IF taken.reversed AND taken.reversal_debate_id = p_debate THEN
    RETURN taken;
  END IF;
  UPDATE positions SET reversed = true, reversal_debate_id = p_debate, updated_at = at WHERE id = p_id RETURNING * INTO taken;
  PERFORM emit('position-reversed', taken.agent_name, jsonb_build_object('positionId', taken.id, 'agentName', taken.agent_name,
    'debateId', p_debate), at);
  RETURN taken;
END
$$;

-- Metrics ------------------------------------------------------------------------------------------------------------

CREATE FUNCTION "record_metrics"("p_key" text, "p_input" jsonb) RETURNS "agent_metrics"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  metric agent_metrics;
  earlier text := begin_request(p_key, 'record-metrics', p_input);
  at timestamptz := database_time();
BEGIN
  IF earlier IS NOT NULL THEN
    SELECT * INTO metric FROM agent_metrics WHERE id = earlier::integer;
    RETURN metric;
  END IF;
  INSERT INTO agent_metrics (loop_id, cycle, agent_name, model, phase, messages_sent, proposals_made, critiques_given, votes_won,
    votes_received, consensus_contributions, avg_response_time_ms, timestamp, created_at, updated_at)
  VALUES (p_input ->> 'loopId', (p_input ->> 'cycle')::integer, p_input ->> 'agentName', p_input ->> 'model', p_input ->> 'phase',
    (p_input ->> 'messagesSent')::integer, (p_input ->> 'proposalsMade')::integer, (p_input ->> 'critiquesGiven')::integer,
    (p_input ->> 'votesWon')::integer, (p_input ->> 'votesReceived')::integer, (p_input ->> 'consensusContributions')::integer,
    (p_input ->> 'avgResponseTimeMs')::double precision, at, at, at)
  RETURNING * INTO metric;
  PERFORM finish_request(p_key, metric.id::text);
  RETURN metric;
END
$$;

-- Counts the critiques of an agent, and how many of them were accepted; once per key.
CREATE FUNCTION "count_critiques"("p_key" text, "p_agent" text, "p_total" integer, "p_accepted" integer) RETURNS "ratings"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  rating ratings;
  earlier text := begin_request(p_key, 'count-critiques', jsonb_build_object('agent', p_agent, 'total', p_total, 'accepted', p_accepted));
  at timestamptz := database_time();
BEGIN
  IF earlier IS NULL THEN
    INSERT INTO ratings AS r (agent_name, critiques_total, critiques_accepted, created_at, updated_at)
    VALUES (p_agent, p_total, p_accepted, at, at)
    ON CONFLICT (agent_name) DO UPDATE SET critiques_total = r.critiques_total + EXCLUDED.critiques_total,
      critiques_accepted = r.critiques_accepted + EXCLUDED.critiques_accepted, updated_at = at;
    PERFORM finish_request(p_key, p_agent);
  END IF;
  SELECT * INTO rating FROM ratings WHERE agent_name = p_agent;
  RETURN rating;
END
$$;
