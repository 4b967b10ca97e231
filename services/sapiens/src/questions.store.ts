import { newId, requestHash } from '@azora/db-core';
import { idInput } from '@azora/db-core/input';
import { type Page, type PageInput, pageFields } from '@azora/db-core/paging';
import { z } from 'zod';
import type { Sapiens } from './client';
import { questionNotFound, readInput } from './errors';
import { keyInput, longTextInput, shareInput, shortTextInput } from './input';
import { callFunction, findRow, listRows, type Question } from './rows';

export interface AskQuestionInput {
  /** An auth.User. */
  readonly studentId: string;
  readonly topic: string;
  readonly question: string;
  /** Estimated difficulty, 0 to 1. */
  readonly difficulty?: number;
  readonly idempotencyKey: string;
}

export interface AnswerQuestionInput {
  readonly questionId: string;
  readonly answer: string;
  /** The tutor's confidence, 0 to 1. */
  readonly confidence?: number;
}

export interface RateAnswerInput {
  readonly questionId: string;
  /** Whether the answer helped, according to the student. */
  readonly isHelpful: boolean;
}

export interface GetQuestionInput {
  readonly questionId: string;
}

export interface ListQuestionsInput extends PageInput {
  readonly studentId?: string;
  readonly topic?: string;
  readonly isAnswered?: boolean;
  /** Words of the question or the answer, in the syntax of a web search: `loops -recursion "base case"`. */
  readonly text?: string;
}

const askInput = z.strictObject({
  studentId: idInput,
  topic: shortTextInput,
  question: longTextInput,
  difficulty: shareInput.optional(),
  idempotencyKey: keyInput,
});
const answerInput = z.strictObject({ questionId: idInput, answer: longTextInput, confidence: shareInput.optional() });
const rateInput = z.strictObject({ questionId: idInput, isHelpful: z.boolean() });
const questionInput = z.strictObject({ questionId: idInput });
const listInput = z.strictObject({
  studentId: idInput.optional(),
  topic: shortTextInput.optional(),
  isAnswered: z.boolean().optional(),
  text: shortTextInput.optional(),
  ...pageFields,
});

/**
 * Records a question that a student asked outside a session, once per key.
 * @throws {SuiteError} `SAPIENS.INVALID_INPUT`, `SAPIENS.KEY_REUSED`
 */
export async function askQuestion(sapiens: Sapiens, input: AskQuestionInput): Promise<Question> {
  const { idempotencyKey, ...body } = readInput(askInput, input);
  const { studentId, topic, question, difficulty = null } = body;
  const values = [idempotencyKey, requestHash(body), newId(), studentId, topic, question, difficulty];
  return callFunction(sapiens, 'ask_question', values);
}

/**
 * Answers a question, once: of two answers at once, the first one counts. The same answer again changes nothing.
 * @throws {SuiteError} `SAPIENS.INVALID_INPUT`, `SAPIENS.QUESTION_NOT_FOUND`, `SAPIENS.QUESTION_ANSWERED`
 */
export async function answerQuestion(sapiens: Sapiens, input: AnswerQuestionInput): Promise<Question> {
  const { questionId, answer, confidence = null } = readInput(answerInput, input);
  return callFunction(sapiens, 'answer_question', [questionId, answer, confidence]);
}

/**
 * Records whether an answer helped; a later rating replaces it.
 * @throws {SuiteError} `SAPIENS.INVALID_INPUT`, `SAPIENS.QUESTION_NOT_FOUND`, `SAPIENS.QUESTION_OPEN`
 */
export async function rateAnswer(sapiens: Sapiens, input: RateAnswerInput): Promise<Question> {
  const { questionId, isHelpful } = readInput(rateInput, input);
  return callFunction(sapiens, 'rate_answer', [questionId, isHelpful]);
}

/**
 * A question by id.
 * @throws {SuiteError} `SAPIENS.INVALID_INPUT`, `SAPIENS.QUESTION_NOT_FOUND`
 */
export async function getQuestion(sapiens: Sapiens, input: GetQuestionInput): Promise<Question> {
  const { questionId } = readInput(questionInput, input);
  const question = await findRow<Question>(sapiens, 'questions', 'id', questionId);
  if (question === undefined) throw questionNotFound({ questionId });
  return question;
}

/**
 * A page of questions, newest first.
 * @throws {SuiteError} `SAPIENS.INVALID_INPUT`
 */
export async function listQuestions(sapiens: Sapiens, input: ListQuestionsInput = {}): Promise<Page<Question>> {
  const { studentId, topic, isAnswered, text, ...page } = readInput(listInput, input);
  return listRows(
    sapiens,
    'questions',
    [
      ['student_id = ?', studentId],
      ['topic = ?', topic],
      ['(answer IS NOT NULL) = ?', isAnswered],
      ["search @@ websearch_to_tsquery('english', ?)", text],
    ],
    page,
  );
}
