/** @server any */
import { type CloudEvent, defineConsumer, handleEvents } from '@azora/db-core/events';
import { z } from 'zod';
import { defineSaga } from '../src/saga/define-saga';
import { listSagas } from '../src/saga/inspect-sagas';
import { startSaga } from '../src/saga/start-saga';
import { isOver, type Order, soldOut, tripSaga, useSagas } from './saga-fixture';

const sagas = useSagas();

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
