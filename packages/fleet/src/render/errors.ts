import type { SuiteError } from '@azora/db-core';

/** An error as one paragraph: what, why, what next, and the code to look up. */
export function errorText(error: SuiteError): string {
  const parts = [sentence(error.message), error.why ?? '', error.next === undefined ? '' : `→ ${error.next}`];
  return `error: ${parts.filter((part) => part !== '').join(' ')} [${error.code}]`;
}

/** An error as data for `--json`. */
export function errorData(error: SuiteError) {
  const { code, message, why = null, next = null, meta } = error;
  return { code, message, why, next, meta };
}

function sentence(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}
