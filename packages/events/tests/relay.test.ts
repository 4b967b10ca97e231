import { useTestClock } from '@azora/db-testkit';
import { Client, Pool } from 'pg';
import { postgresLog } from '../src/postgres/event-log';
import { runRelay } from '../src/relay';
import { openWakeUp } from '../src/wake-up';
import { COUNTED, freshKey, until, upTo, useBus } from './bus-fixture';
import { type Break, faultyPool } from './faulty-pool';

const LEASE_MS = 30_000;
const PUBLISH = `WITH counted AS (UPDATE counters SET n = n + 1 WHERE key = $1 RETURNING key, n)
  SELECT publish_event('${COUNTED}', key, jsonb_build_object('n', n), NULL) FROM counted`;
const PUBLISH_MANY = `SELECT publish_event('${COUNTED}', $1, jsonb_build_object('n', n), NULL) FROM generate_series(1, $2::int) AS n`;

describe('a relay', () => {
  const bus = useBus();
  const clock = useTestClock(() => bus.nexus(), '2026-03-01T12:00:00Z');

  /** The numbers of a key in the log, in the order of the log. */
  const logged = async (key: string) => {
    const rows = await bus
      .nexus()
      .admin(`SELECT payload -> 'n' AS n FROM events WHERE key = $1 ORDER BY position`, [key]);
    return rows.map(({ n }) => n);
  };
  const arrives = (key: string, count: number) => until(async () => (await logged(key)).length >= count);
  const source = async () => (await bus.nexus().admin('SELECT * FROM event_sources'))[0];

  /** Opens a session of the app role of the source, in a transaction. */
  async function openTransaction(begin: string): Promise<Client> {
    const client = new Client({ connectionString: bus.source().url });
    await client.connect();
    await client.query(begin);
    return client;
  }

  it('relays the events of others while a transaction that publishes stays open, and then its event', async () => {
    const [open, other] = [freshKey(), freshKey()];
    for (const key of [open, other]) await bus.publish(key);
    const client = await openTransaction('BEGIN');
    await client.query(PUBLISH, [open]);
    bus.startRelay();

    for (let n = 2; n <= 4; n += 1) await bus.publish(other);
    await arrives(other, 4);
    expect(await logged(open)).toEqual([1]);
    await client.query('COMMIT');
    await client.end();
    await arrives(open, 2);

    expect([await logged(open), await logged(other)]).toEqual([upTo(2), upTo(4)]);
  });

  it('relays while a snapshot stays open', async () => {
    const key = freshKey();
    const client = await openTransaction('BEGIN ISOLATION LEVEL REPEATABLE READ');
    await client.query('SELECT FROM outbox');
    bus.startRelay();

    for (let n = 1; n <= 3; n += 1) {
      await bus.publish(key);
      await arrives(key, n);
    }

    expect(await logged(key)).toEqual(upTo(3));
    await client.end();
  });

  it('wakes up for every event while it sleeps', async () => {
    const key = freshKey();
    bus.startRelay(bus.openBus(60_000));

    for (let n = 1; n <= 3; n += 1) {
      await isAsleep();
      await bus.publish(key);
      await arrives(key, n);
    }

    expect(await logged(key)).toEqual(upTo(3));
  });

  it.each(['BEGIN', 'BEGIN ISOLATION LEVEL REPEATABLE READ'])(
    'finds an event of a transaction that began while it was awake, and commits while it sleeps: %s',
    async (begin) => {
      const key = freshKey();
      await bus.publish(key);
      const client = await openTransaction(begin);
      // A snapshot that shows the relay awake.
      await client.query('SELECT FROM outbox_relay WHERE NOT asleep');
      if (begin === 'BEGIN') await client.query(PUBLISH, [key]);
      bus.startRelay(bus.openBus(60_000));
      await arrives(key, 1);
      await isAsleep();
      if (begin !== 'BEGIN') await client.query(PUBLISH, [key]);
      await client.query('COMMIT');
      await client.end();

      await arrives(key, 2);

      expect(await logged(key)).toEqual(upTo(2));
    },
  );

  it('leaves the source to the relay that has the lease, and takes it over when the lease has ended', async () => {
    const key = freshKey();
    await bus.publish(key);
    await bus.nexus().app(`SELECT claim_source('family', gen_random_uuid(), 'elsewhere', '30 s')`);
    const before = (await source())?.['owner'];
    // A claim locks the row, also in vain.
    const claims = async () => (await bus.nexus().admin('SELECT xmax::text AS id FROM event_sources'))[0]?.['id'];
    const isClaimed = async () => {
      const last = await claims();
      await until(async () => (await claims()) !== last);
    };
    bus.startRelay();
    bus.startRelay();

    await isClaimed();
    await clock.move(LEASE_MS - 1);
    await isClaimed();
    expect(await logged(key)).toEqual([]);
    expect(await source()).toMatchObject({ owner: before });
    await clock.move(1);
    await arrives(key, 1);

    expect(await logged(key)).toEqual([1]);
    expect((await source())?.['owner']).not.toBe(before);
  });

  it('appends nothing after another relay has taken its source, and continues when it gets the source back', async () => {
    const key = freshKey();
    await bus.publish(key);
    bus.startRelay();
    await arrives(key, 1);

    await bus.nexus().admin(`UPDATE event_sources SET owner = gen_random_uuid()`);
    await bus.publish(key);
    await clock.move(LEASE_MS);
    await arrives(key, 2);

    expect(await logged(key)).toEqual(upTo(2));
    expect(bus.log.entries).toEqual([]);
  });

  it('gives the lease back when its signal aborts', async () => {
    const key = freshKey();
    const relay = bus.startRelay();
    await bus.publish(key);
    await arrives(key, 1);

    await relay.stop();

    expect(await source()).toMatchObject({ owner: null, leased_until: null });
  });

  it('continues after all sessions of both databases were terminated', async () => {
    const key = freshKey();
    bus.startRelay();
    for (let n = 1; n <= 3; n += 1) {
      await bus.publish(key, bus.source().admin);
      await arrives(key, n);
      for (const db of [bus.source(), bus.nexus()]) {
        const terminate = 'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1 AND datname = $2';
        await db.admin(terminate, [db.target.role, db.target.database]);
      }
    }

    expect(await logged(key)).toEqual(upTo(3));
  });

  it('reports once that the log cannot be reached, and relays when it can', async () => {
    const key = freshKey();
    const { database, role } = bus.nexus().target;
    await bus.publish(key);
    await bus.nexus().admin(`REVOKE CONNECT ON DATABASE ${database} FROM ${role}`);
    bus.startRelay();

    await until(() => bus.log.entries.length > 0);
    await bus.nexus().admin(`GRANT CONNECT ON DATABASE ${database} TO ${role}`);
    await arrives(key, 1);

    expect(bus.log.entries).toEqual([
      {
        message: 'the relay of an outbox waits until the databases answer',
        fields: expect.objectContaining({ service: 'family', code: 'DATABASE.ACCESS_DENIED' }),
      },
    ]);
    expect(JSON.stringify(bus.log.entries)).not.toContain(database);
  });

  it('reads the whole outbox again when it was restored elsewhere, and the log has no event twice', async () => {
    const key = freshKey();
    for (let n = 1; n <= 3; n += 1) await bus.publish(key);
    const relay = bus.startRelay();
    await arrives(key, 3);
    await relay.stop();

    await bus.source().admin(`UPDATE outbox_relay SET identity = 'elsewhere'`);
    await bus.source().admin('UPDATE outbox SET transaction_id = transaction_id + 1000000');
    bus.startRelay();
    await bus.publish(key);
    await arrives(key, 4);

    expect(await logged(key)).toEqual(upTo(4));
  });

  it('relays again what a log has lost that was restored from a backup', async () => {
    const key = freshKey();
    await bus.publish(key);
    const first = bus.startRelay();
    await arrives(key, 1);
    await first.stop();
    const [backup] = await bus.nexus().admin('SELECT seen, (SELECT head FROM event_log) AS head FROM event_sources');
    const second = bus.startRelay();
    for (let n = 2; n <= 4; n += 1) await bus.publish(key);
    await arrives(key, 4);
    await second.stop();

    await bus.nexus().admin('DELETE FROM events WHERE position > $1', [backup?.['head']]);
    await bus.nexus().admin('UPDATE event_log SET head = $1', [backup?.['head']]);
    await bus.nexus().admin('UPDATE event_sources SET seen = $1', [backup?.['seen']]);
    bus.startRelay();
    await arrives(key, 4);

    expect(await logged(key)).toEqual(upTo(4));
  });

  it('relays a backlog in the order of its events', async () => {
    const key = freshKey();
    await bus.source().app(PUBLISH_MANY, [key, 1_700]);
    bus.startRelay();

    await arrives(key, 1_700);

    expect(await logged(key)).toEqual(upTo(1_700));
  });

  it('deletes old events as fast as they become old, not at most some thousand a minute', async () => {
    const key = freshKey();
    await bus.source().app(PUBLISH_MANY, [key, 21_000]);
    await bus.source().admin(`UPDATE outbox_relay SET bookmark_times = ARRAY[clock_timestamp() - interval '8 days'],
      bookmark_transaction_ids = ARRAY[pg_current_xact_id()::text::bigint]`);
    const now = performance.now.bind(performance);
    const clockOfProcess = jest.spyOn(performance, 'now');
    try {
      bus.startRelay();
      await arrives(key, 21_000);
      clockOfProcess.mockImplementation(() => now() + 601_000);
      const left = 'SELECT count(*)::int AS left FROM outbox WHERE key = $1';
      await until(async () => (await bus.source().admin(left, [key]))[0]?.['left'] === 0);
    } finally {
      clockOfProcess.mockRestore();
    }
  });

  it.each(['source', 'log'])(
    'relays every event once, in order, whichever statement to the %s fails, before or after its effect',
    async (side) => {
      const [mine, nexus] = [bus.source().url, bus.nexus().url].map(
        (connectionString) => new Pool({ connectionString: String(connectionString) }),
      ) as [Pool, Pool];
      const wakeUp = openWakeUp({ connectionString: bus.source().url }, 'outbox');
      /** Relays 600 events while a statement fails. Returns whether the relay has reported it. */
      const relayWithFault = async (at: number, place: Break) => {
        const key = freshKey();
        await bus.source().app(PUBLISH_MANY, [key, 600]);
        const faulty = faultyPool(side === 'source' ? mine : nexus, at, place);
        const ending = new AbortController();
        const reported: unknown[] = [];
        const running = runRelay({
          source: 'family',
          outbox: side === 'source' ? faulty.pool : mine,
          log: postgresLog(side === 'log' ? faulty.pool : nexus),
          ...{ wakeUp, pollMs: 10, signal: ending.signal, report: (error: unknown) => reported.push(error) },
        });
        await arrives(key, 600);
        ending.abort();
        await running;
        // A relay that could not give its lease back.
        await bus.nexus().admin('UPDATE event_sources SET owner = NULL, leased_until = NULL');
        expect(await logged(key)).toEqual(upTo(600));
        return reported.length > 0;
      };
      // The lease, the appends and the moves of the cursor; and all that reads.
      const statements = side === 'source' ? 8 : 3;
      let failures = 0;
      for (let at = 1; at <= statements; at += 1) {
        for (const place of ['before', 'after'] as const) failures += (await relayWithFault(at, place)) ? 1 : 0;
      }
      expect(failures).toBe(2 * statements);
      await wakeUp.close();
      await Promise.all([mine.end(), nexus.end()]);
    },
  );

  async function isAsleep(): Promise<void> {
    await until(async () => (await bus.source().admin('SELECT asleep FROM outbox_relay'))[0]?.['asleep'] === true);
  }
});
