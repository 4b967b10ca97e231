import { defineEvent } from '@azora/db-core/events';
import { z } from 'zod';

/** Ids of rows and of other services. */
const id = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9:._|-]{0,254}$/);
const share = z.number().min(0).max(1);

const sapiens = { service: 'sapiens', version: 1 } as const;
/** The student orders all events of this service. */
const key = ({ studentId }: { readonly studentId: string }) => studentId;

export const sessionStarted = defineEvent({
  ...sapiens,
  name: 'session-started',
  about: 'A tutoring session began.',
  data: z.strictObject({ sessionId: id, studentId: id }),
  key,
});

export const sessionEnded = defineEvent({
  ...sapiens,
  name: 'session-ended',
  about: 'A tutoring session was completed or abandoned, after this many minutes without pauses.',
  data: z.strictObject({
    sessionId: id,
    studentId: id,
    status: z.enum(['completed', 'abandoned']),
    durationMinutes: z.int().min(0),
  }),
  key,
});

export const insightRecorded = defineEvent({
  ...sapiens,
  name: 'insight-recorded',
  about: 'The tutor learned something about a student.',
  data: z.strictObject({
    insightId: id,
    sessionId: id,
    studentId: id,
    kind: z.enum(['strength', 'weakness', 'misconception', 'recommendation']),
  }),
  key,
});

export const pathCreated = defineEvent({
  ...sapiens,
  name: 'path-created',
  about: 'A student has a new learning path.',
  data: z.strictObject({ pathId: id, studentId: id }),
  key,
});

export const stepCompleted = defineEvent({
  ...sapiens,
  name: 'step-completed',
  about: 'A student completed a step of a path.',
  data: z.strictObject({ pathId: id, stepId: id, studentId: id }),
  key,
});

export const pathCompleted = defineEvent({
  ...sapiens,
  name: 'path-completed',
  about: 'A student completed every step of a path.',
  data: z.strictObject({ pathId: id, studentId: id }),
  key,
});

export const questionAsked = defineEvent({
  ...sapiens,
  name: 'question-asked',
  about: 'A student asked a question outside a session.',
  data: z.strictObject({ questionId: id, studentId: id }),
  key,
});

export const questionAnswered = defineEvent({
  ...sapiens,
  name: 'question-answered',
  about: 'A question of a student has its answer.',
  data: z.strictObject({ questionId: id, studentId: id }),
  key,
});

export const assessmentStarted = defineEvent({
  ...sapiens,
  name: 'assessment-started',
  about: 'A student began an adaptive assessment.',
  data: z.strictObject({ assessmentId: id, studentId: id }),
  key,
});

export const assessmentCompleted = defineEvent({
  ...sapiens,
  name: 'assessment-completed',
  about: 'An assessment has its result: the share of correct answers, and the ability with its standard error.',
  data: z.strictObject({
    assessmentId: id,
    studentId: id,
    score: share,
    ability: z.number().min(-6).max(6),
    standardError: z.number().gt(0),
    stopReason: z.enum(['precise', 'length', 'exhausted']),
  }),
  key,
});

export const assessmentAbandoned = defineEvent({
  ...sapiens,
  name: 'assessment-abandoned',
  about: 'A student left an assessment before its end.',
  data: z.strictObject({ assessmentId: id, studentId: id }),
  key,
});

export const skillMastered = defineEvent({
  ...sapiens,
  name: 'skill-mastered',
  about: 'The probability that a student has a skill reached 0.95 for the first time.',
  data: z.strictObject({ skillId: id, studentId: id }),
  key,
});

export const studentErased = defineEvent({
  ...sapiens,
  name: 'student-erased',
  about: 'Every row of a student was deleted.',
  data: z.strictObject({ studentId: id }),
  key,
});

/** The events that sapiens publishes; the SQL functions of prisma/migrations write them. */
export const EVENTS = [
  sessionStarted,
  sessionEnded,
  insightRecorded,
  pathCreated,
  stepCompleted,
  pathCompleted,
  questionAsked,
  questionAnswered,
  assessmentStarted,
  assessmentCompleted,
  assessmentAbandoned,
  skillMastered,
  studentErased,
] as const;
