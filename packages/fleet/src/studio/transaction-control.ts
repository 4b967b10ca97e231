import { SuiteError } from '@azora/db-core';

const CONTROL = /^(begin|start|commit|end|rollback|abort|savepoint|release|prepare\s+transaction)\b/i;
/** What the server answers to those, also where the text was written so that it was not recognized. */
const CONTROL_TAG = /^(BEGIN|START TRANSACTION|COMMIT|ROLLBACK|SAVEPOINT|RELEASE|PREPARE TRANSACTION)/;
const LEADING = /^(\s|;|--[^\n]*(\n|$))+/;

/**
 * Refuses a statement that would end the transaction in which each request runs.
 * @throws {SuiteError} `STUDIO.TRANSACTION_CONTROL`
 */
export function refuseTransactionControl(sql: string): void {
  if (CONTROL.test(withoutLead(sql))) throw transactionControl();
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

function withoutLead(sql: string): string {
  for (let rest = sql; ; ) {
    const trimmed = rest.replace(LEADING, '');
    if (!trimmed.startsWith('/*')) return trimmed;
    const end = endOfComment(trimmed);
    if (end === undefined) return '';
    rest = trimmed.slice(end);
  }
}

/** Comments nest in PostgreSQL. */
function endOfComment(text: string): number | undefined {
  let depth = 0;
  for (const { 0: mark, index } of text.matchAll(/\/\*|\*\//g)) {
    depth += mark === '/*' ? 1 : -1;
    if (depth === 0) return index + 2;
  }
  return undefined;
}
