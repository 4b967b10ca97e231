import { hash } from 'node:crypto';
import { isRecord } from '@azora/db-core';
import { textInput } from '@azora/db-core/input';
import { z } from 'zod';
import type { Rag } from './client';
import { type EmbeddingProvider, embedTexts, vectorText } from './embeddings/provider';
import { invalidField, readInput } from './errors';
import {
  contentIdInput,
  contentTypeInput,
  dimensionInput,
  filePathInput,
  hashInput,
  metadataInput,
  modelInput,
  pathInput,
  titleInput,
  workspaceIdInput,
} from './input';
import { onlyRow } from './rows';

const MAX_CONTENTS = 10_000;
const MAX_CHUNKS = 10_000;
const MAX_TEXT = 1_000_000;
/** One statement writes at least one content, and more of them up to this many chunks: it stays far below the limit of a statement. */
const CHUNKS_PER_STATEMENT = 256;
const MAX_CONTENT_ID = 500;

export interface ChunkInput {
  /** At most 1,000,000 characters. */
  readonly text: string;
  /** Such as the name of the function; it counts more than the text in full-text search. */
  readonly title?: string;
  /** The type of the content when absent. */
  readonly contentType?: string;
  /** Where the chunk is in its file, from 1. They become `startLine` and `endLine` of the metadata. */
  readonly lines?: { readonly start: number; readonly end: number };
  readonly metadata?: Readonly<Record<string, unknown>>;
}

export interface ContentInput {
  /** Unique among all workspaces. */
  readonly contentId: string;
  readonly sourcePath?: string;
  /** Such as `Code` or `Markdown`. */
  readonly contentType?: string;
  readonly chunks: readonly ChunkInput[];
}

export interface FileInput {
  /** Relative to the workspace, with forward slashes. */
  readonly path: string;
  /** SHA-256 hash of the file, in lower-case hex. */
  readonly contentHash: string;
  readonly contentType?: string;
  readonly chunks: readonly ChunkInput[];
}

interface PutInput {
  readonly workspaceId: string;
  /** The first one decides which model the workspace answers with. */
  readonly provider: EmbeddingProvider;
  /** Ends the call before its next statement; what was written stays. */
  readonly signal?: AbortSignal;
}

export interface PutContentsInput extends PutInput {
  /** At most 10,000. */
  readonly contents: readonly ContentInput[];
}

export interface PutFilesInput extends PutInput {
  /** At most 10,000. */
  readonly files: readonly FileInput[];
}

/** The numbers count chunks. */
export interface PutResult {
  readonly added: number;
  /** Their text is the same, but not their title, type, path or metadata. */
  readonly updated: number;
  readonly deleted: number;
  readonly unchanged: number;
  /** Texts that the provider was asked for; the others had an embedding already. */
  readonly embedded: number;
}

export interface RemoveContentsInput {
  readonly workspaceId: string;
  readonly contentIds: readonly string[];
}

export interface RemoveFilesInput {
  readonly workspaceId: string;
  readonly paths: readonly string[];
}

/** Reads a provider: any object with the three members. */
export const providerInput = z.custom<EmbeddingProvider>(
  (value) =>
    isRecord(value) &&
    modelInput.safeParse(value['model']).success &&
    dimensionInput.safeParse(value['dimension']).success &&
    typeof value['embed'] === 'function',
  'is not an embedding provider with a model, a dimension and embed()',
);
export const signalInput = z
  .custom<AbortSignal>((value) => value instanceof AbortSignal, 'is not an AbortSignal')
  .optional();

const chunkInput = z
  .strictObject({
    text: textInput(MAX_TEXT),
    title: titleInput.optional(),
    contentType: contentTypeInput.optional(),
    lines: z.strictObject({ start: z.int().min(1), end: z.int().min(1) }).optional(),
    metadata: metadataInput.optional(),
  })
  .refine(({ lines }) => lines === undefined || lines.start <= lines.end, 'has lines that end before they start');
