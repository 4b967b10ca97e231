import { newId, requestHash } from '@azora/db-core';
import { idInput } from '@azora/db-core/input';
import { type Page, type PageInput, pageFields } from '@azora/db-core/paging';
import { z } from 'zod';
import type { Sapiens } from './client';
import { pathNotFound, readInput } from './errors';
import { $Enums, type PathStatus, type SkillLevel, type StepKind } from './generated/client';
import { keyInput, longTextInput, shareInput, shortTextInput } from './input';
import {
  callForRows,
  callFunction,
  findRow,
  type LearningPath,
  listRows,
  modelOf,
  type PathStep,
  type Progress,
  type Row,
} from './rows';

const MAX_STEPS = 200;
const MAX_MINUTES = 1_000_000;

export interface NewStep {
  /** `lesson` when absent. */
  readonly kind?: StepKind;
  readonly title: string;
  readonly description?: string;
  readonly estimatedMinutes: number;
}

export interface CreatePathInput {
  /** An auth.User. */
  readonly studentId: string;
  readonly title: string;
  readonly subject: string;
  readonly description?: string;
  readonly startLevel: SkillLevel;
  /** Not below the start level. */
  readonly targetLevel: SkillLevel;
  readonly estimatedHours: number;
  /** An education.Course. */
  readonly courseId?: string;
  /** 1 to 200 steps in their order; `needs` has the positions, from 1, of earlier steps that a step needs. */
  readonly steps: readonly (NewStep & { readonly needs?: readonly number[] })[];
  readonly idempotencyKey: string;
}

export interface GetPathInput {
  readonly pathId: string;
}

export type ListStepsInput = GetPathInput;

export interface ListPathsInput extends PageInput {
  readonly studentId?: string;
  readonly courseId?: string;
  readonly status?: PathStatus;
}

export interface ChangePathStatusInput extends GetPathInput {
  /** A path is completed by its last step. */
  readonly status: Exclude<PathStatus, 'completed'>;
}

export interface AddStepInput extends NewStep {
  readonly pathId: string;
  /** From 1; at the end when absent. */
  readonly position?: number;
}

export interface RemoveStepInput {
  readonly stepId: string;
}

export interface ReorderStepsInput extends GetPathInput {
  /** Each step of the path once, in the new order. */
  readonly stepIds: readonly string[];
}

export interface SetStepPrerequisitesInput {
  readonly stepId: string;
  /** Earlier steps of the same path; none when empty. */
  readonly prerequisiteIds: readonly string[];
}

export interface RecordStepProgressInput {
  readonly stepId: string;
  /** 0 to 100; 100 completes the step. */
  readonly percent: number;
  /** 0 to 1. */
  readonly score?: number;
  /** The time spent on the step, so far. 0 when absent. */
  readonly timeSpentMinutes?: number;
}

/** A step with what it needs and how far the student is in it. */
export interface StepState extends PathStep {
  readonly prerequisiteIds: readonly string[];
  readonly percent: number;
  readonly score: number | null;
  readonly timeSpentMinutes: number;
  /** Whether every prerequisite is completed. */
  readonly isOpen: boolean;
}

