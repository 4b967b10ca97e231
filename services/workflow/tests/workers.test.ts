import { testEffort, useDatabase, useTestClock } from '@azora/db-testkit';
import { openWorkflow, type Workflows } from '../src';
import { expectAllExecuted } from './worker-crew';

describe('workers in processes of their own', () => {
  const db = useDatabase('workflow');
  const clock = useTestClock(db, '2026-03-01T12:00:00Z');
  let workflows: Workflows;
  beforeAll(() => {
    workflows = openWorkflow({ url: db().url });
  });
  afterAll(() => workflows.close());

  it('execute every run although some are killed, and record each result once', async () => {
    const effort = testEffort();

    await expectAllExecuted({ db: db(), clock, workflows, workers: 2, runs: effort, kills: 2 * effort });
  });
});