const chunksInput = z.array(chunkInput).max(MAX_CHUNKS);
const putFields = { workspaceId: workspaceIdInput, provider: providerInput, signal: signalInput };
const putContentsInput = z.strictObject({
  ...putFields,
  contents: z
    .array(
      z.strictObject({
        contentId: contentIdInput,
        sourcePath: pathInput.optional(),
        contentType: contentTypeInput.optional(),
        chunks: chunksInput,
      }),
    )
    .max(MAX_CONTENTS),
});
const putFilesInput = z.strictObject({
  ...putFields,
  files: z
    .array(
      z.strictObject({
        path: filePathInput,
        contentHash: hashInput,
        contentType: contentTypeInput.optional(),
        chunks: chunksInput,
      }),
    )
    .max(MAX_CONTENTS),
});

type Chunk = z.infer<typeof chunkInput>;

interface Content {
  readonly contentId: string;
  readonly path: string | undefined;
  readonly hash: string | undefined;
  readonly type: string | undefined;
  readonly chunks: readonly Chunk[];
}

/** The id of the content of a file: its workspace and its path, or the hash of a path that is too long. */
export function fileContentId(workspaceId: string, path: string): string {
  const id = `${workspaceId}:${path}`;
  return id.length <= MAX_CONTENT_ID ? id : `${workspaceId}#${hash('sha256', path)}`;
}

/**
 * Makes the chunks of contents equal to the given ones. A chunk that has not changed is not written, and the provider is asked only for
 * texts that have no embedding of its model yet, wherever they stand. Each content is one transaction; contents that were written
 * before a failure stay.
 * @throws {SuiteError} `RAG.INVALID_INPUT`, `RAG.WORKSPACE_NOT_FOUND`, `RAG.MODEL_MISMATCH`, `RAG.CONTENT_ELSEWHERE`, and what the
 *   provider throws, such as `RAG.PROVIDER_FAILED`, `RAG.PROVIDER_TIMEOUT`, `RAG.PROVIDER_ANSWER`
 */
export async function putContents(rag: Rag, input: PutContentsInput): Promise<PutResult> {
  const { contents, ...rest } = readInput(putContentsInput, input);
  return putAll(
    rag,
    contents.map(({ contentId, sourcePath: path, contentType: type, chunks }) => {
      return { contentId, path, hash: undefined, type, chunks };
    }),
    { ...rest, field: 'contents' },
  );
}

/**
 * Makes the chunks of files of a workspace equal to the given ones, as {@link putContents} does, and notes in the same transaction
 * which content of a file they are from.
 * @throws {SuiteError} as {@link putContents}
 */
export async function putFiles(rag: Rag, input: PutFilesInput): Promise<PutResult> {
  const { files, ...rest } = readInput(putFilesInput, input);
  return putAll(
    rag,
    files.map(({ path, contentHash, contentType: type, chunks }) => {
      return { contentId: fileContentId(rest.workspaceId, path), path, hash: contentHash, type, chunks };
    }),
    { ...rest, field: 'files' },
  );
}

interface Put {
  readonly workspaceId: string;
  readonly provider: EmbeddingProvider;
  readonly signal?: AbortSignal | undefined;
  readonly field: string;
}

async function putAll(rag: Rag, contents: readonly Content[], put: Put): Promise<PutResult> {
  if (new Set(contents.map(({ contentId }) => contentId)).size < contents.length) {
    throw invalidField(put.field, 'names one content twice');
  }
  const total = { added: 0, updated: 0, deleted: 0, unchanged: 0, embedded: 0 };
  for (const batch of batchesOf(contents)) {
    put.signal?.throwIfAborted();
    const result = await putBatch(rag, batch, put);
    for (const name of Object.keys(total) as (keyof PutResult)[]) total[name] += result[name];
  }
  return total;
}

function* batchesOf(contents: readonly Content[]): Generator<readonly Content[]> {
  let batch: Content[] = [];
  let chunks = 0;
  for (const content of contents) {
    if (batch.length > 0 && chunks + content.chunks.length > CHUNKS_PER_STATEMENT) {
      yield batch;
      batch = [];
      chunks = 0;
    }
    batch.push(content);
    chunks += content.chunks.length;
  }
  if (batch.length > 0) yield batch;
}

