/** @server any */
import { z } from 'zod';
import { defineSaga } from '../src/saga/define-saga';
import { FakeService, isOver, LONG_MS, type Order, soldOut, tripSaga, useSagas } from './saga-fixture';

const sagas = useSagas();

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
