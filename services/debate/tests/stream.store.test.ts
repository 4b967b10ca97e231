import { useDatabase, useTestClock } from '@azora/db-testkit';
import {
  appendEvents,
  type Debate,
  openDebate,
  pruneEvents,
  readEvents,
  reconcile,
  type StreamEvent,
  tailEvents,
} from '../src';
import { fresh, givenStore, givenStores } from './given';

const DAY_MS = 86_400_000;
const events = (count: number) =>
  Array.from({ length: count }, (_, n) => ({ eventType: 'task_complete' as const, eventData: { n } }));

describe('the stream of a cycle', () => {
  const db = useDatabase('debate');
  const clock = useTestClock(db, '2026-03-01T12:00:00Z');
  let debate: Debate;
  beforeAll(() => {
    debate = givenStore(db());
  });
  afterAll(() => debate.close());

  it('numbers the events of sixteen concurrent appends from 1 without gaps and duplicates, each append in one piece', async () => {
    const stores = givenStores(db(), 4);
    const loopId = fresh('loop');

    const lasts = await Promise.all(
      Array.from({ length: 16 }, (_, n) => {
        const batch = events(25).map((event) => ({ ...event, agent: `agent-${n}` }));
        return appendEvents(stores[n % 4] as Debate, { loopId, cycle: 1, events: batch, idempotencyKey: fresh('key') });
      }),
    );

    const found = await readEvents(debate, { loopId, cycle: 1 });
    expect(found.map(({ sequence }) => sequence)).toEqual(Array.from({ length: 400 }, (_, n) => BigInt(n + 1)));
    expect([...lasts].sort((one, other) => Number(one - other))).toEqual(
      Array.from({ length: 16 }, (_, n) => BigInt(25 * (n + 1))),
    );
    for (let start = 0; start < 400; start += 25) {
      expect(new Set(found.slice(start, start + 25).map(({ agent }) => agent)).size).toBe(1);
    }
    await Promise.all(stores.map((store) => store.close()));
  });

  it('appends once per key, and leaves no gap when a transaction is rolled back', async () => {
    const input = { loopId: fresh('loop'), cycle: 1, events: events(3), idempotencyKey: fresh('key') };

    const repeated = await Promise.all(Array.from({ length: 4 }, () => appendEvents(debate, input)));
    await db()
      .admin(`SELECT take_sequence('${input.loopId}', 1, 5); DO $$ BEGIN RAISE 'undo'; END $$`)
      .catch(() => undefined);
    const last = await appendEvents(debate, { ...input, idempotencyKey: fresh('key') });

    expect([repeated, last]).toEqual([[3n, 3n, 3n, 3n], 6n]);
    await expect(appendEvents(debate, { ...input, events: events(4) })).rejects.toMatchObject({
      code: 'DEBATE.KEY_REUSED',
    });
  });

  it('is numbered also for rows that come from elsewhere', async () => {
    const loopId = fresh('loop');
    await db().admin(
      `INSERT INTO stream_events (loop_id, cycle, event_type) SELECT '${loopId}', 1, 'error' FROM generate_series(1, 3)`,
    );

    expect(await appendEvents(debate, { loopId, cycle: 1, events: events(1), idempotencyKey: fresh('key') })).toBe(4n);
  });

  it('is followed by LISTEN: every event once and in order, also those committed while the tail begins', async () => {
    // The poll would come after the time limit of the test, so only a notification can wake the tail.
    const tailing = openDebate({ url: db().url, streamPollMs: 3_600_000 });
    const loopId = fresh('loop');
    const seen: StreamEvent[] = [];
    const stop = new AbortController();
    const tail = (async () => {
      for await (const event of tailEvents(tailing, { loopId, cycle: 7, after: 1n, signal: stop.signal })) {
        seen.push(event);
        if (event.sequence === 31n) stop.abort();
      }
    })();

    for (let n = 0; n < 31; n += 1) {
      await appendEvents(debate, { loopId, cycle: 7, events: events(1), idempotencyKey: fresh('key') });
      await appendEvents(debate, { loopId, cycle: 8, events: events(1), idempotencyKey: fresh('key') });
    }
    await tail;

    expect(seen.map(({ sequence }) => sequence)).toEqual(Array.from({ length: 30 }, (_, n) => BigInt(n + 2)));
    await tailing.close();
  });

  it('is followed without notifications too, by looking again', async () => {
    const tailing = openDebate({ url: db().url, streamPollMs: 10 });
    const loopId = fresh('loop');
    const tail = tailEvents(tailing, { loopId, cycle: 1 });
    const next = tail.next();
    await appendEvents(debate, { loopId, cycle: 1, events: events(1), idempotencyKey: fresh('key') });
    expect((await next).value).toMatchObject({ sequence: 1n });

    const second = tail.next();
    // Numbered by the trigger, which notifies nobody.
    await db().admin(`INSERT INTO stream_events (loop_id, cycle, event_type) VALUES ('${loopId}', 1, 'error')`);
    expect((await second).value).toMatchObject({ sequence: 2n, eventType: 'error' });
    await tail.return();
    await tailing.close();
  });

  it('continues after the connection that listens was terminated', async () => {
    const tailing = openDebate({ url: db().url, streamPollMs: 3_600_000 });
    const loopId = fresh('loop');
    const tail = tailEvents(tailing, { loopId, cycle: 1 });
    await appendEvents(debate, { loopId, cycle: 1, events: events(1), idempotencyKey: fresh('key') });
    await tail.next();
    const next = tail.next();

    await db().admin(
      `SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'`,
    );
    await appendEvents(debate, { loopId, cycle: 1, events: events(1), idempotencyKey: fresh('key') });

    expect((await next).value).toMatchObject({ sequence: 2n });
    await tail.return();
    await tailing.close();
  });

  it('ends when the store is closed', async () => {
    const tailing = openDebate({ url: db().url, streamPollMs: 3_600_000 });
    const ended = expect(tailEvents(tailing, { loopId: fresh('loop'), cycle: 1 }).next()).rejects.toMatchObject({
      code: 'DATABASE.CLOSED',
    });

    await tailing.close();

    await ended;
  });

  it('loses its events after 90 days, and continues its numbers', async () => {
    const loopId = fresh('loop');
    const append = () => appendEvents(debate, { loopId, cycle: 1, events: events(2), idempotencyKey: fresh('key') });
    await append();
    const prune = async () => {
      while ((await pruneEvents(debate, { limit: 100 })) > 0);
    };
    await clock.move(89 * DAY_MS);
    await prune();
    expect(await readEvents(debate, { loopId, cycle: 1 })).toHaveLength(2);

    await clock.move(2 * DAY_MS);
    await prune();

    expect(await readEvents(debate, { loopId, cycle: 1 })).toEqual([]);
    expect(await append()).toBe(4n);
    expect(await reconcile(debate)).toEqual([]);
  });
});
