import type { Statement } from '@azora/db-core';
import type { VectorType } from './vector-indexes';

/** A search that was read: what to find, in which vector space, among which chunks. */
export interface SearchPlan {
  readonly vector: readonly number[];
  readonly model: string;
  readonly workspaceId: string | undefined;
  readonly contentType: string | undefined;
  /** A regular expression of PostgreSQL on the source path. */
  readonly pathRegex: string | undefined;
  /** A tsquery for hybrid search; undefined for search by the vector alone. */
  readonly words: string | undefined;
  readonly limit: number;
  readonly minScore: number | undefined;
  readonly efSearch: number;
  readonly exclude: string | undefined;
  /** The type of the index on the vector's dimension; undefined when it has none or must not be used. */
  readonly index: VectorType | undefined;
}

/**
 * At most this many chunks are compared one by one, which is exact; among more, the index is faster. Measured at 768 dimensions: 2,000
 * comparisons take about as long as an index scan that must skip nine of ten chunks.
 */
const FEW = 2_000;
/** Of reciprocal rank fusion (Cormack, Clarke and Büttcher 2009). */
const FUSION_CONSTANT = 60;
/** Candidates of each of the two lists that are fused. */
const candidatesOf = (limit: number) => Math.max(50, limit * 4);

/**
 * One statement for the whole search, so that a search is one round trip and one snapshot.
 *
 * `few` decides: if few chunks pass the filters, they are compared one by one. Else the HNSW index is scanned, iteratively until
 * enough chunks pass the filters; the settings last for the transaction of this statement, and are made before the index is opened. If
 * the scan ends with too few chunks, all that pass the filters are compared, so that there are `limit` rows whenever that many exist.
 *
 * In the part that scans the index, the filters are written as expressions of columns (`|| ''`), because PostgreSQL would otherwise
 * prefer an index on such a column to the HNSW index, sort all rows of the filter, and read all of their vectors.
 */
export function searchStatement(plan: SearchPlan): Statement {
  const values: unknown[] = [];
  const bind = (value: unknown) => `$${values.push(value)}`;
  const dimension = plan.vector.length;
  const vector = `${bind(`[${plan.vector.join(',')}]`)}::vector`;
  const filters = filtersOf(plan, dimension, bind);
  const isHybrid = plan.words !== undefined;
  const most = isHybrid ? candidatesOf(plan.limit) : plan.limit;
  const text = `
    WITH ${nearestCtes(plan, { vector, filters, most, bind })}${isHybrid ? fusedCtes(plan, filters, bind) : ''}
    SELECT r.id, r.content_id AS "contentId", r.chunk_index AS "chunkIndex", r.content, 1 - (r.embedding <=> ${vector}) AS score,
      r.source_path AS "sourcePath", r.content_type AS "contentType", r.title, r.workspace_path AS "workspacePath", r.metadata
    FROM ${isHybrid ? 'fused' : 'nearest'} AS n JOIN rag_chunks AS r ON r.id = n.id
    ${plan.minScore === undefined ? '' : `WHERE 1 - (r.embedding <=> ${vector}) >= ${bind(plan.minScore)}`}
    ORDER BY ${isHybrid ? 'n.fusion DESC' : 'score DESC'}, r.id LIMIT ${bind(plan.limit)}`;
  return { text, values };
}

interface Filters {
  readonly plain: string;
  readonly opaque: string;
}
type Bind = (value: unknown) => string;

