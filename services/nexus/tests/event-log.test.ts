import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { repositoryRoot, useDatabase, useTestClock } from '@azora/db-testkit';

const APPEND = `SELECT append_events($1, $2, '30 s', '1:1:', NULL, NULL, $3, $4, $5, $6, $7, $8) AS appended`;
const COUNTED = 'family.counted.v1';
const MIGRATION = path.join(repositoryRoot(), 'services/nexus/prisma/migrations/20261201000002_event_log');

describe('the event log', () => {
  const db = useDatabase('nexus');
  const clock = useTestClock(db, '2026-03-01T12:00:00Z');

  beforeEach(async () => {
    await db().admin('TRUNCATE events, subscriptions, event_sources CASCADE');
  });

  const claim = async (owner: string, source = 'family') =>
    (await db().app(`SELECT * FROM claim_source($1, $2, 'here', '30 s')`, [source, owner]))[0];
  const append = async (
    owner: string,
    keys: readonly string[],
    ids = keys.map(() => randomUUID()),
    source = 'family',
  ) => {
    const each = <Value>(value: Value) => keys.map(() => value);
    const values = [source, owner, ids, each(COUNTED), keys, each('{}'), each(null), each('2026-01-01')];
    return (await db().app(APPEND, values))[0]?.['appended'];
  };
  /** Makes a subscription whose lanes a new worker has. */
  const subscribe = async (name: string, worker = randomUUID()) => {
    await db().app(`SELECT join_subscription($1, $2, 3, 'start')`, [name, [COUNTED]]);
    await db().app(`SELECT * FROM lease_lanes($1, $2, $3, '30 s', true)`, [name, worker, [COUNTED]]);
    return worker;
  };
  const acknowledge = async (name: string, worker: string, versionsLater = 0) =>
    db().app(
      `SELECT acknowledge_events($1, $2, '30 s', array_agg(lane), array_agg(version + $3), array_agg(1::bigint), '{}', '{}', '{}', '{}')
       AS held FROM subscription_lanes WHERE subscription = $1`,
      [name, worker, versionsLater],
    );

  it('numbers the events of racing appends without a gap, and has each event once', async () => {
    const owners = Array.from({ length: 4 }, () => randomUUID());
    const ids = owners.map(() => [randomUUID(), randomUUID(), randomUUID()]);
    for (const [index, owner] of owners.entries()) await claim(owner, `source${index}`);

    for (const expected of [3, 0]) {
      const appended = owners.map((owner, index) => append(owner, ['a', 'b', 'c'], ids[index], `source${index}`));
      expect(await Promise.all(appended)).toEqual([expected, expected, expected, expected]);
    }

    const [found] = await db().admin(
      `SELECT count(*)::int AS count, (max(position) - min(position) + 1)::int AS span FROM events`,
    );
    expect(found).toEqual({ count: 12, span: 12 });
    const lanes = await db().admin('SELECT count(DISTINCT lane)::int AS lanes FROM events GROUP BY key');
    expect(lanes).toEqual([{ lanes: 1 }, { lanes: 1 }, { lanes: 1 }]);
  });

  it('gives a source to one relay of four that race, and to another one when the lease has ended', async () => {
    const owners = Array.from({ length: 4 }, () => randomUUID());
    const claims = async () =>
      (await Promise.all(owners.map((owner) => claim(owner)))).filter((row) => row?.['is_held']);

    expect(await claims()).toHaveLength(1);
    await clock.move(29_999);
    const [{ owner } = {}] = await db().admin('SELECT owner FROM event_sources');
    const others = owners.filter((one) => one !== owner);
    for (const other of others) expect((await claim(other))?.['is_held']).toBe(false);
    await clock.move(1);
    expect((await claim(String(others[0])))?.['is_held']).toBe(true);
    await expect(append(String(owner), ['late'])).rejects.toMatchObject({
      code: 'AZ001',
      message: 'event_sources_lease',
    });
    expect(await db().admin('SELECT FROM events')).toEqual([]);
  });

  it('forgets how far an outbox was relayed that has another identity', async () => {
    const owner = randomUUID();
    await claim(owner);
    await append(owner, ['a']);

    expect((await claim(owner))?.['seen']).toBe('1:1:');
    const [moved] = await db().app(`SELECT * FROM claim_source('family', $1, 'elsewhere', '30 s')`, [owner]);
    expect(moved).toMatchObject({ is_held: true, seen: null, tick: null });
  });

  it('acknowledges nothing of a worker with another owner, an old version, or after a replay', async () => {
    const worker = await subscribe('family.record');

    for (const [who, versionsLater] of [
      [randomUUID(), 0],
      [worker, 1],
      [worker, -1],
    ] as const) {
      expect(await acknowledge('family.record', who, versionsLater)).toEqual([{ held: [] }]);
    }
    const versions = await db().admin('SELECT array_agg(version ORDER BY lane) AS versions FROM subscription_lanes');
    await db().admin(`SELECT replay_events('family.record', 0)`);
    const replayed = await db().admin(
      'SELECT array_agg(version - 1 ORDER BY lane) AS versions FROM subscription_lanes',
    );
    expect(replayed).toEqual(versions);
    expect(await acknowledge('family.record', worker, -1)).toEqual([{ held: [] }]);
    expect((await acknowledge('family.record', worker))[0]?.['held']).toHaveLength(16);
  });

  it('deletes old events that every subscription has passed, and no event with a dead letter', async () => {
    const owner = randomUUID();
    await claim(owner);
    await append(owner, ['a', 'b', 'c', 'd']);
    const [{ first } = {}] = await db().admin('SELECT min(position)::int AS first FROM events');
    await subscribe('family.record');
    const prune = async () => (await db().app(`SELECT prune_events('7 days', 100) AS passed`))[0]?.['passed'];
    const left = async () => (await db().admin('SELECT key FROM events ORDER BY position')).map(({ key }) => key);
    const pass = (position: number) => db().admin('UPDATE subscription_lanes SET position = $1', [position]);
    const at = Number(first);

    await clock.move(7 * 86_400_000);
    expect([await prune(), await left()]).toEqual([0, ['a', 'b', 'c', 'd']]);
    await pass(at + 2);
    expect([await prune(), await left()]).toEqual([0, ['a', 'b', 'c', 'd']]);
    await clock.move(1);
    await db().admin(
      `INSERT INTO deliveries (position, subscription, key, lane, state) VALUES ($1, 'family.record', 'b', 0, 'dead')`,
      [at + 1],
    );
    expect([await prune(), await left()]).toEqual([3, ['b', 'd']]);
    expect(await prune()).toBe(0);
    await db().admin(`SELECT discard_dead_letter('family.record', $1)`, [at + 1]);
    expect(await left()).toEqual(['d']);
    await pass(at + 3);
    expect([await prune(), await left()]).toEqual([1, []]);
  });

  it.each([
    `INSERT INTO events (position, event_id, source, type, key, lane, payload, occurred_at)
      VALUES (1, gen_random_uuid(), 'auth', 'auth.forged.v1', 'ada', 0, '{}', now())`,
    `UPDATE events SET payload = '{}'`,
    'DELETE FROM events',
    'TRUNCATE events',
    'SELECT FROM events FOR UPDATE',
    'UPDATE event_log SET head = 0',
    'SELECT FROM event_log FOR UPDATE',
    'UPDATE event_sources SET owner = gen_random_uuid()',
    `UPDATE event_sources SET seen = '9:9:'`,
    'INSERT INTO subscription_lanes VALUES (1)',
    'UPDATE subscription_lanes SET position = 0',
    'UPDATE subscription_lanes SET owner = gen_random_uuid()',
    'DELETE FROM subscriptions',
    `UPDATE deliveries SET state = 'dead'`,
    'DELETE FROM deliveries',
    `SELECT replay_events('family.record', 0)`,
    `SELECT retry_dead_letter('family.record', 1)`,
    `SELECT discard_dead_letter('family.record', 1)`,
    `SELECT unblock_keys('family.record', '{a}')`,
    `CREATE FUNCTION pg_temp.database_time() RETURNS timestamptz LANGUAGE sql AS 'SELECT now()'`,
  ])('gives the app role no right to: %s', async (sql) => {
    await subscribe('family.record');

    await expect(db().app(sql)).rejects.toMatchObject({ code: '42501' });
  });

  it('carries the rows of the former table over, and back', async () => {
    const [up, down] = ['migration.sql', 'down.sql'].map((file) => readFileSync(path.join(MIGRATION, file), 'utf8'));
    await db().admin(`BEGIN; DROP FUNCTION database_time() CASCADE; CREATE FUNCTION database_time() RETURNS timestamptz
      LANGUAGE sql AS 'SELECT clock_timestamp()'; COMMIT`);
    await db().admin(String(down));
    await db().admin(`INSERT INTO events (id, type, source, user_id, idempotency_key, created_at) VALUES
      ('second', 'auth.2fa-enabled', 'auth', NULL, 'two', '2026-01-02'),
      ('first', 'auth.signed-in', 'auth', 'ada', 'one', '2026-01-01')`);

    await db().admin(String(up));

    expect(await db().admin('SELECT position, type, key, created_at FROM events ORDER BY position')).toEqual([
      { position: '1', type: 'auth.signed-in.v1', key: 'ada', created_at: new Date('2026-01-01T00:00:00Z') },
      { position: '2', type: 'auth.x2fa-enabled.v1', key: 'second', created_at: new Date('2026-01-02T00:00:00Z') },
    ]);
    expect(await db().admin('SELECT head FROM event_log')).toEqual([{ head: '2' }]);
    await db().admin(String(down));
    expect(await db().admin('SELECT type, source, status FROM events ORDER BY created_at')).toEqual([
      { type: 'auth.signed-in', source: 'auth', status: 'pending' },
      { type: 'auth.x2fa-enabled', source: 'auth', status: 'pending' },
    ]);
  });
});
