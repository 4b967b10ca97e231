import { SuiteError } from '@azora/db-core';
import { type CloudEvent, defineConsumer, handleEvents } from '@azora/db-core/events';
import { z } from 'zod';
import { defineSaga } from '../src/saga/define-saga';
import { listSagas, retrySaga } from '../src/saga/inspect-sagas';
import { startSaga } from '../src/saga/start-saga';
import { until } from './bus-fixture';
import {
  FakeService,
  isOver,
  isStuck,
  LONG_MS,
  type Order,
  soldOut,
  startWorker,
  tripSaga,
  useSagas,
} from './saga-fixture';

const sagas = useSagas();

/** A promise that the test resolves. */
function gate() {
  let open = () => {};
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { open, opened };
}

describe('a saga whose steps succeed', () => {
  it('does each step once, in order, with its own idempotency key and the results of earlier steps', async () => {
    const seen: unknown[] = [];
    const saga = defineSaga<Order, { readonly price: number; readonly total: string }>({
      name: 'order-total',
      input: z.strictObject({ orderId: z.string() }),
      steps: [
        {
          name: 'price',
          run: async ({ idempotencyKey, input, attempt }) => {
            seen.push([idempotencyKey, input, attempt]);
            return 7;
          },
        },
        {
          name: 'total',
          run: async ({ idempotencyKey, resultOf }) => {
            seen.push(idempotencyKey);
            return `${resultOf('price') * 2}`;
          },
        },
      ],
    });
    const id = await sagas.start(saga, 'one');
    sagas.work([saga]);

    const done = await sagas.reached(saga, 'one', isOver);

    expect(done).toMatchObject({
      state: 'done',
      step: 2,
      results: { price: 7, total: '14' },
      owner: null,
      failure: null,
    });
    expect(seen).toEqual([[`${id}:price`, { orderId: 'one' }, 1], `${id}:total`]);
  });

  it('is shared by two workers, and each step runs once', async () => {
    const service = new FakeService();
    const saga = tripSaga({ name: 'shared', service });
    const keys = Array.from({ length: 40 }, (_, n) => `shared-${n}`);
    await Promise.all(keys.map((key) => sagas.start(saga, key)));
    sagas.work([saga], { concurrency: 4 });
    sagas.work([saga], { concurrency: 4 });

    for (const key of keys) await sagas.reached(saga, key, isOver);

    expect(service.calls.toSorted()).toEqual(
      keys.flatMap((key) => ['car', 'flight', 'hotel'].map((step) => `do ${key}:${step}`)).toSorted(),
    );
  });
});

describe('a saga with a step that is refused', () => {
  it('undoes the earlier steps in reverse order, with their results', async () => {
    const service = new FakeService();
    const undone: unknown[] = [];
    const saga = defineSaga<Order, { readonly first: number; readonly second: null; readonly third: null }>({
      name: 'refused',
      input: z.strictObject({ orderId: z.string() }),
      steps: [
        { name: 'first', run: async () => 1, undo: async ({ result, runKey }) => void undone.push([result, runKey]) },
        { name: 'second', run: async () => null, undo: async ({ result }) => void undone.push([result]) },
        {
          name: 'third',
          run: () => Promise.reject(soldOut()),
          undo: async ({ key }) => service.undo(key),
        },
      ],
    });
    const id = await sagas.start(saga, 'one');
    sagas.work([saga]);

    const over = await sagas.reached(saga, 'one', isOver);

    expect(over).toMatchObject({ state: 'compensated', step: 0, failure: 'HOTEL.SOLD_OUT: The hotel has no room' });
    expect(undone).toEqual([[null], [1, `${id}:first`]]);
    // The refusal says that the third step had no effect.
    expect(service.calls).toEqual([]);
  });

  it('also undoes the refused step if an earlier attempt of it may have had its effect', async () => {
    const service = new FakeService();
    const saga = tripSaga({
      name: 'refused-later',
      service,
      after: (action) => {
        if (action === 'hotel') throw new Error('the answer is lost');
      },
      before: (action, attempt) => {
        if (action === 'hotel' && attempt === 2) throw soldOut();
      },
    });
    await sagas.start(saga, 'one');
    sagas.work([saga]);
    await sagas.reached(saga, 'one', ({ lastError }) => lastError !== null);
    await sagas.clock.move(LONG_MS);

    expect(await sagas.reached(saga, 'one', isOver)).toMatchObject({ state: 'compensated' });
    expect(service.calls).toEqual(['do one:flight', 'do one:hotel', 'undo one:hotel', 'undo one:flight']);
    expect(service.effects.size).toBe(0);
  });

  it('is compensated at once if its first step is refused', async () => {
    const service = new FakeService();
    const before = (action: string) => {
      if (action === 'flight') throw soldOut();
    };
    const saga = tripSaga({ name: 'refused-first', service, before });
    await sagas.start(saga, 'one');
    sagas.work([saga]);

    expect(await sagas.reached(saga, 'one', isOver)).toMatchObject({ state: 'compensated', step: 0 });
    expect(service.calls).toEqual([]);
  });
});

