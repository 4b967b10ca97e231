/** @server any */
import { type FaultProxy, openFaultProxy } from '@azora/db-testkit';
import { type Broker, type BrokerConnection, brokerConnection } from '../src/nats/broker';
import { parseBrokerUrl } from '../src/nats/broker-url';
import { RENEW_MS } from '../src/nats/held-lanes';
import { type LaneState, laneSubject } from '../src/nats/lanes';
import { LeaseWatch, readRecord } from '../src/nats/state';
import { ensureStateStream } from '../src/nats/streams';
import { freshKey, gate, numbersByKey, until, upTo, useBus } from './bus-fixture';
import { describeWithNats, useNatsServer } from './nats-server';

const LANES = upTo(16).map((lane) => lane - 1);

describeWithNats('events over NATS JetStream, for minutes', () => {
  const server = useNatsServer();
  let proxy: FaultProxy;
  const bus = useBus(() => `nats://127.0.0.1:${proxy.port}`);
  let connection: BrokerConnection;
  let broker: Broker;

  beforeAll(async () => {
    proxy = await openFaultProxy({ host: '127.0.0.1', port: server().port });
    connection = brokerConnection(parseBrokerUrl(server().url, 'url'));
    broker = await connection.open();
  });
  afterEach(() => jest.restoreAllMocks());
  afterAll(async () => {
    await connection.close();
    await proxy.close();
  });

  /** Publishes the next `count` numbers of each key, 50 keys in a transaction. */
  const publish = async (keys: readonly string[], count: number) => {
    await bus.source().admin('INSERT INTO counters (key) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING', [keys]);
    for (let n = 0; n < count; n += 1) {
      await bus.source().app(
        `WITH counted AS (UPDATE counters SET n = n + 1 WHERE key = ANY ($1) RETURNING key, n)
         SELECT publish_event('family.counted.v1', key, jsonb_build_object('n', n), NULL) FROM counted`,
        [keys],
      );
    }
  };
  /** The numbers that a consumer has recorded of some keys, when it has as many of each as expected. */
  const recorded = async (name: string, keys: readonly string[], count: number) => {
    const counted = 'SELECT count(*)::int AS count FROM effects WHERE consumer = $1 AND key = ANY ($2)';
    const find = async () => Number((await bus.target().admin(counted, [name, keys]))[0]?.['count']);
    while ((await find()) < count * keys.length) await new Promise((resolve) => setTimeout(resolve, 50));
    const all = numbersByKey(await bus.effects(0, name));
    return keys.map((key) => all[key]);
  };
  const each = (keys: readonly string[], count: number) => keys.map(() => upTo(count));

  it('are all there, once each and in order, after the broker was killed three times and the network was cut', async () => {
    const keys = Array.from({ length: 50 }, freshKey);
    bus.startRelay();
    bus.startConsumer(bus.recorder('family.record-chaos'));
    bus.startConsumer(bus.recorder('family.record-chaos'), { bus: bus.openBus() });
    for (let round = 0; round < 3; round += 1) {
      await publish(keys, 10);
      await server().stop(round % 2 === 0 ? 'SIGKILL' : 'SIGTERM');
      await publish(keys, 10);
      await server().start();
      proxy.down();
      await publish(keys, 10);
      proxy.up();
    }

    expect(await recorded('family.record-chaos', keys, 90)).toEqual(each(keys, 90));
  });

  it('are all there after a partition in which connections stay open and nothing arrives', async () => {
    const [name, keys] = ['family.record-partition', Array.from({ length: 50 }, freshKey)];
    bus.startRelay();
    bus.startConsumer(bus.recorder(name));
    await publish(keys, 5);
    await recorded(name, keys, 5);
    proxy.set('upstream', { stalls: true });
    proxy.set('downstream', { stalls: true });
    await publish(keys, 5);
    // The relay has given up to wait.
    while (!JSON.stringify(bus.log.entries).includes('EVENTS.BROKER_UNREACHABLE')) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    proxy.set('upstream', {});
    proxy.set('downstream', {});

    expect(await recorded(name, keys, 10)).toEqual(each(keys, 10));
  });

  it('stay with a slow worker, which renews its leases while it works', async () => {
    const [name, key] = ['family.record-slow', freshKey()];
    const [started, goOn] = [gate(), gate()];
    const slow = bus.recorder(name, async (of) => {
      if (of !== key) return;
      started.open();
      await goOn.passed;
    });
    await ensureStateStream(broker);
    const looks = jest.spyOn(LeaseWatch.prototype, 'hasLapsed');
    const timers = jest.spyOn(globalThis, 'setInterval');
    bus.startRelay();
    bus.startConsumer(slow, { from: 'now', bus: bus.openBus() });
    const records = () => Promise.all(LANES.map((lane) => readRecord<LaneState>(broker, laneSubject(name, lane))));
    const areAll = (holds: (record: Awaited<ReturnType<typeof records>>[number], lane: number) => unknown) =>
      until(async () => (await records()).every(holds));
    await areAll((record) => record?.value.owner);
    await publish([key], 1);
    await started.passed;
    const owner = (await records())[0]?.value.owner;
    const renew = timers.mock.calls.filter(([, every]) => every === RENEW_MS).at(-1)?.[0] as () => void;
    bus.startConsumer(bus.recorder(name), { bus: bus.openBus() });
    await until(async () => looks.mock.calls.length >= LANES.length);

    // Longer than a lease: the worker renews all its lanes four times, and the other one looks at each of them every time.
    const now = performance.now.bind(performance);
    for (let renewals = 1; renewals <= 4; renewals += 1) {
      const before = await records();
      jest.spyOn(performance, 'now').mockImplementation(() => now() + renewals * RENEW_MS);
      renew();
      await areAll((record, lane) => (record?.sequence ?? 0) > (before[lane]?.sequence ?? 0));
      const looked = looks.mock.calls.length;
      await until(async () => looks.mock.calls.length >= looked + LANES.length);
    }
    expect(new Set((await records()).map((record) => record?.value.owner))).toEqual(new Set([owner]));
    goOn.open();

    expect(await recorded(name, [key], 1)).toEqual(each([key], 1));
  });
});
