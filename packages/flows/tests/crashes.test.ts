/** @server any */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { SuiteError } from '@azora/db-core';
import { endSessionInside, repositoryRoot, useTestClock } from '@azora/db-testkit';
import { dropEnrollment } from '@azora/education';
import { approveWork, submitWork } from '@azora/forge';
import {
  ESCROW_FUNDING,
  ESCROW_SETTLEMENT,
  escrowConsumer,
  flowSagas,
  PAID_ENROLLMENT,
  REFUND,
  refundConsumer,
  startPaidEnrollment,
} from '../src';
import { type CrashJob, pointsOf, type Scenario } from './crash-scenarios';
import { fresh, fund, givenContract, givenCourse, givenStudent, useFlows } from './flows-given';
import { withPoints } from './saga-points';

const LEASE_MS = 30_000;
const RUN_TYPESCRIPT = path.join(repositoryRoot(), 'packages/events/tests/run-typescript.js');

/** The points of each saga that succeeds, and of each one that is refused at its last step that can be refused. */
const ENROLLED = pointsOf(['reserve', 'hold', 'enroll', 'pay', 'record']);
const NOT_ENROLLED = pointsOf(['undo-enroll', 'undo-hold', 'undo-reserve']);
const FUNDED = pointsOf(['request', 'hold', 'confirm']);
const NOT_FUNDED = pointsOf(['undo-hold', 'undo-request']);
const SETTLED = pointsOf(['move', 'confirm']);
const REFUNDED = pointsOf(['pay-back']);

