import { type ConstraintErrors, type DatabaseErrorFacts, SuiteError } from '@azora/db-core';
import { inputReader } from '@azora/db-core/input';

/** Every code of an error that this store throws itself; the connection adds `DATABASE.*`. */
export const NEXUS_ERROR_CODES = [
  'NEXUS.EVENT_REUSED',
  'NEXUS.ILLEGAL_TRANSITION',
  'NEXUS.INVALID_INPUT',
  'NEXUS.ITEM_NOT_FOUND',
  'NEXUS.PROFILE_NOT_FOUND',
  'NEXUS.RECOMMENDATION_NOT_FOUND',
] as const;

export type NexusErrorCode = (typeof NEXUS_ERROR_CODES)[number];

/** What the rule that rejected the call knows: names and ids. */
type Facts = DatabaseErrorFacts['facts'];

/** Checks the input of a function; NEXUS.INVALID_INPUT names the fields that are wrong and never shows their values. */
export const readInput = inputReader('NEXUS.INVALID_INPUT');

/** NEXUS.INVALID_INPUT: SQL rejected a field that passed the input schema. */
function invalidField(field: string, problem: string, meta: Facts = {}): SuiteError {
  return new SuiteError('NEXUS.INVALID_INPUT', 'The input is not valid', {
    kind: 'usage',
    why: `${field}: ${problem}.`,
    next: 'Correct the named fields and call again',
    meta: { ...meta, fields: [field] },
  });
}

/** NEXUS.PROFILE_NOT_FOUND: the user has no profile, or was erased. */
export function profileNotFound({ userId }: Facts): SuiteError {
  return new SuiteError('NEXUS.PROFILE_NOT_FOUND', 'The user has no profile', {
    next: 'Make one with saveProfile(); track() and recommend() make one too',
    meta: { userId },
  });
}

/** NEXUS.ITEM_NOT_FOUND: no item of this type has this id in the catalog. */
export function itemNotFound({ itemType, itemId }: Facts): SuiteError {
  return new SuiteError('NEXUS.ITEM_NOT_FOUND', 'The item is not in the catalog', {
    next: 'Add it with saveItems(); track() adds the items that people use',
    meta: { itemType, itemId },
  });
}

/** NEXUS.RECOMMENDATION_NOT_FOUND: the user has no recommendation with this id. */
export function recommendationNotFound({ recommendationId }: Facts): SuiteError {
  return new SuiteError('NEXUS.RECOMMENDATION_NOT_FOUND', 'The user has no such recommendation', {
    next: 'Pass the user and an id that recommend() returned to this user',
    meta: { recommendationId },
  });
}

/** NEXUS.EVENT_REUSED: the id belongs to another event of the user, which was recorded. */
function eventReused({ eventId }: Facts): SuiteError {
  return new SuiteError('NEXUS.EVENT_REUSED', 'The id belongs to another event of the user', {
    kind: 'usage',
    why: 'The first event with this id has another kind, item, duration, rating or context. Nothing of this call was recorded.',
    next: 'Give each event an id of its own, and repeat an event unchanged',
    meta: { eventId },
  });
}

/** NEXUS.ILLEGAL_TRANSITION: the recommendation has a status that the call cannot leave; the error names both. */
function illegalTransition({ recommendationId, from, to }: Facts): SuiteError {
  return new SuiteError('NEXUS.ILLEGAL_TRANSITION', `The recommendation cannot go from ${from} to ${to}`, {
    why: 'It was answered before, or it has expired.',
    next: 'Ask for new recommendations with recommend()',
    meta: { recommendationId, from, to },
  });
}

/** The errors of what the database rejects, by the name of the rule or constraint. */
export const CONSTRAINT_ERRORS: ConstraintErrors = {
  preferences_too_long: () => invalidField('preferences', 'are longer than 16384 bytes together with the earlier ones'),
  occurred_at_outside: (facts) =>
    invalidField('interactions', 'an occurredAt is in the future, or a year ago or earlier', facts),
  event_incomplete: (facts) => invalidField('interactions', 'an event has no id or no user', facts),
  interactions_occurred_at_check: () =>
    invalidField('interactions', 'an occurredAt is in the future, or a year ago or earlier'),
  items_tags_check: () => invalidField('items', 'the tags of an item are more than 50, or too long together'),
  recommendation_not_found: recommendationNotFound,
  event_reused: eventReused,
  illegal_transition: illegalTransition,
};
