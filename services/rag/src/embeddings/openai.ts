import { z } from 'zod';
import { readInput } from '../errors';
import { type HttpProviderOptions, httpProvider } from './http';
import type { EmbeddingProvider } from './provider';

export interface OpenAiProviderOptions extends HttpProviderOptions {
  /** Sent as a bearer token; a local server may need none. */
  readonly apiKey?: string;
  /** Asks the model to shorten its embeddings to `dimension`, as text-embedding-3 can. The space is then named model@dimension. */
  readonly isShortened?: boolean;
}

const ownInput = z.object({
  apiKey: z
    .string()
    .max(1_000)
    .regex(/^[\x21-\x7e]+$/, 'is not made of printable ASCII characters without spaces')
    .optional(),
  isShortened: z.boolean().default(false),
});
const answerInput = z
  .object({ data: z.array(z.object({ index: z.int().min(0), embedding: z.array(z.number()) })) })
  .transform(({ data }) => data.toSorted((one, other) => one.index - other.index).map(({ embedding }) => embedding));

/**
 * A provider that asks an API like OpenAI's (`POST <url>/embeddings`), which vLLM, llama.cpp, LM Studio and others offer too.
 * @throws {SuiteError} `RAG.INVALID_INPUT`; its embeddings throw `RAG.PROVIDER_TIMEOUT`, `RAG.PROVIDER_FAILED`, `RAG.PROVIDER_ANSWER`
 */
export function openAiProvider({ apiKey, isShortened, ...options }: OpenAiProviderOptions): EmbeddingProvider {
  const own = readInput(ownInput, { apiKey, isShortened });
  return httpProvider(options, (model, dimension) => ({
    name: 'openai',
    space: own.isShortened ? `${model}@${dimension}` : model,
    path: '/embeddings',
    headers: own.apiKey === undefined ? {} : { authorization: `Bearer ${own.apiKey}` },
    bodyOf: (input) => ({
      ...{ model, input, encoding_format: 'float' },
      ...(own.isShortened ? { dimensions: dimension } : {}),
    }),
    answer: answerInput,
  }));
}