const stepFields = {
  kind: z.enum($Enums.StepKind).optional(),
  title: shortTextInput,
  description: longTextInput.optional(),
  estimatedMinutes: z.int().min(1).max(MAX_MINUTES),
};
const createInput = z.strictObject({
  studentId: idInput,
  title: shortTextInput,
  subject: shortTextInput,
  description: longTextInput.optional(),
  startLevel: z.enum($Enums.SkillLevel),
  targetLevel: z.enum($Enums.SkillLevel),
  estimatedHours: z.int().min(1).max(100_000),
  courseId: idInput.optional(),
  steps: z
    .array(z.strictObject({ ...stepFields, needs: z.array(z.int().min(1)).max(MAX_STEPS).optional() }))
    .min(1)
    .max(MAX_STEPS)
    .refine(
      (steps) => steps.every(({ needs = [] }, index) => needs.every((needed) => needed <= index)),
      'has a step that needs itself or a later one',
    ),
  idempotencyKey: keyInput,
});
const pathInput = z.strictObject({ pathId: idInput });
const listInput = z.strictObject({
  studentId: idInput.optional(),
  courseId: idInput.optional(),
  status: z.enum($Enums.PathStatus).optional(),
  ...pageFields,
});
const statusInput = z.strictObject({ pathId: idInput, status: z.enum(['active', 'paused', 'abandoned']) });
const addInput = z.strictObject({
  pathId: idInput,
  ...stepFields,
  position: z.int().min(1).max(1_000_000).optional(),
});
const stepInput = z.strictObject({ stepId: idInput });
const reorderInput = z.strictObject({ pathId: idInput, stepIds: z.array(idInput).max(10_000) });
const prerequisitesInput = z.strictObject({ stepId: idInput, prerequisiteIds: z.array(idInput).max(MAX_STEPS) });
const progressInput = z.strictObject({
  stepId: idInput,
  percent: z.number().min(0).max(100),
  score: shareInput.optional(),
  timeSpentMinutes: z.int().min(0).max(MAX_MINUTES).default(0),
});

/**
 * Makes a path with its steps, once per key. A student has one open path per title, ignoring case.
 * @throws {SuiteError} `SAPIENS.INVALID_INPUT`, `SAPIENS.KEY_REUSED`, `SAPIENS.PATH_EXISTS`
 */
export async function createPath(sapiens: Sapiens, input: CreatePathInput): Promise<LearningPath> {
  const { idempotencyKey, ...body } = readInput(createInput, input);
  const { studentId, steps, ...fields } = body;
  const named = JSON.stringify(steps.map((step) => ({ id: newId(), ...step })));
  const values = [idempotencyKey, requestHash(body), newId(), studentId, fields, named];
  return callFunction(sapiens, 'create_path', values);
}

/**
 * A path by id.
 * @throws {SuiteError} `SAPIENS.INVALID_INPUT`, `SAPIENS.PATH_NOT_FOUND`
 */
export async function getPath(sapiens: Sapiens, input: GetPathInput): Promise<LearningPath> {
  const { pathId } = readInput(pathInput, input);
  const path = await findRow<LearningPath>(sapiens, 'learning_paths', 'id', pathId);
  if (path === undefined) throw pathNotFound({ pathId });
  return path;
}

/**
 * A page of paths, newest first.
 * @throws {SuiteError} `SAPIENS.INVALID_INPUT`
 */
export async function listPaths(sapiens: Sapiens, input: ListPathsInput = {}): Promise<Page<LearningPath>> {
  const { studentId, courseId, status, ...page } = readInput(listInput, input);
  return listRows(
    sapiens,
    'learning_paths',
    [
      ['student_id = ?', studentId],
      ['course_id = ?', courseId],
      ['status = ?', status],
    ],
    page,
  );
}

/**
 * The steps of a path in their order, with the progress of the student.
 * @throws {SuiteError} `SAPIENS.INVALID_INPUT`
 */
export async function listSteps(sapiens: Sapiens, input: ListStepsInput): Promise<readonly StepState[]> {
  const { pathId } = readInput(pathInput, input);
  const rows = await sapiens.query<Row>({
    text: `SELECT s.*, needed.ids AS prerequisite_ids, coalesce(p.percent, 0) AS percent, p.score,
        coalesce(p.time_spent_minutes, 0) AS time_spent_minutes, needed.missing = 0 AS is_open
      FROM path_steps AS s LEFT JOIN progress AS p ON p.step_id = s.id
        CROSS JOIN LATERAL (
          SELECT coalesce(array_agg(n.prerequisite_id ORDER BY earlier.position), '{}') AS ids,
            count(*) FILTER (WHERE NOT EXISTS (
              SELECT FROM progress AS done WHERE done.step_id = n.prerequisite_id AND done.percent = 100)) AS missing
          FROM step_prerequisites AS n JOIN path_steps AS earlier ON earlier.id = n.prerequisite_id WHERE n.step_id = s.id
        ) AS needed
      WHERE s.path_id = $1 ORDER BY s.position`,
    values: [pathId],
  });
  return rows.map((row) => modelOf<StepState>(row));
}