describe('a step that fails', () => {
  it.each([
    ['an error without a code', new TypeError('fetch failed'), 'TypeError'],
    ['a lost connection', new SuiteError('DATABASE.CONNECTION_LOST', 'Lost'), 'DATABASE.CONNECTION_LOST: Lost'],
  ])('is tried again with the same key after %s, and no earlier than its pause ends', async (kind, error, text) => {
    const service = new FakeService();
    const attempts: number[] = [];
    const saga = tripSaga({
      name: 'fails',
      service,
      before: (action, attempt) => {
        if (action !== 'hotel') return;
        attempts.push(attempt);
        if (attempt < 3) throw error;
      },
    });
    await sagas.start(saga, kind);
    sagas.work([saga]);

    for (const attempt of [1, 2]) {
      const failed = await sagas.reached(saga, kind, (now) => now.owner === null && now.attempts === attempt);
      expect(failed).toMatchObject({ state: 'running', step: 1, lastError: text });
      await sagas.clock.move(LONG_MS);
    }

    expect(await sagas.reached(saga, kind, isOver)).toMatchObject({ state: 'done', lastError: null });
    expect(attempts).toEqual([1, 2, 3]);
  });

  it('keeps no other saga from being recorded when its result cannot be stored', async () => {
    const results = ['a\0b', '\ud800', () => 1, 10n, 'x'.repeat(70_000), '\\u0000', 'fine'];
    const saga = defineSaga<Order, { readonly odd: unknown }>({
      name: 'odd-results',
      input: z.strictObject({ orderId: z.string() }),
      steps: [{ name: 'odd', run: async ({ key }) => results[Number(key)] }],
      maxAttempts: 1,
    });
    for (const key of results.keys()) await sagas.start(saga, `${key}`);
    const { warnings } = sagas.work([saga]);

    const ended = await Promise.all(
      results.map((_, n) => sagas.reached(saga, `${n}`, (it) => isOver(it) || isStuck(it))),
    );

    expect(ended.map(({ state }) => state)).toEqual(['stuck', 'stuck', 'stuck', 'stuck', 'stuck', 'done', 'done']);
    expect(ended.map((it) => it.results['odd']).slice(5)).toEqual(['\\u0000', 'fine']);
    expect(warnings.filter((text) => !text.startsWith('A saga is stuck'))).toEqual([]);
  });

  it('keeps no other saga from being recorded when its error cannot be stored, or its result is nested too deeply', async () => {
    const nested = JSON.parse(`${'['.repeat(20_000)}${']'.repeat(20_000)}`) as unknown;
    const saga = defineSaga<Order, { readonly odd: unknown }>({
      name: 'odd-errors',
      input: z.strictObject({ orderId: z.string() }),
      steps: [
        {
          name: 'odd',
          run: async ({ key }) => {
            if (key === 'error') throw new SuiteError('TRIP.ODD', 'NUL \0 and \ud800');
            return key === 'nested' ? nested : 'fine';
          },
        },
      ],
      maxAttempts: 1,
    });
    for (const key of ['error', 'nested', 'fine']) await sagas.start(saga, key);
    const { warnings } = sagas.work([saga]);

    expect(await sagas.reached(saga, 'error', isOver)).toMatchObject({ failure: 'TRIP.ODD: NUL \ufffd and \ufffd' });
    expect(await sagas.reached(saga, 'nested', isStuck)).toMatchObject({ lastError: 'Error' });
    expect(await sagas.reached(saga, 'fine', isOver)).toMatchObject({ state: 'done' });
    expect(warnings.filter((text) => !text.startsWith('A saga is stuck'))).toEqual([]);
  });

  it('undoes a step that is refused after a retry, because an attempt before the retry may have had its effect', async () => {
    const service = new FakeService();
    const isSoldOut = { is: false };
    const saga = tripSaga({
      name: 'refused-after-retry',
      service,
      maxAttempts: 1,
      before: (action) => {
        if (action === 'car' && isSoldOut.is) throw soldOut();
      },
      after: (action) => {
        if (action === 'car') throw new Error('the answer is lost');
      },
    });
    const id = await sagas.start(saga, 'one');
    sagas.work([saga]);
    await sagas.reached(saga, 'one', isStuck);
    isSoldOut.is = true;
    await retrySaga(sagas.nexus(), { sagaId: id });

    expect(await sagas.reached(saga, 'one', isOver)).toMatchObject({ state: 'compensated' });
    expect(service.calls.slice(-3)).toEqual(['undo one:car', 'undo one:hotel', 'undo one:flight']);
    expect(service.effects.size).toBe(0);
  });

  it('gets stuck without a deadline, and continues after a retry', async () => {
    const service = new FakeService();
    const repaired = { is: false };
    const saga = tripSaga({
      name: 'stuck',
      service,
      maxAttempts: 2,
      before: (action) => {
        if (action === 'car' && !repaired.is) throw new Error('broken');
      },
    });
    const id = await sagas.start(saga, 'one');
    const { warnings } = sagas.work([saga]);
    await sagas.reached(saga, 'one', ({ owner, attempts, step }) => step === 2 && owner === null && attempts === 1);
    await expect(retrySaga(sagas.nexus(), { sagaId: id })).rejects.toMatchObject({ code: 'SAGA.NOT_STUCK' });
    await sagas.clock.move(LONG_MS);
    await sagas.reached(saga, 'one', isStuck);

    const { sagas: stuck } = await listSagas(sagas.nexus(), { state: 'stuck' });
    expect(stuck.filter(({ name }) => name === 'stuck')).toMatchObject([
      { id, step: 2, lastError: 'Error', attempts: 2 },
    ]);
    expect(warnings).toEqual(['A saga is stuck: Error']);

    repaired.is = true;
    expect(await retrySaga(sagas.nexus(), { sagaId: id })).toMatchObject({ state: 'running', attempts: 0 });
    expect(await sagas.reached(saga, 'one', isOver)).toMatchObject({ state: 'done' });
    expect(service.calls).toEqual(['do one:flight', 'do one:hotel', 'do one:car']);
  });

  it('gets stuck when its workers end without a word as often', async () => {
    const saga = tripSaga({ name: 'poison', maxAttempts: 2 });
    await sagas.start(saga, 'one');
    const definitions = JSON.stringify([{ name: 'poison', steps: ['flight', 'hotel', 'car'] }]);
    for (let attempt = 1; attempt <= 2; attempt += 1) {
      await sagas.db().app('SELECT FROM claim_sagas(gen_random_uuid(), $1, 1, 1000)', [definitions]);
      await sagas.clock.move(LONG_MS);
    }
    sagas.work([saga]);

    expect(await sagas.reached(saga, 'one', isStuck)).toMatchObject({ step: 0, attempts: 2, owner: null });
  });
});

