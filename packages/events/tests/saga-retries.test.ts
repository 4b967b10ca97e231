/** @server any */
import { SuiteError } from '@azora/db-core';
import { z } from 'zod';
import { defineSaga } from '../src/saga/define-saga';
import { listSagas, retrySaga } from '../src/saga/inspect-sagas';
import { FakeService, isOver, isStuck, LONG_MS, type Order, soldOut, tripSaga, useSagas } from './saga-fixture';

const sagas = useSagas();

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
