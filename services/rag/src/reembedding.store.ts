import { z } from 'zod';
import type { Rag } from './client';
import { providerInput, signalInput } from './contents.store';
import { type EmbeddingProvider, embedTexts, vectorText } from './embeddings/provider';
import { readInput } from './errors';
import { workspaceIdInput } from './input';
import { onlyRow } from './rows';

const CHUNKS_PER_STATEMENT = 128;

export interface ReembedInput {
  readonly workspaceId: string;
  /** The model that the workspace shall answer with. */
  readonly provider: EmbeddingProvider;
  readonly signal?: AbortSignal;
  /** Called after each statement with the number of chunks that this call has embedded. */
  readonly onProgress?: (embedded: number) => void;
}

const reembedInput = z.strictObject({
  workspaceId: workspaceIdInput,
  provider: providerInput,
  signal: signalInput,
  onProgress: z
    .custom<(embedded: number) => void>((value) => typeof value === 'function', 'is not a function')
    .optional(),
});

interface PendingRow {
  readonly id: string;
  readonly content: string;
  readonly [column: string]: unknown;
}

/**
 * Changes the model of a workspace. The new embeddings are written beside the old ones, which answer until the last statement makes the
 * new ones answer. An interrupted call changes no answer, and a call with the same model continues where it ended. Returns the number of
 * chunks that this call has embedded.
 * @throws {SuiteError} `RAG.INVALID_INPUT`, `RAG.WORKSPACE_NOT_FOUND`, `RAG.MODEL_DIMENSION`, `RAG.REEMBEDDING_ENDED`, and what the
 *   provider throws
 */
export async function reembedWorkspace(rag: Rag, input: ReembedInput): Promise<number> {
  const { workspaceId, provider, signal, onProgress } = readInput(reembedInput, input);
  const { model, dimension } = provider;
  const start = { text: 'SELECT FROM start_reembedding($1, $2, $3)', values: [workspaceId, model, dimension] };
  await rag.queryLong(start);
  let embedded = 0;
  for (;;) {
    signal?.throwIfAborted();
    const pending = await rag.queryLong<PendingRow>({
      text: 'SELECT id, content FROM unembedded_chunks($1, $2)',
      values: [workspaceId, CHUNKS_PER_STATEMENT],
    });
    if (pending.length === 0) {
      // Chunks may have come since the look.
      const text = 'SELECT finish_reembedding($1, $2) AS lacking';
      const rows = await rag.queryLong<{ lacking: number }>({ text, values: [workspaceId, model] });
      if (onlyRow(rows).lacking === 0) return embedded;
      continue;
    }
    const texts = [...new Set(pending.map(({ content }) => content))];
    const vectors = await embedTexts(provider, texts, signal);
    const byText = new Map(texts.map((text, index) => [text, vectorText(vectors[index] ?? [])]));
    await rag.queryLong({
      text: 'SELECT add_embeddings($1, $2, $3, $4)',
      values: [workspaceId, model, pending.map(({ id }) => id), pending.map(({ content }) => byText.get(content))],
    });
    embedded += pending.length;
    onProgress?.(embedded);
  }
}