describe('a compensation that fails', () => {
  it('is tried again until it succeeds', async () => {
    const service = new FakeService();
    const saga = tripSaga({
      name: 'undo-fails',
      service,
      before: (action, attempt) => {
        if (action === 'car' || (action === 'undo hotel' && attempt < 3)) throw soldOut();
      },
    });
    await sagas.start(saga, 'one');
    sagas.work([saga]);
    for (const attempt of [1, 2]) {
      await sagas.reached(saga, 'one', (now) => now.owner === null && now.step === 2 && now.attempts === attempt);
      await sagas.clock.move(LONG_MS);
    }

    expect(await sagas.reached(saga, 'one', isOver)).toMatchObject({ state: 'compensated' });
    expect(service.calls).toEqual(['do one:flight', 'do one:hotel', 'undo one:hotel', 'undo one:flight']);
  });

  it('gets stuck after its last attempt, and continues backwards after a retry', async () => {
    const repaired = { is: false };
    const service = new FakeService();
    const saga = tripSaga({
      name: 'undo-stuck',
      service,
      maxAttempts: 1,
      before: (action) => {
        if (action === 'car' || (action === 'undo hotel' && !repaired.is)) throw soldOut();
      },
    });
    const id = await sagas.start(saga, 'one');
    sagas.work([saga]);
    expect(await sagas.reached(saga, 'one', isStuck)).toMatchObject({
      step: 2,
      failure: expect.stringMatching('SOLD_OUT'),
    });

    repaired.is = true;
    expect(await retrySaga(sagas.nexus(), { sagaId: id })).toMatchObject({ state: 'compensating' });

    expect(await sagas.reached(saga, 'one', isOver)).toMatchObject({ state: 'compensated' });
    expect(service.effects.size).toBe(0);
  });

  it('can be retried by its id only', async () => {
    const missing = { sagaId: '00000000-0000-4000-8000-000000000000' };

    await expect(retrySaga(sagas.nexus(), missing)).rejects.toMatchObject({ code: 'SAGA.NOT_FOUND' });
    await expect(retrySaga(sagas.nexus(), { sagaId: 'x' })).rejects.toMatchObject({ code: 'SAGA.INVALID_INPUT' });
  });
});

