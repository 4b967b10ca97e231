import { type ConstraintErrors, type DatabaseErrorFacts, SuiteError } from '@azora/db-core';
import { inputReader } from '@azora/db-core/input';

/** Every code of an error that this store throws itself; the connection adds `DATABASE.*`. */
export const STORY_ERROR_CODES = [
  'STORY.CHAT_FULL',
  'STORY.CLAIM_NOT_FOUND',
  'STORY.GATE_NOT_OPEN',
  'STORY.ILLEGAL_TRANSITION',
  'STORY.INVALID_INPUT',
  'STORY.KEY_REUSED',
  'STORY.LEASE_LOST',
  'STORY.OUTCOME_DIFFERS',
  'STORY.PLAN_INVALID',
  'STORY.STEP_ENDED',
  'STORY.STEP_NOT_COMPLETED',
  'STORY.STEP_NOT_FOUND',
  'STORY.STEP_RUNNING',
  'STORY.STORY_ENDED',
  'STORY.STORY_NOT_FOUND',
  'STORY.STORY_NOT_READY',
  'STORY.TASKS_FULL',
  'STORY.TASKS_OPEN',
  'STORY.TASK_NOT_FOUND',
  'STORY.VERIFICATION_FAILED',
  'STORY.WAVE_NOT_REACHED',
  'STORY.WAVE_PASSED',
] as const;

export type StoryErrorCode = (typeof STORY_ERROR_CODES)[number];

/** What the rule that rejected the call knows: names, ids and numbers. */
type Facts = DatabaseErrorFacts['facts'];

/** Checks the input of a function; STORY.INVALID_INPUT names the fields that are wrong and never shows their values. */
export const readInput = inputReader('STORY.INVALID_INPUT');

/** STORY.INVALID_INPUT: SQL rejected a field that passed the input schema, or that a client passed past it. */
function invalidField(field: string, problem: string): SuiteError {
  return new SuiteError('STORY.INVALID_INPUT', 'The input is not valid', {
    kind: 'usage',
    why: `${field}: ${problem}.`,
    next: 'Correct the named fields and call again',
    meta: { fields: [field] },
  });
}

/** STORY.STORY_NOT_FOUND: no story has this id. */
export function storyNotFound({ storyId }: Facts): SuiteError {
  return new SuiteError('STORY.STORY_NOT_FOUND', 'The story does not exist', {
    next: 'Pass the id that createStory() returned',
    meta: { storyId },
  });
}

/** STORY.STEP_NOT_FOUND: no step has this id. */
export function stepNotFound({ stepId }: Facts): SuiteError {
  return new SuiteError('STORY.STEP_NOT_FOUND', 'The step does not exist', {
    why: 'No step has this id, or a new plan has replaced it.',
    next: 'Pass the id of a step that getStory() returns',
    meta: { stepId },
  });
}

