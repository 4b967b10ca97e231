/** @server none */
import { SuiteError } from '@azora/db-core';
import { errorData, errorText, failuresText } from '../src/render/fleet';

const missing = new SuiteError('SERVER.NO_DATABASE', 'The database does not exist', { next: 'Run "npm run db:setup"' });
const lost = new SuiteError('SERVER.UNREACHABLE', 'No server answers');

describe('an error', () => {
  it('ends with the place of its documentation', () => {
    expect(errorText(missing).split('\n')).toEqual([
      'error: The database does not exist. → Run "npm run db:setup" [SERVER.NO_DATABASE]',
      'See docs/errors.md#SERVER.NO_DATABASE',
    ]);
  });

  it('names the place of its documentation in JSON', () => {
    expect(errorData(missing)).toMatchObject({ docs: 'docs/errors.md#SERVER.NO_DATABASE' });
  });
});

describe('the failures of a run', () => {
  it('end with the documentation of each code, once', () => {
    const failures = [
      { service: 'auth', state: 'failed', error: missing },
      { service: 'mint', state: 'failed', error: lost },
      { service: 'rag', state: 'failed', error: new SuiteError('SERVER.NO_DATABASE', 'rag has no database') },
    ] as const;

    expect(failuresText(failures).split('\n').slice(3)).toEqual([
      'See docs/errors.md#SERVER.NO_DATABASE',
      'See docs/errors.md#SERVER.UNREACHABLE',
    ]);
  });
});
