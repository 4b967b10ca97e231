import type { Difference } from '@azora/db-core';
import type { Nexus } from './client';
import { readInput } from './errors';
import { type BatchInput, batchInput } from './input';
import { onlyRow } from './rows';

const MAX_PROFILES = 1_000;

export interface Pruned {
  readonly interactions: number;
  readonly recommendations: number;
}

/**
 * Counts the latest items of the people who changed first, so that they take part in the recommendations of others. At most `limit`
 * people, 100 when absent and at most 1000, of those that no other call has. Returns their number; 0 means that nothing was left.
 * A worker calls it again and again.
 * @throws {SuiteError} `NEXUS.INVALID_INPUT`
 */
export async function refreshProfiles(nexus: Nexus, input: BatchInput = {}): Promise<number> {
  const { limit } = readInput(batchInput(100, MAX_PROFILES), input);
  const rows = await nexus.queryLong<{ done: number }>({
    text: 'SELECT refresh_profiles($1) AS done',
    values: [limit],
  });
  return onlyRow(rows).done;
}

/**
 * Expires open recommendations whose time has passed, at most `limit`, 1000 when absent. Returns their number.
 * @throws {SuiteError} `NEXUS.INVALID_INPUT`
 */
export async function expireRecommendations(nexus: Nexus, input: BatchInput = {}): Promise<number> {
  const values = [readInput(batchInput(1_000), input).limit];
  return onlyRow(await nexus.query<{ done: number }>({ text: 'SELECT expire_recommendations($1) AS done', values }))
    .done;
}

/**
 * Deletes interactions and closed recommendations that are older than a year, at most `limit` of each, 1000 when absent. What follows
 * from the interactions changes with them.
 * @throws {SuiteError} `NEXUS.INVALID_INPUT`
 */
export async function pruneHistory(nexus: Nexus, input: BatchInput = {}): Promise<Pruned> {
  const values = [readInput(batchInput(1_000), input).limit];
  const text = 'SELECT interactions, recommendations FROM prune_history($1)';
  return onlyRow(await nexus.query<Pruned & Record<string, unknown>>({ text, values }));
}

const RECONCILE = `
  WITH used AS (
    SELECT n.profile_id, i.id AS item_id, max(n.occurred_at) FILTER (WHERE s.strength > 0) AS liked_at, max(s.strength) AS strength,
      max(n.occurred_at) FILTER (WHERE s.strength = 0) AS disliked_at
    FROM interactions AS n CROSS JOIN LATERAL (SELECT signal_strength(n.kind, n.rating) AS strength) AS s
    JOIN items AS i ON i.item_type = n.item_type AND i.item_id = n.item_id
    WHERE s.strength IS NOT NULL GROUP BY n.profile_id, i.id
  ), wanted AS (
    SELECT w.* FROM wanted_counts(ARRAY(SELECT id FROM user_profiles WHERE stale_since IS NULL)) AS w
  ), pairs AS (
    SELECT a.item_id AS first_id, b.item_id AS second_id, sum(least(a.counted, b.counted)) AS weight
    FROM profile_items AS a JOIN profile_items AS b ON b.profile_id = a.profile_id AND b.item_id > a.item_id
    WHERE a.counted > 0 AND b.counted > 0 GROUP BY a.item_id, b.item_id
  )
  SELECT 'profile_items' AS check, coalesce(p.profile_id, u.profile_id) || ' ' || coalesce(p.item_id, u.item_id) AS id,
    coalesce(concat_ws(' ', p.liked_at, p.strength, p.disliked_at), 'none') AS found,
    coalesce(concat_ws(' ', u.liked_at, u.strength, u.disliked_at), 'none') AS expected
  FROM profile_items AS p FULL JOIN used AS u ON u.profile_id = p.profile_id AND u.item_id = p.item_id
  WHERE (p.liked_at, p.strength, p.disliked_at) IS DISTINCT FROM (u.liked_at, u.strength, u.disliked_at)
  UNION ALL
  SELECT 'profile_items.counted', coalesce(p.profile_id, w.profile_id) || ' ' || coalesce(p.item_id, w.item_id),
    coalesce(p.counted, 0)::text, coalesce(w.counted, 0)::text
  FROM (SELECT c.* FROM profile_items AS c JOIN user_profiles AS u ON u.id = c.profile_id WHERE u.stale_since IS NULL) AS p
  FULL JOIN wanted AS w ON w.profile_id = p.profile_id AND w.item_id = p.item_id
  WHERE coalesce(p.counted, 0) <> coalesce(w.counted, 0)
  UNION ALL
  SELECT 'items.popularity', i.id::text, i.popularity::text, coalesce(sum(p.counted), 0)::text
  FROM items AS i LEFT JOIN profile_items AS p ON p.item_id = i.id
  GROUP BY i.id HAVING i.popularity <> coalesce(sum(p.counted), 0)
  UNION ALL
  SELECT 'item_pairs', coalesce(p.first_id, r.first_id) || ' ' || coalesce(p.second_id, r.second_id),
    coalesce(p.weight, 0)::text, coalesce(r.weight, 0)::text
  FROM item_pairs AS p FULL JOIN pairs AS r ON r.first_id = p.first_id AND r.second_id = p.second_id
  WHERE p.weight IS DISTINCT FROM r.weight
  ORDER BY 1, 2`;

/**
 * Computes everything that follows from interactions again, in one statement, and returns what differs; empty when nothing does.
 * People who wait for a refresh count as they did at their last one. Reads whole tables.
 */
export function reconcile(nexus: Nexus): Promise<readonly Difference[]> {
  return nexus.queryLong<Difference & Record<string, unknown>>({ text: RECONCILE, values: [] });
}
