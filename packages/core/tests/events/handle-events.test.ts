import { type CloudEvent, type Consumer, defineConsumer, handleEvents } from '@azora/db-core/events';
import { useDatabase } from '@azora/db-testkit';
import { type Family, openFamily, type Prisma } from '@azora/family';
import { givenEvents, itemMoved } from './given';

type Handle = Consumer<Prisma.TransactionClient>['handle'];

describe('handleEvents', () => {
  const db = useDatabase('family');
  let family: Family;
  beforeAll(async () => {
    // The effects of the consumers of this file: one row for each time that an event was handled.
    await db().admin(
      'CREATE TABLE effects (id bigint GENERATED ALWAYS AS IDENTITY, key text, count int CHECK (count < 1000))',
    );
    await db().admin(`GRANT SELECT, INSERT ON effects TO "${db().target.role}"`);
    family = openFamily({ url: db().url, logger: { warn: () => undefined } });
  });
  beforeEach(() => db().admin('TRUNCATE effects, inbox'));
  afterAll(() => family.close());

  const addEffect: Handle = async (tx, { subject, data }) => {
    const { count } = data as { readonly count: number };
    await tx.$executeRaw`INSERT INTO effects (key, count) VALUES (${subject}, ${count})`;
  };

  function consumerOf(handle: Handle, name = 'family.count-items') {
    return defineConsumer<Prisma.TransactionClient>({ name, types: [itemMoved.type], handle });
  }

  async function outcomesOf(handle: Handle, events: readonly CloudEvent[]): Promise<readonly string[]> {
    const handled = await handleEvents(family, consumerOf(handle), events);
    expect(handled.map(({ event }) => event)).toEqual(events);
    return handled.map(({ outcome }) => outcome);
  }

  async function effects(): Promise<readonly string[]> {
    const rows = await db().admin("SELECT concat(key, ' ', count) AS effect FROM effects ORDER BY id");
    return rows.map(({ effect }) => String(effect));
  }

  async function inbox(): Promise<readonly string[]> {
    const rows = await db().admin('SELECT event_id::text AS id FROM inbox ORDER BY handled_at, event_id');
    return rows.map(({ id }) => String(id));
  }

  const idsOf = (events: readonly CloudEvent[]) => events.map(({ id }) => id).sort();

  it('has the effects of all events in one transaction, in their order', async () => {
    const events = givenEvents(['a', 'b', 'a']);
    expect(await outcomesOf(addEffect, events)).toEqual(['done', 'done', 'done']);
    expect(await effects()).toEqual(['a 1', 'b 2', 'a 3']);
    expect((await inbox()).toSorted()).toEqual(idsOf(events));
    expect(await db().admin('SELECT count(DISTINCT xmin::text)::int AS transactions FROM effects')).toEqual([
      { transactions: 1 },
    ]);
  });
  it('nothing to do', async () => {
    expect(await outcomesOf(addEffect, [])).toEqual([]);
  });
  it('repeats', async () => {
    const events = givenEvents(['a', 'b']);
    await outcomesOf(addEffect, events.slice(0, 1));
    const [first] = events as [CloudEvent];
    expect(await outcomesOf(addEffect, [...events, first])).toEqual(['repeated', 'done', 'repeated']);
    expect(await effects()).toEqual(['a 1', 'b 2']);
  });
  it('one fails', async () => {
    const events = givenEvents(['a', 'b', 'bad', 'c', 'bad', 'd']);
    const handle: Handle = async (tx, event) => {
      await addEffect(tx, event);
      if (event.subject === 'bad') throw new Error('no');
    };
    expect(await outcomesOf(handle, events)).toEqual(['done', 'done', 'failed', 'done', 'behind', 'done']);
    expect(await effects()).toEqual(['a 1', 'b 2', 'c 4', 'd 6']);
  });
  it('swallows', async () => {
    const events = givenEvents(['a', 'bad', 'c', 'd']);
    const handle: Handle = async (tx, event) => {
      if (event.subject === 'bad')
        await tx.$executeRaw`INSERT INTO effects (key, count) VALUES ('x', 5000)`.catch(() => undefined);
      else await addEffect(tx, event);
    };
    expect(await outcomesOf(handle, events)).toEqual(['done', 'failed', 'done', 'done']);
    expect(await effects()).toEqual(['a 1', 'c 3', 'd 4']);
  });
});
