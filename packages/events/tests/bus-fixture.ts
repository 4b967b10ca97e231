import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { type Consumer, defineConsumer } from '@azora/db-core/events';
import { type TestDatabase, useDatabase } from '@azora/db-testkit';
import { type Family, openFamily } from '../../../services/family/src';
import { type Bus, openBus } from '../src';

/** What the bus and the handlers have logged. */
export interface Log {
  readonly entries: { readonly message: string; readonly fields: Readonly<Record<string, unknown>> }[];
  readonly logger: { warn(message: string, fields?: Readonly<Record<string, unknown>>): void };
}

export interface Effect {
  readonly event_id: string;
  readonly key: string;
  readonly n: string;
}

export interface BusFixture {
  /** The service that publishes. */
  readonly source: () => TestDatabase;
  /** The service that consumes. */
  readonly target: () => TestDatabase;
  readonly nexus: () => TestDatabase;
  readonly log: Log;
  openBus(pollMs?: number): Bus;
  /** A relay of the source, which ends with the test. */
  startRelay(bus?: Bus): Running;
  /** A worker of a consumer, which ends with the test. */
  startConsumer(
    consumer: Consumer,
    options?: { bus?: Bus; from?: 'start' | 'now'; batch?: number; store?: Family },
  ): Running;
  /** A consumer that records each event as an effect, after `before`. */
  recorder(name?: string, before?: (key: string, n: number) => unknown): Consumer;
  openTarget(): Family;
  /** Publishes the next number of a key in a transaction that counts in a row of its own. */
  publish(key: string, session?: TestDatabase['app']): Promise<void>;
  /** Waits until a consumer has recorded this number of events in its inbox. */
  consumed(count: number, name: string): Promise<void>;
  /** Waits until the target has this number of effects. */
  effects(count: number, name?: string): Promise<readonly Effect[]>;
}

/** Something that runs until it is stopped. */
export interface Running {
  stop(): Promise<void>;
}

const WAIT_LIMIT_MS = 60_000;

export const COUNTED = 'family.counted.v1';

/** Counts in the row of the key, then publishes the number: the lock of the row orders the events of the key. */
const PUBLISH = `
  WITH counted AS (UPDATE counters SET n = n + 1 WHERE key = $1 RETURNING key, n)
  SELECT publish_event('${COUNTED}', key, jsonb_build_object('n', n), NULL) FROM counted`;

/**
 * Gives the surrounding `describe` a service that publishes, one that consumes, and the log: in the database of nexus, or in the
 * broker of a URL.
 */
