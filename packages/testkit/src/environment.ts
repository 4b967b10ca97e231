import type { Circus } from '@jest/types';
import { TestEnvironment } from 'jest-environment-node';
import { recordFailure } from './failure';

/** jest's Node environment, which also records that a test failed, so that its database is kept. */
class RecordingEnvironment extends TestEnvironment {
  async handleTestEvent(event: Circus.AsyncEvent): Promise<void> {
    if (event.name === 'test_fn_failure' || event.name === 'hook_failure') recordFailure(this.global);
  }
}

module.exports = RecordingEnvironment;
