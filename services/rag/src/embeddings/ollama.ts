import { z } from 'zod';
import { type HttpProviderOptions, httpProvider } from './http';
import type { EmbeddingProvider } from './provider';

const answerInput = z
  .object({ embeddings: z.array(z.array(z.number())) })
  .transform(({ embeddings }): readonly (readonly number[])[] => embeddings);

/**
 * A provider that asks an Ollama server (`POST <url>/api/embed`), such as for nomic-embed-text with 768 dimensions.
 * @throws {SuiteError} `RAG.INVALID_INPUT`; its embeddings throw `RAG.PROVIDER_TIMEOUT`, `RAG.PROVIDER_FAILED`, `RAG.PROVIDER_ANSWER`
 */
export function ollamaProvider(options: HttpProviderOptions): EmbeddingProvider {
  return httpProvider(options, (model) => ({
    name: 'ollama',
    space: model,
    path: '/api/embed',
    headers: {},
    // A text that is too long for the model is cut instead of being an error.
    bodyOf: (input) => ({ model, input, truncate: true }),
    answer: answerInput,
  }));
}
