/** Set on the global object of a test file's environment once a test or hook of it failed. */
const FAILED = '__azoraTestFailed';

/** Called by the environment, which jest tells; hooks and tests are told nothing. */
export function rememberFailure(global: object): void {
  Object.assign(global, { [FAILED]: true });
}

export function hasFailed(): boolean {
  return FAILED in globalThis;
}