/** Which of the texts with these hashes have an embedding in a space. */
const KNOWN = `
  SELECT encode(asked.hash, 'hex') AS hash FROM (SELECT decode(hex, 'hex') AS hash FROM unnest($1::text[]) AS hex) AS asked
  WHERE EXISTS (SELECT FROM rag_chunks WHERE chunk_hash(content) = asked.hash AND embedding_model = $2 AND embedding_dimension = $3)`;
const PUT = 'SELECT * FROM put_contents($1, $2, $3, $4, $5)';

type PutRow = Omit<PutResult, 'embedded'> & { readonly [column: string]: unknown };

async function putBatch(rag: Rag, batch: readonly Content[], put: Put): Promise<PutResult> {
  const { model, dimension } = put.provider;
  const texts = [...new Set(batch.flatMap(({ chunks }) => chunks.map(({ text }) => text)))];
  const byHash = new Map(texts.map((text) => [hash('sha256', text), text]));
  const rows = await rag.query<{ hash: string }>({ text: KNOWN, values: [[...byHash.keys()], model, dimension] });
  const known = new Set(rows.map((row) => byHash.get(row.hash)));
  const unknown = texts.filter((text) => !known.has(text));
  try {
    return await write(rag, batch, put, unknown);
  } catch (error) {
    // Another call has removed the embedding of a text since the look at it.
    if (!isRecord(error) || error['code'] !== 'RAG.EMBEDDING_MISSING') throw error;
    return write(rag, batch, put, texts);
  }
}

async function write(rag: Rag, batch: readonly Content[], put: Put, texts: readonly string[]): Promise<PutResult> {
  const { workspaceId, provider, signal } = put;
  const vectors = await embedTexts(provider, texts, signal);
  const numbers = new Map(texts.map((text, index) => [text, index + 1]));
  const contents = batch.map(({ chunks, ...content }) => {
    return { ...content, chunks: chunks.map((chunk) => chunkRow(chunk, numbers.get(chunk.text))) };
  });
  const values = [workspaceId, provider.model, provider.dimension, JSON.stringify(contents), vectors.map(vectorText)];
  return { ...onlyRow(await rag.queryLong<PutRow>({ text: PUT, values })), embedded: texts.length };
}

function chunkRow({ text, title, contentType, lines, metadata }: Chunk, embedding: number | undefined) {
  const given = { ...metadata, ...(lines && { startLine: lines.start, endLine: lines.end }) };
  return {
    content: text,
    title,
    type: contentType,
    metadata: metadata === undefined && lines === undefined ? undefined : given,
    embedding,
  };
}

const removeContentsInput = z.strictObject({
  workspaceId: workspaceIdInput,
  contentIds: z.array(contentIdInput).max(MAX_CONTENTS),
});

/**
 * Removes contents of a workspace. Returns the number of chunks that were removed.
 * @throws {SuiteError} `RAG.INVALID_INPUT`, `RAG.WORKSPACE_NOT_FOUND`
 */
export async function removeContents(rag: Rag, input: RemoveContentsInput): Promise<number> {
  const { workspaceId, contentIds } = readInput(removeContentsInput, input);
  const text = 'SELECT remove_contents($1, $2) AS removed';
  return onlyRow(await rag.queryLong<{ removed: number }>({ text, values: [workspaceId, contentIds] })).removed;
}

const removeFilesInput = z.strictObject({
  workspaceId: workspaceIdInput,
  paths: z.array(filePathInput).max(MAX_CONTENTS),
});

/**
 * Removes files of a workspace from both indexes: their chunks, their nodes with all edges, and their entries. Returns the number of
 * entries that were removed.
 * @throws {SuiteError} `RAG.INVALID_INPUT`, `RAG.WORKSPACE_NOT_FOUND`
 */
export async function removeFiles(rag: Rag, input: RemoveFilesInput): Promise<number> {
  const { workspaceId, paths } = readInput(removeFilesInput, input);
  const ids = paths.map((path) => fileContentId(workspaceId, path));
  const text = 'SELECT remove_files($1, $2, $3) AS removed';
  return onlyRow(await rag.queryLong<{ removed: number }>({ text, values: [workspaceId, paths, ids] })).removed;
}
