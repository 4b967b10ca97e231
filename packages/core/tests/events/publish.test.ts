import { defineEvent, publish } from '@azora/db-core/events';
import { useDatabase } from '@azora/db-testkit';
import { z } from 'zod';
import { itemMoved, openTestStore, type TestStore, type TestTransaction } from './given';

const TRACE = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
/** Its data can be large, and can hold what PostgreSQL cannot store. */
const listMade = defineEvent({
  service: 'family',
  name: 'list-made',
  version: 1,
  about: 'A list was made.',
  data: z.strictObject({ marks: z.array(z.string().regex(/^[^ @]*$/)), key: z.string().regex(/^[^A-Z@]*$/) }),
  key: ({ key }) => key,
});

describe('publish', () => {
  const db = useDatabase('family');
  let family: TestStore;
  beforeAll(async () => {
    family = await openTestStore(db().url);
  });
  beforeEach(() => db().admin('TRUNCATE outbox'));
  afterAll(() => family.close());

  const outbox = () =>
    db().admin('SELECT event_id, type, key, payload, trace_parent FROM outbox ORDER BY transaction_id, position');
  const inTransaction = <Result>(work: (tx: TestTransaction) => Promise<Result>) => family.transaction(work);
  const refused = (field: string) =>
    expect.objectContaining({ code: 'EVENTS.INVALID_EVENT', meta: { fields: [field] } });

  it('writes the event to the outbox with the key of its data, and returns its id', async () => {
    const id = await inTransaction((tx) =>
      publish(tx, itemMoved, { itemId: 'item-1', count: 2 }, { traceParent: TRACE }),
    );
    const other = await inTransaction((tx) => publish(tx, itemMoved, { itemId: 'item-2', count: 1 }));

    const common = { type: 'family.item-moved.v1' };
    expect(await outbox()).toEqual([
      { ...common, event_id: id, key: 'item-1', payload: { itemId: 'item-1', count: 2 }, trace_parent: TRACE },
      { ...common, event_id: other, key: 'item-2', payload: { itemId: 'item-2', count: 1 }, trace_parent: null },
    ]);
  });

  it('publishes nothing in a transaction that rolls back', async () => {
    const work = inTransaction(async (tx) => {
      await publish(tx, itemMoved, { itemId: 'item-1', count: 1 });
      throw new Error('The change failed');
    });

    await expect(work).rejects.toThrow('The change failed');
    expect(await outbox()).toEqual([]);
  });

  it('gives the events of one transaction its id, and rising positions', async () => {
    await inTransaction(async (tx) => {
      for (const count of [1, 2, 3]) await publish(tx, itemMoved, { itemId: 'item-1', count });
    });

    expect(
      await db().admin(`SELECT count(DISTINCT transaction_id)::int AS transactions, array_agg((payload->>'count')::int
        ORDER BY position) AS counts, bool_and(transaction_id::text = xmin::text) AS own FROM outbox`),
    ).toEqual([{ transactions: 1, counts: [1, 2, 3], own: true }]);
  });

  it.each([
    ['data of another type', { itemId: 'item-1', count: '2' }, 'count'],
    ['missing data', { itemId: 'item-1' }, 'count'],
    ['data that is not declared', { itemId: 'item-1', count: 1, note: 'private' }, 'input'],
    ['text where an id belongs', { itemId: 'Ada Lovelace', count: 1 }, 'itemId'],
  ])('refuses %s without showing it', async (_, data, field) => {
    const work = inTransaction((tx) => publish(tx, itemMoved, data as { itemId: string; count: number }));

    await expect(work).rejects.toEqual(refused(field));
    await expect(work).rejects.not.toMatchObject({ why: expect.stringMatching(/private|Ada/) });
    expect(await outbox()).toEqual([]);
  });

  it.each([
    ['a blank key', { marks: [], key: ' ' }, 'key'],
    ['a key of 201 characters', { marks: [], key: 'k'.repeat(201) }, 'key'],
    ['NUL', { marks: ['a\0b'], key: 'k' }, 'data'],
    ['an unpaired surrogate', { marks: ['\ud800'], key: 'k' }, 'data'],
    ['more than 128 KiB', { marks: ['x'.repeat(131_072)], key: 'k' }, 'data'],
    // PostgreSQL writes a space after each comma, which makes it too large.
    ['more than 128 KiB as PostgreSQL counts', { marks: Array.from({ length: 43_000 }, () => ''), key: 'k' }, 'data'],
  ])('refuses %s', async (_, data, field) => {
    await expect(inTransaction((tx) => publish(tx, listMade, data))).rejects.toEqual(refused(field));
    expect(await outbox()).toEqual([]);
  });

  it('refuses an event of another service', async () => {
    const foreign = { ...itemMoved, service: 'mint', type: 'mint.item-moved.v1' };
    await expect(inTransaction((tx) => publish(tx, foreign, { itemId: 'item-1', count: 1 }))).rejects.toEqual(refused('type'));
    expect(await outbox()).toEqual([]);
  });

  it('accepts 120 KiB', async () => {
    const mark = 'x'.repeat(120 * 1_024);
    await inTransaction((tx) => publish(tx, listMade, { marks: [mark], key: 'k' }));

    expect(await outbox()).toMatchObject([{ payload: { marks: [mark] } }]);
  });

  it.each([
    '',
    'x',
    TRACE.toUpperCase(),
    `ff${TRACE.slice(2)}`,
    TRACE.replace(/-[^-]{32}-/, `-${'0'.repeat(32)}-`),
    `${TRACE}-00`,
  ])('refuses the trace context %j', async (traceParent) => {
    const work = inTransaction((tx) => publish(tx, itemMoved, { itemId: 'item-1', count: 1 }, { traceParent }));

    await expect(work).rejects.toEqual(refused('traceParent'));
  });

  it('compiles only inside a transaction', () => {
    // @ts-expect-error: the plain client is not inside a transaction
    const outside = () => publish(family.prisma, itemMoved, { itemId: 'item-1', count: 1 });

    expect(outside).toBeInstanceOf(Function);
  });
});
