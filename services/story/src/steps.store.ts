import { requestHash } from '@azora/db-core';
import { idInput, textInput } from '@azora/db-core/input';
import type { Page, PageInput } from '@azora/db-core/paging';
import { z } from 'zod';
import type { Stories } from './client';
import { readInput } from './errors';
import {
  type Approval,
  approval,
  byInput,
  longText,
  outputText,
  pageFields,
  uuidInput,
  type WorkStatus,
  workStatus,
} from './input';
import { callForRows, callFunction, listRows, modelOf, type StepAttempt, type StoryStep } from './rows';

const MAX_LEASE_MS = 86_400_000;
const DEFAULT_LEASE_MS = 300_000;

export interface ClaimReadyStepsInput {
  /** The worker. */
  readonly agentId: string;
  /** A story; all stories in execution when absent, by priority and age. */
  readonly storyId?: string;
  /** What the worker can do; everything when absent. */
  readonly capabilities?: readonly string[];
  /** 1 to 100; 1 when absent. */
  readonly limit?: number;
  /** 1 to 86,400,000 milliseconds; 5 minutes when absent. */
  readonly leaseMs?: number;
}

/** A step that runs, with the claim that its worker ends it by. */
export interface ClaimedStep extends StoryStep {
  readonly claimId: string;
}

export interface ExtendLeaseInput {
  readonly claimId: string;
  /** From now on; 5 minutes when absent. */
  readonly leaseMs?: number;
}

export interface CompleteStepInput {
  readonly claimId: string;
  /** At most 200,000 characters. */
  readonly output?: string;
}

export interface FailStepInput {
  readonly claimId: string;
  /** At most 200,000 characters. */
  readonly error: string;
}

export interface ReviewStepInput {
  readonly stepId: string;
  readonly approval: Approval;
  /** Required for a rejection: the next attempt reads it. */
  readonly feedback?: string;
  /** The user who reviews; absent when a program does. */
  readonly by?: string;
}

export interface StepActionInput {
  readonly stepId: string;
  readonly by?: string;
}

export interface ListStepsInput extends PageInput {
  readonly storyId?: string;
  readonly statuses?: readonly WorkStatus[];
  readonly capability?: string;
  readonly agentId?: string;
}

export interface ListStepAttemptsInput extends PageInput {
  readonly storyId: string;
  readonly stepId?: string;
}

const capability = textInput(100);
const leaseMs = z.int().min(1).max(MAX_LEASE_MS).default(DEFAULT_LEASE_MS);
const claimInput = z.strictObject({
  agentId: idInput,
  storyId: uuidInput.optional(),
  capabilities: z.array(capability).min(1).max(100).optional(),
  limit: z.int().min(1).max(100).default(1),
  leaseMs,
});
const extendInput = z.strictObject({ claimId: uuidInput, leaseMs });
const completeInput = z.strictObject({ claimId: uuidInput, output: outputText.optional() });
const failInput = z.strictObject({ claimId: uuidInput, error: outputText });
const reviewInput = z
  .strictObject({ stepId: uuidInput, approval, feedback: longText.optional(), by: byInput })
  .refine(({ approval: verdict, feedback }) => verdict === 'Approved' || feedback !== undefined, {
    path: ['feedback'],
    message: 'is absent, and a rejection needs it',
  });
const actionInput = z.strictObject({ stepId: uuidInput, by: byInput });
const listInput = z.strictObject({
  storyId: uuidInput.optional(),
  statuses: z.array(workStatus).min(1).optional(),
  capability: capability.optional(),
  agentId: idInput.optional(),
  ...pageFields,
});
const attemptsInput = z.strictObject({ storyId: uuidInput, stepId: uuidInput.optional(), ...pageFields });

/**
 * Claims steps that are ready: pending, or with a lapsed lease, in the current wave of a story in execution, as long as fewer than its
 * maximum parallelism run. The worker ends each one with {@link completeStep} or {@link failStep} before the lease lapses. A step whose
 * lease lapses five times in a row fails. Without a story, stories that another call holds at this moment are passed over.
 * @throws {SuiteError} `STORY.INVALID_INPUT`, `STORY.STORY_NOT_FOUND`
 */
export async function claimReadySteps(stories: Stories, input: ClaimReadyStepsInput): Promise<readonly ClaimedStep[]> {
  const { agentId, storyId = null, capabilities = null, limit, leaseMs: lease } = readInput(claimInput, input);
  const values = [storyId, agentId, capabilities, limit, `${lease} milliseconds`];
  const rows = await callForRows(stories, 'claim_steps', values);
  return rows.map((row) => modelOf<ClaimedStep>(row, []));
}

/**
 * Moves the end of a lease to the given time from now, never to an earlier one, for its holder.
 * @throws {SuiteError} `STORY.INVALID_INPUT`, `STORY.CLAIM_NOT_FOUND`, `STORY.LEASE_LOST`
 */
