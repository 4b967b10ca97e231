/** @server any */
import { gate, until } from './bus-fixture';
import { FakeService, isOver, LONG_MS, startWorker, tripSaga, useSagas } from './saga-fixture';

const sagas = useSagas();

describe('a worker', () => {
  it('whose lease ends while a step runs loses the saga to another one, and changes nothing any more', async () => {
    const [reached, passed] = [gate(), gate()];
    const service = new FakeService();
    const saga = tripSaga({
      name: 'lapsed',
      service,
      before: async (action, attempt) => {
        if (action !== 'hotel' || attempt > 1) return;
        reached.open();
        await passed.passed;
      },
    });
    await sagas.start(saga, 'one');
    const first = sagas.work([saga], { leaseMs: 30_000, concurrency: 1 });
    await reached.passed;
    const { owner } = await sagas.stateOf(saga, 'one');
    sagas.work([saga]);
    await sagas.clock.move(29_999);
    expect(await sagas.stateOf(saga, 'one')).toMatchObject({ owner, attempts: 1 });
    await sagas.clock.move(1);
    const done = await sagas.reached(saga, 'one', isOver);

    passed.open();
    await first.stop();

    expect(await sagas.stateOf(saga, 'one')).toEqual(done);
    expect(service.calls).toEqual(['do one:flight', 'do one:hotel', 'do one:car', 'do one:hotel']);
    expect(service.effects.size).toBe(3);
  });

  it('that is stopped finishes the running step, records it and gives the saga back', async () => {
    const [reached, passed] = [gate(), gate()];
    const service = new FakeService();
    const before = async (action: string) => {
      if (action !== 'hotel') return;
      reached.open();
      await passed.passed;
    };
    const saga = tripSaga({ name: 'stopped', service, before });
    await sagas.start(saga, 'one');
    // While the step runs, there is no place for another claim.
    const stopped = sagas.work([saga], { concurrency: 1 });
    await reached.passed;
    const end = stopped.stop();
    passed.open();
    await end;
    expect(await sagas.stateOf(saga, 'one')).toMatchObject({ state: 'running', step: 2, owner: null, attempts: 0 });

    sagas.work([saga]);

    expect(await sagas.reached(saga, 'one', isOver)).toMatchObject({ state: 'done' });
    expect(service.calls).toEqual(['do one:flight', 'do one:hotel', 'do one:car']);
  });

  it('gives a step up that waits forever when its lease ends, and can be stopped', async () => {
    const forever = new Promise(() => undefined);
    const saga = tripSaga({
      name: 'hanging',
      before: (action, attempt) => (action === 'hotel' && attempt === 1 ? forever : undefined),
    });
    await sagas.start(saga, 'one');
    const worker = sagas.work([saga], { concurrency: 1, leaseMs: 100 });
    await until(() => worker.warnings.length === 1);
    expect(worker.warnings).toEqual(['A step has not ended within its lease; it is run again: step 2']);
    await sagas.clock.move(100);

    expect(await sagas.reached(saga, 'one', isOver)).toMatchObject({ state: 'done' });
    await worker.stop();
  });

  it('runs at most as many steps at a time as it may', async () => {
    const [running, most] = [new Set<object>(), [0]];
    const before = async () => {
      const step = {};
      running.add(step);
      most.push(running.size);
      await new Promise((resolve) => setImmediate(resolve));
      running.delete(step);
    };
    const saga = tripSaga({ name: 'bounded', before });
    const keys = Array.from({ length: 20 }, (_, n) => `bounded-${n}`);
    await Promise.all(keys.map((key) => sagas.start(saga, key)));
    sagas.work([saga], { concurrency: 3 });

    for (const key of keys) await sagas.reached(saga, key, isOver);

    expect(Math.max(...most)).toBe(3);
  });

  it('leaves the sagas of another definition of the same name alone', async () => {
    const service = new FakeService();
    const saga = tripSaga({ name: 'redefined', service });
    const other = { ...saga, steps: saga.steps.slice(1) };
    await sagas.start(saga, 'old');
    await sagas.start(other, 'new');
    sagas.work([other]);
    await sagas.reached(saga, 'new', isOver);

    expect(await sagas.stateOf(saga, 'old')).toMatchObject({ state: 'running', step: 0, attempts: 0 });
  });

  it('outlives the loss of its sessions', async () => {
    const service = new FakeService();
    const [reached, passed] = [gate(), gate()];
    const before = async (action: string, attempt: number) => {
      if (action !== 'hotel' || attempt > 1) return;
      reached.open();
      await passed.passed;
    };
    const saga = tripSaga({ name: 'cut', service, before });
    await sagas.start(saga, 'one');
    sagas.work([saga], { concurrency: 1 });
    await reached.passed;
    await sagas.db().admin(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE datname = current_database() AND usename = '${sagas.db().target.role}'`);
    passed.open();
    await sagas.clock.move(LONG_MS);

    // As the administrator: the store of this test may get a session that has just ended.
    const open = `SELECT FROM sagas WHERE name = 'cut' AND finished_at IS NULL`;
    while ((await sagas.db().admin(open)).length > 0);
    expect(await sagas.db().admin(`SELECT state, results <> '{}' AS done FROM sagas WHERE name = 'cut'`)).toEqual([
      { state: 'done', done: true },
    ]);
    expect(service.effects.size).toBe(3);
  });

  it.each([{ concurrency: 0 }, { concurrency: Number.NaN }, { leaseMs: 0 }, { pollMs: -1 }])(
    'rejects options with which it would stand still: %j',
    async (options) => {
      const run = startWorker(sagas.nexus(), [tripSaga()], options).stop();

      await expect(run).rejects.toMatchObject({ code: 'SAGA.INVALID_INPUT' });
    },
  );

  it('rejects two definitions with one name', async () => {
    const run = startWorker(sagas.nexus(), [tripSaga(), tripSaga()], {}).stop();

    await expect(run).rejects.toMatchObject({ code: 'SAGA.INVALID_DEFINITION' });
  });
});
