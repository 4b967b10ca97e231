import type { Difference } from '@azora/db-core';
import type { Forge } from './client';

/** The statuses of the escrows that a milestone has in each of its own statuses, without those that were refunded or canceled. */
const RECONCILE = `
  SELECT 'milestone.escrow' AS check, m.id, m.status || ' with ' || coalesce(e.status::text, 'no escrow') AS found,
    'planned with none or requested, funded or submitted with held, approved or settled with settling or settled' AS expected
  FROM milestones AS m
  LEFT JOIN escrows AS e ON e.milestone_id = m.id AND e.status NOT IN ('refunded', 'cancelled')
  WHERE NOT CASE
    WHEN m.status = 'planned' THEN e.id IS NULL OR e.status = 'requested'
    WHEN m.status IN ('funded', 'submitted') THEN coalesce(e.status = 'held', false)
    WHEN m.status = 'approved' THEN coalesce(e.status IN ('settling', 'released'), false)
    WHEN m.status = 'settled' THEN coalesce(e.status IN ('settling', 'released'),
      EXISTS (SELECT FROM escrows AS r WHERE r.milestone_id = m.id AND r.status = 'refunded'))
    ELSE e.id IS NULL OR e.status = 'settling'
  END
  UNION ALL
  SELECT 'contract.milestones', c.id, coalesce(sum(m.amount), 0)::text, c.amount::text
  FROM contracts AS c LEFT JOIN milestones AS m ON m.contract_id = c.id
  WHERE c.status IN ('active', 'completed')
  GROUP BY c.id
  HAVING coalesce(sum(m.amount), 0) < c.amount OR coalesce(sum(m.amount) FILTER (WHERE m.status <> 'cancelled'), 0) > c.amount
  UNION ALL
  SELECT 'contract.end', c.id, c.status || ' with ' || coalesce(e.status::text, 'open milestones'), 'nothing open'
  FROM contracts AS c
  LEFT JOIN escrows AS e ON e.contract_id = c.id AND e.status IN ('requested', 'held', 'settling')
  WHERE c.status IN ('completed', 'cancelled') AND (e.id IS NOT NULL
    OR EXISTS (SELECT FROM milestones AS m WHERE m.contract_id = c.id AND m.status IN ('planned', 'funded', 'submitted')))
  ORDER BY 1, 2`;

/**
 * Compares milestones, escrows and contracts with each other, and returns what does not fit; empty when everything does. Reads
 * whole tables.
 */
export function reconcile(forge: Forge): Promise<readonly Difference[]> {
  return forge.queryLong<Difference & Record<string, unknown>>({ text: RECONCILE, values: [] });
}
