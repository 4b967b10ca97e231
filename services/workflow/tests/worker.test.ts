import { endSessionInside, openFaultProxy, useDatabase } from '@azora/db-testkit';
import {
  cancelRun,
  claimSteps,
  completeStep,
  getRun,
  openWorkflow,
  reconcile,
  runWorkflows,
  type StepHandler,
  type Workflows,
} from '../src';
import { completeAndClaim } from '../src/steps.store';
import { fresh, givenPublished, givenRun, leaseOf, statusesOf } from './given';

const NO_PAUSE = { retry: { maxAttempts: 3, delayMs: 0 } };

/** A promise, and the function that fulfills it. */
function signalOf(): { readonly given: Promise<void>; readonly give: () => void } {
  let give: () => void = () => undefined;
  const given = new Promise<void>((resolve) => {
    give = resolve;
  });
  return { given, give };
}

describe('runWorkflows', () => {
  const db = useDatabase('workflow');
  let workflows: Workflows;
  beforeAll(() => {
    workflows = openWorkflow({ url: db().url });
  });
  afterEach(async () => {
    expect(await reconcile(workflows)).toEqual([]);
  });
  afterAll(() => workflows.close());

  it('executes every step of every run once, after what leads to it, and returns when it is idle', async () => {
    const workflow = await givenPublished(workflows, 'start>a start>b a>c b>c c>d start>e', () => ({
      settings: { k: 1 },
    }));
    const runs = await Promise.all(Array.from({ length: 5 }, (_, n) => givenRun(workflows, workflow, { input: n })));
    const executed: string[] = [];
    const handle: StepHandler = (step) => {
      for (const [node, result] of Object.entries(step.inputs)) {
        expect(result).toBe(node === 'start' ? step.input : `${node} of ${step.runId}`);
      }
      expect(step.settings).toEqual({ k: 1 });
      executed.push(step.idempotencyKey);
      return `${step.nodeId} of ${step.runId}`;
    };
    const handlers = Object.fromEntries(Object.values(workflow.types).map((type) => [type, handle]));

    await runWorkflows(workflows, { handlers, untilIdle: true });

    const keys = runs.flatMap(({ id }) => ['a', 'b', 'c', 'd', 'e'].map((node) => `${id}:${node}`));
    expect(executed.toSorted()).toEqual(keys.toSorted());
    for (const { id: runId } of runs) {
      const { status, steps } = await getRun(workflows, { runId, ownerId: workflow.ownerId });
      expect([status, steps.map(({ attempts }) => attempts)]).toEqual(['completed', [0, 1, 1, 1, 1, 1]]);
    }
  });

  it('never runs more handlers at the same time than it may', async () => {
    const workflow = await givenPublished(workflows, 'start>a start>b start>c a>d a>e a>f');
    await Promise.all(Array.from({ length: 3 }, () => givenRun(workflows, workflow)));
    let [running, most] = [0, 0];
    const handle = async () => {
      running += 1;
      most = Math.max(most, running);
      await new Promise(setImmediate);
      running -= 1;
    };
    const handlers = Object.fromEntries(Object.values(workflow.types).map((type) => [type, handle]));

    await runWorkflows(workflows, { handlers, untilIdle: true, concurrency: 2 });

    expect(most).toBe(2);
  });

  it('tries a step again that fails, and leaves steps of other types alone', async () => {
    const workflow = await givenPublished(workflows, 'start>a start>b', () => NO_PAUSE);
    const { id: runId } = await givenRun(workflows, workflow);
    const attempts: number[] = [];
    const flaky: StepHandler = (step) => {
      attempts.push(step.attempts);
      if (step.attempts < 3) throw new Error('busy');
    };

    await runWorkflows(workflows, { handlers: { [workflow.types['a'] ?? '']: flaky }, untilIdle: true });

    const { status, steps } = await getRun(workflows, { runId, ownerId: workflow.ownerId });
    expect([attempts, status, statusesOf(steps)]).toEqual([
      ...[[1, 2, 3], 'running', { start: 'completed', a: 'completed', b: 'ready' }],
    ]);
  });

  it.each([
    ['an error that asks for no retry', () => Promise.reject(Object.assign(new Error('no'), { retry: false })), 'no'],
    ['a result that is not JSON', () => 1n, 'The input is invalid'],
    ['a result that is too large', () => 'x'.repeat(1_048_577), 'The result of the step is larger than 1 MiB as JSON'],
    // A handler may use a store itself, whose errors are not those of the worker.
    [
      'an error of a database',
      () => Promise.reject(Object.assign(new Error('gone'), { code: 'DATABASE.FAILED', retry: false })),
      'gone',
    ],
    ['an error without a message', () => Promise.reject({ retry: false, message: '' }), '[object Object]'],
    [
      'an error that PostgreSQL cannot store',
      () => Promise.reject(Object.assign(new Error('a\0b'), { retry: false })),
      'ab',
    ],
  ])('fails a run at once by %s', async (_, handle, message) => {
    const workflow = await givenPublished(workflows, 'start>a');
    const { id: runId } = await givenRun(workflows, workflow);

    await runWorkflows(workflows, { handlers: { [workflow.types['a'] ?? '']: handle }, untilIdle: true });

    const run = await getRun(workflows, { runId, ownerId: workflow.ownerId });
    expect(run).toMatchObject({ status: 'failed', error: `Step a failed: ${message}` });
    expect(run.steps[1]).toMatchObject({ attempts: 1, error: message });
  });

  it('ends an attempt that takes longer than its node allows, whatever the handler does', async () => {
    const workflow = await givenPublished(workflows, 'start>a', () => ({ timeoutMs: 20, retry: { maxAttempts: 1 } }));
    const { id: runId } = await givenRun(workflows, workflow);
    const hang: StepHandler = () => new Promise(() => undefined);
    const handlers = { [workflow.types['a'] ?? '']: hang };

    await runWorkflows(workflows, { handlers, untilIdle: true });
    // The database may have ended the attempt before the worker did: then the next claim fails the run.
    await runWorkflows(workflows, { handlers, untilIdle: true });

    const run = await getRun(workflows, { runId, ownerId: workflow.ownerId });
    expect(run).toMatchObject({ status: 'failed', error: expect.stringMatching(/TIMEOUT|lapsed/) });
  });

  it('tells a handler that its run was canceled, and drops what it returns', async () => {
    const workflow = await givenPublished(workflows, 'start>a');
    const { id: runId } = await givenRun(workflows, workflow);
    const { ownerId } = workflow;
    const told = signalOf();
    const handle: StepHandler = async (_step, { signal }) => {
      signal.addEventListener('abort', told.give);
      await cancelRun(workflows, { runId, ownerId });
      await told.given;
      return 'late';
    };

    // A beat of the short lease finds out.
    await runWorkflows(workflows, { handlers: { [workflow.types['a'] ?? '']: handle }, untilIdle: true, leaseMs: 30 });

    const { status, steps } = await getRun(workflows, { runId, ownerId });
    expect([status, steps.map(({ result }) => result)]).toEqual(['cancelled', [{ n: 1 }, null]]);
  });

  it('keeps the lease of a step for as long as its handler runs', async () => {
    const workflow = await givenPublished(workflows, 'start>a');
    const { id: runId } = await givenRun(workflows, workflow);
    const types = Object.values(workflow.types);
    const dueAt = async () => {
      const [row] = await db().admin('SELECT due_at FROM run_steps WHERE run_id = $1 AND node_id = $2', [runId, 'a']);
      return Number(row?.['due_at']);
    };
    const handle: StepHandler = async (step) => {
      while ((await dueAt()) <= step.dueAt.getTime()) await new Promise(setImmediate);
    };

    await runWorkflows(workflows, { handlers: { [types[0] ?? '']: handle }, untilIdle: true, leaseMs: 3_000 });

    expect(await getRun(workflows, { runId, ownerId: workflow.ownerId })).toMatchObject({ status: 'completed' });
  });

  it('ends what it has and claims nothing more when it is aborted', async () => {
    const workflow = await givenPublished(workflows, 'start>a a>b');
    const { id: runId } = await givenRun(workflows, workflow);
    const stop = new AbortController();
    const handle: StepHandler = (step) => {
      stop.abort();
      return step.nodeId;
    };
    const handlers = Object.fromEntries(Object.values(workflow.types).map((type) => [type, handle]));

    await runWorkflows(workflows, { handlers, signal: stop.signal });
    await runWorkflows(workflows, { handlers, signal: stop.signal });

    const { steps } = await getRun(workflows, { runId, ownerId: workflow.ownerId });
    expect(statusesOf(steps)).toEqual({ start: 'completed', a: 'completed', b: 'ready' });
  });

  it('outlives the loss of its connections, and records results that it could not send', async () => {
    const server = new URL(db().url);
    const proxy = await openFaultProxy({
      host: server.searchParams.get('host') ?? server.hostname,
      port: Number(server.port),
    });
    const cut = openWorkflow({ url: proxy.through(db().url) });
    const workflow = await givenPublished(workflows, 'start>a a>b b>c');
    const { id: runId } = await givenRun(workflows, workflow);
    const handle: StepHandler = (step) => {
      proxy.down();
      setImmediate(proxy.up);
      return step.nodeId;
    };
    const handlers = Object.fromEntries(Object.values(workflow.types).map((type) => [type, handle]));

    await runWorkflows(cut, { handlers, untilIdle: true });

    await cut.close();
    await proxy.close();
    const run = await getRun(workflows, { runId, ownerId: workflow.ownerId });
    expect(run).toMatchObject({ status: 'completed' });
    expect(run.steps.map(({ attempts, result }) => [attempts, result])).toEqual([
      ...[
        [0, { n: 1 }],
        [1, 'a'],
        [1, 'b'],
        [1, 'c'],
      ],
    ]);
  });

  it('gets the next steps again when the answer was lost, without another attempt', async () => {
    const workflow = await givenPublished(workflows, 'start>a a>b a>c a>d');
    await givenRun(workflows, workflow);
    const types = Object.values(workflow.types);
    const [step] = await claimSteps(workflows, { types });
    const call = () =>
      completeAndClaim(workflows, { ...leaseOf(step), nextLeaseId: fresh('lease'), types, limit: 2, leaseMs: 60_000 });
    const input = { ...leaseOf(step), result: 1, nextLeaseId: 'next', types, limit: 2, leaseMs: 60_000 };
    const first = await completeAndClaim(workflows, input);

    expect(first.map(({ nodeId, attempts }) => [nodeId, attempts])).toEqual([
      ['b', 1],
      ['c', 1],
    ]);
    expect(await completeAndClaim(workflows, input)).toEqual(first);
    expect((await call()).map(({ nodeId }) => nodeId)).toEqual(['d']);
  });

  it('records nothing when its session ends in the middle of the record', async () => {
    const workflow = await givenPublished(workflows, 'start>a a>b');
    const { id: runId } = await givenRun(workflows, workflow);
    const [step] = await claimSteps(workflows, { types: Object.values(workflow.types) });
    for (const lock of ['LOCK TABLE step_results', 'LOCK TABLE run_steps IN SHARE MODE']) {
      const error = await endSessionInside(db(), lock, () => completeStep(workflows, leaseOf(step)));
      expect(Object(error).code).toBe('DATABASE.CONNECTION_LOST');
      const { steps } = await getRun(workflows, { runId, ownerId: workflow.ownerId });
      expect(statusesOf(steps)).toEqual({ start: 'completed', a: 'running', b: 'waiting' });
      expect(await reconcile(workflows)).toEqual([]);
    }
    await completeStep(workflows, leaseOf(step));
  });

  it.each([
    [{ handlers: { a: 1 } }],
    [{ handlers: {}, concurrency: 0 }],
    [{ handlers: {}, leaseMs: 0 }],
    [{ handlers: {}, pollMs: 0 }],
    [{ handlers: {}, signal: {} }],
  ])('rejects the options %j', async (options) => {
    await expect(runWorkflows(workflows, options as never)).rejects.toMatchObject({ code: 'WORKFLOW.INVALID_INPUT' });
  });
});
