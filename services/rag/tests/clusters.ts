import type { TestDatabase } from '@azora/db-testkit';
import { type Rag, type SearchInput, search } from '../src';

/** How many chunks a filter keeps, as a share of all. The kinds are mixed evenly into all clusters. */
export const SHARES = { half: 0.5, tenth: 0.1, hundredth: 0.01, thousandth: 0.001 } as const;
const ROWS_PER_STATEMENT = 500;
const SAME_SCORE = 1e-6;

/** Numbers from 0 to 1 of a linear congruential generator, the same on every run. */
export function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Vectors around random centers, as embeddings of texts about the same things are. */
export function clusterMaker(dimension: number, clusters: number, seed: number): (cluster: number) => number[] {
  const random = randomNumbers(seed);
  // The sum of three uniform numbers is nearly normal.
  const normal = () => random() + random() + random() - 1.5;
  const centers = Array.from({ length: clusters }, () => Array.from({ length: dimension }, normal));
  return (cluster) => (centers[cluster % clusters] ?? []).map((center) => Number((center + 0.4 * normal()).toFixed(4)));
}

/** A search among the chunks of {@link fillClusters}. */
export type ClusterFilter = Pick<SearchInput, 'contentType' | 'pathGlob'>;

/** The filters to measure: none, one for each share, and half of the clusters, where a query may be far from all that pass. */
export const FILTERS: readonly (readonly [string, ClusterFilter])[] = [
  ['no filter', {}],
  ...Object.keys(SHARES).map((contentType) => [`the filter ${contentType}`, { contentType }] as const),
  ['a filter on clusters', { pathGlob: 'even/**' }],
];

const kindOf = (n: number) => {
  if (n % 1_000 === 1) return 'thousandth';
  if (n % 100 === 3) return 'hundredth';
  if (n % 10 === 5) return 'tenth';
  return n % 2 === 0 ? 'half' : 'rest';
};

/** Fills the table with chunks of a model in clusters. */
export async function fillClusters(
  db: TestDatabase,
  { model, rows, clusters, dimension }: { model: string; rows: number; clusters: number; dimension: number },
): Promise<void> {
  const vectorOf = clusterMaker(dimension, clusters, 7);
  for (let first = 0; first < rows; first += ROWS_PER_STATEMENT) {
    const numbers = Array.from({ length: Math.min(ROWS_PER_STATEMENT, rows - first) }, (_, at) => first + at);
    await db.admin(
      `INSERT INTO rag_chunks (content_id, chunk_index, content, embedding, embedding_dimension, embedding_model, content_type, source_path)
       SELECT $1 || n, 0, 'text ' || n, embedding::vector, ${dimension}, $1, type, path
       FROM unnest($2::int[], $3::text[], $4::text[], $5::text[]) AS chunk (n, embedding, type, path)`,
      [
        model,
        numbers,
        numbers.map((n) => `[${vectorOf(n).join(',')}]`),
        numbers.map(kindOf),

        numbers.map((n) => `${(n % clusters) % 2 === 0 ? 'even' : 'odd'}/${n}.ts`),
      ],
    );
  }
  await db.admin('ANALYZE rag_chunks');
}

export interface MeasuredRecall {
  readonly mean: number;
  readonly worst: number;
  /** The least number of chunks that a search returned. */
  readonly fewest: number;
}

/** Compares searches for new points of all clusters with exact ones. */
export async function recallOf(
  rag: Rag,
  {
    model,
    clusters,
    dimension,
    queries,
    filter,
  }: {
    model: string;
    clusters: number;
    dimension: number;
    queries: number;
    filter: ClusterFilter;
  },
): Promise<MeasuredRecall> {
  const vectorOf = clusterMaker(dimension, clusters, 7);
  // Beyond the points that were stored.
  for (let n = 0; n < 977; n += 1) vectorOf(n);
  const shares: number[] = [];
  let fewest = Number.POSITIVE_INFINITY;
  for (let query = 0; query < queries; query += 1) {
    const input = { vector: vectorOf(query), model, ...filter };
    const exact = await search(rag, { ...input, isExact: true });
    const found = await search(rag, input);
    const last = exact.at(-1)?.score ?? 1;
    shares.push(found.filter(({ score }) => score >= last - SAME_SCORE).length / exact.length);
    fewest = Math.min(fewest, found.length);
  }
  return { mean: shares.reduce((sum, share) => sum + share, 0) / queries, worst: Math.min(...shares), fewest };
}
