import { newId } from '@azora/db-core';
import { rowIdInput, textInput } from '@azora/db-core/input';
import { type Page, type PageInput, pageFields } from '@azora/db-core/paging';
import { z } from 'zod';
import type { Debate } from './client';
import { memoryNotFound, readInput } from './errors';
import { dataInput, keyInput, longText, mostInput, shareInput } from './input';
import { callFor, listRows, type Memory, type MemoryMove, modelOf, type Row, valueFor } from './rows';
import type { PruneInput } from './stream.store';

/** How fast a memory changes. One that is not observed lives a day, 7 days, 90 days, and forever. */
export type Tier = 'fast' | 'medium' | 'slow' | 'glacial';

export interface StoreMemoryInput {
  readonly content: string;
  /** `fast` when absent. */
  readonly tier?: Tier;
  /** 0 to 1; 0.5 when absent. */
  readonly importance?: number;
  readonly metadata?: Readonly<Record<string, unknown>>;
  readonly idempotencyKey: string;
}

export interface ObserveMemoryInput {
  readonly memoryId: string;
  /** How far the outcome was from what the memory said, 0 to 1. */
  readonly surprise: number;
  /** Whether the memory was right. */
  readonly success: boolean;
  readonly idempotencyKey: string;
}

export interface MemoryInput {
  readonly memoryId: string;
}

export interface RecallMemoriesInput {
  /** Words of the content, as people type them into a search engine. */
  readonly text: string;
  readonly tier?: Tier;
  /** 1 to 200; 50 when absent. */
  readonly limit?: number;
}

export interface ListMemoriesInput extends PageInput {
  readonly tier?: Tier;
}

export interface ListMemoryMovesInput extends PageInput, MemoryInput {}

const tierInput = z.enum(['fast', 'medium', 'slow', 'glacial']);
const storeInput = z.strictObject({
  content: longText,
  tier: tierInput.default('fast'),
  importance: shareInput.default(0.5),
  metadata: dataInput.default({}),
  idempotencyKey: keyInput,
});
const observeInput = z.strictObject({
  memoryId: rowIdInput,
  surprise: shareInput,
  success: z.boolean(),
  idempotencyKey: keyInput,
});
const oneInput = z.strictObject({ memoryId: rowIdInput });
const recallInput = z.strictObject({ text: textInput(500), tier: tierInput.optional(), limit: pageFields.limit });
const listInput = z.strictObject({ tier: tierInput.optional(), ...pageFields });
const movesInput = oneInput.extend(pageFields);
const expireInput = z.strictObject({ limit: mostInput });

/**
 * Stores a memory, once per key.
 * @throws {SuiteError} `DEBATE.INVALID_INPUT`, `DEBATE.KEY_REUSED`, `DEBATE.MEMORY_NOT_FOUND` if the key made one that is gone
 */
export async function storeMemory(debate: Debate, input: StoreMemoryInput): Promise<Memory> {
  const { idempotencyKey, ...body } = readInput(storeInput, input);
  return callFor(debate, 'SELECT * FROM store_memory($1, $2, $3)', [idempotencyKey, newId(), JSON.stringify(body)]);
}

/**
 * Records an outcome, once per key, and moves the memory by one tier if its scores ask for it: surprise of at least 0.7 demotes it to the next
 * faster tier, consolidation of at least 0.7 with little surprise promotes it to the next slower one. The lifetime begins again.
 * @throws {SuiteError} `DEBATE.INVALID_INPUT`, `DEBATE.KEY_REUSED`, `DEBATE.MEMORY_NOT_FOUND`
 */
export async function observeMemory(debate: Debate, input: ObserveMemoryInput): Promise<Memory> {
  const { idempotencyKey, memoryId, surprise, success } = readInput(observeInput, input);
  return callFor(debate, 'SELECT * FROM observe_memory($1, $2, $3, $4)', [idempotencyKey, memoryId, surprise, success]);
}

/** The clock of the database decides, also before the expired memory is deleted. */
const ALIVE = '(expires_at IS NULL OR expires_at > database_time())';

/**
 * A memory by its id.
 * @throws {SuiteError} `DEBATE.INVALID_INPUT`, `DEBATE.MEMORY_NOT_FOUND`
 */
export async function getMemory(debate: Debate, input: MemoryInput): Promise<Memory> {
  const { memoryId } = readInput(oneInput, input);
  const text = `SELECT * FROM continuum_memory WHERE id = $1 AND ${ALIVE}`;
  const [row] = await debate.query<Row>({ text, values: [memoryId] });
  if (row === undefined) throw memoryNotFound({ memoryId });
  return modelOf<Memory>(row);
}

/**
 * The memories that match a text best, weighted by importance, the best first.
 * @throws {SuiteError} `DEBATE.INVALID_INPUT`
 */
export async function recallMemories(debate: Debate, input: RecallMemoriesInput): Promise<readonly Memory[]> {
  const { text, tier, limit } = readInput(recallInput, input);
  const rows = await debate.query<Row>({
    text: `SELECT m.* FROM continuum_memory AS m, websearch_to_tsquery('english', $1) AS q
      WHERE m.search_vector @@ q AND ${ALIVE} AND ($2::text IS NULL OR m.tier = $2)
      ORDER BY ts_rank(m.search_vector, q) * (0.5 + m.importance) DESC, m.id LIMIT $3`,
    values: [text, tier ?? null, limit],
  });
  return rows.map((row) => modelOf<Memory>(row));
}

/**
 * A page of the memories, of one tier if it is given, newest first.
 * @throws {SuiteError} `DEBATE.INVALID_INPUT`
 */
export async function listMemories(debate: Debate, input: ListMemoriesInput = {}): Promise<Page<Memory>> {
  const { tier, limit, cursor } = readInput(listInput, input);
  return listRows<Memory>(debate, { table: 'continuum_memory', where: { tier }, only: ALIVE, limit, cursor });
}

/**
 * A page of the moves of a memory between tiers, newest first.
 * @throws {SuiteError} `DEBATE.INVALID_INPUT`
 */
export async function listMemoryMoves(debate: Debate, input: ListMemoryMovesInput): Promise<Page<MemoryMove>> {
  const { memoryId, limit, cursor } = readInput(movesInput, input);
  return listRows<MemoryMove>(debate, { table: 'tier_transitions', where: { memory_id: memoryId }, limit, cursor });
}

/**
 * Deletes a memory with its moves. Returns false if there is none.
 * @throws {SuiteError} `DEBATE.INVALID_INPUT`
 */
export async function forgetMemory(debate: Debate, input: MemoryInput): Promise<boolean> {
  return valueFor(debate, 'SELECT forget_memory($1) AS value', [readInput(oneInput, input).memoryId]);
}

/**
 * Deletes memories whose time is over, and returns their number.
 * @throws {SuiteError} `DEBATE.INVALID_INPUT`
 */
export async function expireMemories(debate: Debate, input: PruneInput = {}): Promise<number> {
  return valueFor(debate, 'SELECT expire_memories($1) AS value', [readInput(expireInput, input).limit]);
}
