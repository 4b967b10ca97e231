import { textInput } from '@azora/db-core/input';
import { z } from 'zod';
import type { Rag } from './client';
import { providerInput, signalInput } from './contents.store';
import { type EmbeddingProvider, embedTexts } from './embeddings/provider';
import { chunkNotFound, invalidField, modelMismatch, readInput } from './errors';
import { contentTypeInput, modelInput, uuidInput, vectorInput, workspaceIdInput } from './input';
import { globRegex } from './search/glob';
import { type SearchPlan, searchStatement } from './search/statement';
import { getWorkspace } from './workspaces.store';

/** Limits of pgvector. */
const MAX_LIMIT = 1_000;
const DEFAULT_LIMIT = 10;
/** Among tens of thousands of clustered chunks, pgvector's default of 40 misses too many of the ten nearest. */
const DEFAULT_EF_SEARCH = 200;
const MAX_TEXT = 100_000;
/** More words slow the full-text part down and tell little more. */
const MAX_WORDS = 48;
const MAX_NEIGHBOURS = 50;

export interface ChunkFilters {
  /** Only chunks of this workspace, in the vector space that it answers with. */
  readonly workspaceId?: string;
  /** The vector space of the search; the provider's or the workspace's space when absent. */
  readonly model?: string;
  readonly contentType?: string;
  /** A glob pattern on the source path: `src/**` or `*.{ts,tsx}`. */
  readonly pathGlob?: string;
}

export interface SearchInput extends ChunkFilters {
  /** Finds chunks by meaning and by words, which are fused. Needs a provider, or the vector of the text. */
  readonly text?: string;
  /** The embedding to compare with; the text's embedding when absent. */
  readonly vector?: readonly number[];
  /** Embeds the text. */
  readonly provider?: EmbeddingProvider;
  /** 1 to 1,000; 10 when absent. */
  readonly limit?: number;
  /** Leaves out chunks with a lower score, -1 to 1. */
  readonly minScore?: number;
  /** Candidates that the index considers, 1 to 1,000; 200 when absent: more find more of the nearest and take longer. */
  readonly efSearch?: number;
  /** Compares every chunk instead of reading the index. */
  readonly isExact?: boolean;
  readonly signal?: AbortSignal;
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
  readonly title: string | null;
  readonly workspacePath: string | null;
  readonly metadata: Readonly<Record<string, unknown>> | null;
}

const filterFields = {
  workspaceId: workspaceIdInput.optional(),
  model: modelInput.optional(),
  contentType: contentTypeInput.optional(),
  pathGlob: textInput(500)
    .refine((glob) => globRegex(glob) !== undefined, 'has a set or alternatives that do not end')
    .optional(),
};
const limitInput = z.int().min(1).max(MAX_LIMIT).default(DEFAULT_LIMIT);
const searchInput = z.strictObject({
  ...filterFields,
  text: textInput(MAX_TEXT).optional(),
  vector: vectorInput.optional(),
  provider: providerInput.optional(),
  limit: limitInput,
  minScore: z.number().min(-1).max(1).optional(),
  efSearch: z.int().min(1).max(MAX_LIMIT).default(DEFAULT_EF_SEARCH),
  isExact: z.boolean().default(false),
  signal: signalInput,
});

type Found = FoundChunk & { readonly [column: string]: unknown };

/**
 * Finds chunks: by a text, in meaning and in words, or by a vector. Returns `limit` chunks whenever that many pass the filters, the
 * best first: by score, or with a text by the fusion of both lists. Only embeddings of one model and dimension are compared.
 * @throws {SuiteError} `RAG.INVALID_INPUT`, `RAG.WORKSPACE_NOT_FOUND`, `RAG.MODEL_MISMATCH`, and what the provider throws
 */
export async function search(rag: Rag, input: SearchInput): Promise<readonly FoundChunk[]> {
  const plan = await planOf(rag, input);
  const found = await rag.query<Found>(searchStatement(plan));
  if (found.length === 0 && plan.workspaceId !== undefined) await checkSpace(rag, plan, plan.workspaceId);
  return found;
}

/** Reads the input of {@link search}, embeds its text and looks up the model of its workspace. */
export async function planOf(rag: Rag, input: SearchInput): Promise<SearchPlan> {
  const read = readInput(searchInput, input);
  checkTogether(read);
  const { text, workspaceId, pathGlob, limit } = read;
  const model = await modelOfSearch(rag, read);
  const vector = read.vector ?? (await embeddedText(read));
  return {
    vector,
    model,
    workspaceId,
    contentType: read.contentType,
    pathRegex: pathGlob === undefined ? undefined : globRegex(pathGlob),
    words: text === undefined ? undefined : wordQuery(text),
    limit,
    minScore: read.minScore,
    efSearch: Math.min(MAX_LIMIT, Math.max(read.efSearch, limit)),
    exclude: undefined,
    index: read.isExact ? undefined : await rag.vectorIndexes.typeOf(vector.length),
  };
}

type Read = z.infer<typeof searchInput>;

/** Checks the fields that depend on each other. */
function checkTogether({ text, vector, provider, model }: Read): void {
  if (vector === undefined && text === undefined) throw invalidField('text', 'is missing; pass a text or a vector');
  if (vector === undefined && provider === undefined) throw invalidField('provider', 'is missing; it embeds the text');
  if (vector !== undefined && provider !== undefined && vector.length !== provider.dimension) {
    throw invalidField('vector', 'has another dimension than the provider');
  }
  if (model !== undefined && provider !== undefined && model !== provider.model) {
    throw invalidField('model', 'differs from the model of the provider');
  }
}

