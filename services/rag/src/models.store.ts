import { z } from 'zod';
import type { Rag } from './client';
import { hashingProviderOf, learnFrequencies, NOTHING_LEARNED } from './embeddings/hashing';
import type { EmbeddingProvider } from './embeddings/provider';
import { modelNotFound, readInput } from './errors';
import { modelInput } from './input';
import { onlyRow } from './rows';

export interface LearnModelInput {
  /** The corpus, such as the texts of all chunks. */
  readonly texts: Iterable<string>;
  /** 8 to 16,000; 768 when absent, which has an index. */
  readonly dimension?: number;
}

const DEFAULT_DIMENSION = 768;
const learnInput = z.strictObject({
  texts: z.custom<Iterable<string>>(
    (value) => typeof value === 'object' && value !== null && Symbol.iterator in value,
    'is not a list of texts',
  ),
  dimension: z.int().min(8).max(16_000).default(DEFAULT_DIMENSION),
});

/**
 * Learns from a corpus how rare its words are, keeps that, and returns the built-in provider with it. The same corpus gives the same
 * model.
 * @throws {SuiteError} `RAG.INVALID_INPUT`
 */
export async function learnHashingModel(rag: Rag, input: LearnModelInput): Promise<EmbeddingProvider> {
  const { texts, dimension } = readInput(learnInput, input);
  const learned = learnFrequencies(texts);
  const rows = await rag.query<{ model: string }>({
    text: 'SELECT save_hashing_model($1, $2, $3) AS model',
    values: [dimension, learned.documents, learned.frequencies],
  });
  return hashingProviderOf(onlyRow(rows).model, dimension, learned);
}

/**
 * The built-in provider with a model that was learned before.
 * @throws {SuiteError} `RAG.INVALID_INPUT`, `RAG.MODEL_NOT_FOUND`
 */
export async function openHashingModel(rag: Rag, model: string): Promise<EmbeddingProvider> {
  const name = readInput(modelInput, model);
  const [found] = await rag.query<{ dimension: number; documents: number; frequencies: number[] }>({
    text: 'SELECT dimension, documents, frequencies FROM hashing_models WHERE model = $1',
    values: [name],
  });
  if (found === undefined) throw modelNotFound(name);
  return hashingProviderOf(name, found.dimension, found);
}

/**
 * The built-in provider before it has learned anything: all words count alike.
 * @throws {SuiteError} `RAG.INVALID_INPUT`
 */
export function plainHashingProvider(dimension: number = DEFAULT_DIMENSION): EmbeddingProvider {
  const read = readInput(learnInput.shape.dimension, dimension);
  return hashingProviderOf(`azora-hash-${read}`, read, NOTHING_LEARNED);
}
