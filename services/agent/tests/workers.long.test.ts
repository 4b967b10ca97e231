import { testEffort, useDatabase, useTestClock } from '@azora/db-testkit';
import { type Agent, openAgent } from '../src';
import { expectAllDone } from './worker-crew';

describe('eight workers in processes of their own', () => {
  const db = useDatabase('agent');
  const clock = useTestClock(db, '2026-03-01T12:00:00Z');
  let agent: Agent;
  beforeAll(() => {
    agent = openAgent({ url: db().url });
  });
  afterAll(() => agent.close());

  it('do every task although ten are killed, and none runs twice within a lease', async () => {
    const effort = testEffort();

    await expectAllDone({ db: db(), clock, agent, workers: 8, tasks: 150 * effort, kills: 10 * effort });
  });
});
