import type { Workflows } from './client';
import type { Row } from './rows';

/** A row that breaks a rule. */
export interface Difference {
  readonly rule: string;
  readonly id: string;
}

/** One statement, so that all rules are judged at one moment. */
const DIFFERENCES = `
  WITH open AS (
    SELECT s.run_id, s.node_id, s.status, s.waiting_for, (
      SELECT count(*) FROM run_steps AS n WHERE n.run_id = s.run_id AND n.node_id = ANY (s.needs) AND n.status <> 'completed'
    ) AS needed FROM run_steps AS s
  )
  SELECT 'numbers' AS rule, w.id::text FROM workflows AS w
    LEFT JOIN LATERAL (SELECT count(*) AS count, max(v.number) AS last FROM workflow_versions AS v WHERE v.workflow_id = w.id) AS v ON true
    WHERE w.last_number <> v.count OR w.last_number <> coalesce(v.last, 0)
  UNION ALL SELECT 'results', s.run_id || ' ' || s.node_id FROM run_steps AS s
    LEFT JOIN step_results AS r ON r.run_id = s.run_id AND r.node_id = s.node_id
    WHERE (s.status = 'completed') <> (r.run_id IS NOT NULL) OR r.lease_id <> s.lease_id
  UNION ALL SELECT 'waiting', run_id || ' ' || node_id FROM open WHERE waiting_for <> needed
  UNION ALL SELECT 'ended', r.id FROM workflow_runs AS r WHERE r.status <> 'running'
    AND EXISTS (SELECT FROM run_steps AS s WHERE s.run_id = r.id AND s.status IN ('waiting', 'ready', 'running'))
  UNION ALL SELECT 'completed', r.id FROM workflow_runs AS r
    WHERE (r.status = 'completed') <> NOT EXISTS (SELECT FROM run_steps AS s WHERE s.run_id = r.id AND s.status <> 'completed')
  UNION ALL SELECT 'failed', r.id FROM workflow_runs AS r WHERE r.status = 'running'
    AND EXISTS (SELECT FROM run_steps AS s WHERE s.run_id = r.id AND s.status IN ('failed', 'cancelled'))
  UNION ALL SELECT 'steps', r.id FROM workflow_runs AS r JOIN workflow_versions AS v ON v.workflow_id = r.workflow_id AND v.number = r.number
    WHERE jsonb_array_length(v.plan) <> (SELECT count(*) FROM run_steps AS s WHERE s.run_id = r.id)
  ORDER BY 1, 2`;

/**
 * The rows that break a rule: numbers of versions with gaps, a completed step without its result or another one with a result, a step that
 * waits for the wrong number of others, an ended run with open steps, a run whose status does not follow from its steps, or one without
 * a step for each node. Empty unless a row was written past the store.
 */
export async function reconcile(workflows: Workflows): Promise<readonly Difference[]> {
  return workflows.queryLong<Row & Difference>({ text: DIFFERENCES, values: [] });
}
