/** @server any */
import { capabilitiesOf, type SeedContext, writeRows } from '@azora/db-core';
import { useDatabase } from '@azora/db-testkit';
import { Client } from 'pg';
import { seed } from '../seed';
import { EVENTS, getCycle, openDebate, reconcile, verifyReplay } from '../src';

const NOW = new Date();
const person = (id: string) => ({
  id,
  email: '',
  name: 'Ada',
  role: 'student' as const,
  city: '',
  country: 'ZA',
  bio: '',
});
const CONTEXT: SeedContext = {
  now: NOW,
  people: { student: person('s'), educator: person('e'), employer: person('m') },
  password: '',
  services: [],
  repositoryRoot: '',
};

describe('the seed of debate', () => {
  const db = useDatabase('debate');

  it('is consistent, publishes its events once, and can run twice', async () => {
    for (const now of [NOW, new Date(NOW.getTime() + 86_400_000)]) {
      const handle = seed.open({ url: db().target.admin.href });
      await seed.base(handle, { ...CONTEXT, now });
      await handle.close();
    }
    const debate = openDebate({ url: db().url });

    const events = await db().admin('SELECT type, key, payload FROM outbox ORDER BY position');
    for (const { type, key, payload } of events) {
      const event = EVENTS.find((known) => known.type === type);
      expect(event?.data.safeParse(payload).success).toBe(true);
      expect(event?.key(payload as never)).toBe(key);
    }
    expect(new Set(events.map((event) => JSON.stringify(event))).size).toBe(events.length);
    expect(events.length).toBeGreaterThan(20);
    expect(await getCycle(debate, { loopId: 'loop-azora-1', cycleNumber: 2 })).toMatchObject({
      status: 'failed',
      isRolledBack: true,
    });
    const [replay] = await db().admin('SELECT trace_id FROM traces');
    expect(await verifyReplay(debate, { traceId: String(replay?.['trace_id']) })).toBe('intact');
    expect(await reconcile(debate)).toEqual([]);
    await debate.close();
  });

  it('adds blocks of loops whose streams are numbered', async () => {
    const client = new Client(db().target.admin.href);
    await client.connect();
    await client.query('BEGIN');
    for (const rows of seed.volume({ firstUser: 0, userCount: 200, now: NOW }))
      await writeRows(client, capabilitiesOf('PostgreSQL 18'), rows);
    await client.query('COMMIT');
    await client.end();
    const debate = openDebate({ url: db().url });

    const links = await db().admin("SELECT count(*)::int AS links FROM share_links WHERE token LIKE 'sha256:%'");
    expect(links).toEqual([{ links: 201 }]);
    // The positions of a block belong to the agents of the seed, whose calibration does not count them.
    expect((await reconcile(debate)).filter(({ check }) => check !== 'rating.calibration')).toEqual([]);
    await debate.close();
  });
});
