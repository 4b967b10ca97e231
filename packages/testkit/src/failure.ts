/** Set on the global object of a test file's environment when one of its tests or hooks has failed. */
const FAILED = '__azoraTestFailed';

/** Called by the environment, because jest reports failures to it and not to hooks. */
export function recordFailure(global: object): void {
  Object.assign(global, { [FAILED]: true });
}

/** Whether a test or hook of the current file has failed. */
export function hasFailed(): boolean {
  return FAILED in globalThis;
}
