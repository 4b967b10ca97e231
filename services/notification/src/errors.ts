import { type ConstraintErrors, type DatabaseErrorFacts, SuiteError } from '@azora/db-core';
import { inputReader } from '@azora/db-core/input';

/** Every code of an error that this store throws itself; the connection adds `DATABASE.*`. */
export const NOTIFICATION_ERROR_CODES = [
  'NOTIFICATION.DELETED',
  'NOTIFICATION.DELIVERY_DECIDED',
  'NOTIFICATION.EXPIRED',
  'NOTIFICATION.INVALID_INPUT',
  'NOTIFICATION.KEY_REUSED',
  'NOTIFICATION.NOT_FOUND',
  'NOTIFICATION.TEMPLATE_NOT_FOUND',
  'NOTIFICATION.TEMPLATE_VALUES',
] as const;

export type NotificationErrorCode = (typeof NOTIFICATION_ERROR_CODES)[number];

/** What the rule that rejected the call knows: names, ids and times as text. */
type Facts = DatabaseErrorFacts['facts'];

/** Checks the input of a function; NOTIFICATION.INVALID_INPUT names the fields that are wrong and never shows their values. */
export const readInput = inputReader('NOTIFICATION.INVALID_INPUT');

/** NOTIFICATION.INVALID_INPUT: SQL rejected a field that passed the input schema. */
function invalidField(field: string, problem: string): SuiteError {
  return new SuiteError('NOTIFICATION.INVALID_INPUT', 'The input is not valid', {
    kind: 'usage',
    why: `${field}: ${problem}.`,
    next: 'Correct the named fields and call again',
    meta: { fields: [field] },
  });
}

/** NOTIFICATION.NOT_FOUND: the user has no notification with this id. */
export function notificationNotFound({ notificationId }: Facts): SuiteError {
  return new SuiteError('NOTIFICATION.NOT_FOUND', 'The user has no such notification', {
    why: 'The id is unknown, the notification belongs to another user, or the user has switched its source off in the app.',
    next: 'Pass the userId and an id that listNotifications() returned for this user',
    meta: { notificationId },
  });
}

/** NOTIFICATION.DELETED: a deleted notification is not read or unread. */
function notificationDeleted({ notificationId }: Facts): SuiteError {
  return new SuiteError('NOTIFICATION.DELETED', 'The notification is deleted', {
    why: 'The user does not see it, so it cannot be marked as read or unread.',
    next: 'Restore it with restoreNotification(), then call again',
    meta: { notificationId },
  });
}

/** NOTIFICATION.EXPIRED: nobody sees an expired notification, and it cannot be restored. */
function notificationExpired({ notificationId, expiredAt }: Facts): SuiteError {
  const time = isoTime(expiredAt);
  return new SuiteError('NOTIFICATION.EXPIRED', 'The notification has expired', {
    why: `It was shown until ${time}.`,
    next: 'Send a new notification',
    meta: { notificationId, expiredAt: time },
  });
}

/** NOTIFICATION.KEY_REUSED: the idempotency key belongs to another request, which took effect. */
function keyReused(): SuiteError {
  return new SuiteError('NOTIFICATION.KEY_REUSED', 'The idempotency key belongs to another request', {
    kind: 'usage',
    why: 'A notification with other content was sent with the key.',
    next: 'Use a new key for a new notification, and repeat a call unchanged',
  });
}

/** NOTIFICATION.TEMPLATE_NOT_FOUND: no template has this name. */
export function templateNotFound({ template }: Facts): SuiteError {
  return new SuiteError('NOTIFICATION.TEMPLATE_NOT_FOUND', 'The template does not exist', {
    next: 'Create it with saveTemplate()',
    meta: { template },
  });
}

/** NOTIFICATION.TEMPLATE_VALUES: the template has places without a value. */
function templateValues({ missing }: Facts): SuiteError {
  const names = Array.isArray(missing) ? missing.join(', ') : '';
  return new SuiteError('NOTIFICATION.TEMPLATE_VALUES', 'The template needs more values', {
    kind: 'usage',
    why: `There is no value for: ${names}.`,
    next: 'Pass these values, to notifyMany() for each recipient',
    meta: { missing },
  });
}

/** NOTIFICATION.DELIVERY_DECIDED: a client changed the status of a delivery against its order. */
function deliveryDecided({ notificationId, channel, from, to }: Facts): SuiteError {
  return new SuiteError('NOTIFICATION.DELIVERY_DECIDED', `A delivery cannot go from ${from} to ${to}`, {
    why: 'A delivery is claimed before it is sent, and it is sent, failed or cancelled only once.',
    next: 'Send a new notification',
    meta: { notificationId, channel, from, to },
  });
}

/** The errors of what the database rejects, by the name of the rule or constraint. */
export const CONSTRAINT_ERRORS: ConstraintErrors = {
  notification_not_found: notificationNotFound,
  notification_deleted: notificationDeleted,
  notification_expired: notificationExpired,
  key_reused: keyReused,
  template_not_found: templateNotFound,
  template_values: templateValues,
  rendered_text: ({ field, most }) =>
    invalidField('values', `make a ${field} that is blank or longer than ${most} characters`),
  delivery_decided: deliveryDecided,
  time_zone_unknown: () => invalidField('timeZone', 'is not a time zone that PostgreSQL knows'),
};

/** PostgreSQL writes a time in JSON with the offset of its session. */
function isoTime(value: unknown): string {
  return new Date(String(value)).toISOString();
}