/** The errors of what the database rejects, by the name of the rule or constraint. */
export const CONSTRAINT_ERRORS: ConstraintErrors = {
  story_not_found: storyNotFound,
  step_not_found: stepNotFound,
  approval_invalid: () => invalidField('approval', 'is not Approved or Rejected'),
  chat_invalid: () => invalidField('role', 'is not user, assistant or system'),
  checks_invalid: () => invalidField('checks', 'is not a list of at least one check'),
  lease_invalid: () => invalidField('leaseMs', 'is not between 1 millisecond and 1 day'),
  outcome_invalid: () => invalidField('outcome', 'is not Completed or Failed with a hash'),
  task_not_found: ({ taskId }) =>
    new SuiteError('STORY.TASK_NOT_FOUND', 'The task does not exist', {
      why: 'No task has this id, it belongs to another step than the claim, or a new plan has replaced it.',
      next: 'Pass the id of a task of the claimed step',
      meta: { taskId },
    }),
  claim_not_found: ({ claimId }) =>
    new SuiteError('STORY.CLAIM_NOT_FOUND', 'The claim does not exist', {
      next: 'Pass the claimId that claimReadySteps() returned',
      meta: { claimId },
    }),
  key_reused: ({ operation, asked }) =>
    new SuiteError('STORY.KEY_REUSED', 'The idempotency key belongs to another request', {
      kind: 'usage',
      why: 'A call with other input took effect with the key.',
      next: 'Use a new key for a new request, and repeat a call unchanged',
      meta: { operation, asked },
    }),
  status_transition: ({ table, id, from, to }) =>
    new SuiteError('STORY.ILLEGAL_TRANSITION', `The ${nounOf(table)} cannot go from ${from} to ${to}`, {
      why: 'Another call changed it before, or a step in between is missing.',
      next: 'Read the row again and take the next step from its status; services/story/README.md lists the steps',
      meta: { table, id, from, to },
    }),
  story_ended: ({ storyId, status }) =>
    new SuiteError('STORY.STORY_ENDED', `The story is ${status}`, {
      why: 'A completed or canceled story does not change.',
      next: 'Create a new story',
      meta: { storyId, status },
    }),
  story_not_ready: ({ storyId, status }) =>
    new SuiteError('STORY.STORY_NOT_READY', `The story is ${status}, not ReadyToComplete`, {
      why: 'Steps or gates are open, or the story has ended.',
      next: 'Finish the steps and decide the gates, then call again',
      meta: { storyId, status },
    }),
  verification_failed: ({ storyId }) =>
    new SuiteError('STORY.VERIFICATION_FAILED', 'The verification of the story has failed', {
      next: 'Correct the work with rerunFromWave(), record the new verification, then complete the story',
      meta: { storyId },
    }),
  plan_invalid: ({ storyId }) =>
    new SuiteError('STORY.PLAN_INVALID', 'The story has no valid plan', {
      why: 'A plan has 1 to 500 steps, and their waves are numbered from 1.',
      next: 'Plan the story again with beginPlanning() and recordPlan()',
      meta: { storyId },
    }),
  chat_full: ({ storyId }) =>
    new SuiteError('STORY.CHAT_FULL', 'The conversation is full', {
      why: 'A conversation has at most 1,000 messages and about 1 MB.',
      next: 'Create a new story for a new conversation',
      meta: { storyId },
    }),
  gate_not_open: ({ storyId, status, wave, currentWave }) =>
    new SuiteError('STORY.GATE_NOT_OPEN', `The gate after wave ${wave} is not open`, {
      why: `The story is ${status} in wave ${currentWave}.`,
      next: 'Decide the gate of the current wave while the story is GatePending or GateFailed',
      meta: { storyId, status, wave, currentWave },
    }),
  wave_not_reached: ({ storyId, wave, currentWave }) =>
    new SuiteError('STORY.WAVE_NOT_REACHED', `The story has not reached a wave ${wave}`, {
      why: `Its current wave is ${currentWave}, and only a reached wave with steps runs again.`,
      next: 'Pass a wave of a step, up to the current wave',
      meta: { storyId, wave, currentWave },
    }),
  wave_passed: ({ stepId, wave, currentWave }) =>
    new SuiteError('STORY.WAVE_PASSED', `The wave ${wave} of the step has passed`, {
      why: `The story is in wave ${currentWave}, whose steps build on the completed one.`,
      next: 'Run all from that wave again with rerunFromWave()',
      meta: { stepId, wave, currentWave },
    }),
  step_running: ({ stepId }) =>
    new SuiteError('STORY.STEP_RUNNING', 'A worker holds the lease of a step', {
      why: 'A step never runs twice within a lease, so a running step is neither skipped nor reset.',
      next: 'Wait until the step ends or its lease lapses, or cancel the story',
      meta: { stepId },
    }),
  step_ended: ({ stepId, status }) =>
    new SuiteError('STORY.STEP_ENDED', `The step is ${status}`, {
      why: 'A step that has ended has no unfinished tasks.',
      next: 'Add tasks before the step ends, or reject it with reviewStep()',
      meta: { stepId, status },
    }),
  step_not_completed: ({ stepId, status }) =>
    new SuiteError('STORY.STEP_NOT_COMPLETED', `The step is ${status}`, {
      why: 'Only a completed step is reviewed.',
      next: 'Review the step after completeStep()',
      meta: { stepId, status },
    }),
  tasks_open: ({ stepId, tasks }) =>
    new SuiteError('STORY.TASKS_OPEN', 'The step has unfinished tasks', {
      why: `Unfinished tasks: ${tasks}.`,
      next: 'Complete or skip them with moveTask(), then complete the step',
      meta: { stepId, tasks },
    }),
  tasks_full: ({ stepId }) =>
    new SuiteError('STORY.TASKS_FULL', 'The step has 100 tasks', {
      next: 'Plan more steps with fewer tasks',
      meta: { stepId },
    }),
  lease_lost: ({ stepId, reason }) =>
    new SuiteError('STORY.LEASE_LOST', 'The claim does not hold the lease of the step', {
      why: reason === 'lapsed' ? 'The lease has lapsed.' : 'The attempt has ended.',
      next: 'Discard the work and claim again; extend leases of long steps with extendLease()',
      meta: { stepId, reason },
    }),
  outcome_differs: ({ stepId, outcome, asked }) =>
    new SuiteError('STORY.OUTCOME_DIFFERS', `The attempt has ended with another outcome: ${outcome}`, {
      kind: 'usage',
      why: 'An attempt ends once; only the same call can be repeated.',
      next: 'Claim the step again after a review or a retry',
      meta: { stepId, outcome, asked },
    }),
};

function nounOf(table: unknown): string {
  return { stories: 'story', story_steps: 'step', story_tasks: 'task' }[String(table)] ?? 'row';
}
