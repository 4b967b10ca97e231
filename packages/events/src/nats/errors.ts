import { SuiteError } from '@azora/db-core';

/** Codes of JetStream's API. */
const WRONG_LAST_SEQUENCE = [10071, 10164];
const STREAM_NOT_FOUND = 10059;
const CONSUMER_NOT_FOUND = 10014;
const NO_MESSAGE = 10037;
const NAME_IN_USE = 10058;
const NOT_ENABLED = [10039, 10076];
/** The stream cannot store the message: its description says why. */
const STORE_FAILED = 10077;
const RESOURCES = [10002, 10023, 10028, 10047];
const FULL = /maximum (bytes|messages)|insufficient (storage )?resources|no space|resource limits/i;
const DENIED = ['AuthorizationError', 'PermissionViolationError', 'UserAuthenticationExpiredError'];

interface ApiError extends Error {
  readonly code?: unknown;
}

/** The code of an error that JetStream has answered. */
function apiCode(error: unknown): number | undefined {
  const code = error instanceof Error ? (error as ApiError).code : undefined;
  return typeof code === 'number' ? code : undefined;
}

function hasCode(error: unknown, ...codes: readonly number[]): boolean {
  const code = apiCode(error);
  return code !== undefined && codes.includes(code);
}

/** Whether a stream or a subject has another last message than the writer expected. */
export const isWrongSequence = (error: unknown): boolean => hasCode(error, ...WRONG_LAST_SEQUENCE);
/** Whether the stream does not exist. */
export const isMissingStream = (error: unknown): boolean => hasCode(error, STREAM_NOT_FOUND);
/** Whether a stream with this name exists, with another configuration. */
export const isNameInUse = (error: unknown): boolean => hasCode(error, NAME_IN_USE);
/** Whether the stream has no such message, or the broker no such consumer. */
export const isMissing = (error: unknown): boolean => hasCode(error, NO_MESSAGE, CONSUMER_NOT_FOUND);

/** Translates what the client library throws. Errors of the suite stay as they are. */
export function brokerError(error: unknown): unknown {
  if (error instanceof SuiteError || !(error instanceof Error)) return error;
  if (hasCode(error, ...RESOURCES) || (hasCode(error, STORE_FAILED) && FULL.test(error.message))) {
    return new SuiteError('EVENTS.BROKER_FULL', 'The broker cannot store more events', {
      why: `JetStream answered: ${error.message}. Nothing is lost: events stay in their outbox until the broker accepts them.`,
      next: 'Raise the limit of the stream or of the account, or free space on the disk of the broker',
      cause: error,
    });
  }
  if (hasCode(error, ...NOT_ENABLED))
    return denied('JetStream is not enabled for the account of AZORA_BUS_URL.', error);
  if (DENIED.includes(error.name) || DENIED.includes((error.cause as Error | undefined)?.name ?? '')) {
    return denied('The user of AZORA_BUS_URL may not sign in, or may not use a subject that the bus needs.', error);
  }
  return new SuiteError('EVENTS.BROKER_UNREACHABLE', 'The broker did not answer', {
    why: `The NATS client reports: ${error.name}: ${error.message}.`,
    next: 'Check that the server of AZORA_BUS_URL runs with JetStream',
    cause: error,
  });
}

function denied(why: string, cause: unknown): SuiteError {
  return new SuiteError('EVENTS.BROKER_DENIED', 'The broker does not let the bus in', {
    kind: 'configuration',
    why,
    next: 'Give the account JetStream, and the user the subjects azora.>, azora-state.>, azora-workers.>, $JS.API.> and _INBOX.>',
    cause,
  });
}
