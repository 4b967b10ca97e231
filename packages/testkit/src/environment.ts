import type { Circus } from '@jest/types';
import { TestEnvironment } from 'jest-environment-node';
import { rememberFailure } from './failure';

/** Node's own environment, which also remembers that a test failed, so that its database is kept. */
class RememberingEnvironment extends TestEnvironment {
  async handleTestEvent(event: Circus.AsyncEvent): Promise<void> {
    if (event.name === 'test_fn_failure' || event.name === 'hook_failure') rememberFailure(this.global);
  }
}

module.exports = RememberingEnvironment;
