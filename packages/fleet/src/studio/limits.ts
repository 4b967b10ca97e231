/** Rows of an answer; a page shows a hundred at most, and typed SQL says what it means with LIMIT. */
export const MAX_ROWS = 1_000;
/** Of one answer, as it comes from the server: neither this process nor the page holds more. */
export const MAX_RESULT_BYTES = 8 * 1024 * 1024;
/** Of a request; the largest are edits of a few long texts. */
export const MAX_BODY_BYTES = 1024 * 1024;
/** Statements of one saving. */
export const MAX_STATEMENTS = 500;

export interface TimeLimits {
  readonly statementMs: number;
  /** Of a whole request. More than the statement's, which a statement can take off for the rest of itself. */
  readonly requestMs: number;
}

export const TIME_LIMITS: TimeLimits = { statementMs: 15_000, requestMs: 20_000 };

/** Of every transaction, whatever the session was told before. */
export function transactionSettings({ statementMs, requestMs }: TimeLimits): string {
  return `SET LOCAL statement_timeout = ${statementMs}; SET LOCAL lock_timeout = '5s';
    SET LOCAL idle_in_transaction_session_timeout = ${requestMs}`;
}
