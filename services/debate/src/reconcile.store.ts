import type { Difference } from '@azora/db-core';
import type { Debate } from './client';

/** Usage events are complete for the months that began at most 60 days ago. */
const RECONCILE = `
  WITH replayed AS MATERIALIZED (SELECT replay_matches() AS all),
  expected AS (SELECT e.key AS agent, e.value AS rating FROM replayed, jsonb_each(replayed.all -> 'ratings') AS e)
  SELECT 'match.sum' AS check, m.debate_id AS id, s.sum::text AS found, '0' AS expected
  FROM matches AS m, LATERAL (SELECT sum(value::text::numeric) AS sum FROM jsonb_each(m.elo_changes)) AS s
  WHERE m.k_factor IS NOT NULL AND s.sum <> 0
  UNION ALL
  SELECT 'match.changes', c.value #>> '{}', 'other changes', 'those of a replay' FROM replayed, jsonb_array_elements(replayed.all -> 'changed') AS c
  UNION ALL
  SELECT 'rating.elo', r.agent_name, r.elo::text, coalesce(e.rating ->> 'elo', '1500')
  FROM ratings AS r LEFT JOIN expected AS e ON e.agent = r.agent_name
  WHERE r.elo <> coalesce(e.rating ->> 'elo', '1500')::numeric
  UNION ALL
  SELECT 'rating.domains', r.agent_name, r.domain_elos::text, coalesce(e.rating -> 'domainElos', '{}')::text
  FROM ratings AS r LEFT JOIN expected AS e ON e.agent = r.agent_name
  WHERE r.domain_elos <> coalesce(e.rating -> 'domainElos', '{}')
  UNION ALL
  SELECT 'rating.record', r.agent_name, concat_ws(':', r.wins, r.losses, r.draws, r.debates_count),
    concat_ws(':', e.rating ->> 'wins', e.rating ->> 'losses', e.rating ->> 'draws', e.rating ->> 'debatesCount')
  FROM ratings AS r JOIN expected AS e ON e.agent = r.agent_name
  WHERE jsonb_build_array(r.wins, r.losses, r.draws, r.debates_count)
    <> jsonb_build_array(e.rating -> 'wins', e.rating -> 'losses', e.rating -> 'draws', e.rating -> 'debatesCount')
  UNION ALL
  SELECT 'rating.history', r.agent_name, h.elo::text, r.elo::text
  FROM ratings AS r, LATERAL (SELECT elo FROM elo_history WHERE agent_name = r.agent_name ORDER BY id DESC LIMIT 1) AS h
  WHERE h.elo <> r.elo
  UNION ALL
  SELECT 'rating.calibration', r.agent_name, concat_ws(':', r.calibration_correct, r.calibration_total, r.calibration_brier_sum),
    concat_ws(':', p.correct, p.total, p.brier)
  FROM ratings AS r, LATERAL (
    SELECT count(*) FILTER (WHERE outcome = 'correct') AS correct, count(*) AS total,
      coalesce(sum(power(round(confidence::numeric, 6) - (outcome = 'correct')::integer, 2)), 0) AS brier
    FROM positions WHERE agent_name = r.agent_name AND outcome IN ('correct', 'incorrect')) AS p
  WHERE (r.calibration_correct, r.calibration_total, r.calibration_brier_sum) IS DISTINCT FROM (p.correct, p.total, p.brier)
  UNION ALL
  SELECT 'usage.month', concat_ws('/', m.org_id, m.event_type, m.month), m.count::text, e.count::text
  FROM usage_months AS m, LATERAL (
    SELECT coalesce(sum(count), 0) AS count FROM usage_events
    WHERE org_id = m.org_id AND event_type = m.event_type AND counted_at IS NOT NULL
      AND date_trunc('month', timestamp AT TIME ZONE 'UTC')::date = m.month) AS e
  WHERE m.month > database_time() - interval '60 days' AND m.count <> e.count
  UNION ALL
  SELECT 'stream.sequence', concat_ws('/', c.loop_id, c.cycle), e.last::text, c.last_sequence::text
  FROM stream_cursors AS c, LATERAL (SELECT max(sequence) AS last FROM stream_events WHERE loop_id = c.loop_id AND cycle = c.cycle) AS e
  WHERE e.last > c.last_sequence
  UNION ALL
  SELECT 'stream.sequence', concat_ws('/', loop_id, cycle), 'gaps', 'none' FROM stream_events
  GROUP BY loop_id, cycle HAVING max(sequence) - min(sequence) + 1 <> count(*)
  UNION ALL
  SELECT 'cycle.phases', concat_ws('/', loop_id, cycle_number), count(*) || ' open phases', 'at most one' FROM nomic_cycles
  WHERE completed_at IS NULL GROUP BY loop_id, cycle_number HAVING count(*) > 1
  ORDER BY 1, 2`;

/**
 * Compares ratings with a replay of all matches, calibrations with positions, monthly sums with usage events, and the numbers of stream events
 * with each other. Returns what does not fit; empty when everything does. Imported ratings differ if their matches were not imported. Reads
 * whole tables.
 */
export function reconcile(debate: Debate): Promise<readonly Difference[]> {
  return debate.queryLong<Difference & Record<string, unknown>>({ text: RECONCILE, values: [] });
}
