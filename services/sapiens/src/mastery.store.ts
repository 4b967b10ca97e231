import { newId, requestHash } from '@azora/db-core';
import { idInput } from '@azora/db-core/input';
import { type Page, type PageInput, pageFields } from '@azora/db-core/paging';
import { z } from 'zod';
import type { Sapiens } from './client';
import { readInput } from './errors';
import { keyInput } from './input';
import { callFunction, listRows, modelOf, type Row, type SkillAttempt, type SkillMastery } from './rows';

export interface RecordPracticeInput {
  /** An auth.User. */
  readonly studentId: string;
  readonly skillId: string;
  readonly isCorrect: boolean;
  readonly idempotencyKey: string;
}

export interface FindMasteryInput {
  readonly studentId: string;
  readonly skillId: string;
}

export interface ListMasteryInput extends PageInput {
  readonly studentId: string;
}

export interface ListAttemptsInput extends PageInput {
  readonly studentId: string;
  readonly skillId: string;
}

const practiceInput = z.strictObject({
  studentId: idInput,
  skillId: idInput,
  isCorrect: z.boolean(),
  idempotencyKey: keyInput,
});
const findInput = z.strictObject({ studentId: idInput, skillId: idInput });
const listInput = z.strictObject({ studentId: idInput, ...pageFields });
const attemptsInput = z.strictObject({ studentId: idInput, skillId: idInput, ...pageFields });

/**
 * Records an attempt at a skill, once per key, and returns the mastery: the probability that the student has the skill, by Bayesian
 * knowledge tracing with the parameters of the skill. Answers of assessments are attempts too.
 * @throws {SuiteError} `SAPIENS.INVALID_INPUT`, `SAPIENS.KEY_REUSED`, `SAPIENS.SKILL_NOT_FOUND`
 */
export async function recordPractice(sapiens: Sapiens, input: RecordPracticeInput): Promise<SkillMastery> {
  const { idempotencyKey, ...body } = readInput(practiceInput, input);
  const { studentId, skillId, isCorrect } = body;
  const values = [idempotencyKey, requestHash(body), newId(), studentId, skillId, isCorrect];
  return callFunction(sapiens, 'record_practice', values);
}

/**
 * The mastery of a skill, or null when the student has not tried it.
 * @throws {SuiteError} `SAPIENS.INVALID_INPUT`
 */
export async function findMastery(sapiens: Sapiens, input: FindMasteryInput): Promise<SkillMastery | null> {
  const { studentId, skillId } = readInput(findInput, input);
  const [row] = await sapiens.query<Row>({
    text: 'SELECT * FROM skill_mastery WHERE student_id = $1 AND skill_id = $2',
    values: [studentId, skillId],
  });
  return row === undefined ? null : modelOf<SkillMastery>(row);
}

/**
 * A page of the skills that a student has tried, the last one begun first.
 * @throws {SuiteError} `SAPIENS.INVALID_INPUT`
 */
export async function listMastery(sapiens: Sapiens, input: ListMasteryInput): Promise<Page<SkillMastery>> {
  const { studentId, ...page } = readInput(listInput, input);
  return listRows(sapiens, 'skill_mastery', [['student_id = ?', studentId]], page);
}

/**
 * A page of a student's attempts at a skill, newest first.
 * @throws {SuiteError} `SAPIENS.INVALID_INPUT`
 */
export async function listAttempts(sapiens: Sapiens, input: ListAttemptsInput): Promise<Page<SkillAttempt>> {
  const { studentId, skillId, ...page } = readInput(attemptsInput, input);
  return listRows(
    sapiens,
    'skill_attempts',
    [
      ['student_id = ?', studentId],
      ['skill_id = ?', skillId],
    ],
    page,
  );
}