describe('flows', () => {
  const { db, stores, work, deliver, ended, differences } = useFlows();
  const clock = useTestClock(() => db('nexus'), '2026-03-01T00:00:00Z');

  const only = (name: string) => flowSagas(stores()).filter((saga) => saga.name === name);

  /** An enrollment that is asked for; it has not begun. */
  async function givenOrder(courseId: string): Promise<string> {
    const key = fresh('order');
    const { studentId } = await givenStudent(stores());
    await startPaidEnrollment(stores(), { studentId, courseId, idempotencyKey: key });
    return key;
  }

  /** Enrollments that are dropped; their refunds are due, and have not begun. */
  async function givenDropped(courseId: string, count: number): Promise<readonly string[]> {
    const orders = await Promise.all(Array.from({ length: count }, () => givenOrder(courseId)));
    const worker = work(only(PAID_ENROLLMENT));
    const dropped: string[] = [];
    for (const order of orders) {
      const { results } = await ended(PAID_ENROLLMENT, order);
      const { enrollmentId } = results['enroll'] as { readonly enrollmentId: string };
      await dropEnrollment(stores().education, { enrollmentId });
      dropped.push(enrollmentId);
    }
    await worker.stop();
    await deliver('education', refundConsumer(stores()));
    return dropped;
  }

  /** Escrows whose payout is decided; their settlements have not begun. */
  async function givenSettling(count: number): Promise<readonly string[]> {
    const { forge } = stores();
    const given = await givenContract(stores(), Array(count).fill('10'));
    const escrows: string[] = [];
    for (let milestone = 0; milestone < count; milestone += 1) {
      escrows.push((await fund(stores(), given, { milestone })).id);
    }
    await deliver('forge', escrowConsumer(stores()));
    const worker = work(only(ESCROW_FUNDING));
    for (const escrowId of escrows) await ended(ESCROW_FUNDING, escrowId);
    await worker.stop();
    for (const milestoneId of given.milestoneIds) {
      const work = { milestoneId, by: given.freelancer.userId, note: 'Done' };
      await submitWork(forge, { ...work, idempotencyKey: fresh('submit') });
      await approveWork(forge, { milestoneId, by: given.employer.userId });
    }
    await deliver('forge', escrowConsumer(stores()));
    return escrows;
  }

  /** Escrows that are requested; their fundings have not begun. */
  async function givenRequested(count: number): Promise<readonly string[]> {
    const given = await givenContract(stores(), Array(count).fill('10'));
    const escrows: string[] = [];
    for (let milestone = 0; milestone < count; milestone += 1) {
      escrows.push((await fund(stores(), given, { milestone })).id);
    }
    await deliver('forge', escrowConsumer(stores()));
    return escrows;
  }

  /** A saga of each flow for each of its points. */
  async function givenScenarios(): Promise<readonly Scenario[]> {
    const { courseId } = await givenCourse(stores());
    const refunds = await givenDropped(courseId, REFUNDED.length);
    const settlements = await givenSettling(SETTLED.length);
    const fundings = await givenRequested(FUNDED.length + NOT_FUNDED.length);
    const orderAt = async (point: string) => ({ name: PAID_ENROLLMENT, key: await givenOrder(courseId), point });
    const enrolled = await Promise.all(ENROLLED.map(orderAt));
    const notEnrolled = await Promise.all(NOT_ENROLLED.map(orderAt));
    const [funded, notFunded] = [fundings.slice(0, FUNDED.length), fundings.slice(FUNDED.length)];
    return [
      ...enrolled,
      ...notEnrolled.map((scenario) => ({ ...scenario, refusedAt: 'pay' })),
      ...funded.map((key, n) => ({ name: ESCROW_FUNDING, key, point: FUNDED[n] ?? '' })),
      ...notFunded.map((key, n) => ({ name: ESCROW_FUNDING, key, point: NOT_FUNDED[n] ?? '', refusedAt: 'confirm' })),
      ...settlements.map((key, n) => ({ name: ESCROW_SETTLEMENT, key, point: SETTLED[n] ?? '' })),
      ...refunds.map((key, n) => ({ name: REFUND, key, point: REFUNDED[n] ?? '' })),
    ];
  }

  /** The end of each saga that is right for it. */
  const expectedOf = ({ name, point, refusedAt }: Scenario) =>
    `${name} ${point}: ${refusedAt === undefined ? 'done' : 'compensated'}`;

  async function endsOf(scenarios: readonly Scenario[]): Promise<readonly string[]> {
    const sagas = scenarios.map(async ({ name, key, point }) => `${name} ${point}: ${(await ended(name, key)).state}`);
    return Promise.all(sagas);
  }

  /** Moves the clock to the next attempt, whenever a saga waits for one, until the work is done. */
  async function skippingPauses<Result>(work: Promise<Result>): Promise<Result> {
    const NEXT = 'SELECT min(next_at) AS at FROM sagas WHERE finished_at IS NULL AND owner IS NULL';
    const over = new AbortController();
    const ended = work.finally(() => over.abort());
    while (!over.signal.aborted) {
      const [row] = await db('nexus').app(NEXT);
      const at = row?.['at'] as Date | null | undefined;
      // The time in the row has microseconds, and a Date has none.
      if (at && at >= clock.now()) await clock.set(new Date(at.getTime() + 1));
      await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 20))]);
    }
    return ended;
  }

  /** Starts the worker that stops at each point, and kills it there. Returns the sagas that have reached theirs. */
  async function killAtPoints(job: CrashJob): Promise<ReadonlySet<string>> {
    const program = [RUN_TYPESCRIPT, path.join(__dirname, 'crash-process.ts'), JSON.stringify(job)];
    const doomed = spawn(process.execPath, program, { stdio: ['ignore', 'pipe', 'inherit'] });
    const killed = once(doomed, 'close');
    try {
      const reached = new Set<string>();
      for await (const line of createInterface(doomed.stdout)) {
        reached.add(line);
        if (reached.size === job.scenarios.length) break;
      }
      return reached;
    } finally {
      doomed.kill('SIGKILL');
      await killed;
    }
  }

  it('end as a whole after a kill at any point, though each later answer is lost once, and the money agrees', async () => {
    const scenarios = await givenScenarios();
    const [education, forge, mint, nexus] = (['education', 'forge', 'mint', 'nexus'] as const).map((it) => db(it).url);
    const urls = { education, forge, mint, nexus } as CrashJob['urls'];
    const lost = new Set<string>();
    const lose = (at: string) => {
      if (lost.has(at)) return;
      lost.add(at);
      throw new Error('The answer is lost');
    };

    const reached = await skippingPauses(killAtPoints({ urls, scenarios, leaseMs: LEASE_MS }));
    await clock.move(LEASE_MS);
    const after = (name: string) => (key: string, action: string) => lose(`${name} ${key} ${action}`);
    work(flowSagas(stores()).map((saga) => withPoints(saga, { after: after(saga.name) })));

    expect([...reached].toSorted()).toEqual(scenarios.map(({ name, key }) => `${name} ${key}`).toSorted());
    expect(await skippingPauses(endsOf(scenarios))).toEqual(scenarios.map(expectedOf));
    expect(lost.size).toBeGreaterThan(scenarios.length);
    expect(await differences()).toEqual([]);
  });

  /** The database that each action writes. */
  const WRITES = {
    education: ['reserve', 'enroll', 'record', 'undo-enroll', 'undo-reserve'],
    forge: ['confirm', 'undo-request'],
    mint: ['hold', 'pay', 'move', 'pay-back', 'undo-hold'],
  } as const;

  /** Works on the sagas one after the other. The first session of each action is ended when it has done everything but publish. */
  function workWithEndedSessions(refused: readonly string[]): { readonly ended: Set<string> } {
    const ended = new Set<string>();
    const during = async (action: string, effect: () => Promise<unknown>) => {
      const service = (['education', 'forge', 'mint'] as const).find((it) =>
        WRITES[it].some((name) => name === action),
      );
      if (service === undefined || ended.has(action)) return effect();
      ended.add(action);
      throw await endSessionInside(db(service), 'LOCK TABLE outbox', effect);
    };
    const before = (_key: string, action: string) => {
      if (refused.includes(action)) throw new SuiteError('TEST.REFUSED', 'The test refuses this step');
    };
    work(flowSagas(stores()).map((saga) => withPoints(saga, { before, during })));
    return { ended };
  }

  it('end as a whole though the session of each step is ended once inside its transaction', async () => {
    const { courseId } = await givenCourse(stores());
    const [dropped = ''] = await givenDropped(courseId, 1);
    const [settling = ''] = await givenSettling(1);
    const [requested = ''] = await givenRequested(1);
    const order = await givenOrder(courseId);
    const { ended: sessions } = workWithEndedSessions([]);

    const states = [];
    for (const [name, key] of [
      [PAID_ENROLLMENT, order],
      [REFUND, dropped],
      [ESCROW_FUNDING, requested],
      [ESCROW_SETTLEMENT, settling],
    ] as const) {
      states.push((await skippingPauses(ended(name, key))).state);
    }

    expect(states).toEqual(Array(4).fill('done'));
    expect([...sessions].toSorted()).toEqual([
      'confirm',
      'enroll',
      'hold',
      'move',
      'pay',
      'pay-back',
      'record',
      'reserve',
    ]);
    expect(await differences()).toEqual([]);
  });

  it('are undone as a whole though the session of each compensation is ended once inside its transaction', async () => {
    const { courseId } = await givenCourse(stores());
    const [requested = ''] = await givenRequested(1);
    const order = await givenOrder(courseId);
    const { ended: sessions } = workWithEndedSessions(['pay', 'confirm']);

    const enrollment = await skippingPauses(ended(PAID_ENROLLMENT, order));
    const funding = await skippingPauses(ended(ESCROW_FUNDING, requested));

    expect([enrollment.state, funding.state]).toEqual(['compensated', 'compensated']);
    expect([...sessions].filter((action) => action.startsWith('undo-')).toSorted()).toEqual([
      'undo-enroll',
      'undo-hold',
      'undo-request',
      'undo-reserve',
    ]);
    expect(await differences()).toEqual([]);
  });
});
