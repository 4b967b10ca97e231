import { newId, requestHash } from '@azora/db-core';
import { idInput } from '@azora/db-core/input';
import { type Page, type PageInput, pageFields } from '@azora/db-core/paging';
import { z } from 'zod';
import type { Sapiens } from './client';
import { assessmentNotFound, readInput } from './errors';
import { $Enums, type AssessmentStatus, type Prisma } from './generated/client';
import { keyInput, shortTextInput } from './input';
import { type Assessment, callFunction, findRow, listRows, modelOf, type Row } from './rows';

export interface StartAssessmentInput {
  /** An auth.User. */
  readonly studentId: string;
  /** The topic of the skills whose items are asked; its case does not matter. */
  readonly topic: string;
  /** An education.Course. */
  readonly courseId?: string;
  /** 1 to 200; 10 when absent. */
  readonly maxItems?: number;
  /** The assessment ends when the standard error of the ability is not above this one, 0.1 to 1; 0.3 when absent. */
  readonly targetStandardError?: number;
  readonly idempotencyKey: string;
}

export interface GetAssessmentInput {
  readonly assessmentId: string;
}

export type AbandonAssessmentInput = GetAssessmentInput;
export type ListAnswersInput = GetAssessmentInput;

export interface AnswerItemInput extends GetAssessmentInput {
  /** The position of the item in the assessment, which names the answer. */
  readonly position: number;
  /** Index into the options, from 0. */
  readonly chosenOption: number;
}

export interface ListAssessmentsInput extends PageInput {
  readonly studentId?: string;
  readonly courseId?: string;
  readonly status?: AssessmentStatus;
}

/** An item that waits for its answer, without the correct option. */
export type OpenItem = Pick<Prisma.AssessmentItemModel, 'position' | 'prompt' | 'options'>;

/** An assessment with its open item, which is null when the assessment has ended. */
export interface AssessmentState extends Assessment {
  readonly nextItem: OpenItem | null;
}

/** An item that was answered. */
export type AnsweredItem = Prisma.AssessmentItemModel & { readonly isCorrect: boolean };

const startInput = z.strictObject({
  studentId: idInput,
  topic: shortTextInput,
  courseId: idInput.optional(),
  maxItems: z.int().min(1).max(200).default(10),
  targetStandardError: z.number().min(0.1).max(1).default(0.3),
  idempotencyKey: keyInput,
});
const assessmentInput = z.strictObject({ assessmentId: idInput });
const answerInput = z.strictObject({
  assessmentId: idInput,
  position: z.int().min(1).max(200),
  chosenOption: z.int().min(0).max(9),
});
const listInput = z.strictObject({
  studentId: idInput.optional(),
  courseId: idInput.optional(),
  status: z.enum($Enums.AssessmentStatus).optional(),
  ...pageFields,
});

/**
 * Starts an adaptive assessment, once per key, and asks the item of the topic that tells most about a student of average ability. A
 * student has one running assessment per topic.
 * @throws {SuiteError} `SAPIENS.INVALID_INPUT`, `SAPIENS.KEY_REUSED`, `SAPIENS.ASSESSMENT_RUNNING`, `SAPIENS.BANK_EMPTY`
 */
export async function startAssessment(sapiens: Sapiens, input: StartAssessmentInput): Promise<AssessmentState> {
  const { idempotencyKey, ...body } = readInput(startInput, input);
  const { studentId, topic, courseId = null, maxItems, targetStandardError } = body;
  const request = [idempotencyKey, requestHash(body), newId(), studentId, topic, courseId];
  return withItem(
    sapiens,
    await callFunction(sapiens, 'start_assessment', [...request, maxItems, targetStandardError]),
  );
}

/**
 * Answers the open item. The ability and its standard error follow from all answers: the expected a posteriori estimate of the
 * two-parameter logistic model with a standard normal prior. Then the item with the most information at this ability is asked, or the
 * assessment is completed: `precise` at the target standard error, `length` at the maximum of items, `exhausted` when the bank has no
 * more items. An answer counts once: the same answer again changes nothing.
 * @throws {SuiteError} `SAPIENS.INVALID_INPUT`, `SAPIENS.ASSESSMENT_NOT_FOUND`, `SAPIENS.ASSESSMENT_ENDED`, `SAPIENS.ANSWER_ORDER`,
 *   `SAPIENS.ITEM_ANSWERED`: another answer to the item came first
 */
export async function answerItem(sapiens: Sapiens, input: AnswerItemInput): Promise<AssessmentState> {
  const { assessmentId, position, chosenOption } = readInput(answerInput, input);
  return withItem(sapiens, await callFunction(sapiens, 'answer_item', [assessmentId, position, chosenOption]));
}

/**
 * Ends a running assessment without a score. An abandoned assessment stays as it is.
 * @throws {SuiteError} `SAPIENS.INVALID_INPUT`, `SAPIENS.ASSESSMENT_NOT_FOUND`, `SAPIENS.STATUS_REFUSED`
 */
export async function abandonAssessment(sapiens: Sapiens, input: AbandonAssessmentInput): Promise<Assessment> {
  return callFunction(sapiens, 'abandon_assessment', [readInput(assessmentInput, input).assessmentId]);
}

/**
 * An assessment by id, with its open item.
 * @throws {SuiteError} `SAPIENS.INVALID_INPUT`, `SAPIENS.ASSESSMENT_NOT_FOUND`
 */
export async function getAssessment(sapiens: Sapiens, input: GetAssessmentInput): Promise<AssessmentState> {
  const { assessmentId } = readInput(assessmentInput, input);
  const assessment = await findRow<Assessment>(sapiens, 'assessments', 'id', assessmentId);
  if (assessment === undefined) throw assessmentNotFound({ assessmentId });
  return withItem(sapiens, assessment);
}

/**
 * A page of assessments, the last one started first.
 * @throws {SuiteError} `SAPIENS.INVALID_INPUT`
 */
export async function listAssessments(sapiens: Sapiens, input: ListAssessmentsInput = {}): Promise<Page<Assessment>> {
  const { studentId, courseId, status, ...page } = readInput(listInput, input);
  return listRows(
    sapiens,
    'assessments',
    [
      ['student_id = ?', studentId],
      ['course_id = ?', courseId],
      ['status = ?', status],
    ],
    { ...page, time: 'started_at' },
  );
}

/**
 * The answered items of an assessment in their order, with the correct options.
 * @throws {SuiteError} `SAPIENS.INVALID_INPUT`
 */
export async function listAnswers(sapiens: Sapiens, input: ListAnswersInput): Promise<readonly AnsweredItem[]> {
  const { assessmentId } = readInput(assessmentInput, input);
  const rows = await sapiens.query<Row>({
    text: `SELECT *, chosen_option = correct_option AS is_correct FROM assessment_items
      WHERE assessment_id = $1 AND answered_at IS NOT NULL ORDER BY position`,
    values: [assessmentId],
  });
  return rows.map((row) => modelOf<AnsweredItem>(row));
}

async function withItem(sapiens: Sapiens, assessment: Assessment): Promise<AssessmentState> {
  if (assessment.status !== 'in_progress') return { ...assessment, nextItem: null };
  const [row] = await sapiens.query<Row>({
    text: 'SELECT position, prompt, options FROM assessment_items WHERE assessment_id = $1 AND answered_at IS NULL',
    values: [assessment.id],
  });
  return { ...assessment, nextItem: row === undefined ? null : modelOf<OpenItem>(row) };
}
