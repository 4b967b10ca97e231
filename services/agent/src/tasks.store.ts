import { newId } from '@azora/db-core';
import { idInput, textInput } from '@azora/db-core/input';
import { type Page, type PageInput, pageFields } from '@azora/db-core/paging';
import { z } from 'zod';
import type { Agent } from './client';
import { readInput, taskNotFound } from './errors';
import type { Prisma } from './generated/client';
import { keyInput, metadataInput, taskIdInput } from './input';
import { callFor, listRows, modelOf, type Row, type Task, type TaskPriority, type TaskStatus } from './rows';

const MAX_ATTEMPTS = 100;
const DEFAULT_ATTEMPTS = 5;
const MAX_DEPENDENCIES = 100;

export interface CreateTaskInput {
  readonly title: string;
  readonly description?: string;
  /** `normal` when absent. Workers claim tasks of a higher priority first. */
  readonly priority?: TaskPriority;
  /** Workers can claim the tasks of one type. */
  readonly taskType?: string;
  /** An auth.User. */
  readonly createdBy?: string;
  readonly metadata?: Prisma.JsonObject;
  /** How often workers may try, 1 to 100; 5 when absent. */
  readonly maxAttempts?: number;
  /** Ids of at most 100 tasks that must be completed first. */
  readonly dependsOn?: readonly string[];
  readonly idempotencyKey: string;
}

export interface AddDependencyInput {
  readonly taskId: string;
  /** The task that must be completed first. */
  readonly dependsOnId: string;
}

export interface TaskInput {
  readonly taskId: string;
}

/** A task with the ids of the tasks that it depends on, and of those that depend on it. */
export interface TaskWithDependencies extends Task {
  readonly dependsOn: readonly string[];
  readonly dependents: readonly string[];
}

export interface ListTasksInput extends PageInput {
  readonly status?: TaskStatus;
  readonly priority?: TaskPriority;
  readonly taskType?: string;
  readonly createdBy?: string;
  /** Only pending tasks that wait for a dead or canceled one. */
  readonly blocked?: boolean;
}

const priorityInput = z.enum(['low', 'normal', 'medium', 'high', 'critical']);
const typeInput = textInput(50);
const createInput = z.strictObject({
  title: textInput(255),
  description: textInput(100_000).optional(),
  priority: priorityInput.default('normal'),
  taskType: typeInput.optional(),
  createdBy: idInput.optional(),
  metadata: metadataInput.optional(),
  maxAttempts: z.int().min(1).max(MAX_ATTEMPTS).default(DEFAULT_ATTEMPTS),
  dependsOn: z
    .array(taskIdInput)
    .max(MAX_DEPENDENCIES)
    .default([])
    .transform((ids) => [...new Set(ids)].sort()),
  idempotencyKey: keyInput,
});
const dependencyInput = z.strictObject({ taskId: taskIdInput, dependsOnId: taskIdInput });
const oneInput = z.strictObject({ taskId: taskIdInput });
const listInput = z.strictObject({
  status: z.enum(['pending', 'in_progress', 'completed', 'failed', 'cancelled']).optional(),
  priority: priorityInput.optional(),
  taskType: typeInput.optional(),
  createdBy: idInput.optional(),
  blocked: z.boolean().default(false),
  ...pageFields,
});

/**
 * Creates a task, once per key. It can be claimed at once, or when all tasks that it depends on are completed.
 * @throws {SuiteError} `AGENT.INVALID_INPUT`, `AGENT.KEY_REUSED`; `AGENT.TASK_NOT_FOUND` for a dependency that does not exist
 */
export async function createTask(agent: Agent, input: CreateTaskInput): Promise<Task> {
  const { idempotencyKey, ...body } = readInput(createInput, input);
  return callFor(agent, 'SELECT * FROM create_task($1, $2, $3)', [idempotencyKey, newId(), JSON.stringify(body)]);
}

/**
 * Lets a pending task wait for another one. A dependency that the task has already changes nothing.
 * @throws {SuiteError} `AGENT.INVALID_INPUT`, `AGENT.TASK_NOT_FOUND`, `AGENT.TASK_STARTED`; `AGENT.DEPENDENCY_CYCLE`: the other task
 *   waits for this one, directly or through others
 */
export async function addDependency(agent: Agent, input: AddDependencyInput): Promise<Task> {
  const { taskId, dependsOnId } = readInput(dependencyInput, input);
  return callFor(agent, 'SELECT * FROM add_dependency($1, $2)', [taskId, dependsOnId]);
}

/**
 * Cancels a task that has not ended. The worker that has it loses its lease. Canceling it again returns the task unchanged.
 * @throws {SuiteError} `AGENT.INVALID_INPUT`, `AGENT.TASK_NOT_FOUND`, `AGENT.ILLEGAL_TRANSITION`
 */
export async function cancelTask(agent: Agent, input: TaskInput): Promise<Task> {
  const { taskId } = readInput(oneInput, input);
  return callFor(agent, 'SELECT * FROM cancel_task($1)', [taskId]);
}

/**
 * Makes a dead or canceled task pending again, with all of its attempts. A pending task is returned unchanged.
 * @throws {SuiteError} as {@link cancelTask}
 */
export async function retryTask(agent: Agent, input: TaskInput): Promise<Task> {
  const { taskId } = readInput(oneInput, input);
  return callFor(agent, 'SELECT * FROM retry_task($1)', [taskId]);
}

const GET = `SELECT t.*,
    ARRAY(SELECT depends_on_id::text FROM task_dependencies WHERE task_id = t.id ORDER BY 1) AS depends_on,
    ARRAY(SELECT task_id::text FROM task_dependencies WHERE depends_on_id = t.id ORDER BY 1) AS dependents
  FROM tasks AS t WHERE t.id = $1`;

/**
 * A task by its id, with what it depends on and what depends on it.
 * @throws {SuiteError} `AGENT.INVALID_INPUT`, `AGENT.TASK_NOT_FOUND`
 */
export async function getTask(agent: Agent, input: TaskInput): Promise<TaskWithDependencies> {
  const { taskId } = readInput(oneInput, input);
  const [row] = await agent.query<Row>({ text: GET, values: [taskId] });
  if (row === undefined) throw taskNotFound({ taskId });
  return modelOf<TaskWithDependencies>(row);
}

const BLOCKED = `status = 'pending' AND waiting_for > 0 AND EXISTS (
  SELECT FROM task_dependencies AS d JOIN tasks AS needed ON needed.id = d.depends_on_id
  WHERE d.task_id = tasks.id AND needed.status IN ('failed', 'cancelled'))`;

/**
 * A page of the tasks that match every given field, newest first.
 * @throws {SuiteError} `AGENT.INVALID_INPUT`
 */
export async function listTasks(agent: Agent, input: ListTasksInput = {}): Promise<Page<Task>> {
  const { status, priority, taskType, createdBy, blocked, limit, cursor } = readInput(listInput, input);
  const where = { status, priority, task_type: taskType, created_by: createdBy };
  const condition = blocked ? BLOCKED : 'true';
  return listRows<Task>(agent, { table: 'tasks', where, condition, limit, cursor });
}
