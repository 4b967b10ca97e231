import { type ConstraintErrors, type DatabaseErrorFacts, SuiteError } from '@azora/db-core';
import { inputReader } from '@azora/db-core/input';

/** Every code of an error that this store throws itself; the connection adds `DATABASE.*`. */
export const SAPIENS_ERROR_CODES = [
  'SAPIENS.ALREADY_REVIEWED',
  'SAPIENS.ANSWER_ORDER',
  'SAPIENS.ASSESSMENT_ENDED',
  'SAPIENS.ASSESSMENT_NOT_FOUND',
  'SAPIENS.ASSESSMENT_RUNNING',
  'SAPIENS.BANK_EMPTY',
  'SAPIENS.CARD_NOT_FOUND',
  'SAPIENS.CHUNK_ORDER',
  'SAPIENS.INVALID_INPUT',
  'SAPIENS.ITEM_ANSWERED',
  'SAPIENS.ITEM_NOT_FOUND',
  'SAPIENS.KEY_REUSED',
  'SAPIENS.MESSAGE_ENDED',
  'SAPIENS.MESSAGE_NOT_FOUND',
  'SAPIENS.PATH_CLOSED',
  'SAPIENS.PATH_EXISTS',
  'SAPIENS.PATH_NOT_FOUND',
  'SAPIENS.PREREQUISITES_MISSING',
  'SAPIENS.PREREQUISITE_ORDER',
  'SAPIENS.QUESTION_ANSWERED',
  'SAPIENS.QUESTION_NOT_FOUND',
  'SAPIENS.QUESTION_OPEN',
  'SAPIENS.RECORD_FIXED',
  'SAPIENS.REVIEW_ORDER',
  'SAPIENS.SESSION_ACTIVE',
  'SAPIENS.SESSION_NOT_ACTIVE',
  'SAPIENS.SESSION_NOT_ENDED',
  'SAPIENS.SESSION_NOT_FOUND',
  'SAPIENS.SKILL_EXISTS',
  'SAPIENS.SKILL_NOT_FOUND',
  'SAPIENS.STATUS_REFUSED',
  'SAPIENS.STEP_NOT_FOUND',
  'SAPIENS.STEP_STARTED',
] as const;

export type SapiensErrorCode = (typeof SAPIENS_ERROR_CODES)[number];

/** What the rule that rejected the call knows: names and ids. */
type Facts = DatabaseErrorFacts['facts'];

/** Checks the input of a function; SAPIENS.INVALID_INPUT names the fields that are wrong and never shows their values. */
export const readInput = inputReader('SAPIENS.INVALID_INPUT');

/** SAPIENS.INVALID_INPUT: SQL rejected a field that passed the input schema. */
function invalidField(field: string, problem: string): SuiteError {
  return new SuiteError('SAPIENS.INVALID_INPUT', 'The input is invalid', {
    kind: 'usage',
    why: `${field}: ${problem}.`,
    next: 'Correct these fields and call again',
    meta: { fields: [field] },
  });
}

/** SAPIENS.SESSION_NOT_FOUND: no session has this id. */
export function sessionNotFound(facts: Facts): SuiteError {
  return new SuiteError('SAPIENS.SESSION_NOT_FOUND', 'The session does not exist', {
    next: 'Pass the id that startSession() returned',
    meta: facts,
  });
}

/** SAPIENS.PATH_NOT_FOUND: no path has this id. */
export function pathNotFound(facts: Facts): SuiteError {
  return new SuiteError('SAPIENS.PATH_NOT_FOUND', 'The path does not exist', {
    next: 'Pass the id that createPath() returned',
    meta: facts,
  });
}

/** SAPIENS.QUESTION_NOT_FOUND: no question has this id. */
export function questionNotFound(facts: Facts): SuiteError {
  return new SuiteError('SAPIENS.QUESTION_NOT_FOUND', 'The question does not exist', {
    next: 'Pass the id that askQuestion() returned',
    meta: facts,
  });
}

/** SAPIENS.SKILL_NOT_FOUND: no skill has this id. */
export function skillNotFound(facts: Facts): SuiteError {
  return new SuiteError('SAPIENS.SKILL_NOT_FOUND', 'The skill does not exist', {
    next: 'Pass the id that createSkill() returned',
    meta: facts,
  });
}

/** SAPIENS.ASSESSMENT_NOT_FOUND: no assessment has this id. */
export function assessmentNotFound(facts: Facts): SuiteError {
  return new SuiteError('SAPIENS.ASSESSMENT_NOT_FOUND', 'The assessment does not exist', {
    next: 'Pass the id that startAssessment() returned',
    meta: facts,
  });
}

