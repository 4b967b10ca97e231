import { type Inside, SuiteError } from '@azora/db-core';
import { defineConsumer, type EventTransaction } from '@azora/db-core/events';
import { useTestClock } from '@azora/db-testkit';
import { Pool } from 'pg';
import { openFamily } from '../../../services/family/src';
import { InboxPruner } from '../src/consuming';
import { runSubscription } from '../src/postgres/subscribe';
import { openWakeUp } from '../src/wake-up';
import { COUNTED, freshKey, gate, numbersByKey, until, upTo, useBus } from './bus-fixture';
import { type Break, faultyPool } from './faulty-pool';

const LEASE_MS = 30_000;
/** Longer than any delay before the next attempt. */
const BACKOFF_MS = 600_000;

describe('the inbox of a consumer', () => {
  afterEach(() => jest.restoreAllMocks());

  it('is pruned again soon while it has more old rows than one call deletes', async () => {
    let [now, left] = [0, 25_000];
    jest.spyOn(performance, 'now').mockImplementation(() => now);
    const tx = {
      $queryRawUnsafe: async <Result>(_sql: string, ...values: readonly unknown[]) => {
        const deleted = Math.min(left, Number(values[1]));
        left -= deleted;
        return [{ deleted }] as Result;
      },
    };
    const pruner = new InboxPruner({ transaction: (work) => work(tx as Inside<EventTransaction>) });
    for (now = 0; now < 605_000; now += 1_000) await pruner.prune();

    expect(left).toBe(0);
  });
});

