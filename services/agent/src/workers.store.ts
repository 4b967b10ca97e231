import { newId } from '@azora/db-core';
import { textInput } from '@azora/db-core/input';
import { z } from 'zod';
import type { Agent } from './client';
import { readInput } from './errors';
import { keyInput, taskIdInput } from './input';
import { callFor, modelOf, type Row, type Task } from './rows';

const MAX_CLAIMED = 1_000;
const DEFAULT_CLAIMED = 1;
const MAX_LEASE_MS = 86_400_000;
const DEFAULT_LEASE_MS = 300_000;

export interface ClaimTasksInput {
  /** 1 to 1000; 1 when absent. */
  readonly limit?: number;
  /** Milliseconds, at most a day, after which another worker may claim what this one has not ended; 5 minutes when absent. */
  readonly leaseMs?: number;
  /** Only tasks of this type. */
  readonly taskType?: string;
}

/** A task that a worker has until `nextAt`. */
export type ClaimedTask = Task & { readonly leaseId: string };

export interface LeaseInput {
  readonly taskId: string;
  /** The `leaseId` of the claimed task. */
  readonly leaseId: string;
}

export interface ExtendLeaseInput extends LeaseInput {
  /** Milliseconds from now on, at most a day; 5 minutes when absent. */
  readonly leaseMs?: number;
}

export interface FailTaskInput extends LeaseInput {
  readonly error: string;
  /** False when another attempt is in vain: the task is dead at once. */
  readonly retry?: boolean;
}

const leaseMsInput = z.int().min(1).max(MAX_LEASE_MS).default(DEFAULT_LEASE_MS);
const claimInput = z.strictObject({
  limit: z.int().min(1).max(MAX_CLAIMED).default(DEFAULT_CLAIMED),
  leaseMs: leaseMsInput,
  taskType: textInput(50).optional(),
});
const leaseFields = { taskId: taskIdInput, leaseId: keyInput };
const extendInput = z.strictObject({ ...leaseFields, leaseMs: leaseMsInput });
const completeInput = z.strictObject(leaseFields);
const failInput = z.strictObject({ ...leaseFields, error: textInput(10_000), retry: z.boolean().default(true) });

/**
 * Claims tasks that are ready, by priority and then the longest due first, and returns them in this order. No other worker gets them
 * before the lease ends. Each claim is an attempt. A task whose lease has lapsed is ready again, or dead after its last attempt.
 * @throws {SuiteError} `AGENT.INVALID_INPUT`
 */
export async function claimTasks(agent: Agent, input: ClaimTasksInput = {}): Promise<readonly ClaimedTask[]> {
  const { limit, leaseMs, taskType = null } = readInput(claimInput, input);
  const rows = await agent.query<Row>({
    text: 'SELECT * FROM claim_tasks($1, $2, $3::interval, $4)',
    values: [newId(), limit, `${leaseMs} milliseconds`, taskType],
  });
  return rows.map((row) => modelOf<ClaimedTask>(row));
}

/**
 * Keeps a task for longer: the heartbeat of a worker.
 * @throws {SuiteError} `AGENT.INVALID_INPUT`, `AGENT.TASK_NOT_FOUND`; `AGENT.LEASE_LOST`: another worker has claimed the task, or it
 *   has ended
 */
export async function extendLease(agent: Agent, input: ExtendLeaseInput): Promise<ClaimedTask> {
  const { taskId, leaseId, leaseMs } = readInput(extendInput, input);
  const values = [taskId, leaseId, `${leaseMs} milliseconds`];
  return callFor(agent, 'SELECT * FROM extend_lease($1, $2, $3::interval)', values);
}

/**
 * Completes a task, for the worker that claimed it last, also if its lease has lapsed meanwhile and nobody has claimed the task since.
 * The same call again returns the task unchanged.
 * @throws {SuiteError} as {@link extendLease}
 */
export async function completeTask(agent: Agent, input: LeaseInput): Promise<Task> {
  const { taskId, leaseId } = readInput(completeInput, input);
  return callFor(agent, 'SELECT * FROM complete_task($1, $2)', [taskId, leaseId]);
}

/**
 * Gives a task back after a failure. It is ready again after a pause: 5 seconds after the first attempt and twice as long after each
 * further one, an hour at most, each shortened by up to one half at random. After its last attempt it is dead (`failed`). The same call
 * again returns the task unchanged.
 * @throws {SuiteError} as {@link extendLease}
 */
export async function failTask(agent: Agent, input: FailTaskInput): Promise<Task> {
  const { taskId, leaseId, error, retry } = readInput(failInput, input);
  return callFor(agent, 'SELECT * FROM fail_task($1, $2, $3, $4)', [taskId, leaseId, error, retry]);
}
