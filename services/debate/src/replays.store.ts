import { newId } from '@azora/db-core';
import { idInput, rowIdInput, timeInput } from '@azora/db-core/input';
import { type Page, type PageInput, pageFields } from '@azora/db-core/paging';
import { z } from 'zod';
import type { Debate } from './client';
import { readInput, replayNotFound } from './errors';
import { agentsInput, keyInput, longText, traceInput } from './input';
import { callFor, findRow, listRows, type Replay, valueFor } from './rows';

export interface RecordReplayInput {
  readonly debateId: string;
  readonly task: string;
  readonly agents: readonly string[];
  /** What the debate needs to run again: a JSON object or array. */
  readonly trace: Readonly<Record<string, unknown>> | readonly unknown[];
  readonly randomSeed?: bigint;
  readonly startedAt: Date;
  /** Not before `startedAt`. */
  readonly completedAt?: Date;
  readonly idempotencyKey: string;
}

export interface ReplayInput {
  readonly traceId: string;
}

export interface ListReplaysInput extends PageInput {
  readonly debateId: string;
}

/** `unchecked` is a replay whose checksum another system computed, or none. */
export type ReplayState = 'intact' | 'changed' | 'unchecked';

const MAX_BIGINT = 9_223_372_036_854_775_807n;

const recordInput = z
  .strictObject({
    debateId: idInput,
    task: longText,
    agents: agentsInput,
    trace: traceInput,
    randomSeed: z
      .bigint()
      .min(-MAX_BIGINT - 1n)
      .max(MAX_BIGINT)
      .transform(String)
      .optional(),
    startedAt: timeInput,
    completedAt: timeInput.optional(),
    idempotencyKey: keyInput,
  })
  .refine(({ startedAt, completedAt = startedAt }) => completedAt >= startedAt, {
    path: ['completedAt'],
    message: 'is before startedAt',
  });
const oneInput = z.strictObject({ traceId: rowIdInput });
const listInput = z.strictObject({ debateId: rowIdInput, ...pageFields });

/**
 * Stores a recorded debate with a checksum, once per key.
 * @throws {SuiteError} `DEBATE.INVALID_INPUT`, `DEBATE.KEY_REUSED`
 */
export async function recordReplay(debate: Debate, input: RecordReplayInput): Promise<Replay> {
  const { idempotencyKey, ...body } = readInput(recordInput, input);
  return callFor(debate, 'SELECT * FROM record_replay($1, $2, $3)', [idempotencyKey, newId(), JSON.stringify(body)]);
}

/**
 * A replay by its id.
 * @throws {SuiteError} `DEBATE.INVALID_INPUT`, `DEBATE.REPLAY_NOT_FOUND`
 */
export async function getReplay(debate: Debate, input: ReplayInput): Promise<Replay> {
  const { traceId } = readInput(oneInput, input);
  const found = await findRow<Replay>(debate, 'traces', { trace_id: traceId });
  if (found === undefined) throw replayNotFound({ traceId });
  return found;
}

/**
 * Computes the checksum of a replay again and compares it.
 * @throws {SuiteError} `DEBATE.INVALID_INPUT`, `DEBATE.REPLAY_NOT_FOUND`
 */
export async function verifyReplay(debate: Debate, input: ReplayInput): Promise<ReplayState> {
  return valueFor(debate, 'SELECT verify_replay($1) AS value', [readInput(oneInput, input).traceId]);
}

/**
 * A page of the replays of a debate, newest first.
 * @throws {SuiteError} `DEBATE.INVALID_INPUT`
 */
export async function listReplays(debate: Debate, input: ListReplaysInput): Promise<Page<Replay>> {
  const { debateId, limit, cursor } = readInput(listInput, input);
  return listRows<Replay>(debate, { table: 'traces', where: { debate_id: debateId }, key: 'trace_id', limit, cursor });
}
