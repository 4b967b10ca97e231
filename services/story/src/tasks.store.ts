import { requestHash } from '@azora/db-core';
import { z } from 'zod';
import type { Stories } from './client';
import { readInput } from './errors';
import { keyInput, longText, stepInput, uuidInput, type WorkStatus } from './input';
import { callFunction, modelOf, type Row, type StoryTask } from './rows';

export interface AddTaskInput {
  readonly stepId: string;
  readonly description: string;
  readonly idempotencyKey: string;
}

export interface MoveTaskInput {
  /** The claim of the step. */
  readonly claimId: string;
  readonly taskId: string;
  readonly status: Exclude<WorkStatus, 'Pending'>;
}

export interface ListTasksInput {
  readonly stepId: string;
}

const addInput = z.strictObject({ stepId: uuidInput, description: longText, idempotencyKey: keyInput });
const moveInput = z.strictObject({
  claimId: uuidInput,
  taskId: uuidInput,
  status: z.enum(['Running', 'Completed', 'Failed', 'Skipped']),
});

/**
 * Adds a task to the end of a step that has not ended, once per key. Returns the task as it is now, to a repeated call too.
 * @throws {SuiteError} `STORY.INVALID_INPUT`, `STORY.KEY_REUSED`, `STORY.STEP_NOT_FOUND`, `STORY.STORY_ENDED`, `STORY.STEP_ENDED`,
 *   `STORY.TASKS_FULL`: the step has 100 tasks, `STORY.TASK_NOT_FOUND`: the task of a repeated call was replaced by a new plan
 */
export async function addTask(stories: Stories, input: AddTaskInput): Promise<StoryTask> {
  const { idempotencyKey, ...body } = readInput(addInput, input);
  return callFunction(stories, 'add_task', [idempotencyKey, requestHash(body), body.stepId, body.description]);
}

/**
 * Moves a task of a claimed step, for the holder of the lease. A task that has the status is returned unchanged. A new attempt makes
 * running and failed tasks pending again.
 * @throws {SuiteError} `STORY.INVALID_INPUT`, `STORY.CLAIM_NOT_FOUND`, `STORY.TASK_NOT_FOUND`, `STORY.LEASE_LOST`,
 *   `STORY.ILLEGAL_TRANSITION`
 */
export async function moveTask(stories: Stories, input: MoveTaskInput): Promise<StoryTask> {
  const { claimId, taskId, status } = readInput(moveInput, input);
  return callFunction(stories, 'move_task', [claimId, taskId, status]);
}

/**
 * The tasks of a step in their order, at most 100.
 * @throws {SuiteError} `STORY.INVALID_INPUT`
 */
export async function listTasks(stories: Stories, input: ListTasksInput): Promise<readonly StoryTask[]> {
  const { stepId } = readInput(stepInput, input);
  const rows = await stories.query<Row>({
    text: 'SELECT * FROM story_tasks WHERE step_id = $1 ORDER BY "order"',
    values: [stepId],
  });
  return rows.map((row) => modelOf<StoryTask>(row));
}
