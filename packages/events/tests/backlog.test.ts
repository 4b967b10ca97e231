/** @server any */
import type { EventTransaction } from '@azora/db-core/events';
import { useTestClock } from '@azora/db-testkit';
import { Pool } from 'pg';
import { runSubscription } from '../src/postgres/subscribe';
import { openWakeUp } from '../src/wake-up';
import { freshKey, gate, numbersByKey, until, upTo, useBus } from './bus-fixture';
import { faultyPool } from './faulty-pool';

/** Longer than any delay before the next attempt. */
const BACKOFF_MS = 600_000;
const BATCH = 2;

describe('a worker with a backlog', () => {
  const bus = useBus();
  const clock = useTestClock(() => bus.nexus(), '2026-03-01T12:00:00Z');

  beforeEach(async () => {
    await bus.nexus().admin('TRUNCATE events, subscriptions CASCADE');
  });

  /** Publishes the numbers of the keys in turn, as a backlog of the log. */
  async function givenBacklog(keys: readonly string[], each: number): Promise<void> {
    for (let n = 0; n < each; n += 1) for (const key of keys) await bus.publish(key);
    bus.startRelay();
    const logged = 'SELECT FROM events WHERE key = ANY ($1)';
    await until(async () => (await bus.nexus().admin(logged, [keys])).length === keys.length * each);
  }

  /** A worker with a batch of two, which counts what it sends to the log. */
  function startWorker(name: string, before: (key: string, n: number) => unknown) {
    const nexus = new Pool({ connectionString: bus.nexus().url });
    const counting = faultyPool(nexus, Number.POSITIVE_INFINITY, 'before');
    const sent = (text: string) => counting.statements().filter((statement) => statement.includes(text)).length;
    const ending = new AbortController();
    const wakeUp = openWakeUp({ connectionString: bus.nexus().url }, 'events');
    const running = runSubscription<EventTransaction>({
      ...{ log: counting.pool, store: bus.openTarget(), consumer: bus.recorder(name, before), from: 'start' },
      ...{ batch: BATCH, wakeUp, pollMs: 20, signal: ending.signal },
      ...{ report: () => undefined, reportFailure: () => undefined },
    });
    return {
      sent,
      stop: async () => {
        ending.abort();
        await running;
        await wakeUp.close();
        await nexus.end();
      },
    };
  }

  it('fetches the next batch while it handles one, and no other batch', async () => {
    const [key, name, goOn] = [freshKey(), 'family.record-ahead', gate()];
    await givenBacklog([key], 7);
    const worker = startWorker(name, () => goOn.passed);

    await until(() => worker.sent('fetch_events') === 2);
    await bus.nexus().admin(`SELECT pg_notify('events', '')`);
    expect([worker.sent('fetch_events'), worker.sent('acknowledge_events')]).toEqual([2, 0]);
    goOn.open();

    expect(numbersByKey(await bus.effects(7, name))[key]).toEqual(upTo(7));
    await worker.stop();
  });

  it('tries no later event of a key that it has fetched already when an event of the key fails', async () => {
    const [bad, good, name] = [freshKey(), freshKey(), 'family.record-order'];
    await givenBacklog([bad, good], 3);
    let isBroken = true;
    const worker = startWorker(name, async (key, n) => {
      if (!isBroken || key !== bad || n !== 1) return;
      await until(() => worker.sent('fetch_events') > 1);
      throw new Error('broken');
    });

    await bus.effects(3, name);
    const waiting = "SELECT FROM deliveries WHERE key = $1 AND state = 'waiting'";
    await until(async () => (await bus.nexus().admin(waiting, [bad])).length === 2);
    isBroken = false;
    await clock.move(BACKOFF_MS);

    expect(numbersByKey(await bus.effects(6, name))).toEqual({ [bad]: upTo(3), [good]: upTo(3) });
    await worker.stop();
  });

  it('finishes the batch that it handles when its signal aborts, and leaves the one that it has fetched', async () => {
    const [key, name, goOn] = [freshKey(), 'family.record-stop', gate()];
    await givenBacklog([key], 6);
    const worker = startWorker(name, () => goOn.passed);
    await until(() => worker.sent('fetch_events') === 2);

    const stopped = worker.stop();
    goOn.open();
    await stopped;

    expect(numbersByKey(await bus.effects(BATCH, name))[key]).toEqual(upTo(BATCH));
    const passed = `SELECT count(DISTINCT lane_position(subscription, lane))::int AS positions,
      min(lane_position(subscription, lane)) = (SELECT position FROM events WHERE payload = '{"n": 2}') AS "isSecond"
      FROM subscription_lanes WHERE owner IS NULL`;
    expect(await bus.nexus().admin(passed)).toEqual([{ positions: 1, isSecond: true }]);
  });
});
