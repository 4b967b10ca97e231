import { newId, requestHash } from '@azora/db-core';
import { idInput, type JsonObject } from '@azora/db-core/input';
import { type Page, type PageInput, pageFields } from '@azora/db-core/paging';
import { z } from 'zod';
import type { Education } from './client';
import { readInput, submissionNotFound } from './errors';
import { $Enums, type SubmissionStatus } from './generated/client';
import { answersInput, enrollmentInput, keyInput, longTextInput, type ScoreInput, scoreInput } from './input';
import {
  callFunction,
  findRow,
  type Grade,
  type LearningProgress,
  listRows,
  modelOf,
  type Row,
  type Submission,
} from './rows';

const MAX_SECONDS = 2_000_000_000;

export interface RecordProgressInput {
  readonly enrollmentId: string;
  readonly moduleId: string;
  /** The number of lessons that are done, so far. */
  readonly completedLessons: number;
  /** The time spent on the module, so far. 0 when absent. */
  readonly timeSpentSeconds?: number;
}

export interface ListProgressInput {
  readonly enrollmentId: string;
}

export interface SubmitAssessmentInput {
  readonly enrollmentId: string;
  readonly moduleId: string;
  /** By question. An object of JSON of at most 100,000 characters. */
  readonly answers: JsonObject;
  readonly idempotencyKey: string;
}

export interface GradeSubmissionInput {
  readonly submissionId: string;
  /** From 0 to the maximum, at most two decimals. */
  readonly score: ScoreInput;
  readonly feedback?: string;
  /** An auth.User. */
  readonly gradedById: string;
}

export type RegradeSubmissionInput = GradeSubmissionInput;

export interface GetSubmissionInput {
  readonly submissionId: string;
}

export type ListGradesInput = GetSubmissionInput;

export interface ListSubmissionsInput extends PageInput {
  readonly enrollmentId?: string;
  readonly studentId?: string;
  readonly moduleId?: string;
  readonly status?: SubmissionStatus;
}

const progressInput = z.strictObject({
  enrollmentId: idInput,
  moduleId: idInput,
  completedLessons: z.int().min(0).max(1_000_000),
  timeSpentSeconds: z.int().min(0).max(MAX_SECONDS).default(0),
});
const submitInput = z.strictObject({
  enrollmentId: idInput,
  moduleId: idInput,
  answers: answersInput,
  idempotencyKey: keyInput,
});
const gradeInput = z.strictObject({
  submissionId: idInput,
  score: scoreInput,
  feedback: longTextInput.optional(),
  gradedById: idInput,
});
const submissionInput = z.strictObject({ submissionId: idInput });
const listInput = z.strictObject({
  enrollmentId: idInput.optional(),
  studentId: idInput.optional(),
  moduleId: idInput.optional(),
  status: z.enum($Enums.SubmissionStatus).optional(),
  ...pageFields,
});

/**
 * Records how far a student is in a module. Both numbers only grow: a report that is late or repeated changes nothing. The
 * percentages of the module and of the course follow in the same transaction.
 * @throws {SuiteError} `EDUCATION.INVALID_INPUT`, `EDUCATION.ENROLLMENT_NOT_FOUND`, `EDUCATION.ENROLLMENT_ENDED`,
 *   `EDUCATION.MODULE_NOT_FOUND`
 */
export async function recordProgress(education: Education, input: RecordProgressInput): Promise<LearningProgress> {
  const { enrollmentId, moduleId, completedLessons, timeSpentSeconds } = readInput(progressInput, input);
  return callFunction(education, 'record_progress', [enrollmentId, moduleId, completedLessons, timeSpentSeconds]);
}

/**
 * The progress of an enrollment in the modules that the student has begun, in the order of the course.
 * @throws {SuiteError} `EDUCATION.INVALID_INPUT`
 */
export async function listProgress(
  education: Education,
  input: ListProgressInput,
): Promise<readonly LearningProgress[]> {
  const { enrollmentId } = readInput(enrollmentInput, input);
  const rows = await education.query<Row>({
    text: `SELECT p.* FROM learning_progress AS p JOIN modules AS m ON m.id = p.module_id
      WHERE p.enrollment_id = $1 ORDER BY m.position`,
    values: [enrollmentId],
  });
  return rows.map((row) => modelOf<LearningProgress>(row));
}