describe('the deadline of a step', () => {
  it('undoes a step that fails until then, because it may have had its effect', async () => {
    const service = new FakeService();
    const saga = tripSaga({
      name: 'late',
      service,
      deadlineMs: 60_000,
      after: (action) => {
        if (action === 'hotel') throw new Error('no answer');
      },
    });
    await sagas.start(saga, 'one');
    sagas.work([saga]);
    const failed = await sagas.reached(saga, 'one', ({ lastError, owner }) => lastError !== null && owner === null);
    expect(failed.deadline).toEqual(new Date(sagas.clock.now().getTime() + 60_000));
    expect(failed.nextAt <= (failed.deadline ?? 0)).toBe(true);
    await sagas.clock.move(60_000);

    expect(await sagas.reached(saga, 'one', isOver)).toMatchObject({
      state: 'compensated',
      failure: 'The deadline of step "hotel" passed',
    });
    expect(service.calls).toEqual(['do one:flight', 'do one:hotel', 'undo one:hotel', 'undo one:flight']);
  });

  it('does not end a step one millisecond early', async () => {
    const saga = tripSaga({
      name: 'early',
      deadlineMs: 60_000,
      before: (action, attempt) => {
        if (action === 'flight' && attempt === 1) throw new Error('later');
      },
    });
    await sagas.start(saga, 'one');
    sagas.work([saga]);
    await sagas.reached(saga, 'one', ({ lastError, owner }) => lastError !== null && owner === null);
    await sagas.clock.move(59_999);

    expect(await sagas.reached(saga, 'one', isOver)).toMatchObject({ state: 'done' });
  });

  it('turns a saga round whose step succeeds later, and passes its result to the compensation', async () => {
    const [reached, passed] = [gate(), gate()];
    const undone: unknown[] = [];
    const saga = defineSaga<Order, { readonly slow: string }>({
      name: 'too-slow',
      input: z.strictObject({ orderId: z.string() }),
      steps: [
        {
          name: 'slow',
          deadlineMs: 1_000,
          run: async () => {
            reached.open();
            await passed.opened;
            return 'late';
          },
          undo: async ({ result }) => void undone.push(result),
        },
      ],
    });
    await sagas.start(saga, 'one');
    sagas.work([saga]);
    await reached.opened;
    await sagas.clock.move(1_000);
    passed.open();

    expect(await sagas.reached(saga, 'one', isOver)).toMatchObject({ state: 'compensated', results: { slow: 'late' } });
    expect(undone).toEqual(['late']);
  });

  it('ends a saga that no worker has begun, and calls nothing', async () => {
    const service = new FakeService();
    const saga = tripSaga({ name: 'unbegun', service, deadlineMs: 1_000 });
    await sagas.start(saga, 'one');
    await sagas.clock.move(1_000);
    sagas.work([saga]);

    expect(await sagas.reached(saga, 'one', isOver)).toMatchObject({ state: 'compensated' });
    expect(service.calls).toEqual([]);
  });
});

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
        await passed.opened;
      },
    });
    await sagas.start(saga, 'one');
    const first = sagas.work([saga], { leaseMs: 30_000, concurrency: 1 });
    await reached.opened;
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
      await passed.opened;
    };
    const saga = tripSaga({ name: 'stopped', service, before });
    await sagas.start(saga, 'one');
    // While the step runs, there is no place for another claim.
    const stopped = sagas.work([saga], { concurrency: 1 });
    await reached.opened;
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
      await passed.opened;
    };
    const saga = tripSaga({ name: 'cut', service, before });
    await sagas.start(saga, 'one');
    sagas.work([saga], { concurrency: 1 });
    await reached.opened;
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

  it.each([
    { concurrency: 0 },
    { concurrency: Number.NaN },
    { leaseMs: 0 },
    { pollMs: -1 },
  ])('rejects options with which it would stand still: %j', async (options) => {
    const run = startWorker(sagas.nexus(), [tripSaga()], options).stop();

    await expect(run).rejects.toMatchObject({ code: 'SAGA.INVALID_INPUT' });
  });

  it('rejects two definitions with one name', async () => {
    const run = startWorker(sagas.nexus(), [tripSaga(), tripSaga()], {}).stop();

    await expect(run).rejects.toMatchObject({ code: 'SAGA.INVALID_DEFINITION' });
  });
});

