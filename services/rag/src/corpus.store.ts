import { requestHash } from '@azora/db-core';
import { textInput } from '@azora/db-core/input';
import { type Page, type PageInput, pageFields } from '@azora/db-core/paging';
import { z } from 'zod';
import type { Rag } from './client';
import { readInput } from './errors';
import { metadataInput } from './input';
import { type CorpusEntry, callFor, listRows, rowsFor } from './rows';

const MAX_COUNT = 2_147_483_647;
const MAX_FOUND = 200;

export interface SaveCorpusEntryInput {
  readonly functionName: string;
  /** The head of the function, such as `def add(a: int, b: int) -> int`. */
  readonly signature: string;
  /** The specification that the function was made for; entries without one share their signature only. */
  readonly specId?: string;
  /** SHA-256 hash of the specification, in hex. */
  readonly specHash?: string;
  readonly signatureKey?: string;
  readonly snippet?: string;
  /** The quality of the function, 0 to 1. */
  readonly score?: number;
  /** Passed tests of `total`. */
  readonly passed?: number;
  readonly total?: number;
  readonly complexity?: number;
  readonly iteration?: number;
  readonly metadata?: Readonly<Record<string, unknown>>;
}

const countInput = z.int().min(0).max(MAX_COUNT).optional();
const saveInput = z
  .strictObject({
    functionName: textInput(255),
    signature: textInput(2_000),
    specId: textInput(64).optional(),
    specHash: textInput(64).optional(),
    signatureKey: textInput(2_000).optional(),
    snippet: textInput(1_000_000).optional(),
    score: z.number().min(0).max(1).optional(),
    passed: countInput,
    total: countInput,
    complexity: countInput,
    iteration: countInput,
    metadata: metadataInput.optional(),
  })
  .refine(
    ({ passed, total }) => passed === undefined || total === undefined || passed <= total,
    'has more passed tests than tests',
  );

/**
 * Keeps an entry of the corpus once per specification and signature: the one with the higher score stays, and of equal scores the later
 * one. Returns the entry that is kept, so the order of calls does not matter.
 * @throws {SuiteError} `RAG.INVALID_INPUT`
 */
export async function saveCorpusEntry(rag: Rag, input: SaveCorpusEntryInput): Promise<CorpusEntry> {
  const entry = readInput(saveInput, input);
  const key = requestHash({ specId: entry.specId, specHash: entry.specHash, signature: entry.signature });
  return callFor<CorpusEntry>(rag, 'SELECT * FROM save_corpus_entry($1, $2)', [key, JSON.stringify(entry)]);
}

export interface ListCorpusInput extends PageInput {
  readonly functionName?: string;
}

/**
 * A page of the corpus, newest first.
 * @throws {SuiteError} `RAG.INVALID_INPUT`
 */
export async function listCorpus(rag: Rag, input: ListCorpusInput = {}): Promise<Page<CorpusEntry>> {
  const { functionName, limit, cursor } = readInput(
    z.strictObject({ functionName: textInput(255).optional(), ...pageFields }),
    input,
  );
  const where = { func_name: functionName };
  return listRows<CorpusEntry>(rag, { table: 'corpus_entries', time: 'timestamp', where, limit, cursor });
}

export interface BestCorpusInput {
  /** The best entry of each function when absent. */
  readonly functionName?: string;
  /** 1 to 200; 50 when absent. */
  readonly limit?: number;
}

const bestInput = z.strictObject({
  functionName: textInput(255).optional(),
  limit: z.int().min(1).max(MAX_FOUND).default(50),
});

/**
 * The best entry of each function, by score, then by passed tests, then by low complexity; ordered by the name of the function.
 * @throws {SuiteError} `RAG.INVALID_INPUT`
 */
export async function bestCorpusEntries(rag: Rag, input: BestCorpusInput = {}): Promise<readonly CorpusEntry[]> {
  const { functionName, limit } = readInput(bestInput, input);
  const text = `SELECT DISTINCT ON (func_name) * FROM corpus_entries WHERE $1::text IS NULL OR func_name = $1
    ORDER BY func_name, score DESC NULLS LAST, passed DESC NULLS LAST, complexity ASC NULLS LAST, id LIMIT $2`;
  return rowsFor<CorpusEntry>(rag, text, [functionName ?? null, limit]);
}

export interface SearchCorpusInput {
  /** Words of the code, or a name with typing errors. */
  readonly text: string;
  /** 1 to 200; 20 when absent. */
  readonly limit?: number;
}

const searchInput = z.strictObject({ text: textInput(1_000), limit: z.int().min(1).max(MAX_FOUND).default(20) });

/** The expression of the index corpus_entries_words_idx. */
const WORDS = `to_tsvector('simple', func_name || ' ' || func_signature || ' ' || left(coalesce(snippet, ''), 100000))`;
const SEARCH = `
  WITH asked AS (SELECT websearch_to_tsquery('simple', $1) AS words),
  found AS (
    SELECT e.id FROM asked, corpus_entries AS e WHERE ${WORDS.replaceAll(/\b(func_name|func_signature|snippet)\b/g, 'e.$1')} @@ asked.words
    UNION SELECT id FROM corpus_entries WHERE func_name % $1 OR func_signature % $1)
  SELECT e.* FROM found JOIN corpus_entries AS e USING (id), asked
  ORDER BY ts_rank_cd(${WORDS.replaceAll(/\b(func_name|func_signature|snippet)\b/g, 'e.$1')}, asked.words, 1)
    + greatest(similarity(e.func_name, $1), similarity(e.func_signature, $1)) DESC, e.score DESC NULLS LAST, e.id LIMIT $2`;

/**
 * Finds entries of the corpus by words of their code and by similar names, the best match first.
 * @throws {SuiteError} `RAG.INVALID_INPUT`
 */
export async function searchCorpus(rag: Rag, input: SearchCorpusInput): Promise<readonly CorpusEntry[]> {
  const { text, limit } = readInput(searchInput, input);
  return rowsFor<CorpusEntry>(rag, SEARCH, [text, limit]);
}
