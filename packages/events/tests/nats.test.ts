/** @server any */
import { SuiteError } from '@azora/db-core';
import { type FaultProxy, openFaultProxy } from '@azora/db-testkit';
import { type Bus, openBrokerOperations, openBus } from '../src';
import { type Broker, type BrokerConnection, brokerConnection } from '../src/nats/broker';
import { isBrokerUrl, parseBrokerUrl } from '../src/nats/broker-url';
import { type ConsumerRecord, consumerSubject, type LaneState, laneSubject } from '../src/nats/lanes';
import { noticeSubject } from '../src/nats/peers';
import { natsLog } from '../src/nats/relay-log';
import { deleteRecord, LeaseWatch, listRecords, putRecord, readRecord } from '../src/nats/state';
import { COUNTED, freshKey, gate, numbersByKey, until, upTo, useBus } from './bus-fixture';
import { describeWithNats, useNatsServer } from './nats-server';

const STREAM = 'azora-events-family';

describeWithNats('events over NATS JetStream', () => {
  const server = useNatsServer();
  let proxy: FaultProxy;
  const bus = useBus(() => `nats://127.0.0.1:${proxy.port}`);
  let connection: BrokerConnection;
  let broker: Broker;
  let names = 0;
  const freshName = () => `family.record-${String.fromCharCode(97 + names++)}`;

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

  const publish = async (keys: readonly string[], count: number) => {
    for (let n = 0; n < count; n += 1) for (const key of keys) await bus.publish(key);
  };
  const messages = async () => (await broker.streams.streams.info(STREAM)).state.messages;
  const logged = (text: string) => until(() => JSON.stringify(bus.log.entries).includes(text));
  const statusOf = async (name: string, of: Bus) => (await of.status()).consumers.find((one) => one.name === name);
  /** The numbers that a consumer has recorded of some keys, when it has as many of each as expected. */
  const recorded = async (name: string, keys: readonly string[], count: number) => {
    const counted = 'SELECT count(*)::int AS count FROM effects WHERE consumer = $1 AND key = ANY ($2)';
    const find = async () => Number((await bus.target().admin(counted, [name, keys]))[0]?.['count']);
    await until(async () => (await find()) >= count * keys.length);
    const all = numbersByKey(await bus.effects(0, name));
    return keys.map((key) => all[key]);
  };
  const each = (keys: readonly string[], count: number) => keys.map(() => upTo(count));
  /** Lets the time that leases are measured by pass at once. */
  const pass = (milliseconds: number) => {
    const now = performance.now.bind(performance);
    jest.spyOn(performance, 'now').mockImplementation(() => now() + milliseconds);
  };

  it('reach several workers once each, in the order of their key', async () => {
    const [name, keys] = [freshName(), Array.from({ length: 20 }, freshKey)];
    bus.startRelay();
    bus.startConsumer(bus.recorder(name));
    const second = bus.startConsumer(bus.recorder(name));
    await publish(keys, 2);
    await second.stop();
    bus.startConsumer(bus.recorder(name));
    await publish(keys, 2);

    expect(await recorded(name, keys, 4)).toEqual(each(keys, 4));
    expect(bus.log.entries).toEqual([]);
  });

  it('are shared by the workers of a consumer, and a newer version of it takes all', async () => {
    const name = freshName();
    const lanes = upTo(16).map((lane) => laneSubject(name, lane - 1));
    const owners = async () => {
      const records = await Promise.all(lanes.map((lane) => readRecord<LaneState>(broker, lane)));
      const counts: Record<string, number> = {};
      for (const owner of records.flatMap((record) => record?.value.owner ?? []))
        counts[owner] = (counts[owner] ?? 0) + 1;
      return Object.values(counts).sort().join();
    };
    const firstOwner = async () => (await readRecord<LaneState>(broker, laneSubject(name, 0)))?.value.owner;
    bus.startConsumer(bus.recorder(name));
    await until(async () => (await owners()) === '16');
    const second = bus.startConsumer(bus.recorder(name));
    await until(async () => (await owners()) === '8,8');
    await second.stop();
    await until(async () => (await owners()) === '16');
    const older = await firstOwner();
    const newer = bus.startConsumer({ ...bus.recorder(name), types: [COUNTED, 'family.other.v1'] });
    const types = async () => (await readRecord<ConsumerRecord>(broker, consumerSubject(name)))?.value.types.length;
    await until(async () => (await types()) === 2 && (await owners()) === '16' && (await firstOwner()) !== older);

    await newer.stop();

    // The older worker gets no lanes any more.
    expect(await owners()).toBe('');
  });

  it('are all there after the broker was killed and started again, and are not handled twice', async () => {
    const [name, keys] = [freshName(), Array.from({ length: 8 }, freshKey)];
    bus.startRelay();
    bus.startConsumer(bus.recorder(name));
    await publish(keys, 1);
    await recorded(name, keys, 1);
    const before = await messages();

    await server().stop('SIGKILL');
    await publish(keys, 2);
    await server().start();
    await publish(keys, 1);

    expect(await recorded(name, keys, 4)).toEqual(each(keys, 4));
    expect(await messages()).toBe(before + keys.length * 3);
  });

  it('are all there after connections were reset while events were on their way', async () => {
    const [name, keys] = [freshName(), Array.from({ length: 8 }, freshKey)];
    bus.startRelay();
    bus.startConsumer(bus.recorder(name));
    for (let round = 0; round < 4; round += 1) {
      await publish(keys, 2);
      proxy.reset();
    }

    expect(await recorded(name, keys, 8)).toEqual(each(keys, 8));
  });

  it('wait in their outbox while the stream is full, and the relay says so', async () => {
    const [name, keys] = [freshName(), [freshKey(), freshKey()]];
    bus.startRelay();
    bus.startConsumer(bus.recorder(name));
    await publish(keys, 1);
    await recorded(name, keys, 1);
    const { state } = await broker.streams.streams.info(STREAM);
    const full = state.bytes + 6_000;
    await broker.streams.streams.update(STREAM, { max_bytes: full });

    await publish(keys, 10);
    await logged('EVENTS.BROKER_FULL');
    const found = (await broker.streams.streams.info(STREAM)).state;
    expect([found.first_seq, found.messages > state.messages]).toEqual([state.first_seq, true]);
    await broker.streams.streams.update(STREAM, { max_bytes: -1 });

    expect(await recorded(name, keys, 11)).toEqual(each(keys, 11));
    expect(await messages()).toBe(state.messages + 20);
  });

  it('are tried again without leaving the order of their key, while other keys continue', async () => {
    const [name, bad, good] = [freshName(), freshKey(), freshKey()];
    let isBroken = true;
    const worker = bus.openBus();
    bus.startRelay();
    const recorder = bus.recorder(name, (key, n) => {
      if (isBroken && key === bad && n === 2) throw new TypeError('secret of Ada');
    });
    bus.startConsumer({ ...recorder, maxAttempts: 20 }, { bus: worker });
    await publish([bad], 2);
    await until(async () => (await statusOf(name, worker))?.parked === 1);
    await publish([bad], 2);
    await publish([good], 3);

    expect(await recorded(name, [good], 3)).toEqual([upTo(3)]);
    await until(async () => (await statusOf(name, worker))?.parked === 3);
    expect(await recorded(name, [bad], 1)).toEqual([[1]]);
    isBroken = false;

    expect(await recorded(name, [bad], 4)).toEqual([upTo(4)]);
    await until(async () => (await statusOf(name, worker))?.parked === 0);
    expect(JSON.stringify(bus.log.entries.map(({ message }) => message))).toContain('failed to handle');
  });

  it('are read again when the database of the consumer was lost before the commit', async () => {
    const [name, key] = [freshName(), freshKey()];
    const store = bus.openTarget();
    let losses = 0;
    const losing: typeof store = Object.assign(Object.create(store), {
      transaction: async (work: Parameters<typeof store.transaction>[0]) => {
        losses += 1;
        if (losses <= 2) throw new SuiteError('DATABASE.CONNECTION_LOST', 'Lost');
        return store.transaction(work);
      },
    });
    bus.startRelay();
    bus.startConsumer(bus.recorder(name), { store: losing });
    await publish([key], 3);

    expect(await recorded(name, [key], 3)).toEqual([upTo(3)]);
    expect(losses).toBeGreaterThan(2);
  });

  it('become dead letters after their last attempt, and an operator has them handled', async () => {
    const [name, key] = [freshName(), freshKey()];
    const operations = openBrokerOperations(server().url);
    let isBroken = true;
    const worker = bus.openBus();
    bus.startRelay();
    bus.startConsumer(
      bus.recorder(name, (of, n) => {
        if (isBroken && of === key && n === 2) throw new TypeError('secret of Ada');
      }),
      { bus: worker },
    );
    await publish([key], 3);

    expect(await recorded(name, [key], 2)).toEqual([[1, 3]]);
    await until(async () => (await operations.deadLetters(name)).length === 1);
    const [letter] = await operations.deadLetters(name);
    expect(letter).toMatchObject({ consumer: name, source: 'family', attempts: 3, error: 'TypeError' });
    expect(JSON.stringify(letter)).not.toContain('Ada');
    expect(await statusOf(name, worker)).toMatchObject({ parked: 0, dead: 1, workers: 1 });
    isBroken = false;
    const number = { consumer: name, source: 'family', sequence: letter?.sequence ?? 0 };
    expect(await operations.retryDeadLetter(number)).toBe(true);

    expect(await recorded(name, [key], 3)).toEqual([[1, 3, 2]]);
    await until(async () => (await operations.deadLetters(name)).length === 0);
    expect(await operations.retryDeadLetter(number)).toBe(false);
    await operations.close();
  });

  it('are delivered again by a replay, also while a worker has a batch, and those that had their effect have none', async () => {
    const [name, key] = [freshName(), freshKey()];
    const [started, goOn] = [gate(), gate()];
    const operations = openBrokerOperations(server().url);
    bus.startRelay();
    bus.startConsumer(
      bus.recorder(name, async (of, n) => {
        if (of !== key || n !== 4) return;
        started.open();
        await goOn.passed;
      }),
    );
    await publish([key], 3);
    await recorded(name, [key], 3);
    const lost = 'DELETE FROM effects WHERE consumer = $1 AND key = $2 AND n = 2 RETURNING event_id';
    const [event] = await bus.target().admin(lost, [name, key]);
    await bus.target().admin('DELETE FROM inbox WHERE event_id = $1', [event?.['event_id']]);
    await publish([key], 1);
    await started.passed;

    await operations.replay(name, { time: new Date(0) });
    goOn.open();

    expect(await recorded(name, [key], 4)).toEqual([[1, 3, 4, 2]]);
    await expect(operations.replay('family.nobody', { source: 'family', position: 0 })).rejects.toMatchObject({
      code: 'EVENTS.UNKNOWN_CONSUMER',
    });
    await operations.close();
  });

  it('are not skipped by a replay from a position that the consumer has not reached', async () => {
    const [name, key] = [freshName(), freshKey()];
    const operations = openBrokerOperations(server().url);
    bus.startRelay();
    const worker = bus.startConsumer(bus.recorder(name));
    await publish([key], 1);
    await recorded(name, [key], 1);
    await worker.stop();
    await publish([key], 2);
    const reader = bus.openBus();
    await until(async () => (await statusOf(name, reader))?.lag === 2);

    await operations.replay(name, { source: 'family', position: 1_000_000 });
    await operations.replay(name, { time: new Date('2999-01-01T00:00:00Z') });
    bus.startConsumer(bus.recorder(name));

    expect(await recorded(name, [key], 3)).toEqual([[1, 2, 3]]);
    await operations.close();
  });

  it('begin anew for a consumer that an operator has removed, and not while a worker has a lease', async () => {
    const [name, key] = [freshName(), freshKey()];
    const operations = openBrokerOperations(server().url);
    bus.startRelay();
    const first = bus.startConsumer(bus.recorder(name));
    await publish([key], 2);
    await recorded(name, [key], 2);
    expect(await operations.forget(name)).toBe(false);
    await first.stop();
    await bus.target().admin('DELETE FROM effects WHERE consumer = $1', [name]);
    await bus.target().admin('DELETE FROM inbox WHERE consumer = $1', [name]);

    expect(await operations.forget(name)).toBe(true);
    await expect(operations.forget(name)).rejects.toMatchObject({ code: 'EVENTS.UNKNOWN_CONSUMER' });
    expect(await listRecords(broker, `lane.${name.replaceAll('.', '_')}`)).toEqual([]);
    bus.startConsumer(bus.recorder(name));

    expect(await recorded(name, [key], 2)).toEqual([upTo(2)]);
    await operations.close();
  });

  it('are handled by a worker that had joined before its consumer was removed', async () => {
    const [name, key] = [freshName(), freshKey()];
    bus.startRelay();
    bus.startConsumer(bus.recorder(name));
    await publish([key], 1);
    await recorded(name, [key], 1);

    await deleteRecord(broker, consumerSubject(name));
    broker.connection.publish(noticeSubject(name), JSON.stringify({ worker: 'operator', types: [], says: 'reload' }));
    await until(async () => (await readRecord(broker, consumerSubject(name))) !== undefined);
    await publish([key], 1);

    expect(await recorded(name, [key], 2)).toEqual([upTo(2)]);
  });

  it('go to another worker when one has died, and its lease is over', async () => {
    const [name, key] = [freshName(), freshKey()];
    bus.startRelay();
    const first = bus.startConsumer(bus.recorder(name));
    await publish([key], 1);
    await recorded(name, [key], 1);
    await first.stop();
    // As a worker leaves them that was killed.
    for (const lane of upTo(16).map((number) => laneSubject(name, number - 1))) {
      const record = await readRecord<LaneState>(broker, lane);
      await putRecord(broker, lane, { ...record?.value, owner: 'killed' });
    }
    await publish([key], 1);
    const watch = jest.spyOn(LeaseWatch.prototype, 'hasLapsed');
    bus.startConsumer(bus.recorder(name));
    await until(() => watch.mock.calls.length >= 32);
    expect(watch.mock.results.map(({ value }) => value)).not.toContain(true);

    pass(30_000);

    expect(await recorded(name, [key], 2)).toEqual([upTo(2)]);
  });

  it('are appended by one of two relays, and a relay that has lost its source appends nothing', async () => {
    const [cursor, before] = [{ seen: '5:5:', tick: null, tickPosition: null }, await messages()];
    const event = (position: number) => ({
      position: String(position),
      id: `00000000-0000-4000-8000-0000000000${10 + position}`,
      type: 'family.counted.v1',
      key: 'relays',
      payload: `{"n": ${position}}`,
      traceParent: null,
      time: '2026-03-01T12:00:00.000000Z',
    });
    const [old, next] = [natsLog(connection), natsLog(connection)];
    expect(await old.claim('family', 'old', 'identity')).toEqual({ seen: null, tick: null, tickPosition: null });
    await old.append('family', 'old', cursor, [event(1)]);
    expect(await next.claim('family', 'next', 'identity')).toBeUndefined();
    pass(30_000);
    expect(await next.claim('family', 'next', 'identity')).toEqual(cursor);
    await next.append('family', 'next', cursor, [event(2), event(3)]);

    const late = old.append('family', 'old', cursor, [event(4)]);
    await expect(late).rejects.toMatchObject({ code: 'EVENTS.LEASE_LOST' });
    expect(await old.claim('family', 'old', 'identity')).toBeUndefined();
    // The next relay does not know that the events before were stored.
    await next.release('family', 'next');
    const third = natsLog(connection);
    await third.claim('family', 'third', 'another identity');
    await third.append('family', 'third', cursor, [1, 2, 3, 4].map(event));

    expect(await messages()).toBe(before + 4);
    await third.release('family', 'third');
  });

  it('do not push old events out of a stream that is almost full', async () => {
    const log = natsLog(connection);
    const eventOf = (n: number) => ({
      ...{ position: String(n), id: `00000000-0000-4000-8000-0000000000${20 + n}`, type: COUNTED, key: 'full' },
      ...{ payload: `{"n": ${n}}`, traceParent: null, time: '2026-03-01T12:00:00.000000Z' },
    });
    const at = { seen: '5:5:', tick: null, tickPosition: null };
    const stateOf = async () => (await broker.streams.streams.info(STREAM)).state;
    await log.claim('family', 'owner', 'identity');
    await log.append('family', 'owner', at, [eventOf(1)]);
    const before = await stateOf();
    await log.append('family', 'owner', at, [eventOf(2)]);
    const size = (await stateOf()).bytes - before.bytes;
    await broker.streams.streams.update(STREAM, { max_bytes: before.bytes + 2 * size - 20 });

    const append = log.append('family', 'owner', at, [eventOf(3)]);

    await expect(append).rejects.toMatchObject({ code: 'EVENTS.BROKER_FULL' });
    expect((await stateOf()).first_seq).toBe(before.first_seq);
    await broker.streams.streams.update(STREAM, { max_bytes: -1 });
    await log.claim('family', 'owner', 'identity');
    await log.append('family', 'owner', at, [eventOf(3)]);
    await log.release('family', 'owner');
  });

  it('stop in front of an event of another service', async () => {
    const log = natsLog(connection);
    await log.claim('family', 'owner', 'identity');
    const foreign = { position: '1', id: '00000000-0000-4000-8000-000000000001', type: 'mint.counted.v1', key: 'a' };
    const event = { ...foreign, payload: '{}', traceParent: null, time: '2026-03-01T12:00:00Z' };

    const append = log.append('family', 'owner', { seen: '5:5:', tick: null, tickPosition: null }, [event]);

    await expect(append).rejects.toMatchObject({ code: 'EVENTS.FOREIGN_TYPE' });
    await log.release('family', 'owner');
  });

  it('are not taken by a stream with other settings', async () => {
    await broker.streams.streams.add({ name: 'azora-events-mint', subjects: ['azora.mint.>'], max_age: 1_000_000_000 });

    await expect(natsLog(connection).claim('mint', 'owner', 'identity')).rejects.toMatchObject({
      code: 'EVENTS.BROKER_STREAM',
      why: 'discard is "old" instead of "new"; max_age is 1000000000 instead of 0; duplicate_window is less than 120 seconds.',
    });
    await broker.streams.streams.delete('azora-events-mint');
  });

  it('leave the stream when every consumer has passed them and they are old, but for the last one', async () => {
    for (const subject of await listRecords(broker, 'consumer')) await deleteRecord(broker, subject);
    const log = natsLog(connection);
    await log.claim('family', 'owner', 'identity');
    const before = await messages();

    await log.prune();
    expect(await messages()).toBe(before);
    jest.spyOn(Date.prototype, 'getTime').mockReturnValue(Date.UTC(2100, 0));
    const late: ConsumerRecord = { name: 'family.late', types: [COUNTED], maxAttempts: 1, start: { family: 2 } };
    await putRecord(broker, consumerSubject(late.name), late);
    await log.prune();
    expect((await broker.streams.streams.info(STREAM)).state.first_seq).toBe(3);
    const operations = openBrokerOperations(server().url);
    const isCut = async (start: Parameters<typeof operations.planReplay>[1]) =>
      (await operations.planReplay(late.name, start)).isCut;
    expect(await isCut({ source: 'family', position: 1 })).toBe(true);
    expect(await isCut({ source: 'family', position: 2 })).toBe(false);
    expect(await isCut({ time: new Date('2020-01-01T00:00:00Z') })).toBe(true);
    await operations.close();
    await deleteRecord(broker, consumerSubject(late.name));
    await log.prune();

    expect(await messages()).toBe(1);
    await log.release('family', 'owner');
  });
});

