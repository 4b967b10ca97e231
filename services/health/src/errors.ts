import { type ConstraintErrors, type DatabaseErrorFacts, SuiteError } from '@azora/db-core';
import { inputReader } from '@azora/db-core/input';

/** Every code of an error that this store throws itself; the connection adds `DATABASE.*`. */
export const HEALTH_ERROR_CODES = [
  'HEALTH.ALERT_FIXED',
  'HEALTH.ALERT_MOVE',
  'HEALTH.ALERT_NOT_FOUND',
  'HEALTH.ENDPOINT_NOT_FOUND',
  'HEALTH.INVALID_INPUT',
  'HEALTH.KEY_REUSED',
] as const;

export type HealthErrorCode = (typeof HEALTH_ERROR_CODES)[number];

/** What the rule that rejected the call knows: names and ids. */
type Facts = DatabaseErrorFacts['facts'];

/** Checks the input of a function; HEALTH.INVALID_INPUT names the fields that are wrong and never shows their values. */
export const readInput = inputReader('HEALTH.INVALID_INPUT');

/** HEALTH.INVALID_INPUT: SQL rejected a field that passed the input schema. */
function invalidField(field: string, problem: string): SuiteError {
  return new SuiteError('HEALTH.INVALID_INPUT', 'The input is invalid', {
    kind: 'usage',
    why: `${field}: ${problem}.`,
    next: 'Correct these fields and call again',
    meta: { fields: [field] },
  });
}

/** HEALTH.KEY_REUSED: the idempotency key belongs to another call. */
function keyReused(): SuiteError {
  return new SuiteError('HEALTH.KEY_REUSED', 'The idempotency key belongs to another call', {
    kind: 'usage',
    why: 'An earlier call used the key with different input.',
    next: 'Use a new key for new input, and repeat a call unchanged',
  });
}

/** HEALTH.ENDPOINT_NOT_FOUND: nobody has reported this endpoint. */
export function endpointNotFound(endpoint: { readonly serviceName: string; readonly port: number }): SuiteError {
  return new SuiteError('HEALTH.ENDPOINT_NOT_FOUND', 'The endpoint does not exist', {
    why: 'An endpoint exists from its first report on.',
    next: 'Report its health with reportHealth()',
    meta: { ...endpoint },
  });
}

/** HEALTH.ALERT_NOT_FOUND: no alert has this id. */
function alertNotFound({ alertId }: Facts): SuiteError {
  return new SuiteError('HEALTH.ALERT_NOT_FOUND', 'The alert does not exist', {
    next: 'Pass an id that listAlerts() returned',
    meta: { alertId },
  });
}

/** HEALTH.ALERT_MOVE: an alert is acknowledged and resolved once each; the error names both statuses. */
function alertMove({ alertId, from, to }: Facts): SuiteError {
  return new SuiteError('HEALTH.ALERT_MOVE', `An alert cannot go from ${from} to ${to}`, {
    why: 'An alert is acknowledged at most once and resolved once, and a resolved alert stays resolved.',
    next: 'Read the alert with listAlerts()',
    meta: { alertId, from, to },
  });
}

/** HEALTH.ALERT_FIXED: a statement changed what an alert is about. */
function alertFixed({ alertId }: Facts): SuiteError {
  return new SuiteError('HEALTH.ALERT_FIXED', 'The rule, the endpoint and the time of an alert never change', {
    kind: 'usage',
    next: 'Change the rule with setAlertRule(), which opens new alerts',
    meta: { alertId },
  });
}

/** The errors of what the database rejects, by the name of the rule or constraint. */
export const CONSTRAINT_ERRORS: ConstraintErrors = {
  service_invalid: () => invalidField('service', 'contains other characters than letters, digits, ".", "_" and "-"'),
  endpoint_repeated: () => invalidField('reports', 'contains two reports about one endpoint'),
  key_reused: keyReused,
  alert_not_found: alertNotFound,
  alert_move: alertMove,
  alert_terms: alertFixed,
};