/**
 * Hands in an attempt, once per key. An assessment with an answer key is graded at once. Returns the submission as it is now, to a
 * repeated call too.
 * @throws {SuiteError} `EDUCATION.INVALID_INPUT`, `EDUCATION.KEY_REUSED`, `EDUCATION.ENROLLMENT_NOT_FOUND`,
 *   `EDUCATION.ENROLLMENT_ENDED`, `EDUCATION.ASSESSMENT_NOT_FOUND`, `EDUCATION.ATTEMPTS_EXHAUSTED`, `EDUCATION.DEADLINE_PASSED`
 */
export async function submitAssessment(education: Education, input: SubmitAssessmentInput): Promise<Submission> {
  const { idempotencyKey, ...body } = readInput(submitInput, input);
  const { enrollmentId, moduleId, answers } = body;
  const values = [idempotencyKey, requestHash(body), newId(), enrollmentId, moduleId, answers];
  return callFunction(education, 'submit_assessment', values);
}

/**
 * Grades a submission that has no grade yet.
 * @throws {SuiteError} `EDUCATION.INVALID_INPUT`, `EDUCATION.SUBMISSION_NOT_FOUND`, `EDUCATION.GRADE_ORDER`: it is graded
 */
export async function gradeSubmission(education: Education, input: GradeSubmissionInput): Promise<Submission> {
  const { submissionId, score, feedback = null, gradedById } = readInput(gradeInput, input);
  return callFunction(education, 'grade_submission', [submissionId, score, feedback, gradedById, false]);
}

/**
 * Replaces the grade of a graded submission; {@link listGrades} keeps the earlier one. A certificate that was issued stays valid.
 * @throws {SuiteError} `EDUCATION.INVALID_INPUT`, `EDUCATION.SUBMISSION_NOT_FOUND`, `EDUCATION.GRADE_ORDER`: it is not graded
 */
export async function regradeSubmission(education: Education, input: RegradeSubmissionInput): Promise<Submission> {
  const { submissionId, score, feedback = null, gradedById } = readInput(gradeInput, input);
  return callFunction(education, 'grade_submission', [submissionId, score, feedback, gradedById, true]);
}

/**
 * A submission by its id.
 * @throws {SuiteError} `EDUCATION.INVALID_INPUT`, `EDUCATION.SUBMISSION_NOT_FOUND`
 */
export async function getSubmission(education: Education, input: GetSubmissionInput): Promise<Submission> {
  const { submissionId } = readInput(submissionInput, input);
  const submission = await findRow<Submission>(education, 'assessment_submissions', 'id', submissionId);
  if (submission === undefined) throw submissionNotFound({ submissionId });
  return submission;
}

/**
 * Every grade that a submission has or had, the first one first.
 * @throws {SuiteError} `EDUCATION.INVALID_INPUT`
 */
export async function listGrades(education: Education, input: ListGradesInput): Promise<readonly Grade[]> {
  const { submissionId } = readInput(submissionInput, input);
  const rows = await education.query<Row>({
    text: 'SELECT * FROM grades WHERE submission_id = $1 ORDER BY number',
    values: [submissionId],
  });
  return rows.map((row) => modelOf<Grade>(row));
}

/**
 * A page of the submissions that meet every given filter, newest first.
 * @throws {SuiteError} `EDUCATION.INVALID_INPUT`
 */
export async function listSubmissions(
  education: Education,
  input: ListSubmissionsInput = {},
): Promise<Page<Submission>> {
  const { enrollmentId, studentId, moduleId, status, ...page } = readInput(listInput, input);
  return listRows(
    education,
    'assessment_submissions',
    [
      ['enrollment_id = ?', enrollmentId],
      ['student_id = ?', studentId],
      ['module_id = ?', moduleId],
      ['status = ?', status],
    ],
    { ...page, time: 'submitted_at' },
  );
}
