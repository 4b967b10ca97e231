import { SuiteError } from '@azora/db-core';

/** An answer other than 200, thrown where it is found out. */
export interface Refusal {
  readonly status: 400 | 401 | 403 | 404 | 405 | 413 | 429;
  readonly error: SuiteError;
}

const refusals = new WeakMap<SuiteError, Refusal['status']>();

/** An error that is answered with this status; of any other the status is 500. */
export function refusal(status: Refusal['status'], error: SuiteError): SuiteError {
  refusals.set(error, status);
  return error;
}

/** An operation knows nothing of statuses. */
const OF_OPERATIONS: Readonly<Record<string, Refusal['status']>> = { 'STUDIO.UNKNOWN_COLUMN': 404 };

export function statusOf(error: SuiteError): number {
  return refusals.get(error) ?? OF_OPERATIONS[error.code] ?? 500;
}

export function forbidden(why: string): SuiteError {
  const error = new SuiteError('STUDIO.FORBIDDEN', 'The request does not come from the page of this studio', {
    why,
    next: 'Open the address that the studio printed',
  });
  return refusal(403, error);
}

export function badRequest(why: string): SuiteError {
  return refusal(400, new SuiteError('STUDIO.BAD_REQUEST', 'The request cannot be understood', { kind: 'usage', why }));
}

export function notFound(): SuiteError {
  return refusal(404, new SuiteError('STUDIO.NOT_FOUND', 'There is nothing at this address', { kind: 'usage' }));
}
