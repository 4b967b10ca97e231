import { providerAnswer } from '../errors';
import { vectorProblem } from '../input';

/** Makes embeddings of texts. A team passes its own, or one of this package. */
export interface EmbeddingProvider {
  /** The name of the vector space, at most 100 characters: embeddings of two names are never compared. */
  readonly model: string;
  readonly dimension: number;
  /** One embedding for each text, in their order. */
  embed(texts: readonly string[], signal?: AbortSignal): Promise<readonly (readonly number[])[]>;
}

/**
 * The embeddings of texts, each checked to be one that the database can store.
 * @throws {SuiteError} `RAG.PROVIDER_ANSWER`, and what the provider throws
 */
export async function embedTexts(
  provider: EmbeddingProvider,
  texts: readonly string[],
  signal?: AbortSignal,
): Promise<readonly (readonly number[])[]> {
  if (texts.length === 0) return [];
  const vectors = await provider.embed(texts, signal);
  if (vectors.length !== texts.length) {
    throw providerAnswer(provider.model, `has ${vectors.length} embeddings for ${texts.length} texts`);
  }
  for (const vector of vectors) {
    const problem =
      vector.length === provider.dimension
        ? vectorProblem(vector)
        : `has ${vector.length} dimensions instead of ${provider.dimension}`;
    if (problem !== undefined) throw providerAnswer(provider.model, `contains an embedding that ${problem}`);
  }
  return vectors;
}

/** The text of a vector for PostgreSQL. */
export function vectorText(vector: readonly number[]): string {
  return `[${vector.join(',')}]`;
}
