import type { Client } from 'pg';

export interface VectorRecall {
  readonly index: string;
  /** The share of the ten nearest rows that a search by the index finds, from 0 to 1. */
  readonly recall: number;
}

interface VectorIndex {
  readonly name: string;
  readonly table: string;
  readonly expression: string;
  readonly predicate: string;
  readonly operator: string;
}

/** The least average share of the ten nearest vectors that an index must find. */
const LEAST_RECALL = 0.9;
const PROBES = 20;
const NEAREST = 10;

/** Measures the recall of each HNSW index: its results for a few vectors, compared with the exact results. */
export async function measureVectorRecall(client: Client): Promise<readonly VectorRecall[]> {
  const { rows } = await client.query<VectorIndex>(INDEXES);
  const measured: VectorRecall[] = [];
  for (const index of rows) {
    const exact = await distances(client, index, 'enable_indexscan');
    const found = await distances(client, index, 'enable_seqscan');
    if (exact.length > 0) measured.push({ index: index.name, recall: recallOf(exact, found) });
  }
  return measured;
}

/** A sentence for each index that finds too few of the nearest rows. */
export function recallProblems(measured: readonly VectorRecall[]): readonly string[] {
  return measured
    .filter(({ recall }) => recall < LEAST_RECALL)
    .map(({ index, recall }) => `${index} finds ${Math.round(recall * 100)} % of the nearest vectors`);
}

/** The distances of the results for each probe, with one kind of scan disabled. */
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

/** Rows at the same distance count as the same row. */
function recallOf(exact: readonly (readonly number[])[], found: readonly (readonly number[])[]): number {
  const shares = exact.map((nearest, probe) => {
    const farthest = Math.max(...nearest) + 1e-6;
    const hits = (found[probe] ?? []).filter((distance) => distance <= farthest).length;
    return nearest.length === 0 ? 1 : Math.min(1, hits / nearest.length);
  });
  return shares.reduce((sum, one) => sum + one, 0) / shares.length;
}

/** The operator is the ordering operator of the index's operator class. */
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
