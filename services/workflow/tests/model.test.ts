import { endSessionInside, testEffort, useDatabase, useTestClock } from '@azora/db-testkit';
import fc from 'fast-check';
import {
  cancelRun,
  claimSteps,
  completeStep,
  extendStepLease,
  failStep,
  getRun,
  openWorkflow,
  reconcile,
  retryRun,
  type Workflow,
  type Workflows,
} from '../src';
import { givenPublished, givenRun } from './given';

const RUNS = 8 * testEffort();
const LEASE_MS = 60_000;
const DELAY_MS = 10_000;
const MAX_ATTEMPTS = 2;
const MAX_RUNS = 2;
const NEEDS: Readonly<Record<string, readonly string[]>> = { a: [], b: [], c: ['a', 'b'] };
const NODES = Object.keys(NEEDS);

/** The outcomes that must occur in the runs: without them the runs would prove little. */
const MET = [
  ...['start', 'claim', 'extend', 'complete', 'fail', 'cancel', 'retry', 'wait', 'completed run', 'failed run'],
  ...['WORKFLOW.LEASE_LOST', 'WORKFLOW.ILLEGAL_TRANSITION', 'session ended'],
];

type Status = 'waiting' | 'ready' | 'running' | 'completed' | 'failed' | 'cancelled';

interface ModelStep {
  readonly node: string;
  status: Status;
  attempts: number;
  /** When it may be claimed, or when its lease ends. */
  dueAt: number;
  /** Its last lease; empty if it has none. */
  lease: string;
  result: number | null;
}

interface ModelRun {
  readonly id: string;
  status: 'running' | 'completed' | 'failed' | 'cancelled';
  readonly steps: readonly ModelStep[];
}

interface Model {
  now: number;
  readonly runs: ModelRun[];
}

type Step = fc.AsyncCommand<Model, Workflows>;

const OPEN: readonly Status[] = ['waiting', 'ready', 'running'];
const isReady = (run: ModelRun, { node }: ModelStep) =>
  NEEDS[node]?.every((needed) => run.steps.find((it) => it.node === needed)?.status === 'completed');

/** Ends a run in the model without success. */
function end(run: ModelRun, status: 'failed' | 'cancelled'): void {
  run.status = status;
  for (const step of run.steps) if (OPEN.includes(step.status)) Object.assign(step, { status: 'cancelled', lease: '' });
}

/** What every claim does first: a step whose last attempt has lapsed fails its run. */
function endLapsed({ now, runs }: Model): void {
  for (const run of runs) {
    const lapsed = run.steps.filter(
      (step) => step.status === 'running' && step.dueAt <= now && step.attempts >= MAX_ATTEMPTS,
    );
    for (const step of lapsed) step.status = 'failed';
    if (lapsed.length > 0) end(run, 'failed');
  }
}

/** The n-th step that has a lease, counted on from the first one after the last. */
function leasedAt({ runs }: Model, n: number): { readonly run: ModelRun; readonly it: ModelStep } | undefined {
  const all = runs.flatMap((run) => run.steps.map((it) => ({ run, it }))).filter(({ it }) => it.lease !== '');
  return all[n % Math.max(all.length, 1)];
}

/** What the model expects of a call of a worker: it has the step, or repeats the call that ended its lease. */
function leaseCase({ status }: ModelStep, isOld: boolean, repeats: readonly Status[]) {
  const isHeld = !isOld && status === 'running';
  const isRepeat = !isOld && repeats.includes(status);
  return { isHeld, expected: isHeld || isRepeat ? 'done' : 'WORKFLOW.LEASE_LOST' };
}

