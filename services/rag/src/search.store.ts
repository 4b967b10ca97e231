import { z } from 'zod';
import type { Rag } from './client';
import { readInput } from './errors';
import { Prisma } from './generated/client';

/** The dimensions that have an HNSW index, which the first migration creates. */
const INDEXED_DIMENSIONS: ReadonlySet<number> = new Set([768, 1536]);
/** Limits of pgvector. */
const MAX_DIMENSIONS = 16_000;
const MAX_EF_SEARCH = 1_000;
/** Among tens of thousands of chunks, pgvector's default of 40 misses too many of the ten nearest. */
const DEFAULT_EF_SEARCH = 100;

export interface SearchChunksInput {
  /** Compared only with chunks of the same dimension. */
  readonly embedding: readonly number[];
  readonly limit: number;
  readonly workspacePath?: string;
  readonly contentType?: string;
  /** Embeddings of different models are not comparable, even when their dimensions are equal. */
  readonly embeddingModel?: string;
  /** How many candidates the index considers, 1 to 1000: more candidates find more of the nearest and take longer. */
  readonly efSearch?: number;
}

export interface FoundChunk {
  readonly id: string;
  readonly contentId: string;
  readonly chunkIndex: number;
  readonly content: string;
  /** 1 minus the cosine distance: 1 for the same direction, -1 for the opposite. */
  readonly score: number;
  readonly sourcePath: string | null;
  readonly contentType: string | null;
}

const searchInput = z.strictObject({
  embedding: z
    .array(z.number())
    .min(1)
    .max(MAX_DIMENSIONS)
    // The type vector stores single precision.
    .refine(
      (numbers) => numbers.every((number) => Number.isFinite(Math.fround(number))),
      'has numbers beyond single precision',
    )
    .refine((numbers) => numbers.some((number) => Math.fround(number) !== 0), 'is all zeros'),
  limit: z.int().min(1).max(MAX_EF_SEARCH),
  workspacePath: z.string().min(1).optional(),
  contentType: z.string().min(1).optional(),
  embeddingModel: z.string().min(1).optional(),
  efSearch: z.int().min(1).max(MAX_EF_SEARCH).optional(),
});

type Search = z.infer<typeof searchInput>;

/**
 * Returns the chunks whose embeddings are nearest to the given one, the nearest first. Returns `limit` chunks whenever
 * that many pass the filters, even if the filters exclude most chunks.
 * @throws {SuiteError} `RAG.INVALID_INPUT`
 */
export async function searchChunks(rag: Rag, input: SearchChunksInput): Promise<FoundChunk[]> {
  const search = parseSearch(input);
  if (!INDEXED_DIMENSIONS.has(search.embedding.length)) return rag.prisma.$queryRaw<FoundChunk[]>(exactSearch(search));
  const found = await rag.prisma.$queryRaw<FoundChunk[]>(indexSearch(search));
  // Too few: there are no more, or the index scan stopped before it found enough chunks that pass the filters.
  return found.length === search.limit ? found : rag.prisma.$queryRaw<FoundChunk[]>(exactSearch(search));
}

/** Checks the input of {@link searchChunks}. */
export function parseSearch(input: SearchChunksInput): Search {
  return readInput(searchInput, input);
}

/**
 * Searches by the HNSW index of the embedding's dimension. The statement must repeat the expression and the condition of
 * that index. The settings last for the transaction of this one statement, because separate BEGIN, SET LOCAL and COMMIT
 * statements would halve the throughput. The condition on `settings` makes the server apply the settings before it opens
 * the index.
 */
export function indexSearch(search: Search): Prisma.Sql {
  const vector = Prisma.raw(`vector(${search.embedding.length})`);
  const distance = Prisma.sql`embedding::${vector} <=> ${vectorText(search)}::${vector}`;
  return Prisma.sql`
    WITH settings AS MATERIALIZED (${settings(search)})
    SELECT nearest.*
    FROM settings, LATERAL (${nearestChunks(search, distance, Prisma.sql`AND settings.ef_search IS NOT NULL`)}) AS nearest
    ORDER BY score DESC, id`;
}

/** Searches by comparing every chunk that passes the filters. */
export function exactSearch(search: Search): Prisma.Sql {
  return nearestChunks(search, Prisma.sql`embedding <=> ${vectorText(search)}::vector`);
}

/** Iterative scans, which continue until enough chunks pass the filters, exist since pgvector 0.8. */
function settings({ efSearch = DEFAULT_EF_SEARCH, limit }: Search): Prisma.Sql {
  return Prisma.sql`
    SELECT set_config('hnsw.ef_search', ${String(Math.max(efSearch, limit))}, true) AS ef_search,
           CASE WHEN string_to_array(extversion, '.')::int[] >= ARRAY[0, 8]
                THEN set_config('hnsw.iterative_scan', 'strict_order', true) END AS iterative_scan
    FROM pg_extension WHERE extname = 'vector'`;
}

function nearestChunks(search: Search, distance: Prisma.Sql, condition = Prisma.empty): Prisma.Sql {
  return Prisma.sql`
    SELECT id, "contentId", "chunkIndex", content, 1 - distance AS score, "sourcePath", "contentType"
    FROM (
      SELECT id, content_id AS "contentId", chunk_index AS "chunkIndex", content, ${distance} AS distance,
             source_path AS "sourcePath", content_type AS "contentType"
      FROM rag_chunks
      WHERE embedding_dimension = ${Prisma.raw(String(search.embedding.length))} ${filters(search)} ${condition}
      ORDER BY distance
      LIMIT ${search.limit}
    ) AS candidates
    ORDER BY score DESC, id`;
}

function filters({ workspacePath, contentType, embeddingModel }: Search): Prisma.Sql {
  const conditions = [
    workspacePath === undefined ? Prisma.empty : Prisma.sql`AND workspace_path = ${workspacePath}`,
    contentType === undefined ? Prisma.empty : Prisma.sql`AND content_type = ${contentType}`,
    embeddingModel === undefined ? Prisma.empty : Prisma.sql`AND embedding_model = ${embeddingModel}`,
  ];
  return Prisma.join(conditions, ' ');
}

function vectorText({ embedding }: Search): string {
  return `[${embedding.join(',')}]`;
}
