import type { MoneyInput } from '@azora/db-core';
import { amountOrZeroInput, timeInput } from '@azora/db-core/input';
import { z } from 'zod';
import type { Agent } from './client';
import { readInput } from './errors';
import { Prisma } from './generated/client';
import { agentIdInput, modelInput } from './input';
import { callFor, type ModelPrice, modelOf, type Row } from './rows';

export interface SetModelPriceInput {
  readonly model: string;
  /** Executions that start at this time or later have the price, until the next one. */
  readonly validFrom: Date;
  /** US dollars for a million tokens of the prompt, with at most 8 decimals. */
  readonly promptPrice: MoneyInput;
  /** US dollars for a million tokens of the answer. */
  readonly completionPrice: MoneyInput;
}

export interface ListModelPricesInput {
  readonly model?: string;
}

export interface ExecutionStatisticsInput {
  /** Executions that started at this time or later. */
  readonly since: Date;
  /** Executions that started before this time. */
  readonly until: Date;
  readonly agentId?: string;
  readonly model?: string;
}

/** The executions of one agent with one model. */
export interface ExecutionStatistics {
  readonly agentId: string;
  /** Null for executions that name no model. */
  readonly model: string | null;
  readonly executions: number;
  readonly running: number;
  readonly succeeded: number;
  readonly failed: number;
  readonly tokensUsed: number;
  readonly promptTokens: number;
  readonly completionTokens: number;
  /** Of the finished ones; null if there are none. */
  readonly durationMs: { readonly mean: number; readonly p50: number; readonly p95: number } | null;
  /** US dollars, rounded to 8 decimals. */
  readonly cost: Prisma.Decimal;
  /** Finished executions that are not in the cost: their model had no price, or their tokens are not known by kind. */
  readonly unpriced: number;
}

const priceFields = z.strictObject({
  model: modelInput,
  validFrom: timeInput,
  promptPrice: amountOrZeroInput,
  completionPrice: amountOrZeroInput,
});
const listInput = z.strictObject({ model: modelInput.optional() });
const statisticsInput = z
  .strictObject({
    since: timeInput,
    until: timeInput,
    agentId: agentIdInput.optional(),
    model: modelInput.optional(),
  })
  .refine(({ since, until }) => since < until, { path: ['until'], message: 'is not after since' });

/**
 * Adds the price of a model from a time on. A price never changes; the same one again changes nothing.
 * @throws {SuiteError} `AGENT.INVALID_INPUT`, `MONEY.*`, `AGENT.PRICE_FIXED`: the model has another price from this time on
 */
export async function setModelPrice(agent: Agent, input: SetModelPriceInput): Promise<ModelPrice> {
  const { model, validFrom, promptPrice, completionPrice } = readInput(priceFields, input);
  const values = [model, validFrom, promptPrice, completionPrice];
  return callFor(agent, 'SELECT * FROM set_model_price($1, $2, $3, $4)', values);
}

/**
 * The prices by model, the latest first.
 * @throws {SuiteError} `AGENT.INVALID_INPUT`
 */
export async function listModelPrices(agent: Agent, input: ListModelPricesInput = {}): Promise<readonly ModelPrice[]> {
  const { model = null } = readInput(listInput, input);
  const rows = await agent.query<Row>({
    text: 'SELECT * FROM model_prices WHERE $1::text IS NULL OR model = $1 ORDER BY model, valid_from DESC',
    values: [model],
  });
  return rows.map((row) => modelOf<ModelPrice>(row));
}

interface StatisticsRow {
  readonly agent_id: string;
  readonly model: string | null;
  /** A bigint is text in the results of `pg`. */
  readonly executions: string;
  readonly running: string;
  readonly succeeded: string;
  readonly failed: string;
  readonly tokens_used: string;
  readonly prompt_tokens: string;
  readonly completion_tokens: string;
  readonly mean_ms: number | null;
  readonly p50_ms: number | null;
  readonly p95_ms: number | null;
  readonly cost: string;
  readonly unpriced: string;
  readonly [column: string]: unknown;
}

/**
 * Counts, tokens, durations and costs of the executions that started in a period, by agent and model. The cost follows from the prices
 * that are known now, so a price that is added for the past counts. Reads all executions of the period.
 * @throws {SuiteError} `AGENT.INVALID_INPUT`
 */
export async function executionStatistics(
  agent: Agent,
  input: ExecutionStatisticsInput,
): Promise<readonly ExecutionStatistics[]> {
  const { since, until, agentId = null, model = null } = readInput(statisticsInput, input);
  const rows = await agent.queryLong<StatisticsRow>({
    text: 'SELECT * FROM execution_statistics($1, $2, $3, $4)',
    values: [since, until, agentId, model],
  });
  return rows.map(statisticsOf);
}

function statisticsOf(row: StatisticsRow): ExecutionStatistics {
  const { mean_ms: mean, p50_ms: p50, p95_ms: p95 } = row;
  return {
    agentId: row.agent_id,
    model: row.model,
    executions: Number(row.executions),
    running: Number(row.running),
    succeeded: Number(row.succeeded),
    failed: Number(row.failed),
    tokensUsed: Number(row.tokens_used),
    promptTokens: Number(row.prompt_tokens),
    completionTokens: Number(row.completion_tokens),
    durationMs: mean === null || p50 === null || p95 === null ? null : { mean, p50, p95 },
    cost: new Prisma.Decimal(row.cost),
    unpriced: Number(row.unpriced),
  };
}