describe('a subscription', () => {
  const bus = useBus();
  const clock = useTestClock(() => bus.nexus(), '2026-03-01T12:00:00Z');
  let names = 0;
  const freshName = () => `family.record-${String.fromCharCode(97 + names++)}`;

  beforeEach(async () => {
    await bus.nexus().admin('TRUNCATE events, subscriptions CASCADE');
    bus.startRelay();
  });

  const publish = async (key: string, count: number) => {
    for (let n = 0; n < count; n += 1) await bus.publish(key);
  };
  const logged = async (key: string, count: number) => {
    const counted = 'SELECT count(*)::int AS count FROM events WHERE key = $1';
    await until(async () => Number((await bus.nexus().admin(counted, [key]))[0]?.['count']) >= count);
  };
  const deliveries = (key: string) =>
    bus.nexus().admin('SELECT state, attempts, last_error FROM deliveries WHERE key = $1 ORDER BY position', [key]);
  const ofKey = async (key: string, count: number, name: string) => {
    const counted = 'SELECT count(*)::int AS count FROM effects WHERE consumer = $1 AND key = $2';
    await until(async () => Number((await bus.target().admin(counted, [name, key]))[0]?.['count']) >= count);
    return numbersByKey(await bus.effects(count, name))[key];
  };

  it('retries an event that failed after a delay, and keeps the order of its key, while other keys continue', async () => {
    const [bad, good, name] = [freshKey(), freshKey(), freshName()];
    let isBroken = true;
    const fail = (key: string, n: number) => {
      if (isBroken && key === bad && n === 2) throw new Error('secret of Ada');
    };
    bus.startConsumer(bus.recorder(name, fail));
    await publish(bad, 4);
    await publish(good, 3);

    expect(await ofKey(good, 3, name)).toEqual(upTo(3));
    await until(async () => (await deliveries(bad)).length === 3);
    const waiting = { state: 'waiting', attempts: 0, last_error: null };
    expect(await deliveries(bad)).toEqual([{ state: 'retry', attempts: 1, last_error: 'Error' }, waiting, waiting]);
    await publish(bad, 1);
    await until(async () => (await deliveries(bad)).length === 4);
    expect(await ofKey(bad, 1, name)).toEqual([1]);
    isBroken = false;
    await clock.move(BACKOFF_MS);

    expect(await ofKey(bad, 5, name)).toEqual(upTo(5));
    await until(async () => (await deliveries(bad)).length === 0);
    expect(bus.log.entries).toMatchObject([
      { message: 'a consumer failed to handle an event', fields: { consumer: name } },
    ]);
  });

  it('logs where a handler failed, and nothing of the text of its error', async () => {
    const [key, name] = [freshKey(), freshName()];
    bus.startConsumer(
      bus.recorder(name, () => {
        throw new RangeError('kofi@example.org\n    at home');
      }),
    );
    await publish(key, 1);
    await until(() => bus.log.entries.length > 0);

    expect(bus.log.entries[0]?.fields).toMatchObject({
      ...{ consumer: name, error: 'RangeError' },
      at: expect.arrayContaining([expect.stringContaining('subscribe.test.ts')]),
    });
    expect(JSON.stringify(bus.log.entries)).not.toMatch(/kofi|home/);
  });

  it('gives an event up after its last attempt, continues with its key, and handles it when it is retried by hand', async () => {
    const [key, name] = [freshKey(), freshName()];
    let isBroken = true;
    bus.startConsumer(
      bus.recorder(name, (_key, n) => {
        if (isBroken && n === 2) throw new TypeError('broken');
      }),
    );
    await publish(key, 3);

    for (let attempts = 1; attempts < 3; attempts += 1) {
      await until(async () => (await deliveries(key))[0]?.['attempts'] === attempts);
      await clock.move(BACKOFF_MS);
    }
    expect(await ofKey(key, 2, name)).toEqual([1, 3]);
    // The third event has its effect before it is acknowledged.
    await until(async () => (await deliveries(key)).length === 1);
    expect(await deliveries(key)).toEqual([{ state: 'dead', attempts: 3, last_error: 'TypeError' }]);
    isBroken = false;
    await bus.nexus().admin('SELECT retry_dead_letter(subscription, position) FROM deliveries');

    expect(await ofKey(key, 3, name)).toEqual([1, 3, 2]);
    await until(async () => (await deliveries(key)).length === 0);
  });

  it('parks an event whose error has a text that PostgreSQL cannot store', async () => {
    const [key, name] = [freshKey(), freshName()];
    const errors = [new SuiteError('FAMILY.ODD', 'NUL \0 and \ud800'), Object.assign(new Error(), { name: 'a\0b' })];
    Object.assign(errors[1] as Error, { name: undefined });
    bus.startConsumer(
      bus.recorder(name, (_key, n) => {
        if (n < 3) throw errors[n - 1];
      }),
    );
    await publish(key, 1);
    await until(async () => (await deliveries(key)).length === 1);
    expect((await deliveries(key))[0]?.['last_error']).toBe('FAMILY.ODD: NUL \ufffd and \ufffd');
  });

  it('parks an event whose handler waits forever, and continues with the others', async () => {
    const [bad, good, name] = [freshKey(), freshKey(), freshName()];
    const store = openFamily({
      url: bus.target().url,
      logger: bus.log.logger,
      slowQueryMs: 60_000,
      pool: { statementTimeoutMs: 2_000 },
    });
    const worker = bus.startConsumer(
      bus.recorder(name, (key) => (key === bad ? new Promise(() => undefined) : undefined)),
      { store },
    );
    await publish(bad, 2);
    await publish(good, 2);

    expect(await ofKey(good, 2, name)).toEqual(upTo(2));
    await until(async () => (await deliveries(bad)).length === 2);
    const text = 'DATABASE.TRANSACTION_TIMEOUT: The transaction took longer than its limit';
    expect((await deliveries(bad))[0]).toEqual({ state: 'retry', attempts: 1, last_error: text });
    await worker.stop();
    await store.close();
  });

  it('keeps a dead letter in front of the oldest event of the log when the consumer is replayed', async () => {
    const [key, name] = [freshKey(), freshName()];
    const worker = bus.startConsumer(
      bus.recorder(name, (_key, n) => {
        if (n === 1) throw new Error('broken');
      }),
    );
    await publish(key, 1);
    await publish(freshKey(), 3);
    for (let attempts = 1; attempts < 3; attempts += 1) {
      await until(async () => (await deliveries(key))[0]?.['attempts'] === attempts);
      await clock.move(BACKOFF_MS);
    }
    await until(async () => (await deliveries(key))[0]?.['state'] === 'dead');
    await worker.stop();
    await clock.move(8 * 86_400_000);
    await bus.nexus().app("SELECT prune_events('7 days', 1000)");

    await bus.nexus().admin('SELECT replay_events($1, 0)', [name]);

    expect(await deliveries(key)).toEqual([{ state: 'dead', attempts: 3, last_error: 'Error' }]);
  });

  it.each([
    ['a batch', { batch: 0 }],
    ['a batch', { batch: Number.NaN }],
    ['a batch', { batch: 1e6 }],
    ['a start', { from: 'middle' as 'now' }],
  ])('rejects %s that no subscription can work with: %j', async (_what, options) => {
    const { signal } = new AbortController();
    const subscribing = bus.openBus().subscribe(bus.openTarget(), bus.recorder(), { signal, ...options });

    await expect(subscribing).rejects.toMatchObject({ code: 'EVENTS.INVALID_INPUT' });
  });

  it('shares its lanes among its workers, and gives all to the one that is left', async () => {
    const [name, keys] = [freshName(), Array.from({ length: 20 }, freshKey)];
    const owners = async () => {
      const rows = await bus.nexus().admin(`SELECT count(*)::int AS lanes FROM subscription_lanes
        WHERE subscription = '${name}' AND owner IS NOT NULL GROUP BY owner ORDER BY 1`);
      return rows.map(({ lanes }) => lanes);
    };
    bus.startConsumer(bus.recorder(name));
    await until(async () => (await owners()).join() === '16');
    const second = bus.startConsumer(bus.recorder(name));
    await until(async () => (await owners()).join() === '8,8');
    const third = bus.startConsumer(bus.recorder(name));
    await until(async () => (await owners()).join() === '4,6,6');

    for (const key of keys) await publish(key, 2);
    await second.stop();
    for (const key of keys) await publish(key, 2);
    await third.stop();
    for (const key of keys) await publish(key, 2);

    const effects = await bus.effects(120, name);
    expect(numbersByKey(effects)).toEqual(Object.fromEntries(keys.map((key) => [key, upTo(6)])));
    await until(async () => (await owners()).join() === '16');
  });

  it('takes the lanes of a worker that was killed when its lease has ended', async () => {
    const [key, name] = [freshKey(), freshName()];
    const join = `SELECT join_subscription('${name}', '{${COUNTED}}', 3, 'start'),
      (SELECT count(*) FROM lease_lanes('${name}', gen_random_uuid(), '{${COUNTED}}', '30 s', true))`;
    await bus.nexus().app('SELECT join_subscription($1, $2, 3, $3)', [name, [COUNTED], 'start']);
    await bus.nexus().app(join);
    bus.startConsumer(bus.recorder(name));
    await until(async () => (await bus.nexus().admin('SELECT FROM subscription_workers')).length === 2);
    await publish(key, 2);
    await logged(key, 2);

    await clock.move(LEASE_MS - 1);
    expect(await bus.target().admin('SELECT FROM effects WHERE consumer = $1', [name])).toEqual([]);
    const owners = 'SELECT count(DISTINCT owner)::int AS owners, count(owner)::int AS lanes FROM subscription_lanes';
    expect(await bus.nexus().admin(owners)).toEqual([{ owners: 1, lanes: 16 }]);
    await clock.move(1);

    expect(await ofKey(key, 2, name)).toEqual(upTo(2));
  });

  it('finishes its batch and gives its lanes back when its signal aborts', async () => {
    const [key, name] = [freshKey(), freshName()];
    const [started, goOn] = [gate(), gate()];
    const worker = bus.startConsumer(
      bus.recorder(name, async () => {
        started.open();
        await goOn.passed;
      }),
    );
    await publish(key, 1);
    await started.passed;

    const stopped = worker.stop();
    goOn.open();
    await stopped;

    expect(await ofKey(key, 1, name)).toEqual([1]);
    const lanes = await bus.nexus().admin(`SELECT count(*)::int AS free,
        bool_or(lane_position(subscription, lane) = (SELECT max(position) FROM events WHERE key = '${key}')) AS "hasMoved"
      FROM subscription_lanes WHERE subscription = '${name}' AND owner IS NULL`);
    expect(lanes).toEqual([{ free: 16, hasMoved: true }]);
    expect(await bus.nexus().admin('SELECT FROM subscription_workers')).toEqual([]);
  });

  it('has no more events in memory than its batch, however slow its consumer is', async () => {
    const [key, name] = [freshKey(), freshName()];
    const [started, goOn] = [gate(), gate()];
    const nexus = new Pool({ connectionString: bus.nexus().url });
    const counting = faultyPool(nexus, Number.POSITIVE_INFINITY, 'before');
    const worker = startWorker(counting.pool, name, 10, async () => {
      started.open();
      await goOn.passed;
    });
    await publish(key, 30);
    await started.passed;
    await logged(key, 30);
    const fetches = () => counting.statements().filter((text) => text.includes('fetch_events')).length;
    const before = fetches();
    await bus.nexus().admin(`SELECT pg_notify('events', '')`);
    expect(fetches()).toBe(before);
    goOn.open();

    expect(await ofKey(key, 30, name)).toEqual(upTo(30));
    expect(fetches()).toBeGreaterThanOrEqual(before + 2);
    await worker.stop();
    await nexus.end();
  });

  it('begins with the oldest event or with the next one', async () => {
    const [key, all, later] = [freshKey(), freshName(), freshName()];
    await publish(key, 2);
    await logged(key, 2);
    bus.startConsumer(bus.recorder(later), { from: 'now' });
    await until(async () => (await bus.nexus().admin('SELECT FROM subscription_workers')).length === 1);
    bus.startConsumer(bus.recorder(all), { from: 'start' });
    await publish(key, 2);

    expect(await ofKey(key, 4, all)).toEqual(upTo(4));
    expect(await ofKey(key, 2, later)).toEqual([3, 4]);
  });

  it.each(['position', 'time'])('replays from a %s without a second effect', async (from) => {
    const [key, name] = [freshKey(), freshName()];
    let handled = 0;
    bus.startConsumer(
      bus.recorder(name, () => {
        handled += 1;
      }),
    );
    const [head] = await bus.nexus().admin('SELECT head FROM event_log');
    await clock.move(1_000);
    const [start] = [clock.now()];
    await publish(key, 3);
    await ofKey(key, 3, name);
    const all = handled;
    const lanes = `SELECT min(lane_position(subscription, lane)) = (SELECT head FROM event_log) AS "isDone" FROM subscription_lanes
      WHERE subscription = '${name}'`;
    await until(async () => (await bus.nexus().admin(lanes))[0]?.['isDone'] === true);

    const position = from === 'time' ? `position_before('${start.toISOString()}')` : String(head?.['head']);
    await bus.nexus().admin(`SELECT replay_events('${name}', ${position})`);
    await until(async () => (await bus.nexus().admin(lanes))[0]?.['isDone'] === true);

    expect(handled).toBe(all);
    expect(await ofKey(key, 3, name)).toEqual(upTo(3));
    await bus.target().admin('DELETE FROM inbox WHERE consumer = $1', [name]);
    await bus.nexus().admin(`SELECT replay_events('${name}', ${position})`);
    expect(await ofKey(key, 6, name)).toEqual([...upTo(3), ...upTo(3)]);
  });

  it('delivers an event of 128 KiB, and each event to every consumer', async () => {
    const key = freshKey();
    const handled: Record<string, number> = {};
    for (const name of [freshName(), freshName(), freshName()]) {
      const consumer = defineConsumer({
        name,
        types: [COUNTED],
        handle: async (_tx, { subject, data }) => {
          if (subject === key) handled[name] = (data as { readonly text: string }).text.length;
        },
      });
      bus.startConsumer(consumer);
    }
    const large = `SELECT publish_event('${COUNTED}', '${key}', jsonb_build_object('text', repeat('x', 131000), 'n', 1), NULL)`;
    await bus.source().app(large);

    await until(() => Object.keys(handled).length === 3);

    expect(Object.values(handled)).toEqual([131_000, 131_000, 131_000]);
  });

  it('handles events at once that arrive while it waits for a minute', async () => {
    const [key, name] = [freshKey(), freshName()];
    bus.startConsumer(bus.recorder(name), { bus: bus.openBus(60_000) });
    await until(async () => (await bus.nexus().admin('SELECT FROM subscription_workers')).length === 1);

    for (let n = 1; n <= 3; n += 1) {
      await publish(key, 1);
      expect(await ofKey(key, n, name)).toEqual(upTo(n));
    }
  });

  it('leaves its lanes to a newer version of the consumer that handles other types', async () => {
    const [key, name] = [freshKey(), freshName()];
    const worker = (types: readonly string[], seen: string[]) =>
      bus.startConsumer(
        defineConsumer({
          name,
          types,
          handle: async (_tx, { id }) => {
            seen.push(id);
          },
        }),
      );
    const [older, newer]: [string[], string[]] = [[], []];
    worker([COUNTED], older);
    await publish(key, 1);
    await until(() => older.length > 0);
    const handled = older.length;
    worker([COUNTED, 'family.other.v1'], newer);
    const bothTypes = 'SELECT FROM subscriptions WHERE cardinality(types) = 2';
    await until(async () => (await bus.nexus().admin(bothTypes)).length === 1);
    await publish(key, 2);

    await until(() => newer.length + older.length >= handled + 2);
    await publish(key, 2);
    await until(() => newer.length >= 2);

    expect(new Set([...older, ...newer]).size).toBe(older.length + newer.length);
  });

  it('has each effect once, in order, whichever statement to the log fails, before or after its effect', async () => {
    const nexus = new Pool({ connectionString: bus.nexus().url });
    let failures = 0;
    for (let at = 1; at <= 7; at += 1) {
      for (const place of ['before', 'after'] as const satisfies readonly Break[]) {
        const [key, name] = [freshKey(), `family.faulty-${place}-${'x'.repeat(at)}`];
        await publish(key, 3);
        await logged(key, 3);
        const faulty = faultyPool(nexus, at, place);
        let hasFailed = false;
        const worker = startWorker(faulty.pool, name, 2, undefined, () => {
          hasFailed = true;
        });
        await ofKey(key, 3, name);
        await worker.stop();
        if (hasFailed) failures += 1;
        expect(await ofKey(key, 3, name)).toEqual(upTo(3));
        await bus.nexus().admin('DELETE FROM subscriptions');
      }
    }
    // Joining, leasing, fetching and acknowledging, each before and after.
    expect(failures).toBe(14);
    await nexus.end();
  });

  /** A worker with a pool of the test's own. */
  function startWorker(
    log: Pool,
    name: string,
    batch: number,
    before?: () => unknown,
    report: (error: unknown) => void = () => undefined,
  ) {
    const ending = new AbortController();
    const store = bus.openTarget();
    const wakeUp = openWakeUp({ connectionString: bus.nexus().url }, 'events');
    const running = runSubscription<EventTransaction>({
      ...{ log, store, consumer: bus.recorder(name, before), from: 'start', batch, wakeUp, pollMs: 20 },
      ...{ signal: ending.signal, report, reportFailure: () => undefined },
    });
    return {
      stop: async () => {
        ending.abort();
        await running;
        await wakeUp.close();
      },
    };
  }
});