/**
 * Pauses, resumes or abandons a path. The status that the path has already changes nothing.
 * @throws {SuiteError} `SAPIENS.INVALID_INPUT`, `SAPIENS.PATH_NOT_FOUND`, `SAPIENS.STATUS_REFUSED`
 */
export async function changePathStatus(sapiens: Sapiens, input: ChangePathStatusInput): Promise<LearningPath> {
  const { pathId, status } = readInput(statusInput, input);
  return callFunction(sapiens, 'change_path_status', [pathId, status]);
}

/**
 * Adds a step to an open path; later steps move by one.
 * @throws {SuiteError} `SAPIENS.INVALID_INPUT`, `SAPIENS.PATH_NOT_FOUND`, `SAPIENS.PATH_CLOSED`
 */
export async function addStep(sapiens: Sapiens, input: AddStepInput): Promise<PathStep> {
  const { pathId, position = null, ...fields } = readInput(addInput, input);
  return callFunction(sapiens, 'add_step', [newId(), pathId, fields, position]);
}

/**
 * Removes a step that the student has not begun; later steps move by one, and steps that need it no longer do. A path whose other
 * steps are completed is completed by it.
 * @throws {SuiteError} `SAPIENS.INVALID_INPUT`, `SAPIENS.STEP_NOT_FOUND`, `SAPIENS.PATH_CLOSED`, `SAPIENS.STEP_STARTED`
 */
export async function removeStep(sapiens: Sapiens, input: RemoveStepInput): Promise<PathStep> {
  return callFunction(sapiens, 'remove_step', [readInput(stepInput, input).stepId]);
}

/**
 * Puts the steps of a path in another order, in which each prerequisite still comes first.
 * @throws {SuiteError} `SAPIENS.INVALID_INPUT`, `SAPIENS.PATH_NOT_FOUND`, `SAPIENS.PATH_CLOSED`, `SAPIENS.PREREQUISITE_ORDER`
 */
export async function reorderSteps(sapiens: Sapiens, input: ReorderStepsInput): Promise<readonly PathStep[]> {
  const { pathId, stepIds } = readInput(reorderInput, input);
  return callForRows(sapiens, 'reorder_steps', [pathId, stepIds]);
}

/**
 * Replaces the prerequisites of a step that the student has not begun, and returns their ids.
 * @throws {SuiteError} `SAPIENS.INVALID_INPUT`, `SAPIENS.STEP_NOT_FOUND`: the step or a prerequisite is not in the path,
 *   `SAPIENS.PATH_CLOSED`, `SAPIENS.STEP_STARTED`, `SAPIENS.PREREQUISITE_ORDER`
 */
export async function setStepPrerequisites(
  sapiens: Sapiens,
  input: SetStepPrerequisitesInput,
): Promise<readonly string[]> {
  const { stepId, prerequisiteIds } = readInput(prerequisitesInput, input);
  const rows = await callForRows<{ readonly prerequisiteId: string }>(sapiens, 'set_step_prerequisites', [
    stepId,
    prerequisiteIds,
  ]);
  return rows.map(({ prerequisiteId }) => prerequisiteId);
}

/**
 * Records how far the student is in a step whose prerequisites are completed. The numbers only grow: a report that is late or repeated
 * changes nothing. The last completed step completes the path in the same transaction.
 * @throws {SuiteError} `SAPIENS.INVALID_INPUT`, `SAPIENS.STEP_NOT_FOUND`, `SAPIENS.PATH_CLOSED`, `SAPIENS.PREREQUISITES_MISSING`
 */
export async function recordStepProgress(sapiens: Sapiens, input: RecordStepProgressInput): Promise<Progress> {
  const { stepId, percent, score = null, timeSpentMinutes } = readInput(progressInput, input);
  return callFunction(sapiens, 'record_step_progress', [stepId, percent, score, timeSpentMinutes]);
}