describe('the start of a saga', () => {
  const saga = tripSaga({ name: 'started' });
  const start = (key: string, orderId = key) =>
    sagas.nexus().transaction((tx) => startSaga(tx, saga, { key, input: { orderId } }));

  it('happens once per key, when eight callers race', async () => {
    const started = await Promise.all(Array.from({ length: 8 }, () => start('race')));

    expect(started.filter(({ isNew }) => isNew)).toHaveLength(1);
    expect(new Set(started.map(({ id }) => id)).size).toBe(1);
  });

  it('gives a saga that the database has lost the same id again, because services know its idempotency keys', async () => {
    const first = await start('restored');
    await sagas.db().admin('TRUNCATE sagas');
    const again = await start('restored');
    const other = await start('restored-too');

    expect(again).toEqual(first);
    expect(other.id).not.toBe(first.id);
    expect(z.uuid().safeParse(first.id).success).toBe(true);
  });

  it('rejects a key that was used with other input', async () => {
    const { id } = await start('reused', 'a');

    await expect(start('reused', 'b')).rejects.toMatchObject({ code: 'SAGA.KEY_REUSED', meta: { sagaId: id } });
    expect(await start('reused', 'a')).toEqual({ id, isNew: false });
  });

  it.each([
    ['a blank key', ' ', {}],
    ['a key with NUL', 'a\0', {}],
    ['an unknown field', 'field', { orderId: 'a', more: 1 }],
    ['a missing field', 'missing', {}],
    ['an input that is too large', 'large', { orderId: 'x'.repeat(70_000) }],
    ['an input with NUL', 'nul', { orderId: 'a\0' }],
  ])('rejects %s', async (_, key, input) => {
    const call = sagas.nexus().transaction((tx) => startSaga(tx, saga, { key, input: input as Order }));

    await expect(call).rejects.toMatchObject({ code: 'SAGA.INVALID_INPUT' });
  });

  it('is rolled back with its transaction', async () => {
    const call = sagas.nexus().transaction(async (tx) => {
      await startSaga(tx, saga, { key: 'rolled-back', input: { orderId: 'a' } });
      throw new Error('no');
    });

    await expect(call).rejects.toThrow('no');
    expect(await sagas.db().app(`SELECT FROM sagas WHERE key = 'rolled-back'`)).toEqual([]);
  });

  it('is the effect of a consumer, once for an event that arrives twice', async () => {
    const consumer = defineConsumer({
      name: 'nexus.start-orders',
      types: ['forge.order-placed.v1'],
      handle: async (tx, { subject }) => {
        await startSaga(tx, saga, { key: subject, input: { orderId: subject } });
      },
    });
    const event: CloudEvent = {
      specversion: '1.0',
      id: '00000000-0000-4000-8000-000000000001',
      source: '/azora/forge',
      type: 'forge.order-placed.v1',
      subject: 'by-event',
      time: '2026-03-01T00:00:00Z',
      datacontenttype: 'application/json',
      dataschema: 'urn:azora:event:forge.order-placed.v1',
      partitionkey: 'by-event',
      sequence: '1',
      data: {},
    };

    const outcomes = [];
    for (const copy of [event, { ...event }]) outcomes.push(...(await handleEvents(sagas.nexus(), consumer, [copy])));

    expect(outcomes.map(({ outcome }) => outcome)).toEqual(['done', 'repeated']);
    expect(await sagas.stateOf(saga, 'by-event')).toMatchObject({ state: 'running', input: { orderId: 'by-event' } });
  });
});