describe('runs and an in-memory model', () => {
  const db = useDatabase('workflow');
  const START = '2026-03-01T12:00:00Z';
  const clock = useTestClock(db, START);
  const counts: Record<string, number> = {};
  let workflows: Workflows;
  let workflow: Workflow & { readonly types: Readonly<Record<string, string>> };
  beforeAll(async () => {
    workflows = openWorkflow({ url: db().url, slowQueryMs: Number.POSITIVE_INFINITY });
    const retry = { maxAttempts: MAX_ATTEMPTS, delayMs: DELAY_MS };
    workflow = await givenPublished(workflows, 'start>a start>b a>c b>c', () => ({ retry }));
  });
  afterAll(() => workflows.close());

  const met = (name: string) => {
    counts[name] = (counts[name] ?? 0) + 1;
  };
  const outcomeOf = (call: Promise<unknown>) =>
    call.then(
      () => 'done',
      (error) => String(error.code ?? error),
    );

  async function expectAlike({ runs }: Model): Promise<void> {
    for (const run of runs) {
      const found = await getRun(workflows, { runId: run.id, ownerId: workflow.ownerId });
      expect(found.status).toBe(run.status);
      expect(
        found.steps.slice(1).map(({ nodeId, status, attempts, result }) => ({ nodeId, status, attempts, result })),
      ).toEqual(run.steps.map(({ node, status, attempts, result }) => ({ nodeId: node, status, attempts, result })));
    }
  }

  /**
   * A step of a run. In one of ten, the session of the call is ended first when the call has done everything but write the last table:
   * nothing of it stays, so the call is made again as if it were new.
   */
  function step<Input>(
    name: string,
    inputs: fc.Arbitrary<Input>,
    run: (model: Model, input: Input, endFirst: (call: () => Promise<unknown>) => Promise<void>) => Promise<void>,
  ): fc.Arbitrary<Step> {
    return fc.tuple(inputs, fc.nat(9)).map(([input, n]) => ({
      check: () => true,
      run: async (model) => {
        await run(model, input, async (call) => {
          if (n !== 0) return;
          const lock = 'LOCK TABLE run_steps, step_results, workflow_runs, outbox IN SHARE MODE';
          const error = await endSessionInside(db(), lock, call);
          if (Object(error).code === 'DATABASE.CONNECTION_LOST') met('session ended');
        });
        await expectAlike(model);
      },
      toString: () => `${name}(${JSON.stringify(input)})${n === 0 ? ', first session ended' : ''}`,
    }));
  }

  async function start(model: Model): Promise<void> {
    if (model.runs.length === MAX_RUNS) return;
    const { id } = await givenRun(workflows, workflow);
    const steps = NODES.map((node): ModelStep => {
      const status = NEEDS[node]?.length === 0 ? 'ready' : 'waiting';
      return { node, status, attempts: 0, dueAt: model.now, lease: '', result: null };
    });
    model.runs.push({ id, status: 'running', steps });
    met('start');
  }
  const startStep = step('start', fc.constant(0), (model) => start(model));

  const claimStep = step('claim', fc.integer({ min: 1, max: 3 }), async (model, limit, endFirst) => {
    const call = () => claimSteps(workflows, { types: Object.values(workflow.types), limit, leaseMs: LEASE_MS });
    await endFirst(call);
    endLapsed(model);
    const due = model.runs
      .flatMap((run) => run.steps.map((it) => ({ run, it })))
      .filter(({ it }) => (it.status === 'ready' || it.status === 'running') && it.dueAt <= model.now)
      .sort(
        (one, other) =>
          one.it.dueAt - other.it.dueAt ||
          (one.run.id < other.run.id ? -1 : one.run.id > other.run.id ? 1 : one.it.node < other.it.node ? -1 : 1),
      );
    const claimed = await call();
    // A pause has microseconds, which the model does not have: steps that are due in the same millisecond may change places.
    expect(claimed).toHaveLength(Math.min(limit, due.length));
    for (const { runId, nodeId, leaseId } of claimed) {
      const found = due.find(({ run, it }) => run.id === runId && it.node === nodeId);
      if (found === undefined) throw new Error(`${nodeId} was claimed and is not due`);
      Object.assign(found.it, { status: 'running', lease: leaseId, dueAt: model.now + LEASE_MS });
      found.it.attempts += 1;
    }
    met('claim');
  });

  const leased = fc.record({ n: fc.nat(30), isOld: fc.nat(4).map((n) => n === 0) });
  function leaseStep(
    name: 'extend' | 'complete' | 'fail',
    call: (lease: { runId: string; nodeId: string; leaseId: string }) => Promise<{ readonly dueAt: Date }>,
    repeats: readonly Status[],
    change: (model: Model, run: ModelRun, it: ModelStep, dueAt: number) => void,
  ) {
    return step(name, leased, async (model, { n, isOld }, endFirst) => {
      const found = leasedAt(model, n);
      if (found === undefined) return;
      const { run, it } = found;
      const lease = { runId: run.id, nodeId: it.node, leaseId: isOld ? 'old' : it.lease };
      const { isHeld, expected } = leaseCase(it, isOld, repeats);
      await endFirst(() => call(lease));
      let dueAt = 0;
      const made = call(lease).then((row) => {
        dueAt = row.dueAt.getTime();
      });
      expect(await outcomeOf(made)).toBe(expected);
      if (isHeld) change(model, run, it, dueAt);
      met(expected === 'done' ? name : expected);
    });
  }
  const extendStep = leaseStep(
    'extend',
    (lease) => extendStepLease(workflows, { ...lease, leaseMs: LEASE_MS }),
    [],
    (model, _run, it) => {
      it.dueAt = model.now + LEASE_MS;
    },
  );
  const completesStep = leaseStep(
    'complete',
    (lease) => completeStep(workflows, { ...lease, result: 7 }),
    ['completed'],
    (model, run, it) => {
      Object.assign(it, { status: 'completed', result: 7 });
      for (const other of run.steps) {
        if (other.status === 'waiting' && isReady(run, other))
          Object.assign(other, { status: 'ready', dueAt: model.now });
      }
      if (run.steps.some(({ status }) => status !== 'completed')) return;
      run.status = 'completed';
      met('completed run');
    },
  );
  const failsStep = leaseStep(
    'fail',
    (lease) => failStep(workflows, { ...lease, error: 'x' }),
    ['ready', 'failed'],
    (model, run, it, dueAt) => {
      if (it.attempts < MAX_ATTEMPTS) {
        expect(dueAt - model.now).toBeGreaterThanOrEqual(DELAY_MS / 2);
        expect(dueAt - model.now).toBeLessThanOrEqual(DELAY_MS);
        // The model's pause ends a millisecond later, when the microseconds are over too.
        Object.assign(it, { status: 'ready', dueAt: dueAt + 1 });
        return;
      }
      it.status = 'failed';
      end(run, 'failed');
      met('failed run');
    },
  );

  function moveStep(
    name: 'cancel' | 'retry',
    call: (runId: string) => Promise<unknown>,
    change: (model: Model, run: ModelRun) => 'done' | 'refused',
  ) {
    return step(name, fc.nat(30), async (model, n, endFirst) => {
      const run = model.runs[n % Math.max(model.runs.length, 1)];
      if (run === undefined) return;
      await endFirst(() => call(run.id));
      const found = await outcomeOf(call(run.id));
      const expected = change(model, run) === 'done' ? 'done' : 'WORKFLOW.ILLEGAL_TRANSITION';
      expect(found).toBe(expected);
      met(expected === 'done' ? name : expected);
    });
  }
  const cancelStep = moveStep(
    'cancel',
    (runId) => cancelRun(workflows, { runId, ownerId: workflow.ownerId }),
    (_model, run) => {
      if (run.status === 'running') end(run, 'cancelled');
      return run.status === 'cancelled' ? 'done' : 'refused';
    },
  );
  const retryStep = moveStep(
    'retry',
    (runId) => retryRun(workflows, { runId, ownerId: workflow.ownerId }),
    (model, run) => {
      if (run.status === 'completed') return 'refused';
      if (run.status === 'running') return 'done';
      run.status = 'running';
      for (const it of run.steps.filter(({ status }) => status === 'failed' || status === 'cancelled')) {
        Object.assign(it, { status: isReady(run, it) ? 'ready' : 'waiting', attempts: 0, lease: '', dueAt: model.now });
      }
      return 'done';
    },
  );

  // Whole pauses and leases: no step becomes due between two of these times.
  const waitStep: fc.Arbitrary<Step> = fc.constantFrom(DELAY_MS + 2, LEASE_MS - 1, LEASE_MS).map((milliseconds) => ({
    check: () => true,
    run: async (model) => {
      model.now += milliseconds;
      await clock.set(new Date(model.now));
      met('wait');
    },
    toString: () => `wait(${milliseconds})`,
  }));

  it('do the same in every order of calls, though some calls lose their session', async () => {
    const steps = [
      ...[
        startStep,
        claimStep,
        claimStep,
        claimStep,
        claimStep,
        claimStep,
        extendStep,
        cancelStep,
        retryStep,
        retryStep,
      ],
      ...[completesStep, completesStep, completesStep, completesStep, completesStep, completesStep],
      ...[failsStep, failsStep, failsStep, waitStep, waitStep],
    ];

    await fc.assert(
      fc.asyncProperty(fc.commands(steps, { maxCommands: 60, size: 'max' }), async (commands) => {
        // The runs of the last sequence would be claimed too.
        await db().admin('DELETE FROM workflow_runs');
        await clock.set(START);
        await fc.asyncModelRun(async () => {
          const model: Model = { now: Date.parse(START), runs: [] };
          await start(model);
          return { model, real: workflows };
        }, commands);
        expect(await reconcile(workflows)).toEqual([]);
      }),
      // Unbiased, because short runs combine few operations; with a fixed seed, so that everything in MET occurs.
      { numRuns: RUNS, unbiased: true, seed: 20_261_206 },
    );

    expect(MET.filter((name) => counts[name] === undefined)).toEqual([]);
  });
});