/** SAPIENS.CARD_NOT_FOUND: no card has this id, or the card was deleted. */
export function cardNotFound(facts: Facts): SuiteError {
  return new SuiteError('SAPIENS.CARD_NOT_FOUND', 'The card does not exist', {
    why: 'No card has this id, or the card was deleted.',
    next: 'Pass the id that addCard() returned, or bring the card back with restoreCard()',
    meta: facts,
  });
}

/** SAPIENS.RECORD_FIXED: a client changed a row that only a function of the store changes. */
function recordFixed(facts: Facts): SuiteError {
  return new SuiteError('SAPIENS.RECORD_FIXED', 'This record does not change', {
    kind: 'usage',
    why: 'Answers, attempts and reviews are kept, progress only grows, positions have no gaps, and a schedule follows from reviews.',
    next: 'Use the functions of the store',
    meta: facts,
  });
}

const NOUNS: Readonly<Record<string, string>> = {
  tutoring_sessions: 'A session',
  messages: 'A message',
  learning_paths: 'A path',
  items: 'An item',
  assessments: 'An assessment',
};

/** The errors of what the database rejects, by the name of the rule or constraint. */
export const CONSTRAINT_ERRORS: ConstraintErrors = {
  learning_paths_target_level_check: () => invalidField('targetLevel', 'is below the start level'),
  messages_confidence_check: () => invalidField('confidence', 'is only for messages of the tutor'),
  assessment_items_chosen_option_check: () => invalidField('chosenOption', 'is not an index into the options'),
  position_invalid: () => invalidField('position', 'leaves a gap between the steps'),
  order_invalid: () => invalidField('stepIds', 'does not name each step of the path once'),
  session_not_found: sessionNotFound,
  path_not_found: pathNotFound,
  question_not_found: questionNotFound,
  skill_not_found: skillNotFound,
  assessment_not_found: assessmentNotFound,
  card_not_found: cardNotFound,
  message_not_found: (facts) =>
    new SuiteError('SAPIENS.MESSAGE_NOT_FOUND', 'The message does not exist', {
      next: 'Pass the id that beginMessage() returned',
      meta: facts,
    }),
  step_not_found: (facts) =>
    new SuiteError('SAPIENS.STEP_NOT_FOUND', 'The step does not exist', {
      why: 'No step has this id, or it belongs to another path.',
      next: 'Pass an id that listSteps() returns for the path',
      meta: facts,
    }),
  item_not_found: (facts) =>
    new SuiteError('SAPIENS.ITEM_NOT_FOUND', 'The item does not exist', {
      next: 'Pass the id that addItem() returned',
      meta: facts,
    }),
  key_reused: ({ operation, asked }) =>
    new SuiteError('SAPIENS.KEY_REUSED', 'The idempotency key belongs to another request', {
      kind: 'usage',
      why:
        operation === asked
          ? `The key was used for ${operation} with different input.`
          : `The key was used for ${operation}, not for ${asked}.`,
      next: 'Use a new key for a new request, and repeat a request unchanged',
      meta: { operation, asked },
    }),
  status_transition: ({ table, id, from, to }) =>
    new SuiteError('SAPIENS.STATUS_REFUSED', `${NOUNS[String(table)] ?? 'A row'} cannot go from ${from} to ${to}`, {
      why: 'services/sapiens/README.md lists the transitions of each status.',
      next: 'Read the row again; its status has changed',
      meta: { table, id, from, to },
    }),
  session_active: ({ sessionId }) =>
    new SuiteError('SAPIENS.SESSION_ACTIVE', 'The student has another active session', {
      why: 'A student is tutored in one session at a time.',
      next: 'Pause or complete the session that meta.sessionId names',
      meta: { sessionId },
    }),
  session_not_active: ({ sessionId, status }) =>
    new SuiteError('SAPIENS.SESSION_NOT_ACTIVE', `The session is ${status}`, {
      why: 'Messages are appended to an active session.',
      next: 'Call resumeSession(), if the session is paused',
      meta: { sessionId, status },
    }),
  session_not_ended: ({ sessionId, status }) =>
    new SuiteError('SAPIENS.SESSION_NOT_ENDED', `The session is ${status}`, {
      why: 'A session is rated after its end.',
      next: 'Call completeSession() first',
      meta: { sessionId, status },
    }),
  message_ended: ({ messageId }) =>
    new SuiteError('SAPIENS.MESSAGE_ENDED', 'The message has ended', {
      why: 'Chunks are appended to a streaming message.',
      next: 'Begin another message with beginMessage()',
      meta: { messageId },
    }),
  chunk_order: ({ messageId, next }) =>
    new SuiteError('SAPIENS.CHUNK_ORDER', 'The chunk is not the next one', {
      why: `The next chunk has the number ${next}, and a chunk that was appended does not change.`,
      next: 'Append the chunks in their order, each with its number',
      meta: { messageId, next },
    }),
  learning_paths_open_key: () =>
    new SuiteError('SAPIENS.PATH_EXISTS', 'The student has an open path with this title', {
      why: 'Titles of active and paused paths differ, ignoring case.',
      next: 'Find the path with listPaths(), or choose another title',
    }),
  path_closed: ({ pathId, status }) =>
    new SuiteError('SAPIENS.PATH_CLOSED', `The path is ${status}`, {
      why: 'Steps change in an active or a paused path, and progress is recorded in an active one.',
      next: 'Call changePathStatus(), if the path is paused',
      meta: { pathId, status },
    }),
  prerequisites_missing: ({ stepId, missing }) =>
    new SuiteError('SAPIENS.PREREQUISITES_MISSING', 'Prerequisites of the step are not completed', {
      why: 'meta.missing lists the steps to complete first.',
      next: 'Complete these steps, then begin this one',
      meta: { stepId, missing },
    }),
  prerequisite_order: ({ pathId }) =>
    new SuiteError('SAPIENS.PREREQUISITE_ORDER', 'A prerequisite would come after the step that needs it', {
      kind: 'usage',
      why: 'Each prerequisite of a step is an earlier step of the path.',
      next: 'Change the order, or the prerequisites first',
      meta: { pathId },
    }),
  step_started: ({ stepId }) =>
    new SuiteError('SAPIENS.STEP_STARTED', 'The student has begun the step', {
      why: 'A step that was begun is neither removed nor given other prerequisites.',
      next: 'Add another step instead',
      meta: { stepId },
    }),
  question_answered: ({ questionId }) =>
    new SuiteError('SAPIENS.QUESTION_ANSWERED', 'The question has another answer', {
      why: 'The first answer counts.',
      next: 'Read the answer with getQuestion()',
      meta: { questionId },
    }),
  question_open: ({ questionId }) =>
    new SuiteError('SAPIENS.QUESTION_OPEN', 'The question has no answer', {
      next: 'Call answerQuestion() first',
      meta: { questionId },
    }),
  skills_slug_key: () =>
    new SuiteError('SAPIENS.SKILL_EXISTS', 'Another skill has this slug', {
      next: 'Read it with findSkill(), or choose another slug',
    }),
  assessment_running: ({ assessmentId }) =>
    new SuiteError('SAPIENS.ASSESSMENT_RUNNING', 'The student has a running assessment of this topic', {
      next: 'Continue the assessment that meta.assessmentId names, or abandon it',
      meta: { assessmentId },
    }),
  bank_empty: () =>
    new SuiteError('SAPIENS.BANK_EMPTY', 'The topic has no items', {
      why: 'No skill of this topic has an active item.',
      next: 'Add items with addItem()',
    }),
  answer_order: ({ assessmentId, position }) =>
    new SuiteError('SAPIENS.ANSWER_ORDER', 'This item was not asked', {
      kind: 'usage',
      why: 'An answer names the position of an item that was asked.',
      next: 'Read the open item with getAssessment()',
      meta: { assessmentId, position },
    }),
  item_answered: ({ assessmentId, position }) =>
    new SuiteError('SAPIENS.ITEM_ANSWERED', 'The item has another answer', {
      why: 'The first answer counts; another device may have given it.',
      next: 'Read the open item with getAssessment()',
      meta: { assessmentId, position },
    }),
  assessment_ended: ({ assessmentId, status }) =>
    new SuiteError('SAPIENS.ASSESSMENT_ENDED', `The assessment is ${status}`, {
      next: 'Start another assessment',
      meta: { assessmentId, status },
    }),
  review_order: ({ cardId, next }) =>
    new SuiteError('SAPIENS.REVIEW_ORDER', 'A review before this one is missing', {
      kind: 'usage',
      why: `The next review of the card has the number ${next}.`,
      next: 'Read the card again; the number is one more than its reviews',
      meta: { cardId, next },
    }),
  already_reviewed: ({ cardId, number }) =>
    new SuiteError('SAPIENS.ALREADY_REVIEWED', 'This review was recorded with another rating', {
      why: 'The first rating counts; another device may have given it.',
      next: 'Read the card again with getCard()',
      meta: { cardId, number },
    }),
  answer_fixed: recordFixed,
  log_fixed: recordFixed,
  path_unfinished: recordFixed,
  progress_fixed: recordFixed,
  schedule_fixed: recordFixed,
  step_positions: recordFixed,
};