export async function extendLease(stories: Stories, input: ExtendLeaseInput): Promise<StoryStep> {
  const { claimId, leaseMs: lease } = readInput(extendInput, input);
  return callFunction(stories, 'extend_lease', [claimId, `${lease} milliseconds`]);
}

/**
 * Completes a step with its output, for the holder of its lease. A repeated call returns the step as it is now.
 * @throws {SuiteError} `STORY.INVALID_INPUT`, `STORY.CLAIM_NOT_FOUND`, `STORY.LEASE_LOST`, `STORY.OUTCOME_DIFFERS`, `STORY.TASKS_OPEN`
 */
export async function completeStep(stories: Stories, input: CompleteStepInput): Promise<StoryStep> {
  const { claimId, output = null } = readInput(completeInput, input);
  return finishStep(stories, claimId, 'Completed', output);
}

/**
 * Fails a step with its error, for the holder of its lease: the story fails until {@link retryStep}, {@link skipStep} or a rerun. A
 * repeated call returns the step as it is now.
 * @throws {SuiteError} `STORY.INVALID_INPUT`, `STORY.CLAIM_NOT_FOUND`, `STORY.LEASE_LOST`, `STORY.OUTCOME_DIFFERS`
 */
export async function failStep(stories: Stories, input: FailStepInput): Promise<StoryStep> {
  const { claimId, error } = readInput(failInput, input);
  return finishStep(stories, claimId, 'Failed', error);
}

function finishStep(
  stories: Stories,
  claimId: string,
  outcome: 'Completed' | 'Failed',
  text: string | null,
): Promise<StoryStep> {
  return callFunction(stories, 'finish_step', [claimId, outcome, text, requestHash({ outcome, text })]);
}

/**
 * Approves a completed step, or rejects it with feedback. A rejected step of the current wave becomes pending with its tasks, and its
 * next attempt finds the output and the feedback. A repeated call returns the step unchanged.
 * @throws {SuiteError} `STORY.INVALID_INPUT`, `STORY.STEP_NOT_FOUND`, `STORY.STORY_ENDED`, `STORY.STEP_NOT_COMPLETED`,
 *   `STORY.WAVE_PASSED`: a rejected step of an earlier wave
 */
export async function reviewStep(stories: Stories, input: ReviewStepInput): Promise<StoryStep> {
  const { stepId, approval: verdict, feedback = null, by = null } = readInput(reviewInput, input);
  return callFunction(stories, 'review_step', [stepId, verdict, feedback, by]);
}

/**
 * Lets a failed step run again. A pending step is returned unchanged.
 * @throws {SuiteError} `STORY.INVALID_INPUT`, `STORY.STEP_NOT_FOUND`, `STORY.STORY_ENDED`, `STORY.ILLEGAL_TRANSITION`
 */
export async function retryStep(stories: Stories, input: StepActionInput): Promise<StoryStep> {
  const { stepId, by = null } = readInput(actionInput, input);
  return callFunction(stories, 'retry_step', [stepId, by]);
}

/**
 * Leaves out a step that has not completed, with its unfinished tasks. A skipped step is returned unchanged.
 * @throws {SuiteError} `STORY.INVALID_INPUT`, `STORY.STEP_NOT_FOUND`, `STORY.STORY_ENDED`, `STORY.ILLEGAL_TRANSITION`,
 *   `STORY.STEP_RUNNING`: a worker holds its lease
 */
export async function skipStep(stories: Stories, input: StepActionInput): Promise<StoryStep> {
  const { stepId, by = null } = readInput(actionInput, input);
  return callFunction(stories, 'skip_step', [stepId, by]);
}

/**
 * A page of the steps that meet every given filter, newest first. {@link getStory} returns the steps of a story in their order.
 * @throws {SuiteError} `STORY.INVALID_INPUT`
 */
export async function listSteps(stories: Stories, input: ListStepsInput = {}): Promise<Page<StoryStep>> {
  const { storyId, statuses, capability: ability, agentId, ...page } = readInput(listInput, input);
  return listRows(
    stories,
    'story_steps',
    [
      ['story_id = ?', storyId],
      ['status = ANY (?::text[])', statuses],
      ['capability = ?', ability],
      ['assigned_agent_id = ?', agentId],
    ],
    page,
  );
}

/**
 * A page of the attempts at the steps of a story, newest first: who ran a step, when, and how it ended.
 * @throws {SuiteError} `STORY.INVALID_INPUT`
 */
export async function listStepAttempts(stories: Stories, input: ListStepAttemptsInput): Promise<Page<StepAttempt>> {
  const { storyId, stepId, ...page } = readInput(attemptsInput, input);
  return listRows(
    stories,
    'step_attempts',
    [
      ['story_id = ?', storyId],
      ['step_id = ?', stepId],
    ],
    page,
    ['id', 'outcome_hash', 'micros'],
  );
}
