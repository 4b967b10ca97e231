import { randomUUID } from 'node:crypto';
import { useDatabase } from '@azora/db-testkit';
import { Client } from 'pg';
import { until } from './bus-fixture';

const CONSUMER = 'family.record';
const EVENTS = 6;
const LANES = Array.from({ length: 16 }, (_, lane) => lane);

/** Events of one key, as a relay appends them. */
const APPEND = `
  SELECT claim_source('family', '00000000-0000-4000-8000-000000000001', 'here', '1 hour');
  SELECT append_events('family', '00000000-0000-4000-8000-000000000001', '1 hour', '1:1:', NULL, NULL,
    array_agg(gen_random_uuid()), array_agg('family.counted.v1'::text), array_agg('one'::text), array_agg('{}'::text),
    array_agg(NULL::text), array_agg(now())) FROM generate_series(1, ${EVENTS})`;

describe('a replay', () => {
  const nexus = useDatabase('nexus');
  let worker: string;

  beforeEach(async () => {
    worker = randomUUID();
    await nexus().admin(
      'TRUNCATE events, subscriptions, event_sources CASCADE; UPDATE event_log SET head = 0, floor = 0',
    );
    await nexus().admin(APPEND);
    await nexus().admin(`SELECT join_subscription('${CONSUMER}', '{family.counted.v1}', 3, 'start')`);
    await nexus().app('SELECT lease_lanes($1, $2, $3, $4, true)', [CONSUMER, worker, ['family.counted.v1'], '1 hour']);
  });

  const moveTo = (position: number, lanes = LANES) =>
    nexus().admin('SELECT move_lanes($1, $2, array_fill($3::bigint, ARRAY[cardinality($2::smallint[])]), false)', [
      ...[CONSUMER, lanes, position],
    ]);
  const positions = async () => {
    const sql = 'SELECT lane_position(subscription, lane)::int AS position FROM subscription_lanes ORDER BY lane';
    return (await nexus().admin(sql)).map((row) => row['position']);
  };

  it.each([
    ['the position that it has reached', 4],
    ['a later position', 6],
    ['a position that the log does not have yet', 1_000],
  ])('from %s leaves a lane where it is, so that no event is skipped', async (_, position) => {
    await moveTo(4);
    await moveTo(2, LANES.slice(8));
    await nexus().admin('SELECT replay_events($1, $2)', [CONSUMER, position]);

    expect(await positions()).toEqual(LANES.map((lane) => (lane < 8 ? 4 : 2)));
  });

  it('moves the lanes back that are behind its position, and no others', async () => {
    await moveTo(4);
    await moveTo(2, LANES.slice(8));
    await nexus().admin('SELECT replay_events($1, 3)', [CONSUMER]);

    expect(await positions()).toEqual(LANES.map((lane) => (lane < 8 ? 3 : 2)));
  });

  it.each([
    ['a replay', `SELECT replay_events('${CONSUMER}', 0)`],
    ['a worker that renews its lease', `SELECT lease_lanes('${CONSUMER}', $1, '{family.counted.v1}', '1 hour', false)`],
    ['a worker that claims lanes', `SELECT lease_lanes('${CONSUMER}', $1, '{family.counted.v1}', '1 hour', true)`],
    ['a worker that leaves', `SELECT leave_subscription('${CONSUMER}', $1)`],
  ])('and an acknowledgement do not end in a deadlock: %s', async (_, other) => {
    // The rows lie in the opposite order in the table, which is read as a whole because it is small.
    for (const lane of LANES.toReversed()) {
      await nexus().admin('UPDATE subscription_lanes SET version = version + 1 WHERE lane = $1', [lane]);
    }
    await nexus().admin('ANALYZE subscription_lanes');
    const versions = await nexus().admin('SELECT version FROM subscription_lanes ORDER BY lane');
    const holder = new Client({ connectionString: nexus().target.admin.href });
    await holder.connect();
    await holder.query('BEGIN; SELECT FROM subscription_lanes WHERE lane = 8 FOR UPDATE');
    const acknowledged = nexus().app(
      `SELECT acknowledge_events('${CONSUMER}', $1, '1 hour', $2, $3, array_fill(${EVENTS}::bigint, '{16}'), '{}', '{}', '{}', '{}') AS lanes`,
      [worker, LANES, versions.map(({ version }) => version)],
    );
    await untilWaiting(1);
    const done = nexus().admin(other, other.includes('$1') ? [worker] : []);
    await untilWaiting(2);
    await holder.query('COMMIT');
    const ended = await Promise.allSettled([acknowledged, done]);
    await holder.end();

    expect(ended.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled']);
    expect(await acknowledged).toEqual([{ lanes: LANES }]);
  });

  /** Waits until this number of sessions wait for a lock. */
  async function untilWaiting(sessions: number): Promise<void> {
    const waiting = `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`;
    await until(async () => (await nexus().admin(waiting)).length >= sessions);
  }
});