async function modelOfSearch(rag: Rag, { model, provider, workspaceId }: Read): Promise<string> {
  const given = model ?? provider?.model;
  if (given !== undefined) return given;
  if (workspaceId === undefined) throw invalidField('model', 'is missing; pass a model, a provider or a workspace');
  // A workspace without content has no model, and no chunk has the empty one.
  return (await getWorkspace(rag, { workspaceId })).embeddingModel ?? '';
}

async function embeddedText({ text = '', provider, signal }: Read): Promise<readonly number[]> {
  const [vector = []] = provider === undefined ? [] : await embedTexts(provider, [text], signal);
  return vector;
}

/** Explains an empty answer: the workspace does not exist, or it answers with another space. */
async function checkSpace(rag: Rag, { model, vector }: SearchPlan, workspaceId: string): Promise<void> {
  const { embeddingModel, embeddingDimension } = await getWorkspace(rag, { workspaceId });
  if (embeddingModel === null || (embeddingModel === model && embeddingDimension === vector.length)) return;
  throw modelMismatch({ workspaceId, model: embeddingModel, dimension: embeddingDimension });
}

/** A tsquery for chunks that have any of the words; undefined when the text has none. */
function wordQuery(text: string): string | undefined {
  const words = new Set((text.match(/[\p{L}\p{N}_]+/gu) ?? []).map((word) => word.toLowerCase()));
  const query = [...words].filter((word) => word.length <= 100).slice(0, MAX_WORDS);
  return query.length === 0 ? undefined : query.map((word) => `'${word}'`).join(' | ');
}

const similarInput = z.strictObject({
  ...filterFields,
  model: z.undefined().optional(),
  chunkId: uuidInput,
  limit: limitInput,
});

export interface SimilarChunksInput extends Omit<ChunkFilters, 'model'> {
  readonly chunkId: string;
  /** 1 to 1,000; 10 when absent. */
  readonly limit?: number;
}

/**
 * The chunks whose embeddings are nearest to a chunk's embedding, in its vector space and without itself.
 * @throws {SuiteError} `RAG.INVALID_INPUT`, `RAG.CHUNK_NOT_FOUND`
 */
export async function similarChunks(rag: Rag, input: SimilarChunksInput): Promise<readonly FoundChunk[]> {
  const { chunkId, workspaceId, contentType, pathGlob, limit } = readInput(similarInput, input);
  const [chunk] = await rag.query<{ embedding: string; model: string }>({
    text: 'SELECT embedding::text AS embedding, embedding_model AS model FROM rag_chunks WHERE id = $1',
    values: [chunkId],
  });
  if (chunk === undefined) throw chunkNotFound(chunkId);
  const vector = JSON.parse(chunk.embedding) as readonly number[];
  const plan = await planOf(rag, {
    vector,
    model: chunk.model,
    limit,
    ...definedOf({ workspaceId, contentType, pathGlob }),
  });
  return rag.query<Found>(searchStatement({ ...plan, exclude: chunkId }));
}

/** The fields that have a value. */
function definedOf<Fields extends object>(fields: Fields): { [Name in keyof Fields]?: NonNullable<Fields[Name]> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [Name in keyof Fields]?: NonNullable<Fields[Name]>;
  };
}

const neighboursInput = z.strictObject({
  chunkId: uuidInput,
  before: z.int().min(0).max(MAX_NEIGHBOURS).default(1),
  after: z.int().min(0).max(MAX_NEIGHBOURS).default(1),
});

export interface ChunkNeighboursInput {
  readonly chunkId: string;
  /** How many chunks before it, 0 to 50; 1 when absent. */
  readonly before?: number;
  /** How many chunks after it, 0 to 50; 1 when absent. */
  readonly after?: number;
}

/** A chunk of a content. */
export type Chunk = Omit<FoundChunk, 'score'>;

const NEIGHBOURS = `
  SELECT r.id, r.content_id AS "contentId", r.chunk_index AS "chunkIndex", r.content, r.source_path AS "sourcePath",
    r.content_type AS "contentType", r.title, r.workspace_path AS "workspacePath", r.metadata
  FROM rag_chunks AS c JOIN rag_chunks AS r ON r.content_id = c.content_id AND r.embedding_model = c.embedding_model
    AND r.chunk_index BETWEEN c.chunk_index - $2::integer AND c.chunk_index + $3::integer
  WHERE c.id = $1 ORDER BY r.chunk_index`;

/**
 * A chunk with the chunks before and after it in its content, in their order.
 * @throws {SuiteError} `RAG.INVALID_INPUT`, `RAG.CHUNK_NOT_FOUND`
 */
export async function chunkNeighbours(rag: Rag, input: ChunkNeighboursInput): Promise<readonly Chunk[]> {
  const { chunkId, before, after } = readInput(neighboursInput, input);
  const rows = await rag.query<Chunk & { readonly [column: string]: unknown }>({
    text: NEIGHBOURS,
    values: [chunkId, before, after],
  });
  if (rows.length === 0) throw chunkNotFound(chunkId);
  return rows;
}
