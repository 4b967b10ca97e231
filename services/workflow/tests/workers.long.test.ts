import { openChaosServer, testEffort, useDatabase, useTestClock } from '@azora/db-testkit';
import { getRun, openWorkflow, reconcile, runWorkflows, type StepHandler, type Workflows } from '../src';
import { givenPublished, givenRun } from './given';
import { expectAllExecuted } from './worker-crew';

const WORKERS = 4;
const RUNS = 30;

describe('eight workers in processes of their own', () => {
  const db = useDatabase('workflow');
  const clock = useTestClock(db, '2026-03-01T12:00:00Z');
  let workflows: Workflows;
  beforeAll(() => {
    workflows = openWorkflow({ url: db().url });
  });
  afterAll(() => workflows.close());

  it('execute every run although ten are killed, and record each result once', async () => {
    const effort = testEffort();

    await expectAllExecuted({ db: db(), clock, workflows, workers: 8, runs: 20 * effort, kills: 10 * effort });
  });
});

describe('workers on a server that is killed', () => {
  it('record each result once and lose none, however often the server is killed and started again', async () => {
    const server = await openChaosServer('workflow');
    const open = () => openWorkflow({ url: server.url, slowQueryMs: Number.POSITIVE_INFINITY });
    const workflows = open();
    const workers = Array.from({ length: WORKERS }, open);
    try {
      const workflow = await givenPublished(workflows, 'start>a start>b a>c b>c c>d', () => ({
        retry: { maxAttempts: 100, delayMs: 0 },
      }));
      const runs: string[] = [];
      for (let n = 0; n < RUNS; n += 1) runs.push((await givenRun(workflows, workflow)).id);
      const kills = 3 * testEffort();
      const steps = 4 * RUNS;
      let [executed, killed] = [0, 0];
      let restart: Promise<void> | undefined;
      const handle: StepHandler = ({ inputs }) => {
        executed += 1;
        // Spread over the work. The handler does not wait, so that its result is recorded while the server is killed.
        if (restart === undefined && killed < kills && executed > ((killed + 0.5) * steps) / kills) {
          killed += 1;
          restart = server.killAndRestart().finally(() => {
            restart = undefined;
          });
        }
        return Object.keys(inputs).sort();
      };
      const handlers = Object.fromEntries(Object.values(workflow.types).map((type) => [type, handle]));
      const openRuns = async () => {
        const [row] = await server.admin("SELECT count(*)::int AS open FROM workflow_runs WHERE status = 'running'");
        return Number(row?.['open']);
      };
      // What a claim of a killed server holds is free again after the lease, so idle workers look again.
      for (let open = RUNS; open > 0; open = await openRuns()) {
        const options = { handlers, untilIdle: true, leaseMs: 2_000, pollMs: 50 };
        await Promise.all(workers.map((worker) => runWorkflows(worker, options)));
        await restart;
      }

      expect(killed).toBe(kills);
      for (const runId of runs) {
        const run = await getRun(workflows, { runId, ownerId: workflow.ownerId });
        expect([run.status, ...run.steps.slice(1).map(({ result }) => result)]).toEqual([
          ...['completed', ['start'], ['start'], ['a', 'b'], ['c']],
        ]);
      }
      expect(await reconcile(workflows)).toEqual([]);
    } finally {
      await Promise.all([workflows, ...workers].map((store) => store.close()));
      await server.close();
    }
  });
});
