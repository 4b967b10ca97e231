import { SuiteError } from '@azora/db-core';

/**
 * Stops what would lose data unless `--yes` was given.
 * @throws {SuiteError} `USAGE.NEEDS_YES`
 */
export function requireYes(flags: { readonly yes?: boolean }, action: string): void {
  if (flags.yes === true) return;
  throw new SuiteError('USAGE.NEEDS_YES', `This would ${action}`, {
    kind: 'usage',
    why: 'Rows would be lost.',
    next: 'Add --yes if that is what you want',
  });
}
