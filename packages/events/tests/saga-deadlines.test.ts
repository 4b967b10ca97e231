/** @server any */
import { z } from 'zod';
import { defineSaga } from '../src/saga/define-saga';
import { gate } from './bus-fixture';
import { FakeService, isOver, type Order, tripSaga, useSagas } from './saga-fixture';

const sagas = useSagas();

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
            await passed.passed;
            return 'late';
          },
          undo: async ({ result }) => void undone.push(result),
        },
      ],
    });
    await sagas.start(saga, 'one');
    sagas.work([saga]);
    await reached.passed;
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
