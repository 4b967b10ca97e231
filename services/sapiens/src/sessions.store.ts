import { newId, requestHash } from '@azora/db-core';
import { idInput } from '@azora/db-core/input';
import { type Page, type PageInput, pageFields } from '@azora/db-core/paging';
import { z } from 'zod';
import type { Sapiens } from './client';
import { readInput, sessionNotFound } from './errors';
import { $Enums, type InsightKind, type SessionStatus } from './generated/client';
import { keyInput, longTextInput, shareInput, shortTextInput } from './input';
import { callFunction, findRow, type LearningInsight, listRows, type TutoringSession } from './rows';

export interface StartSessionInput {
  /** An auth.User. */
  readonly studentId: string;
  /** At most 200 characters. */
  readonly topic: string;
  /** An education.Course. */
  readonly courseId?: string;
  readonly idempotencyKey: string;
}

export interface GetSessionInput {
  readonly sessionId: string;
}

export type PauseSessionInput = GetSessionInput;
export type ResumeSessionInput = GetSessionInput;
export type AbandonSessionInput = GetSessionInput;

export interface CompleteSessionInput extends GetSessionInput {
  readonly summary?: string;
}

export interface RateSessionInput extends GetSessionInput {
  /** 1 to 5. */
  readonly rating: number;
}

export interface ListSessionsInput extends PageInput {
  readonly studentId?: string;
  readonly courseId?: string;
  readonly status?: SessionStatus;
}

export interface RecordInsightInput extends GetSessionInput {
  readonly kind: InsightKind;
  readonly topic: string;
  readonly content: string;
  /** 0 to 1. */
  readonly confidence: number;
  readonly idempotencyKey: string;
}

export interface ListInsightsInput extends PageInput {
  readonly sessionId?: string;
  readonly studentId?: string;
  readonly kind?: InsightKind;
}

const startInput = z.strictObject({
  studentId: idInput,
  topic: shortTextInput,
  courseId: idInput.optional(),
  idempotencyKey: keyInput,
});
const sessionInput = z.strictObject({ sessionId: idInput });
const completeInput = z.strictObject({ sessionId: idInput, summary: longTextInput.optional() });
const rateInput = z.strictObject({ sessionId: idInput, rating: z.int().min(1).max(5) });
const listInput = z.strictObject({
  studentId: idInput.optional(),
  courseId: idInput.optional(),
  status: z.enum($Enums.SessionStatus).optional(),
  ...pageFields,
});
const insightInput = z.strictObject({
  sessionId: idInput,
  kind: z.enum($Enums.InsightKind),
  topic: shortTextInput,
  content: longTextInput,
  confidence: shareInput,
  idempotencyKey: keyInput,
});
const listInsightsInput = z.strictObject({
  sessionId: idInput.optional(),
  studentId: idInput.optional(),
  kind: z.enum($Enums.InsightKind).optional(),
  ...pageFields,
});

/**
 * Starts a session, once per key. A student has one active session; the others are paused or have ended.
 * @throws {SuiteError} `SAPIENS.INVALID_INPUT`, `SAPIENS.KEY_REUSED`, `SAPIENS.SESSION_ACTIVE`
 */
export async function startSession(sapiens: Sapiens, input: StartSessionInput): Promise<TutoringSession> {
  const { idempotencyKey, ...body } = readInput(startInput, input);
  const values = [idempotencyKey, requestHash(body), newId(), body.studentId, body.topic, body.courseId ?? null];
  return callFunction(sapiens, 'start_session', values);
}

/**
 * Pauses an active session: the time until it is resumed does not count. A paused session stays as it is.
 * @throws {SuiteError} `SAPIENS.INVALID_INPUT`, `SAPIENS.SESSION_NOT_FOUND`, `SAPIENS.STATUS_REFUSED`
 */
export async function pauseSession(sapiens: Sapiens, input: PauseSessionInput): Promise<TutoringSession> {
  return changeStatus(sapiens, readInput(sessionInput, input).sessionId, 'paused');
}

/**
 * Resumes a paused session. An active session stays as it is.
 * @throws {SuiteError} `SAPIENS.INVALID_INPUT`, `SAPIENS.SESSION_NOT_FOUND`, `SAPIENS.SESSION_ACTIVE`: the student has another
 *   active session, `SAPIENS.STATUS_REFUSED`
 */
