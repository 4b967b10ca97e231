import { type ConstraintErrors, type DatabaseErrorFacts, SuiteError } from '@azora/db-core';
import { inputReader } from '@azora/db-core/input';

/** Every code of an error that this store throws itself; the connection adds `DATABASE.*`. */
export const FAMILY_ERROR_CODES = [
  'FAMILY.CONVERSATION_ENDED',
  'FAMILY.CONVERSATION_NOT_FOUND',
  'FAMILY.INVALID_INPUT',
  'FAMILY.KEY_REUSED',
  'FAMILY.MEMBER_INACTIVE',
  'FAMILY.MEMBER_NOT_FOUND',
  'FAMILY.MESSAGE_NOT_FOUND',
  'FAMILY.NAME_TAKEN',
  'FAMILY.RELATIONSHIP_CONFLICT',
  'FAMILY.RELATIONSHIP_CYCLE',
  'FAMILY.RESPONDER_ANSWER',
  'FAMILY.RESPONDER_FAILED',
  'FAMILY.RESPONDER_TIMEOUT',
  'FAMILY.ROW_FIXED',
] as const;

export type FamilyErrorCode = (typeof FAMILY_ERROR_CODES)[number];

/** What the rule that rejected the call knows: names, ids and numbers. */
type Facts = DatabaseErrorFacts['facts'];

/** Checks the input of a function; FAMILY.INVALID_INPUT names the fields that are wrong and never shows their values. */
export const readInput = inputReader('FAMILY.INVALID_INPUT');

/** FAMILY.INVALID_INPUT: SQL rejected a field that passed the input schema. */
function invalidField(field: string, problem: string): SuiteError {
  return new SuiteError('FAMILY.INVALID_INPUT', 'The input is invalid', {
    kind: 'usage',
    why: `${field}: ${problem}.`,
    next: 'Correct these fields and call again',
    meta: { fields: [field] },
  });
}

/** FAMILY.MEMBER_NOT_FOUND: no member has this id or slug. */
export function memberNotFound({ memberId, slug }: Facts): SuiteError {
  return new SuiteError('FAMILY.MEMBER_NOT_FOUND', 'The member does not exist', {
    next: 'Read the members with listMembers(), or add one with saveMember()',
    meta: { memberId, slug },
  });
}

/** FAMILY.MEMBER_INACTIVE: the member takes part in nothing new. */
function memberInactive({ memberId }: Facts): SuiteError {
  return new SuiteError('FAMILY.MEMBER_INACTIVE', 'The member is inactive', {
    why: 'An inactive member starts no conversations and answers no messages.',
    next: 'Choose an active member from listMembers(), or activate this one with saveMember()',
    meta: { memberId },
  });
}

/** FAMILY.NAME_TAKEN: another member has this name, ignoring case. */
function nameTaken(): SuiteError {
  return new SuiteError('FAMILY.NAME_TAKEN', 'Another member has this name', {
    kind: 'usage',
    why: 'Names are unique, ignoring case.',
    next: 'Choose another name, or pass the slug of that member to change it',
  });
}

/** FAMILY.RELATIONSHIP_CYCLE: the parent descends from the child. */
function relationshipCycle({ memberId, relativeId }: Facts): SuiteError {
  return new SuiteError('FAMILY.RELATIONSHIP_CYCLE', 'A member cannot be its own ancestor', {
    kind: 'usage',
    why: 'The parent descends from the child.',
    next: 'Read the relationships with listRelationships() and remove the wrong one with unrelateMembers()',
    meta: { memberId, relativeId },
  });
}

/** FAMILY.RELATIONSHIP_CONFLICT: the members have a relationship that excludes the new one. */
function relationshipConflict({ memberId, relativeId }: Facts): SuiteError {
  return new SuiteError('FAMILY.RELATIONSHIP_CONFLICT', 'The relationship contradicts another one of these members', {
    kind: 'usage',
    why: 'A parent is not a sibling of the child, and two members are not each the coordinator of the other.',
    next: 'Remove the other relationship with unrelateMembers() first',
    meta: { memberId, relativeId },
  });
}

/** FAMILY.CONVERSATION_NOT_FOUND: the user has no conversation with this id. */
export function conversationNotFound({ conversationId }: Facts): SuiteError {
  return new SuiteError('FAMILY.CONVERSATION_NOT_FOUND', 'The conversation does not exist', {
    why: 'It was deleted, or it belongs to another user.',
    next: 'Pass the id that startConversation() returned, and the same user',
    meta: { conversationId },
  });
}

