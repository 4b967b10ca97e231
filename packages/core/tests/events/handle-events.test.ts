import { type CloudEvent, type Consumer, defineConsumer, handleEvents } from '@azora/db-core/events';
import { useDatabase } from '@azora/db-testkit';
import { type Family, openFamily, type Prisma } from '@azora/family';
import { givenEvents, itemMoved } from './given';

type Handle = Consumer<Prisma.TransactionClient>['handle'];

describe('handleEvents', () => {
  const db = useDatabase('family');
  let family: Family;
  const open = () => openFamily({ url: db().url, logger: { warn: () => undefined } });

  beforeAll(async () => {
    // One row for each effect. A count of 1000 violates a constraint at once, a count of 500 at the end of the transaction.
    await db().admin(`CREATE TABLE limits (count int PRIMARY KEY);
      CREATE TABLE effects (id bigint GENERATED ALWAYS AS IDENTITY, key text, count int CHECK (count < 1000),
        late int REFERENCES limits DEFERRABLE INITIALLY DEFERRED);
      GRANT SELECT, INSERT ON effects TO "${db().target.role}"`);
    family = open();
  });
  beforeEach(() => db().admin('TRUNCATE effects, inbox'));
  afterAll(() => family.close());

  const addEffect: Handle = async (tx, { subject, data }) => {
    const { count } = data as { readonly count: number };
    await tx.$executeRaw`INSERT INTO effects (key, count) VALUES (${subject}, ${count})`;
  };

  const consumerOf = (handle: Handle, name = 'family.count-items') =>
    defineConsumer<Prisma.TransactionClient>({ name, types: [itemMoved.type], handle });

  async function outcomesOf(handle: Handle, events: readonly CloudEvent[], store = family): Promise<readonly string[]> {
    const handled = await handleEvents(store, consumerOf(handle), events);
    expect(handled.map(({ event }) => event)).toEqual(events);
    return handled.map(({ outcome }) => outcome);
  }

  async function effects(): Promise<readonly string[]> {
    const rows = await db().admin("SELECT concat(key, ' ', count) AS effect FROM effects ORDER BY id");
    return rows.map(({ effect }) => String(effect));
  }

  async function inbox(): Promise<readonly string[]> {
    const rows = await db().admin('SELECT event_id::text AS id FROM inbox ORDER BY event_id::text');
    return rows.map(({ id }) => String(id));
  }

  const idsOf = (events: readonly CloudEvent[]) => events.map(({ id }) => id).sort();

  it('has the effects of all events in their order, in one transaction with the inbox', async () => {
    const events = givenEvents(['a', 'b', 'a']);

    expect(await outcomesOf(addEffect, events)).toEqual(['done', 'done', 'done']);

    expect(await effects()).toEqual(['a 1', 'b 2', 'a 3']);
    expect(await inbox()).toEqual(idsOf(events));
    expect(
      await db().admin(`SELECT count(DISTINCT transaction)::int AS transactions
        FROM (SELECT xmin::text AS transaction FROM effects UNION ALL SELECT xmin::text FROM inbox) AS rows`),
    ).toEqual([{ transactions: 1 }]);
  });

  it('does nothing without events', async () => {
    expect(await outcomesOf(addEffect, [])).toEqual([]);
  });

  it('has no second effect of an event that comes again, alone or twice at once', async () => {
    const [first, second] = givenEvents(['a', 'b']) as readonly [CloudEvent, CloudEvent];
    await outcomesOf(addEffect, [first]);

    expect(await outcomesOf(addEffect, [first, second, first, second])).toEqual([
      'repeated',
      'done',
      'repeated',
      'repeated',
    ]);
    expect(await effects()).toEqual(['a 1', 'b 2']);
  });

  it('has the effect of each consumer', async () => {
    const events = givenEvents(['a']);
    for (const name of ['family.count-items', 'family.list-items']) {
      await handleEvents(family, consumerOf(addEffect, name), events);
    }

    expect(await effects()).toEqual(['a 1', 'a 1']);
  });

  it('keeps the effects of the others when one handler throws after its statement, and the order of its key', async () => {
    const events = givenEvents(['a', 'b', 'bad', 'c', 'bad', 'd']);
    const tried: string[] = [];
    const handled = await handleEvents(
      family,
      consumerOf(async (tx, event) => {
        await addEffect(tx, event);
        tried.push(event.sequence);
        if (event.subject === 'bad') throw new Error('No such item');
      }),
      events,
    );

    expect(handled.map(({ outcome }) => outcome)).toEqual(['done', 'done', 'failed', 'done', 'behind', 'done']);
    expect(handled[2]?.error).toMatchObject({ message: 'No such item' });
    expect(tried).not.toContain('5');
    expect(await effects()).toEqual(['a 1', 'b 2', 'c 4', 'd 6']);
    expect(await inbox()).toEqual(idsOf(events.filter(({ subject }) => subject !== 'bad')));
  });

  it('fails an event whose handler hides an SQL error, because PostgreSQL has rolled everything back', async () => {
    const events = givenEvents(['a', 'bad', 'c', 'd']);
    const hide: Handle = async (tx, event) => {
      if (event.subject !== 'bad') return addEffect(tx, event);
      await tx.$executeRaw`INSERT INTO effects (key, count) VALUES ('bad', 1000)`.catch(() => undefined);
    };

    expect(await outcomesOf(hide, events)).toEqual(['done', 'failed', 'done', 'done']);

    expect(await effects()).toEqual(['a 1', 'c 3', 'd 4']);
    expect(await inbox()).toHaveLength(3);
  });

  it('fails an event whose transaction fails at its commit', async () => {
    const late: Handle = async (tx, event) => {
      await addEffect(tx, event);
      if (event.subject === 'bad') await tx.$executeRaw`INSERT INTO effects (key, late) VALUES ('bad', 500)`;
    };

    expect(await outcomesOf(late, givenEvents(['a', 'b', 'bad', 'c']))).toEqual(['done', 'done', 'failed', 'done']);
    expect(await effects()).toEqual(['a 1', 'b 2', 'c 4']);
  });

  it('reports each event once when its transaction runs again after a deadlock', async () => {
    let attempts = 0;
    const deadlockOnce: Handle = async (tx, event) => {
      await addEffect(tx, event);
      attempts += 1;
      if (attempts === 2) throw Object.assign(new Error('deadlock detected'), { code: '40P01' });
    };

    expect(await outcomesOf(deadlockOnce, givenEvents(['a', 'b']))).toEqual(['done', 'done']);
    expect(attempts).toBe(4);
    expect(await effects()).toEqual(['a 1', 'b 2']);
  });

  it('has neither the effect nor the row in the inbox when the session ends between the two, and then both', async () => {
    const events = givenEvents(['a']);
    const endSession: Handle = async (tx, event) => {
      await addEffect(tx, event);
      const [row] = await tx.$queryRaw<readonly { readonly pid: number }[]>`SELECT pg_backend_pid() AS pid`;
      await db().admin('SELECT pg_terminate_backend($1, 10000)', [row?.pid]);
    };

    await expect(outcomesOf(endSession, events)).rejects.toMatchObject({
      code: expect.stringMatching(/^DATABASE\.(CONNECTION_LOST|NO_CONNECTION)$/),
    });
    expect([await effects(), await inbox()]).toEqual([[], []]);

    expect(await outcomesOf(addEffect, events)).toEqual(['done']);
    expect([await effects(), await inbox()]).toEqual([['a 1'], idsOf(events)]);
  });

  it('says nothing about the events when the store is closed', async () => {
    const closed = open();
    await closed.close();

    await expect(outcomesOf(addEffect, givenEvents(['a']), closed)).rejects.toMatchObject({ code: 'DATABASE.CLOSED' });
  });

  it('says nothing about the events when the inbox cannot be written', async () => {
    await db().admin(`REVOKE INSERT ON inbox FROM "${db().target.role}"`);
    try {
      await expect(outcomesOf(addEffect, givenEvents(['a', 'b']))).rejects.toMatchObject({ code: 'DATABASE.FAILED' });
    } finally {
      await db().admin(`GRANT INSERT ON inbox TO "${db().target.role}"`);
    }
    expect(await effects()).toEqual([]);
  });

  it.each([
    ['commits', 'repeated'],
    ['rolls back', 'done'],
  ])('has each effect once when another worker has the same events at once and %s', async (end, outcome) => {
    const events = givenEvents(['a', 'b']);
    const other = open();
    let begin: () => void = () => undefined;
    const begun = new Promise<void>((resolve) => {
      begin = resolve;
    });
    const handleFirst: Handle = async (tx, event) => {
      await addEffect(tx, event);
      if (event === events[0]) {
        begin();
        await untilBlocked();
      }
      if (end === 'rolls back') throw new Error('The first worker fails');
    };
    try {
      const first = outcomesOf(handleFirst, events);
      await begun;
      // In the other order, which would end in a deadlock if the inbox were written in the order of the events.
      const second = outcomesOf(addEffect, events.toReversed(), other);

      await first;
      expect(await second).toEqual([outcome, outcome]);
      expect((await effects()).toSorted()).toEqual(['a 1', 'b 2']);
      expect(await inbox()).toEqual(idsOf(events));
    } finally {
      await other.close();
    }
  });

  /** Waits until a session of the database waits for the transaction of another one. */
  async function untilBlocked(): Promise<void> {
    for (;;) {
      const [row] = await db().admin(`SELECT count(*)::int AS blocked FROM pg_stat_activity
        WHERE datname = current_database() AND cardinality(pg_blocking_pids(pid)) > 0`);
      if (Number(row?.['blocked']) > 0) return;
    }
  }
});
