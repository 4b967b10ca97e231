import { newId } from '@azora/db-core';
import { idInput, textInput } from '@azora/db-core/input';
import { z } from 'zod';
import type { Education } from './client';
import { readInput } from './errors';
import { answersInput, courseInput, longTextInput, type ScoreInput, scoreInput } from './input';
import { type Assessment, callForRows, callFunction, findRow, type Module, modelOf, type Row } from './rows';

export interface AddModuleInput {
  readonly courseId: string;
  /** At most 200 characters. */
  readonly title: string;
  readonly description?: string;
  /** Titles in order, at most 500. */
  readonly lessons?: readonly string[];
  readonly durationMinutes?: number;
  /** From 1; at the end when absent. */
  readonly position?: number;
}

/** Fields that are absent stay unchanged. */
export interface UpdateModuleInput {
  readonly moduleId: string;
  readonly title?: string;
  readonly description?: string;
  /** In a published course, as many as before. */
  readonly lessons?: readonly string[];
  readonly durationMinutes?: number | null;
}

export interface RemoveModuleInput {
  readonly moduleId: string;
}

export interface ReorderModulesInput {
  readonly courseId: string;
  /** Every module of the course once, in the new order. */
  readonly moduleIds: readonly string[];
}

export interface ListModulesInput {
  readonly courseId: string;
}

export interface SetAssessmentInput {
  readonly moduleId: string;
  /** At most 200 characters. */
  readonly title: string;
  /** 100 when absent. The sum of the points, if there is an answer key. */
  readonly maxScore?: ScoreInput;
  /** 60 % of the maximum when absent. */
  readonly passScore?: ScoreInput;
  /** Any number when absent. */
  readonly maxAttempts?: number;
  /** Days after the enrollment; none when absent. */
  readonly deadlineDays?: number;
  /** Whether the course cannot be completed without passing; true when absent. */
  readonly isRequired?: boolean;
  /** By question: the answer, compared as JSON, and its points. The database grades such an assessment itself. */
  readonly answerKey?: Readonly<Record<string, { readonly answer: unknown; readonly points: number }>>;
}

export interface RemoveAssessmentInput {
  readonly moduleId: string;
}

export interface FindAssessmentInput {
  readonly moduleId: string;
}

const MAX_LESSONS = 500;
const MAX_MODULES = 1_000;

const lessons = z.array(textInput(200)).max(MAX_LESSONS);
const durationMinutes = z.int().min(1).max(1_000_000);
const moduleInput = z.strictObject({ moduleId: idInput });
const addInput = z.strictObject({
  courseId: idInput,
  title: textInput(200),
  description: longTextInput.optional(),
  lessons: lessons.optional(),
  durationMinutes: durationMinutes.optional(),
  position: z.int().min(1).max(MAX_MODULES).optional(),
});
const updateInput = z.strictObject({
  moduleId: idInput,
  title: textInput(200).optional(),
  description: longTextInput.optional(),
  lessons: lessons.optional(),
  durationMinutes: durationMinutes.nullable().optional(),
});
const reorderInput = z.strictObject({ courseId: idInput, moduleIds: z.array(idInput).max(MAX_MODULES) });
const nameInput = textInput(200);
const questionInput = z.strictObject({
  answer: z.json(),
  points: z
    .number()
    .positive()
    .max(10_000)
    .refine((points) => /^\d+(\.\d{1,2})?$/.test(String(points)), 'has more than two decimals'),
});
/** The key as it was given: a record of zod would drop a question that is called `__proto__`. */
const answerKeyInput = answersInput.refine(
  (key) =>
    Object.entries(key).every(
      ([name, question]) => nameInput.safeParse(name).success && questionInput.safeParse(question).success,
    ),
  'does not have an answer and points, above 0 and with at most two decimals, for each question',
);
const assessmentInput = z.strictObject({
  moduleId: idInput,
  title: textInput(200),
  maxScore: scoreInput.refine((text) => Number(text) > 0, 'is not above 0').optional(),
  passScore: scoreInput.optional(),
  maxAttempts: z.int().min(1).max(1_000).optional(),
  deadlineDays: z.int().min(1).max(3_650).optional(),
  isRequired: z.boolean().optional(),
  answerKey: answerKeyInput.optional(),
});