describeWithNats('a broker with passwords', () => {
  const server = useNatsServer('--user', 'ada', '--pass', 'secret');

  it('lets the bus in with the password of the URL only', async () => {
    const status = async (login: string) => {
      const bus = openBus({ url: server().url.replace('//', `//${login}`) });
      try {
        return await bus.status();
      } finally {
        await bus.close();
      }
    };

    expect(await status('ada:secret@')).toEqual({ sources: [], consumers: [] });
    await expect(status('ada:wrong@')).rejects.toMatchObject({ code: 'EVENTS.BROKER_DENIED' });
    await expect(status('')).rejects.toMatchObject({ code: 'EVENTS.BROKER_DENIED' });
  });

  it('is reported as unreachable when it is stopped', async () => {
    await server().stop('SIGTERM');
    const bus = openBus({ url: server().url });

    await expect(bus.status()).rejects.toMatchObject({ code: 'EVENTS.BROKER_UNREACHABLE' });
    await bus.close();
  });
});

describe('the URL of a broker', () => {
  it('names servers, credentials and replicas', () => {
    expect(parseBrokerUrl('nats://ada:p%40ss@one:4222,two:4223?replicas=3', 'url')).toEqual({
      servers: ['one:4222', 'two:4223'],
      isTls: false,
      credentials: { user: 'ada', pass: 'p@ss' },
      replicas: 3,
    });
    expect(parseBrokerUrl('tls://token@one', 'url')).toMatchObject({ isTls: true, credentials: { token: 'token' } });
  });

  it('has a scheme in upper or lower case', () => {
    expect(['NATS://one', 'Tls://one'].map(isBrokerUrl)).toEqual([true, true]);
    expect(['NATS://one', 'Tls://one'].map((text) => parseBrokerUrl(text, 'url').isTls)).toEqual([false, true]);
  });

  it.each([
    'nats://',
    'nats://one:port',
    'nats://a:b:c@one',
    'nats://%zz@one',
    'nats://one?replicas=0',
    'nats://one?other=1',
  ])('is rejected without being shown: %s', (text) => {
    let error: unknown;
    try {
      parseBrokerUrl(text, 'AZORA_BUS_URL');
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toMatchObject({ code: 'CONFIG.BAD_URL', message: 'AZORA_BUS_URL is not a valid NATS URL' });
  });
});
