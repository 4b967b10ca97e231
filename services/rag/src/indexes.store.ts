import { z } from 'zod';
import type { Rag } from './client';
import { invalidField, readInput } from './errors';
import { dimensionInput, modelInput, workspaceIdInput } from './input';
import { searchStatement } from './search/statement';
import type { VectorIndex, VectorType } from './search/vector-indexes';
import { planOf, type SearchInput } from './search.store';
import { getWorkspace } from './workspaces.store';

/** The most dimensions that pgvector indexes, by type. */
const MAX_INDEXED = { vector: 2_000, halfvec: 4_000 } as const;
/** Embeddings that count as equally near: single precision has 7 digits. */
const SAME_SCORE = 1e-6;

export interface CreateVectorIndexInput {
  /** At most 2,000, or 4,000 in half precision. */
  readonly dimension: number;
  /** `vector` when absent; `halfvec` takes half the space and finds a little less. */
  readonly type?: VectorType;
}

export interface MeasureRecallInput {
  /** Measures the space that this workspace answers with, among its chunks. */
  readonly workspaceId?: string;
  /** Measures this space among all chunks; its dimension must be given too. */
  readonly model?: string;
  readonly dimension?: number;
  /** How many chunks are looked up as if they were queries, 1 to 1,000; 100 when absent. */
  readonly sample?: number;
  /** How many neighbours count, 1 to 100; 10 when absent. */
  readonly limit?: number;
  readonly efSearch?: number;
  /** Measures the index of this type, which searches use otherwise only if there is no other. */
  readonly type?: VectorType;
}

export interface Recall {
  readonly queries: number;
  /** The share of the exact nearest neighbours that searches find, 0 to 1; 1 without queries. */
  readonly mean: number;
  readonly worst: number;
  /** Queries with fewer neighbours than an exact search has. */
  readonly incomplete: number;
}

const typeInput = z.enum(['vector', 'halfvec']);
const createInput = z.strictObject({ dimension: dimensionInput, type: typeInput.default('vector') });

/**
 * Makes the HNSW index for embeddings of a dimension, if it is missing, while searches and writers continue. Only the owner of the tables
 * may do it, so open the store with the administrator's URL, and with a `pool.statementTimeoutMs` that is long enough: about a
 * minute per 50,000 chunks of 768 dimensions.
 * @throws {SuiteError} `RAG.INVALID_INPUT`, `DATABASE.FORBIDDEN`
 */
export async function createVectorIndex(rag: Rag, input: CreateVectorIndexInput): Promise<VectorIndex> {
  const { dimension, type } = readInput(createInput, input);
  if (dimension > MAX_INDEXED[type]) {
    throw invalidField(
      'dimension',
      `is more than ${MAX_INDEXED[type]}, the most that an index of type ${type} can have`,
    );
  }
  const find = async () =>
    (await rag.vectorIndexes.list()).find((index) => index.dimension === dimension && index.type === type);
  const found = await find();
  if (found !== undefined) return found;
  const name = `rag_chunks_embedding_${dimension}_${type === 'halfvec' ? 'half_' : ''}idx`;
  // A build that was interrupted leaves an index that is not valid.
  await rag.query({ text: `DROP INDEX CONCURRENTLY IF EXISTS ${name}`, values: [] });
  await rag.query({
    text: `CREATE INDEX CONCURRENTLY ${name} ON rag_chunks USING hnsw ((embedding::${type}(${dimension})) ${type}_cosine_ops)
      WHERE embedding_dimension = ${dimension}`,
    values: [],
  });
  const made = await find();
  if (made === undefined) throw new Error(`the index ${name} was dropped while it was made`);
  return made;
}

const recallInput = z.strictObject({
  workspaceId: workspaceIdInput.optional(),
  model: modelInput.optional(),
  dimension: dimensionInput.optional(),
  sample: z.int().min(1).max(1_000).default(100),
  limit: z.int().min(1).max(100).default(10),
  efSearch: z.int().min(1).max(1_000).optional(),
  type: typeInput.optional(),
});

const SAMPLE = `
  SELECT embedding::text AS embedding FROM rag_chunks
  WHERE embedding_model = $1 AND embedding_dimension = $2
    AND ($3::text IS NULL OR workspace_path = (SELECT path FROM workspaces WHERE id = $3))
  ORDER BY random() LIMIT $4`;

/**
 * Measures the recall of the index: searches for a sample of the chunks with the index and without it, and compares. It reads all
 * embeddings of the space once per query.
 * @throws {SuiteError} `RAG.INVALID_INPUT`, `RAG.WORKSPACE_NOT_FOUND`
 */
export async function measureRecall(rag: Rag, input: MeasureRecallInput): Promise<Recall> {
  const { workspaceId, sample, limit, efSearch, type, ...given } = readInput(recallInput, input);
  const space = workspaceId === undefined ? given : spaceOf(await getWorkspace(rag, { workspaceId }));
  const { model, dimension } = space;
  if (model === undefined || dimension === undefined) {
    if (workspaceId !== undefined) return recallOf([]);
    throw invalidField('model', 'is missing; pass a workspace, or a model and its dimension');
  }
  const rows = await rag.queryLong<{ embedding: string }>({
    text: SAMPLE,
    values: [model, dimension, workspaceId ?? null, sample],
  });
  const shares: Share[] = [];
  for (const { embedding } of rows) {
    const vector = JSON.parse(embedding) as readonly number[];
    const query = { vector, model, limit, ...(workspaceId && { workspaceId }), ...(efSearch && { efSearch }) };
    const exact = await scoresOf(rag, { ...query, isExact: true }, undefined);
    const found = await scoresOf(rag, query, type);
    const last = exact.at(-1) ?? 1;
    const hits = found.filter((score) => score >= last - SAME_SCORE).length;
    shares.push({ share: hits / Math.max(exact.length, 1), isComplete: found.length >= exact.length });
  }
  return recallOf(shares);
}

interface Share {
  readonly share: number;
  readonly isComplete: boolean;
}

function spaceOf(workspace: { readonly embeddingModel: string | null; readonly embeddingDimension: number | null }) {
  return { model: workspace.embeddingModel ?? undefined, dimension: workspace.embeddingDimension ?? undefined };
}

async function scoresOf(rag: Rag, input: SearchInput, type: VectorType | undefined): Promise<readonly number[]> {
  const plan = await planOf(rag, input);
  const statement = searchStatement(type === undefined || input.isExact ? plan : { ...plan, index: type });
  return (await rag.queryLong<{ score: number }>(statement)).map(({ score }) => score);
}

function recallOf(shares: readonly Share[]): Recall {
  const values = shares.map(({ share }) => share);
  return {
    queries: shares.length,
    mean: shares.length === 0 ? 1 : values.reduce((sum, share) => sum + share, 0) / shares.length,
    worst: Math.min(1, ...values),
    incomplete: shares.filter(({ isComplete }) => !isComplete).length,
  };
}