export async function resumeSession(sapiens: Sapiens, input: ResumeSessionInput): Promise<TutoringSession> {
  return changeStatus(sapiens, readInput(sessionInput, input).sessionId, 'active');
}

/**
 * Completes a session. Messages that are still streaming end with what was streamed. `durationMinutes` counts the minutes without
 * pauses, rounded up. A completed session stays as it is.
 * @throws {SuiteError} `SAPIENS.INVALID_INPUT`, `SAPIENS.SESSION_NOT_FOUND`, `SAPIENS.STATUS_REFUSED`
 */
export async function completeSession(sapiens: Sapiens, input: CompleteSessionInput): Promise<TutoringSession> {
  const { sessionId, summary } = readInput(completeInput, input);
  return changeStatus(sapiens, sessionId, 'completed', summary);
}

/**
 * Ends a session that the student left. An abandoned session stays as it is.
 * @throws {SuiteError} `SAPIENS.INVALID_INPUT`, `SAPIENS.SESSION_NOT_FOUND`, `SAPIENS.STATUS_REFUSED`
 */
export async function abandonSession(sapiens: Sapiens, input: AbandonSessionInput): Promise<TutoringSession> {
  return changeStatus(sapiens, readInput(sessionInput, input).sessionId, 'abandoned');
}

function changeStatus(
  sapiens: Sapiens,
  sessionId: string,
  status: SessionStatus,
  summary?: string,
): Promise<TutoringSession> {
  return callFunction(sapiens, 'change_session_status', [sessionId, status, summary ?? null]);
}

/**
 * Records the student's rating of a session that has ended; a later rating replaces it.
 * @throws {SuiteError} `SAPIENS.INVALID_INPUT`, `SAPIENS.SESSION_NOT_FOUND`, `SAPIENS.SESSION_NOT_ENDED`
 */
export async function rateSession(sapiens: Sapiens, input: RateSessionInput): Promise<TutoringSession> {
  const { sessionId, rating } = readInput(rateInput, input);
  return callFunction(sapiens, 'rate_session', [sessionId, rating]);
}

/**
 * A session by id.
 * @throws {SuiteError} `SAPIENS.INVALID_INPUT`, `SAPIENS.SESSION_NOT_FOUND`
 */
export async function getSession(sapiens: Sapiens, input: GetSessionInput): Promise<TutoringSession> {
  const { sessionId } = readInput(sessionInput, input);
  const session = await findRow<TutoringSession>(sapiens, 'tutoring_sessions', 'id', sessionId);
  if (session === undefined) throw sessionNotFound({ sessionId });
  return session;
}

/**
 * A page of sessions, the last one started first.
 * @throws {SuiteError} `SAPIENS.INVALID_INPUT`
 */
export async function listSessions(sapiens: Sapiens, input: ListSessionsInput = {}): Promise<Page<TutoringSession>> {
  const { studentId, courseId, status, ...page } = readInput(listInput, input);
  return listRows(
    sapiens,
    'tutoring_sessions',
    [
      ['student_id = ?', studentId],
      ['course_id = ?', courseId],
      ['status = ?', status],
    ],
    { ...page, time: 'started_at' },
  );
}

/**
 * Records what the tutor learned about the student in a session, once per key. The profile follows.
 * @throws {SuiteError} `SAPIENS.INVALID_INPUT`, `SAPIENS.KEY_REUSED`, `SAPIENS.SESSION_NOT_FOUND`
 */
export async function recordInsight(sapiens: Sapiens, input: RecordInsightInput): Promise<LearningInsight> {
  const { idempotencyKey, ...body } = readInput(insightInput, input);
  const { sessionId, kind, topic, content, confidence } = body;
  const values = [idempotencyKey, requestHash(body), newId(), sessionId, kind, topic, content, confidence];
  return callFunction(sapiens, 'record_insight', values);
}

/**
 * A page of insights, newest first.
 * @throws {SuiteError} `SAPIENS.INVALID_INPUT`
 */
export async function listInsights(sapiens: Sapiens, input: ListInsightsInput = {}): Promise<Page<LearningInsight>> {
  const { sessionId, studentId, kind, ...page } = readInput(listInsightsInput, input);
  return listRows(
    sapiens,
    'learning_insights',
    [
      ['session_id = ?', sessionId],
      ['session_id IN (SELECT s.id FROM tutoring_sessions AS s WHERE s.student_id = ?)', studentId],
      ['kind = ?', kind],
    ],
    page,
  );
}