/**
 * Adds a module to a draft course, at its end or at a position; the modules behind it move.
 * @throws {SuiteError} `EDUCATION.INVALID_INPUT`, `EDUCATION.COURSE_NOT_FOUND`, `EDUCATION.COURSE_FIXED`
 */
export async function addModule(education: Education, input: AddModuleInput): Promise<Module> {
  const { courseId, position = null, ...fields } = readInput(addInput, input);
  return callFunction(education, 'add_module', [newId(), courseId, fields, position]);
}

/**
 * Changes the given fields of a module. The number of lessons changes only in a draft.
 * @throws {SuiteError} `EDUCATION.INVALID_INPUT`, `EDUCATION.MODULE_NOT_FOUND`, `EDUCATION.COURSE_FIXED`
 */
export async function updateModule(education: Education, input: UpdateModuleInput): Promise<Module> {
  const { moduleId, ...patch } = readInput(updateInput, input);
  return callFunction(education, 'update_module', [moduleId, patch]);
}

/**
 * Removes a module from a draft course with its assessment, and closes the gap. Returns what was removed.
 * @throws {SuiteError} `EDUCATION.INVALID_INPUT`, `EDUCATION.MODULE_NOT_FOUND`, `EDUCATION.COURSE_FIXED`
 */
export async function removeModule(education: Education, input: RemoveModuleInput): Promise<Module> {
  return callFunction(education, 'remove_module', [readInput(moduleInput, input).moduleId]);
}

/**
 * Puts the modules of a draft or published course in another order, and returns them in it.
 * @throws {SuiteError} `EDUCATION.INVALID_INPUT`, `EDUCATION.COURSE_NOT_FOUND`, `EDUCATION.COURSE_FIXED`
 */
export async function reorderModules(education: Education, input: ReorderModulesInput): Promise<readonly Module[]> {
  const { courseId, moduleIds } = readInput(reorderInput, input);
  return callForRows(education, 'reorder_modules', [courseId, moduleIds]);
}

/**
 * All modules of a course, in their order; none when there is no such course.
 * @throws {SuiteError} `EDUCATION.INVALID_INPUT`
 */
export async function listModules(education: Education, input: ListModulesInput): Promise<readonly Module[]> {
  const { courseId } = readInput(courseInput, input);
  const rows = await education.query<Row>({
    text: 'SELECT * FROM modules WHERE course_id = $1 ORDER BY position',
    values: [courseId],
  });
  return rows.map((row) => modelOf<Module>(row));
}

/**
 * Gives a module of a draft course its assessment, or replaces it.
 * @throws {SuiteError} `EDUCATION.INVALID_INPUT`, `EDUCATION.MODULE_NOT_FOUND`, `EDUCATION.COURSE_FIXED`
 */
export async function setAssessment(education: Education, input: SetAssessmentInput): Promise<Assessment> {
  const { moduleId, ...fields } = readInput(assessmentInput, input);
  return callFunction(education, 'set_assessment', [newId(), moduleId, fields]);
}

/**
 * Removes the assessment of a module of a draft course; nothing happens when there is none.
 * @throws {SuiteError} `EDUCATION.INVALID_INPUT`, `EDUCATION.MODULE_NOT_FOUND`, `EDUCATION.COURSE_FIXED`
 */
export async function removeAssessment(education: Education, input: RemoveAssessmentInput): Promise<void> {
  await callForRows<Assessment>(education, 'remove_assessment', [readInput(moduleInput, input).moduleId]);
}

/**
 * The assessment of a module, or null.
 * @throws {SuiteError} `EDUCATION.INVALID_INPUT`
 */
export async function findAssessment(education: Education, input: FindAssessmentInput): Promise<Assessment | null> {
  const { moduleId } = readInput(moduleInput, input);
  return (await findRow<Assessment>(education, 'assessments', 'module_id', moduleId)) ?? null;
}