/** FAMILY.CONVERSATION_ENDED: nothing is added to an ended conversation. */
function conversationEnded({ conversationId }: Facts): SuiteError {
  return new SuiteError('FAMILY.CONVERSATION_ENDED', 'The conversation has ended', {
    next: 'Start a new one with startConversation()',
    meta: { conversationId },
  });
}

/** FAMILY.MESSAGE_NOT_FOUND: the conversation has no message of the user at this position. */
export function messageNotFound({ conversationId }: Facts): SuiteError {
  return new SuiteError('FAMILY.MESSAGE_NOT_FOUND', 'The conversation has no message of the user at this position', {
    next: 'Pass the position of a message that appendMessage() returned',
    meta: { conversationId },
  });
}

/** FAMILY.KEY_REUSED: the idempotency key belongs to another request, which took effect. */
function keyReused(): SuiteError {
  return new SuiteError('FAMILY.KEY_REUSED', 'The idempotency key belongs to another request', {
    kind: 'usage',
    why: 'The key was used before with different input.',
    next: 'Use a new key for a new request, and repeat a request unchanged',
  });
}

/** FAMILY.ROW_FIXED: a statement changed what never changes. */
function rowFixed(what: string): (facts: Facts) => SuiteError {
  return (facts) =>
    new SuiteError('FAMILY.ROW_FIXED', `${what} cannot be changed`, {
      kind: 'usage',
      next: 'Use the functions of the store',
      meta: facts,
    });
}

/** FAMILY.RESPONDER_TIMEOUT: the service that answers took too long. */
export function responderTimeout(responder: string, timeoutMs: number): SuiteError {
  return new SuiteError('FAMILY.RESPONDER_TIMEOUT', 'The responder did not answer in time', {
    why: `The ${responder} responder had ${timeoutMs} ms. The message of the user is saved.`,
    next: 'Call say() again with the same idempotency key, or give the responder more time with timeoutMs',
    meta: { responder, timeoutMs },
  });
}

/** FAMILY.RESPONDER_FAILED: the service that answers cannot be reached, or reports an error. */
export function responderFailed(responder: string, status: number | undefined): SuiteError {
  return new SuiteError('FAMILY.RESPONDER_FAILED', 'The responder failed', {
    why:
      status === undefined
        ? `The ${responder} responder could not be reached. The message of the user is saved.`
        : `The ${responder} responder returned HTTP status ${status}. The message of the user is saved.`,
    next:
      status === 401 || status === 403
        ? 'Check the API key of the responder, then call say() again with the same idempotency key'
        : 'Check the URL, the model and the state of the service, then call say() again with the same idempotency key',
    meta: { responder, status },
  });
}

/** FAMILY.RESPONDER_ANSWER: the answer is not one that can be stored. */
export function responderAnswer(responder: string, problem: string): SuiteError {
  return new SuiteError('FAMILY.RESPONDER_ANSWER', 'The responder returned an unusable answer', {
    why: `The answer of the ${responder} responder ${problem}. The message of the user is saved.`,
    next: 'Check that the URL is an API of this kind, then call say() again with the same idempotency key',
    meta: { responder },
  });
}

/** The errors of what the database rejects, by the name of the rule or constraint. */
export const CONSTRAINT_ERRORS: ConstraintErrors = {
  member_not_found: memberNotFound,
  member_inactive: memberInactive,
  family_members_name_key: nameTaken,
  family_relationships_relative_id_check: () => invalidField('relativeId', 'is the member itself'),
  relationship_cycle: relationshipCycle,
  relationship_conflict: relationshipConflict,
  family_relationships_pair_key: relationshipConflict,
  conversation_not_found: conversationNotFound,
  conversation_ended: conversationEnded,
  message_not_found: messageNotFound,
  content_size: () => invalidField('content', 'is longer than 20000 characters'),
  not_said: () => invalidField('role', 'is not user or system, or the message has no idempotency key'),
  summary_range: () => invalidField('upTo', 'is after the last message'),
  key_reused: keyReused,
  message_fixed: rowFixed('A message'),
  interaction_fixed: rowFixed('An interaction'),
};
