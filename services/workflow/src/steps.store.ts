import { newId } from '@azora/db-core';
import { textInput } from '@azora/db-core/input';
import { z } from 'zod';
import type { Workflows } from './client';
import { readInput } from './errors';
import type { Prisma } from './generated/client';
import { runIdInput } from './input';
import { callFor, modelOf, type Row, type RunStep } from './rows';
import { jsonTextOf } from './shapes';

const MAX_CLAIMED = 1_000;
const DEFAULT_CLAIMED = 1;
const MAX_TYPES = 1_000;
const MAX_LEASE_MS = 86_400_000;
const DEFAULT_LEASE_MS = 30_000;
export const MAX_ERROR_CHARACTERS = 10_000;

export interface ClaimStepsInput {
  /** The types of nodes that the worker can execute, at most 1000. */
  readonly types: readonly string[];
  /** 1 to 1000; 1 when absent. */
  readonly limit?: number;
  /** Milliseconds, at most a day, after which another worker may claim what this one has not ended; 30 seconds when absent. */
  readonly leaseMs?: number;
}

/** A step that a worker has until `dueAt`. */
export interface ClaimedStep {
  readonly runId: string;
  readonly nodeId: string;
  readonly type: string;
  readonly leaseId: string;
  /** The number of this attempt. */
  readonly attempts: number;
  readonly maxAttempts: number;
  readonly dueAt: Date;
  /** How long the attempt may take; null without a limit. */
  readonly timeoutMs: number | null;
  readonly workflowId: number;
  /** The version of the workflow. */
  readonly number: number;
  /** The settings of the node. */
  readonly settings: Prisma.JsonObject;
  /** The input of the run. */
  readonly input: Prisma.JsonValue;
  /** The results of the nodes that lead here, by their ids. */
  readonly inputs: Prisma.JsonObject;
  /** The same for every attempt of the step: other services do what is asked with it once. */
  readonly idempotencyKey: string;
}

export interface StepLeaseInput {
  readonly runId: string;
  readonly nodeId: string;
  /** The `leaseId` of the claimed step. */
  readonly leaseId: string;
}

export interface ExtendStepLeaseInput extends StepLeaseInput {
  /** Milliseconds from now on, at most a day; 30 seconds when absent. */
  readonly leaseMs?: number;
}

export interface CompleteStepInput extends StepLeaseInput {
  /** JSON of at most 1 MiB; null when absent. */
  readonly result?: unknown;
}

export interface FailStepInput extends StepLeaseInput {
  readonly error: string;
  /** False when another attempt is in vain: the run fails at once. */
  readonly retry?: boolean;
}

export const leaseMsInput = z.int().min(1).max(MAX_LEASE_MS).default(DEFAULT_LEASE_MS);
const claimInput = z.strictObject({
  types: z.array(textInput(255)).min(1).max(MAX_TYPES),
  limit: z.int().min(1).max(MAX_CLAIMED).default(DEFAULT_CLAIMED),
  leaseMs: leaseMsInput,
});
const leaseFields = { runId: runIdInput, nodeId: textInput(100), leaseId: textInput(100) };
const extendInput = z.strictObject({ ...leaseFields, leaseMs: leaseMsInput });
const completeInput = z.strictObject({
  ...leaseFields,
  result: z.unknown().transform((value, context): string => {
    const text = jsonTextOf(value ?? null);
    if (text !== undefined) return text;
    context.addIssue({ code: 'custom', message: 'is not JSON that PostgreSQL can store' });
    return z.NEVER;
  }),
});
const failInput = z.strictObject({
  ...leaseFields,
  error: textInput(MAX_ERROR_CHARACTERS),
  retry: z.boolean().default(true),
});

/**
 * Claims steps that are ready, the longest due first, and returns them in this order. No other worker gets them before the lease ends.
 * Each claim is an attempt. A step whose lease has lapsed is ready again; at its last attempt it fails its run.
 * @throws {SuiteError} `WORKFLOW.INVALID_INPUT`
 */