describe('the list of sagas', () => {
  it('has pages, the newest first', async () => {
    const saga = tripSaga({ name: 'listed', before: () => Promise.reject(soldOut()) });
    for (const key of ['a', 'b', 'c']) {
      await sagas.start(saga, key);
      await sagas.clock.move(1_000);
    }
    sagas.work([saga]);
    for (const key of ['a', 'b', 'c']) await sagas.reached(saga, key, isOver);

    const keys: string[] = [];
    for (let cursor: string | null | undefined; cursor !== null; ) {
      const page = await listSagas(sagas.nexus(), { state: 'compensated', limit: 2, ...(cursor ? { cursor } : {}) });
      keys.push(...page.sagas.filter(({ name }) => name === 'listed').map(({ key }) => key));
      cursor = page.nextCursor;
    }

    expect(keys).toEqual(['c', 'b', 'a']);
  });
});

describe('the definition of a saga', () => {
  const input = z.strictObject({ orderId: z.string() });
  const run = async () => 1;
  const undo = async () => {};

  it.each([
    ['name', { name: 'Trip', steps: [{ name: 'a', run }] }, 'Its name does not consist'],
    ['empty list of steps', { name: 'trip', steps: [] }, 'It has 0 steps'],
    ['name of a step', { name: 'trip', steps: [{ name: 'a:b', run }] }, 'The name of step 1'],
    [
      'repeated step',
      {
        name: 'trip',
        steps: [
          { name: 'a', run },
          { name: 'a', run },
        ],
      },
      'Two steps have the name "a"',
    ],
    ['deadline', { name: 'trip', steps: [{ name: 'a', run, undo, deadlineMs: 0 }] }, 'The deadline of step "a"'],
    [
      'deadline without undo',
      { name: 'trip', steps: [{ name: 'a', run, deadlineMs: 5 }] },
      'Step "a" has a deadline and no undo',
    ],
    ['maxAttempts', { name: 'trip', steps: [{ name: 'a', run }], maxAttempts: 0 }, 'maxAttempts is not'],
  ])('is rejected with an invalid %s', (_, definition, why) => {
    expect(() => defineSaga<Order, Record<string, number>>({ input, ...definition })).toThrow(
      expect.objectContaining({ code: 'SAGA.INVALID_DEFINITION', why: expect.stringContaining(why) }),
    );
  });
});
