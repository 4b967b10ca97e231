/** @server any */
import { testEffort, useDatabase, useTestClock } from '@azora/db-testkit';
import { type Agent, openAgent } from '../src';
import { expectAllDone } from './worker-crew';

describe('workers in processes of their own', () => {
  const db = useDatabase('agent');
  const clock = useTestClock(db, '2026-03-01T12:00:00Z');
  let agent: Agent;
  beforeAll(() => {
    agent = openAgent({ url: db().url });
  });
  afterAll(() => agent.close());

  it('do every task although some are killed, and none runs twice within a lease', async () => {
    const effort = testEffort();

    await expectAllDone({ db: db(), clock, agent, workers: 3, tasks: 12 * effort, kills: 2 * effort });
  });
});