export async function claimSteps(workflows: Workflows, input: ClaimStepsInput): Promise<readonly ClaimedStep[]> {
  const { types, limit, leaseMs } = readInput(claimInput, input);
  const rows = await workflows.query<Row>({
    text: 'SELECT * FROM claim_steps($1, $2, $3, $4::interval)',
    values: [newId(), types, limit, intervalOf(leaseMs)],
  });
  return rows.map(claimedStepOf);
}

/**
 * Keeps a step for longer, but no longer than its attempt may take: the heartbeat of a worker.
 * @throws {SuiteError} `WORKFLOW.INVALID_INPUT`, `WORKFLOW.RUN_NOT_FOUND`, `WORKFLOW.STEP_NOT_FOUND`; `WORKFLOW.LEASE_LOST`: another worker has
 *   claimed the step, its time is over, or its run has ended
 */
export async function extendStepLease(workflows: Workflows, input: ExtendStepLeaseInput): Promise<RunStep> {
  const { runId, nodeId, leaseId, leaseMs } = readInput(extendInput, input);
  const values = [runId, nodeId, leaseId, intervalOf(leaseMs)];
  return callFor(workflows, 'SELECT * FROM extend_lease($1, $2, $3, $4::interval)', values);
}

/**
 * Records the result of a step, once, and makes ready what waited for nothing else. Works for the worker that claimed it last, also if its
 * lease has lapsed and nobody has claimed the step since. The same call again returns the step unchanged.
 * @throws {SuiteError} as {@link extendStepLease}; `WORKFLOW.RESULT_TOO_LARGE`
 */
export async function completeStep(workflows: Workflows, input: CompleteStepInput): Promise<RunStep> {
  const { runId, nodeId, leaseId, result } = readInput(completeInput, { result: null, ...input });
  return callFor(workflows, 'SELECT * FROM complete_step($1, $2, $3, $4)', [runId, nodeId, leaseId, result]);
}

/**
 * Gives a step back after a failure. It is ready again after a pause, which doubles with each further attempt up to an hour and is shortened
 * by up to one half at random. After its last attempt, the step and its run fail. The same call again returns the step unchanged.
 * @throws {SuiteError} as {@link extendStepLease}
 */
export async function failStep(workflows: Workflows, input: FailStepInput): Promise<RunStep> {
  const { runId, nodeId, leaseId, error, retry } = readInput(failInput, input);
  return callFor(workflows, 'SELECT * FROM fail_step($1, $2, $3, $4, $5)', [runId, nodeId, leaseId, error, retry]);
}

interface CompleteAndClaimInput extends CompleteStepInput {
  /** The lease of the steps that the call claims. */
  readonly nextLeaseId: string;
  readonly types: readonly string[];
  /** 0 to claim nothing. */
  readonly limit: number;
  readonly leaseMs: number;
}

/** Completes a step as {@link completeStep} does, and claims what it has made ready. The same call again returns the same steps. */
export async function completeAndClaim(
  workflows: Workflows,
  { nextLeaseId, types, limit, leaseMs, ...input }: CompleteAndClaimInput,
): Promise<readonly ClaimedStep[]> {
  const { runId, nodeId, leaseId, result } = readInput(completeInput, { result: null, ...input });
  const rows = await workflows.query<Row>({
    text: 'SELECT * FROM complete_and_claim($1, $2, $3, $4, $5, $6, $7, $8::interval)',
    values: [runId, nodeId, leaseId, result, nextLeaseId, types, limit, intervalOf(leaseMs)],
  });
  return rows.map(claimedStepOf);
}

function claimedStepOf(row: Row): ClaimedStep {
  return { ...modelOf<ClaimedStep>(row), idempotencyKey: `${row['run_id']}:${row['node_id']}` };
}

function intervalOf(milliseconds: number): string {
  return `${milliseconds} milliseconds`;
}
