import { SuiteError } from '@azora/db-core';
import { splitStatements } from '@azora/db-migrate';

const CONTROL = new Set(['begin', 'start', 'commit', 'end', 'rollback', 'abort', 'savepoint', 'release']);
/** What the server answers to those, also where the text was written so that it was not recognized. */
const CONTROL_TAG = /^(BEGIN|START TRANSACTION|COMMIT|ROLLBACK|SAVEPOINT|RELEASE|PREPARE TRANSACTION)/;

/**
 * Refuses a statement that would end the transaction in which each request runs.
 * @throws {SuiteError} `STUDIO.TRANSACTION_CONTROL`
 */
export function refuseTransactionControl(sql: string): void {
  const [first = '', second] = splitStatements(sql)[0]?.words ?? [];
  if (CONTROL.has(first) || (first === 'prepare' && second === 'transaction')) throw transactionControl();
}

/** Whether a statement ended, or changed, the transaction in which it ran. */
export function hasLeft(tag: string, status: string | null): boolean {
  return status !== 'T' || CONTROL_TAG.test(tag);
}

export function transactionControl(): SuiteError {
  return new SuiteError('STUDIO.TRANSACTION_CONTROL', 'Transactions cannot be controlled here', {
    why: 'Each statement runs in a transaction of its own, which the studio begins and ends.',
    next: 'Leave the statement out, or use psql',
  });
}
