import type { ClientBase } from 'pg';
import { OWN_RELATIONS } from './catalog-scope';

/**
 * A partitioned index is invalid until every partition has its part, which may take several migrations, so it does not count.
 * Neither does an index that a session is building now.
 */
const INVALID_INDEXES = `
  WITH ${OWN_RELATIONS}
  SELECT indexrelid::regclass::text AS name
  FROM pg_index
  JOIN relation ON relation.oid = indrelid
  JOIN pg_class own ON own.oid = indexrelid AND own.relkind = 'i'
  WHERE NOT indisvalid AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index WHERE index_relid = indexrelid)
  ORDER BY 1`;

/** The indexes that no query uses and no rule rests on, because their build with CONCURRENTLY failed; as SQL, in order. */
export async function readInvalidIndexes(client: ClientBase): Promise<readonly string[]> {
  const { rows } = await client.query<{ name: string }>(INVALID_INDEXES);
  return rows.map(({ name }) => name);
}