function filtersOf(plan: SearchPlan, dimension: number, bind: Bind): Filters {
  const model = bind(plan.model);
  const conditions: [string, string][] = [['embedding_model', `= ${model}`]];
  // No row when the workspace answers with another space.
  if (plan.workspaceId !== undefined) {
    const answers = `(SELECT path FROM workspaces WHERE id = ${bind(plan.workspaceId)} AND embedding_model = ${model} AND embedding_dimension = ${dimension})`;
    conditions.push(['workspace_path', `= ${answers}`]);
  }
  if (plan.contentType !== undefined) conditions.push(['content_type', `= ${bind(plan.contentType)}`]);
  if (plan.pathRegex !== undefined) conditions.push(['source_path', `~ ${bind(plan.pathRegex)}`]);
  const other = plan.exclude === undefined ? '' : ` AND id <> ${bind(plan.exclude)}`;
  const written = (column: (name: string) => string) =>
    [
      `embedding_dimension = ${dimension}`,
      ...conditions.map(([name, condition]) => `${column(name)} ${condition}`),
    ].join(' AND ');
  return { plain: written((name) => name) + other, opaque: written((name) => `(${name} || '')`) + other };
}

interface Parts {
  readonly vector: string;
  readonly filters: Filters;
  readonly most: number;
  readonly bind: Bind;
}

function nearestCtes(plan: SearchPlan, { vector, filters, most, bind }: Parts): string {
  const limit = bind(most);
  const compared = (from: string, condition: string) => `
      SELECT r.id, r.embedding <=> ${vector} AS distance FROM ${from} WHERE ${condition} ORDER BY 2, 1 LIMIT ${limit}`;
  if (plan.index === undefined) return `nearest AS MATERIALIZED (${compared('rag_chunks AS r', filters.plain)})`;
  const type = `${plan.index}(${plan.vector.length})`;
  const distance = `embedding::${type} <=> ${vector}::${type}`;
  // Half precision may swap neighbours: twice as many are read, and the first ones by full precision stay.
  const read = plan.index === 'halfvec' ? `2 * ${limit}::integer` : limit;
  const efSearch = bind(String(plan.efSearch));
  return `few AS MATERIALIZED (SELECT id FROM rag_chunks WHERE ${filters.plain} LIMIT ${FEW + 1}),
    settings AS MATERIALIZED (
      SELECT set_config('hnsw.ef_search', ${efSearch}, true) AS ef_search, set_config('hnsw.iterative_scan', 'strict_order', true)
      FROM (SELECT count(*) AS count FROM few) AS few WHERE few.count > ${FEW}),
    scanned AS MATERIALIZED (
      SELECT s.id, s.distance FROM settings, LATERAL (
        SELECT id, ${distance} AS distance FROM rag_chunks
        WHERE ${filters.opaque} AND settings.ef_search IS NOT NULL ORDER BY ${distance} LIMIT ${read}) AS s),
    nearest AS MATERIALIZED (
      (SELECT scanned.id, scanned.distance FROM scanned WHERE (SELECT count(*) FROM scanned) >= ${limit})
      UNION ALL (${compared('few JOIN rag_chunks AS r USING (id)', `(SELECT count(*) FROM few) <= ${FEW}`)})
      UNION ALL (${compared('rag_chunks AS r', `${filters.plain} AND (SELECT count(*) FROM few) > ${FEW} AND (SELECT count(*) FROM scanned) < ${limit}`)}))`;
}

function fusedCtes(plan: SearchPlan, filters: Filters, bind: Bind): string {
  const words = `${bind(plan.words)}::tsquery`;
  const rank = `ts_rank_cd(search_vector, ${words}, 1)`;
  return `, worded AS MATERIALIZED (
      SELECT id, ${rank} AS rank FROM rag_chunks WHERE search_vector @@ ${words} AND ${filters.plain}
      ORDER BY 2 DESC, 1 LIMIT ${candidatesOf(plan.limit)}),
    fused AS MATERIALIZED (
      SELECT id, sum(1.0 / (${FUSION_CONSTANT} + place)) AS fusion FROM (
        SELECT id, row_number() OVER (ORDER BY distance, id) AS place FROM nearest
        UNION ALL SELECT id, row_number() OVER (ORDER BY rank DESC, id) FROM worded) AS places
      GROUP BY id)`;
}
