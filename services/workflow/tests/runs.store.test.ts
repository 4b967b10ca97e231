import { useDatabase, useTestClock } from '@azora/db-testkit';
import {
  archiveWorkflow,
  cancelRun,
  claimSteps,
  completeStep,
  deleteWorkflow,
  extendStepLease,
  failStep,
  getRun,
  listRuns,
  openWorkflow,
  publishWorkflow,
  reconcile,
  retryRun,
  saveWorkflow,
  startRun,
  type Workflow,
  type Workflows,
} from '../src';
import { eventsOf, fresh, givenPublished, givenRun, givenWorkflow, leaseOf, statusesOf } from './given';

const START = '2026-03-01T12:00:00Z';
const LEASE_MS = 60_000;

describe('runs', () => {
  const db = useDatabase('workflow');
  const clock = useTestClock(db, START);
  let workflows: Workflows;
  beforeAll(() => {
    workflows = openWorkflow({ url: db().url });
  });
  afterEach(async () => {
    expect(await reconcile(workflows)).toEqual([]);
  });
  afterAll(() => workflows.close());

  const ofRun = ({ ownerId }: Pick<Workflow, 'ownerId'>, runId: string) => getRun(workflows, { runId, ownerId });
  const claim = (types: readonly string[], limit = 10) => claimSteps(workflows, { types, limit, leaseMs: LEASE_MS });

  it('execute the newest published version: each node after the ones that lead to it, with their results', async () => {
    const workflow = await givenPublished(workflows, 'start>a start>b a>c b>c');
    const { a = '', b = '', c = '' } = workflow.types;
    const run = await givenRun(workflows, workflow, { input: { student: 7 } });
    expect(run).toMatchObject({ status: 'running', number: 1, startedBy: workflow.ownerId, input: { student: 7 } });
    expect(statusesOf((await ofRun(workflow, run.id)).steps)).toEqual({
      ...{ start: 'completed', a: 'ready', b: 'ready', c: 'waiting' },
    });

    const first = await claim([a, b, c]);
    expect(first.map(({ nodeId, attempts, inputs }) => ({ nodeId, attempts, inputs }))).toEqual(
      ['a', 'b'].map((nodeId) => ({ nodeId, attempts: 1, inputs: { start: { student: 7 } } })),
    );
    expect(first[0]?.idempotencyKey).toBe(`${run.id}:a`);
    await completeStep(workflows, { ...leaseOf(first[0]), result: [1] });
    expect(await claim([a, b, c])).toEqual([]);
    await completeStep(workflows, leaseOf(first[1]));
    const [last] = await claim([a, b, c]);
    expect(last).toMatchObject({
      nodeId: 'c',
      inputs: { a: [1], b: null },
      dueAt: new Date(clock.now().getTime() + LEASE_MS),
    });
    await completeStep(workflows, { ...leaseOf(last), result: 'done' });

    const ended = await ofRun(workflow, run.id);
    expect(ended).toMatchObject({ status: 'completed', finishedAt: new Date(START), error: null });
    expect(ended.steps.map(({ nodeId, result }) => [nodeId, result])).toEqual([
      ...[
        ['start', { student: 7 }],
        ['a', [1]],
        ['b', null],
        ['c', 'done'],
      ],
    ]);
    expect(await eventsOf(db(), run.id)).toEqual(['run-started', 'run-ended']);
  });

  it('start once per key, only of published versions, and not of archived or deleted workflows', async () => {
    const workflow = await givenPublished(workflows, 'start>a');
    const { id: workflowId, ownerId, version } = workflow;
    const input = { workflowId, ownerId, idempotencyKey: fresh('key') };
    const [one, other] = await Promise.all([startRun(workflows, input), startRun(workflows, input)]);
    expect(other.id).toBe(one.id);
    await expect(startRun(workflows, { ...input, input: 1 })).rejects.toMatchObject({ code: 'WORKFLOW.KEY_REUSED' });
    await expect(givenRun(workflows, workflow, { number: 2 })).rejects.toMatchObject({
      code: 'WORKFLOW.NOT_PUBLISHED',
    });
    await expect(givenRun(workflows, workflow, { ownerId: 'eve' })).rejects.toMatchObject({
      code: 'WORKFLOW.WORKFLOW_NOT_FOUND',
    });
    await expect(givenRun(workflows, await givenWorkflow(workflows))).rejects.toMatchObject({
      code: 'WORKFLOW.NOT_PUBLISHED',
    });
    // A later save does not change the version that a run executes.
    const saved = await saveWorkflow(workflows, {
      workflowId,
      ownerId,
      version,
      connections: [],
      nodes: [{ id: 'x', type: 'trigger' }],
    });
    expect(statusesOf((await ofRun(workflow, (await givenRun(workflows, workflow)).id)).steps)).toMatchObject({
      a: 'ready',
    });
    await publishWorkflow(workflows, { workflowId, ownerId, version: saved.version });
    const trivial = await givenRun(workflows, workflow);
    expect(trivial).toMatchObject({ number: 2, status: 'completed' });
    expect(await givenRun(workflows, workflow, { number: 1 })).toMatchObject({ number: 1, status: 'running' });

    await deleteWorkflow(workflows, { workflowId, ownerId });
    await expect(givenRun(workflows, workflow)).rejects.toMatchObject({ code: 'WORKFLOW.WORKFLOW_NOT_FOUND' });
    const archived = await givenPublished(workflows, 'start>a');
    await archiveWorkflow(workflows, { workflowId: archived.id, ownerId: archived.ownerId });
    await expect(givenRun(workflows, archived)).rejects.toMatchObject({ code: 'WORKFLOW.WORKFLOW_ARCHIVED' });
  });

  it('give a step to another worker when the lease has lapsed, and record only the result of the last one', async () => {
    const workflow = await givenPublished(workflows, 'start>a');
    const types = Object.values(workflow.types);
    const { id: runId } = await givenRun(workflows, workflow);
    const [first] = await claim(types);
    expect(await claim(types)).toEqual([]);
    await extendStepLease(workflows, { ...leaseOf(first), leaseMs: 2 * LEASE_MS });
    await clock.move(2 * LEASE_MS - 1);
    expect(await claim(types)).toEqual([]);
    await clock.move(1);
    const [second] = await claim(types);
    expect(second).toMatchObject({ nodeId: 'a', attempts: 2 });

    for (const call of [completeStep, extendStepLease]) {
      await expect(call(workflows, leaseOf(first))).rejects.toMatchObject({
        ...{ code: 'WORKFLOW.LEASE_LOST', meta: { runId, nodeId: 'a', status: 'running' } },
      });
    }
    await expect(failStep(workflows, { ...leaseOf(first), error: 'x' })).rejects.toMatchObject({
      code: 'WORKFLOW.LEASE_LOST',
    });
    const done = await completeStep(workflows, { ...leaseOf(second), result: 2 });
    expect(await completeStep(workflows, { ...leaseOf(second), result: 3 })).toEqual(done);
    expect((await ofRun(workflow, runId)).steps[1]).toMatchObject({ status: 'completed', result: 2 });
  });

  it('try a failed step again after a pause, and fail with their last attempt', async () => {
    const retry = { maxAttempts: 3, delayMs: 10_000 };
    const workflow = await givenPublished(workflows, 'start>a start>b', () => ({ retry }));
    const { a = '' } = workflow.types;
    const { id: runId } = await givenRun(workflows, workflow);
    for (const [attempt, pause] of [10_000, 20_000].entries()) {
      const [step] = await claim([a]);
      const failed = await failStep(workflows, { ...leaseOf(step), error: `fault ${attempt}` });
      expect(failed).toMatchObject({ status: 'ready', attempts: attempt + 1, error: `fault ${attempt}` });
      expect(await failStep(workflows, { ...leaseOf(step), error: 'again' })).toEqual(failed);
      const delay = failed.dueAt.getTime() - clock.now().getTime();
      expect(delay).toBeGreaterThanOrEqual(pause / 2);
      expect(delay).toBeLessThanOrEqual(pause);
      await clock.move(delay - 1);
      expect(await claim([a])).toEqual([]);
      // A Date has no microseconds.
      await clock.move(2);
    }
    const [last] = await claim([a]);
    expect(await failStep(workflows, { ...leaseOf(last), error: 'for good' })).toMatchObject({ status: 'failed' });

    const failed = await ofRun(workflow, runId);
    expect(failed).toMatchObject({ status: 'failed', error: 'Step a failed: for good' });
    expect(statusesOf(failed.steps)).toEqual({ start: 'completed', a: 'failed', b: 'cancelled' });
    await expect(cancelRun(workflows, { runId, ownerId: workflow.ownerId })).rejects.toMatchObject({
      code: 'WORKFLOW.ILLEGAL_TRANSITION',
    });
    const again = await retryRun(workflows, { runId, ownerId: workflow.ownerId });
    expect(again).toMatchObject({ status: 'running', error: null, finishedAt: null });
    expect(statusesOf((await ofRun(workflow, runId)).steps)).toEqual({ start: 'completed', a: 'ready', b: 'ready' });
    expect(await eventsOf(db(), runId)).toEqual(['run-started', 'run-ended', 'run-retried']);
  });

  it('fail at once when no retry is wanted, and when the last attempt has lapsed', async () => {
    const workflow = await givenPublished(workflows, 'start>a start>b a>c', () => ({ retry: { maxAttempts: 1 } }));
    const types = Object.values(workflow.types);
    const { id: refused } = await givenRun(workflows, workflow);
    const [step] = await claim(types, 1);
    await failStep(workflows, { ...leaseOf(step), error: 'no', retry: false });
    expect(await ofRun(workflow, refused)).toMatchObject({ status: 'failed' });

    const { id: lapsed } = await givenRun(workflows, workflow);
    expect(await claim(types)).toHaveLength(2);
    await clock.move(LEASE_MS);
    expect(await claim(types)).toEqual([]);
    const run = await ofRun(workflow, lapsed);
    expect(run).toMatchObject({ status: 'failed', error: 'Step a failed: its last attempt has lapsed' });
    expect(statusesOf(run.steps)).toEqual({ start: 'completed', a: 'failed', b: 'failed', c: 'cancelled' });
  });

  it('end an attempt and a run whose time is over, and refuse what comes later', async () => {
    const workflow = await givenPublished(workflows, 'start>a', () => ({ timeoutMs: 1_000 }));
    const types = Object.values(workflow.types);
    const { id: workflowId, ownerId, version } = workflow;
    const { id: runId } = await givenRun(workflows, workflow);
    const [slow] = await claim(types);
    expect(slow?.dueAt).toEqual(new Date(clock.now().getTime() + 1_000));
    // A lease does not reach beyond the time of the attempt.
    expect((await extendStepLease(workflows, leaseOf(slow))).dueAt).toEqual(slow?.dueAt);
    await clock.move(1_000);
    await expect(completeStep(workflows, leaseOf(slow))).rejects.toMatchObject({ meta: { status: 'timed out' } });
    expect(await failStep(workflows, { ...leaseOf(slow), error: 'TIMEOUT' })).toMatchObject({
      status: 'ready',
      attempts: 1,
    });
    await cancelRun(workflows, { runId, ownerId });

    await saveWorkflow(workflows, { workflowId, ownerId, version, settings: { timeoutMs: 500 } });
    await publishWorkflow(workflows, { workflowId, ownerId, version: version + 1 });
    const overdue = await givenRun(workflows, workflow);
    const [late] = await claim(types);
    await clock.move(500);
    await expect(completeStep(workflows, leaseOf(late))).rejects.toMatchObject({ code: 'WORKFLOW.LEASE_LOST' });
    expect(await claim(types)).toEqual([]);
    expect(await ofRun(workflow, overdue.id)).toMatchObject({
      status: 'failed',
      error: expect.stringContaining('TIMEOUT'),
    });
  });

  it('are canceled with their open steps, whose workers lose the lease', async () => {
    const workflow = await givenPublished(workflows, 'start>a a>b');
    const { ownerId } = workflow;
    const { id: runId } = await givenRun(workflows, workflow);
    const [step] = await claim(Object.values(workflow.types));
    await expect(cancelRun(workflows, { runId, ownerId: 'eve' })).rejects.toMatchObject({
      code: 'WORKFLOW.RUN_NOT_FOUND',
    });
    const cancelled = await cancelRun(workflows, { runId, ownerId });

    expect(await cancelRun(workflows, { runId, ownerId })).toEqual(cancelled);
    await expect(completeStep(workflows, leaseOf(step))).rejects.toMatchObject({ meta: { status: 'cancelled' } });
    expect(statusesOf((await ofRun(workflow, runId)).steps)).toEqual({
      start: 'completed',
      a: 'cancelled',
      b: 'cancelled',
    });
    await retryRun(workflows, { runId, ownerId });
    expect(statusesOf((await ofRun(workflow, runId)).steps)).toEqual({ start: 'completed', a: 'ready', b: 'waiting' });
    expect(await retryRun(workflows, { runId, ownerId })).toMatchObject({ status: 'running' });
  });

  it('are listed for their owner, newest first, page by page', async () => {
    const workflow = await givenPublished(workflows, 'start>a');
    const { ownerId, id: workflowId } = workflow;
    const ids: string[] = [];
    for (let n = 0; n < 5; n += 1) {
      ids.unshift((await givenRun(workflows, workflow)).id);
      await clock.move(1);
    }
    await cancelRun(workflows, { runId: ids[2] ?? '', ownerId });
    const one = await listRuns(workflows, { ownerId, limit: 3 });
    const two = await listRuns(workflows, { ownerId, limit: 3, cursor: one.nextCursor ?? '' });

    expect([...one.items, ...two.items].map(({ id }) => id)).toEqual(ids);
    expect(two.nextCursor).toBeNull();
    const filtered = await listRuns(workflows, { ownerId, workflowId, status: 'cancelled' });
    expect(filtered.items.map(({ id }) => id)).toEqual([ids[2]]);
    expect((await listRuns(workflows, { ownerId: 'eve' })).items).toEqual([]);
  });

  it('keep no result that PostgreSQL cannot store, or of more than 1 MiB', async () => {
    const workflow = await givenPublished(workflows, 'start>a');
    await givenRun(workflows, workflow);
    const lease = leaseOf((await claim(Object.values(workflow.types)))[0]);
    const circle: Record<string, unknown> = {};
    circle['circle'] = circle;
    for (const result of ['\0', ['\ud800'], 1n, circle]) {
      await expect(completeStep(workflows, { ...lease, result })).rejects.toMatchObject({
        code: 'WORKFLOW.INVALID_INPUT',
      });
    }
    await expect(completeStep(workflows, { ...lease, result: 'x'.repeat(1_048_576) })).rejects.toMatchObject({
      code: 'WORKFLOW.RESULT_TOO_LARGE',
    });
    await completeStep(workflows, { ...lease, result: 'x'.repeat(1_048_574) });
  });
});
