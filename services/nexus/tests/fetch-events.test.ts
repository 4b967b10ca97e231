import { randomUUID } from 'node:crypto';
import { useDatabase } from '@azora/db-testkit';

const [NAME, COUNTED, RARE] = ['family.record', 'family.counted.v1', 'family.rare.v1'];
const APPEND = `SELECT append_events('family', $1, '1 day', '1:1:', NULL, NULL, array_agg(gen_random_uuid()), array_agg($2::text),
    array_agg('key-' || n), array_agg('{}'::text), array_agg(NULL::text), array_agg(now())) FROM generate_series(1, $3::int) AS n`;
/** Where a worker is that has handled everything up to a position, and has not said so yet. */
const AHEAD = `SELECT array_agg(lane) AS lanes, array_agg(version + $2::int) AS versions, array_agg($3::bigint) AS positions
  FROM subscription_lanes WHERE subscription = '${NAME}' AND owner = $1`;

describe('fetch_events', () => {
  const db = useDatabase('nexus');
  let worker = '';
  let first = 0;

  beforeEach(async () => {
    worker = randomUUID();
    await db().admin('TRUNCATE events, subscriptions, event_sources CASCADE');
    const [{ head } = {}] = await db().admin('SELECT head::int FROM event_log');
    first = Number(head) + 1;
    await db().app(`SELECT join_subscription($1, $2, 3, 'now')`, [NAME, [COUNTED]]);
    await db().app(`SELECT * FROM lease_lanes($1, $2, $3, '1 day', true)`, [NAME, worker, [COUNTED]]);
    await db().app(`SELECT claim_source('family', $1, 'here', '1 day')`, [worker]);
  });

  const append = (count: number, type = COUNTED) => db().app(APPEND, [worker, type, count]);

  /** The numbers of the fetched events, from 1, and how far the lanes were read. */
  async function fetch(most: number, ahead?: { readonly versionsLater: number; readonly position: number }) {
    const { versionsLater = 0, position = 0 } = ahead ?? {};
    const [{ lanes, versions, positions } = {}] = await db().app(AHEAD, [worker, versionsLater, first + position - 1]);
    const rows =
      ahead === undefined
        ? await db().app('SELECT * FROM fetch_events($1, $2, $3)', [NAME, worker, most])
        : await db().app('SELECT * FROM fetch_events($1, $2, $3, $4, $5, $6)', [
            ...[NAME, worker, most],
            ...[lanes, versions, positions],
          ]);
    const numbers = (kind: string) =>
      rows.filter((row) => row['kind'] === kind).map((row) => Number(row['position']) - first + 1);
    return { events: numbers('event'), reached: [...new Set(numbers('lane'))] };
  }

  it('returns the oldest events of all lanes of the worker', async () => {
    await append(20);

    expect(await fetch(7)).toEqual({ events: [1, 2, 3, 4, 5, 6, 7], reached: [7] });
    expect((await fetch(30)).events).toHaveLength(20);
  });

  it('begins with the lane that is behind, and returns no event of a lane that has passed it', async () => {
    await append(40);
    const [behind] = await db().admin(
      'SELECT lane, array_agg(position::int ORDER BY position) AS positions FROM events GROUP BY lane LIMIT 1',
    );
    const positions = behind?.['positions'] as readonly number[];
    await db().admin('UPDATE subscription_progress SET position = $1 WHERE lane <> $2', [first + 29, behind?.['lane']]);

    const old = positions.map((position) => position - first + 1).filter((number) => number <= 30);
    expect(await fetch(old.length + 2)).toEqual({ events: [...old, 31, 32], reached: [32] });
  });

  it('continues behind a batch that is not acknowledged, in lanes that the worker still has', async () => {
    await append(6);

    expect((await fetch(2, { versionsLater: 0, position: 2 })).events).toEqual([3, 4]);
    for (const versionsLater of [-1, 1]) {
      expect((await fetch(2, { versionsLater, position: 2 })).events).toEqual([1, 2]);
    }
    await db().admin('SELECT replay_events($1, 0)', [NAME]);
    expect((await fetch(2, { versionsLater: -1, position: 4 })).events).toEqual([1, 2]);
  });

  it('reads at most 10,000 events of other types at once', async () => {
    await append(10_001, RARE);
    await append(1);

    expect(await fetch(5)).toEqual({ events: [], reached: [10_000] });
    expect(await fetch(5, { versionsLater: 0, position: 10_000 })).toEqual({ events: [10_002], reached: [10_002] });
  });

  it('returns nothing to a worker without lanes', async () => {
    await append(3);
    await db().app('SELECT leave_subscription($1, $2)', [NAME, worker]);

    expect(await fetch(5)).toEqual({ events: [], reached: [] });
  });
});
