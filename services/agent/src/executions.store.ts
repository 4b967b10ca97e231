import { idInput, textInput } from '@azora/db-core/input';
import type { Page, PageInput } from '@azora/db-core/paging';
import { z } from 'zod';
import type { Agent } from './client';
import { executionNotFound, readInput } from './errors';
import { $Enums, type ExecutionStatus } from './generated/client';
import {
  agentIdInput,
  contentInput,
  keyInput,
  modelInput,
  ownerInput,
  tokensInput,
  uuidInput,
  uuidPageFields,
} from './input';
import { callFor, type Execution, listRows, modelOf, onlyRow, type Row } from './rows';

const MAX_SWEPT = 10_000;
const DEFAULT_SWEPT = 1_000;
const MIN_AGE_MS = 1_000;
const DEFAULT_AGE_MS = 3_600_000;
const MAX_AGE_MS = 30 * 86_400_000;

export interface StartExecutionInput {
  readonly agentId: string;
  readonly prompt: string;
  /** The user for whom the agent works. */
  readonly userId?: string | null;
  /** A conversation of this user. */
  readonly conversationId?: string;
  readonly model?: string;
  readonly idempotencyKey: string;
}

/** The tokens of an execution: by kind, which its cost needs, or only their sum. */
export interface ExecutionOutcome {
  readonly executionId: string;
  /** The model that answered, if it was not known at the start. */
  readonly model?: string;
  /** Together with `completionTokens`, without `tokensUsed`. */
  readonly promptTokens?: number;
  readonly completionTokens?: number;
  readonly tokensUsed?: number;
}

export interface FinishExecutionInput extends ExecutionOutcome {
  readonly response?: string;
}

export interface FailExecutionInput extends ExecutionOutcome {
  readonly error: string;
}

export interface FailStalledExecutionsInput {
  /** Milliseconds since the start, from a second to 30 days; an hour when absent. */
  readonly olderThanMs?: number;
  /** 1 to 10000; 1000 when absent. */
  readonly limit?: number;
}

export interface GetExecutionInput {
  readonly executionId: string;
}

export interface ListExecutionsInput extends PageInput {
  readonly agentId?: string;
  readonly userId?: string;
  readonly conversationId?: string;
  readonly status?: ExecutionStatus;
}

const startInput = z.strictObject({
  agentId: agentIdInput,
  prompt: contentInput,
  userId: ownerInput.optional(),
  conversationId: uuidInput.optional(),
  model: modelInput.optional(),
  idempotencyKey: keyInput,
});
const outcomeFields = {
  executionId: uuidInput,
  model: modelInput.optional(),
  promptTokens: tokensInput.optional(),
  completionTokens: tokensInput.optional(),
  tokensUsed: tokensInput.optional(),
};

type Tokens = Readonly<Partial<Record<'promptTokens' | 'completionTokens' | 'tokensUsed', number | undefined>>>;

function haveOneForm({ promptTokens, completionTokens, tokensUsed }: Tokens): boolean {
  if ((promptTokens === undefined) !== (completionTokens === undefined)) return false;
  return promptTokens === undefined || tokensUsed === undefined;
}
const TOKENS_PROBLEM = {
  path: ['tokensUsed'],
  message: 'tokens are promptTokens and completionTokens together, or tokensUsed alone',
};
const finishInput = z
  .strictObject({ ...outcomeFields, response: textInput(1_000_000, 0).optional() })
  .refine(haveOneForm, TOKENS_PROBLEM);
const failInput = z.strictObject({ ...outcomeFields, error: textInput(10_000) }).refine(haveOneForm, TOKENS_PROBLEM);
const stalledInput = z.strictObject({
  olderThanMs: z.int().min(MIN_AGE_MS).max(MAX_AGE_MS).default(DEFAULT_AGE_MS),
  limit: z.int().min(1).max(MAX_SWEPT).default(DEFAULT_SWEPT),
});
const getInput = z.strictObject({ executionId: uuidInput });
const listInput = z.strictObject({
  agentId: agentIdInput.optional(),
  userId: idInput.optional(),
  conversationId: uuidInput.optional(),
  status: z.enum($Enums.ExecutionStatus).optional(),
  ...uuidPageFields,
});

const END = 'SELECT * FROM end_execution($1, $2, $3)';

/**
 * Records that an agent starts to work, once per key. The database's clock measures the duration from here.
 * @throws {SuiteError} `AGENT.INVALID_INPUT`, `AGENT.KEY_REUSED`; `AGENT.CONVERSATION_NOT_FOUND`: the user has no such conversation
 */
export async function startExecution(agent: Agent, input: StartExecutionInput): Promise<Execution> {
  const { idempotencyKey, ...body } = readInput(startInput, input);
  return callFor(agent, 'SELECT * FROM start_execution($1, $2)', [idempotencyKey, JSON.stringify(body)]);
}

/**
 * Ends a running execution with success. The same outcome again returns the execution unchanged.
 * @throws {SuiteError} `AGENT.INVALID_INPUT`, `AGENT.EXECUTION_NOT_FOUND`, `AGENT.ILLEGAL_TRANSITION`: it has ended otherwise
 */
export async function finishExecution(agent: Agent, input: FinishExecutionInput): Promise<Execution> {
  const { executionId, ...outcome } = readInput(finishInput, input);
  return callFor(agent, END, [executionId, 'succeeded', JSON.stringify(outcome)]);
}

/**
 * Ends a running execution with an error. The same outcome again returns the execution unchanged.
 * @throws {SuiteError} as {@link finishExecution}
 */
export async function failExecution(agent: Agent, input: FailExecutionInput): Promise<Execution> {
  const { executionId, ...outcome } = readInput(failInput, input);
  return callFor(agent, END, [executionId, 'failed', JSON.stringify(outcome)]);
}

/**
 * Fails executions that started long ago and never ended, because their process died. Returns their number; call it again while it is
 * the limit.
 * @throws {SuiteError} `AGENT.INVALID_INPUT`
 */
export async function failStalledExecutions(agent: Agent, input: FailStalledExecutionsInput = {}): Promise<number> {
  const { olderThanMs, limit } = readInput(stalledInput, input);
  const rows = await agent.query<{ failed: number }>({
    text: 'SELECT fail_stalled_executions($1::interval, $2) AS failed',
    values: [`${olderThanMs} milliseconds`, limit],
  });
  return onlyRow(rows).failed;
}

/**
 * An execution by its id.
 * @throws {SuiteError} `AGENT.INVALID_INPUT`, `AGENT.EXECUTION_NOT_FOUND`
 */
export async function getExecution(agent: Agent, input: GetExecutionInput): Promise<Execution> {
  const { executionId } = readInput(getInput, input);
  const [row] = await agent.query<Row>({ text: 'SELECT * FROM agent_executions WHERE id = $1', values: [executionId] });
  if (row === undefined) throw executionNotFound({ executionId });
  return modelOf<Execution>(row);
}

/**
 * A page of the executions that match every given field, newest first.
 * @throws {SuiteError} `AGENT.INVALID_INPUT`
 */
export async function listExecutions(agent: Agent, input: ListExecutionsInput = {}): Promise<Page<Execution>> {
  const { agentId, userId, conversationId, status, limit, cursor } = readInput(listInput, input);
  const where = { agent_id: agentId, user_id: userId, conversation_id: conversationId, status };
  return listRows<Execution>(agent, { table: 'agent_executions', where, limit, cursor });
}
