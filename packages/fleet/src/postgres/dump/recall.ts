import type { Client } from 'pg';

export interface Recall {
  readonly index: string;
  /** Of the ten nearest rows to a vector, the share that a search by the index finds, 0 to 1. */
  readonly recall: number;
}

interface VectorIndex {
  readonly name: string;
  readonly table: string;
  readonly expression: string;
  readonly predicate: string;
  readonly operator: string;
}

const PROBES = 20;
const NEAREST = 10;

/** Measures what each HNSW index of the database finds, against the exact answer for the same few vectors. */
export async function readRecall(client: Client): Promise<readonly Recall[]> {
  const { rows } = await client.query<VectorIndex>(INDEXES);
  const measured: Recall[] = [];
  for (const index of rows) {
    const exact = await distances(client, index, 'enable_indexscan');
    const found = await distances(client, index, 'enable_seqscan');
    if (exact.length > 0) measured.push({ index: index.name, recall: share(exact, found) });
  }
  return measured;
}

/** For each probe the distances of what a search gives, with one way of searching turned off. */
async function distances(client: Client, index: VectorIndex, off: string): Promise<readonly (readonly number[])[]> {
  const { table, expression, predicate, operator } = index;
  const results: unknown = await client.query(`
    BEGIN; SET LOCAL ${off} = off;
    SELECT ARRAY(SELECT (near.vector ${operator} probe.vector)::float8 FROM (
             SELECT ${expression} AS vector FROM ${table} WHERE ${predicate}
             ORDER BY ${expression} ${operator} probe.vector LIMIT ${NEAREST}) AS near) AS nearest
    FROM (SELECT ${expression} AS vector FROM ${table} WHERE CASE WHEN ${predicate} THEN ${expression} END IS NOT NULL
          ORDER BY ctid LIMIT ${PROBES}) AS probe;
    COMMIT`);
  const answer = (results as readonly { readonly rows: readonly { readonly nearest: readonly number[] }[] }[])[2];
  return answer?.rows.map(({ nearest }) => nearest) ?? [];
}

/** Rows that are equally near count as the same one. */
function share(exact: readonly (readonly number[])[], found: readonly (readonly number[])[]): number {
  const shares = exact.map((nearest, probe) => {
    const farthest = Math.max(...nearest) + 1e-6;
    const hits = (found[probe] ?? []).filter((distance) => distance <= farthest).length;
    return nearest.length === 0 ? 1 : Math.min(1, hits / nearest.length);
  });
  return shares.reduce((sum, one) => sum + one, 0) / shares.length;
}

/** The operator is the one for which the index's class sorts. */
const INDEXES = `
  SELECT pg_index.indexrelid::regclass::text AS name, indrelid::regclass::text AS table,
         '(' || pg_get_indexdef(pg_index.indexrelid, 1, true) || ')' AS expression,
         coalesce(pg_get_expr(indpred, indrelid), 'true') AS predicate,
         format('OPERATOR(%I.%s)', operator_namespace.nspname, oprname) AS operator
  FROM pg_index
  JOIN pg_class ON pg_class.oid = pg_index.indexrelid
  JOIN pg_am ON pg_am.oid = relam AND amname = 'hnsw'
  JOIN pg_opclass ON pg_opclass.oid = indclass[0]
  JOIN pg_amop ON amopfamily = opcfamily AND amoppurpose = 'o' AND amoplefttype = opcintype
  JOIN pg_operator ON pg_operator.oid = amopopr
  JOIN pg_namespace AS operator_namespace ON operator_namespace.oid = oprnamespace
  ORDER BY 1`;
