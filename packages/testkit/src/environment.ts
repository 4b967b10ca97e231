import type { Circus } from '@jest/types';
import { TestEnvironment } from 'jest-environment-node';
import { recordFailure } from './failure';

/**
 * jest's Node environment, which also records that a test failed, so that its database is kept, and hides the test server from a
 * file whose first comment says `@server none`.
 */
class RecordingEnvironment extends TestEnvironment {
  constructor(...[config, context]: ConstructorParameters<typeof TestEnvironment>) {
    super(config, context);
    if (context.docblockPragmas['server'] === 'none') delete this.global.process.env['TEST_DATABASE_URL'];
  }

  async handleTestEvent(event: Circus.AsyncEvent): Promise<void> {
    if (event.name === 'test_fn_failure' || event.name === 'hook_failure') recordFailure(this.global);
  }
}

module.exports = RecordingEnvironment;