export function useBus(brokerUrl?: () => string): BusFixture {
  const source = useDatabase('family');
  const target = useDatabase('family');
  const nexus = useDatabase('nexus');
  const ends: (() => Promise<unknown>)[] = [];
  const log = openLog();
  let shared: Bus | undefined;

  beforeAll(async () => {
    await source().admin(`CREATE TABLE counters (key text PRIMARY KEY, n bigint NOT NULL DEFAULT 0);
      GRANT SELECT, INSERT, UPDATE ON counters TO ${source().target.role}`);
    await target().admin(`CREATE TABLE effects (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, consumer text NOT NULL,
        event_id uuid NOT NULL, key text NOT NULL, n bigint NOT NULL);
      GRANT SELECT, INSERT ON effects TO ${target().target.role}`);
  });
  afterEach(async () => {
    for (const end of ends.splice(0).toReversed()) await end();
    shared = undefined;
    log.entries.length = 0;
  });

  const fixture: BusFixture = {
    source,
    target,
    nexus,
    log,
    openBus: (pollMs = 50) => {
      const bus = openBus({ url: brokerUrl?.() ?? nexus().url, logger: log.logger, pollMs });
      ends.push(() => bus.close());
      return bus;
    },
    startRelay: (bus = sharedBus()) => {
      const store = openFamily({ url: source().url, logger: log.logger, slowQueryMs: 60_000 });
      ends.push(() => store.close());
      return start((signal) => bus.relay(store, { service: 'family', signal }));
    },
    startConsumer: (consumer, { bus = sharedBus(), store = fixture.openTarget(), ...options } = {}) =>
      start((signal) => bus.subscribe(store, consumer, { signal, ...options })),
    openTarget: () => {
      const store = openFamily({ url: target().url, logger: log.logger, slowQueryMs: 60_000 });
      ends.push(() => store.close());
      return store;
    },
    recorder: (name = 'family.record', before = () => undefined) =>
      defineConsumer({
        name,
        types: [COUNTED],
        maxAttempts: 3,
        handle: async (tx, { id, subject, data }) => {
          const { n } = data as { readonly n: number };
          await before(subject, n);
          await tx.$queryRawUnsafe(
            'INSERT INTO effects (consumer, event_id, key, n) VALUES ($1, $2::uuid, $3, $4) RETURNING id::text',
            ...[name, id, subject, n],
          );
        },
      }),
    publish: async (key, session = source().app) => {
      await session('INSERT INTO counters (key) VALUES ($1) ON CONFLICT DO NOTHING', [key]);
      await session(PUBLISH, [key]);
    },
    consumed: async (count, name) => {
      const counted = 'SELECT count(*)::int AS count FROM inbox WHERE consumer = $1';
      await until(
        async () => Number((await target().admin(counted, [name]))[0]?.['count']) >= count,
        60 * WAIT_LIMIT_MS,
      );
    },
    effects: async (count, name = 'family.record') => {
      const counted = 'SELECT count(*)::int AS count FROM effects WHERE consumer = $1';
      await until(async () => Number((await target().admin(counted, [name]))[0]?.['count']) >= count);
      const rows = await target().admin('SELECT event_id, key, n FROM effects WHERE consumer = $1 ORDER BY id', [name]);
      return rows as unknown as readonly Effect[];
    },
  };

  /** The bus of a test that opens none itself. */
  function sharedBus(): Bus {
    shared ??= fixture.openBus();
    return shared;
  }

  /** Starts work that its signal ends, and ends it after the test. */
  function start(work: (signal: AbortSignal) => Promise<void>): Running {
    const ending = new AbortController();
    const running = work(ending.signal);
    const stop = async () => {
      ending.abort();
      await running;
    };
    // A rejection is that of stop(), which every test awaits at its end.
    running.catch(() => undefined);
    ends.push(stop);
    return { stop };
  }
  return fixture;
}

/** Waits until something is true, which another process or session makes true. Ends a test that would wait forever. */
export async function until(isTrue: () => Promise<boolean> | boolean, limitMs = WAIT_LIMIT_MS): Promise<void> {
  const giveUpAt = performance.now() + limitMs;
  while (!(await isTrue())) {
    if (performance.now() > giveUpAt) throw new Error(`Not true: ${isTrue}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** The numbers of each key, in the order of the effects. */
export function numbersByKey(effects: readonly Effect[]): Readonly<Record<string, readonly number[]>> {
  const numbers: Record<string, number[]> = {};
  for (const { key, n } of effects) numbers[key] = [...(numbers[key] ?? []), Number(n)];
  return numbers;
}

/** 1 to `count`. */
export function upTo(count: number): readonly number[] {
  return Array.from({ length: count }, (_, index) => index + 1);
}

function openLog(): Log {
  const entries: Log['entries'] = [];
  return { entries, logger: { warn: (message, fields = {}) => entries.push({ message, fields }) } };
}

/** A key that no other test uses. */
export function freshKey(): string {
  return `key-${randomUUID()}`;
}

/** A promise that the test resolves. */
export function gate(): { readonly open: () => void; readonly passed: Promise<void> } {
  const ending = new AbortController();
  const passed = once(ending.signal, 'abort').then(() => undefined);
  return { open: () => ending.abort(), passed };
}
