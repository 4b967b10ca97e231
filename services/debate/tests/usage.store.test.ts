import { endSessionInside, useDatabase, useTestClock } from '@azora/db-testkit';
import { aggregateUsage, type Debate, getUsage, listUsage, pruneUsage, reconcile, recordUsage } from '../src';
import { fresh, givenStore, givenStores } from './given';

const DAY_MS = 86_400_000;
const MONTH = new Date('2026-03-01T00:00:00Z');

describe('the usage of organizations', () => {
  const db = useDatabase('debate');
  const clock = useTestClock(db, '2026-03-15T12:00:00Z');
  let debate: Debate;
  beforeAll(() => {
    debate = givenStore(db());
  });
  afterAll(() => debate.close());

  const eventsOf = (orgId: string, count: number, eventType = 'debate') =>
    Array.from({ length: count }, () => ({ orgId, eventType, count: 2, idempotencyKey: fresh('use') }));
  const use = (orgId: string, count: number) => recordUsage(debate, { events: eventsOf(orgId, count) });
  const totalOf = (orgId: string) => getUsage(debate, { orgId, eventType: 'debate', month: MONTH });
  const countAll = async () => {
    while ((await aggregateUsage(debate)) > 0);
  };

  it('counts each event once when eight processes aggregate, while others record', async () => {
    const stores = givenStores(db(), 8);
    const orgs = Array.from({ length: 3 }, () => fresh('org'));

    const counted = await Promise.all(
      stores.map(async (store, n) => {
        let sum = 0;
        for (let round = 0; round < 12; round += 1) {
          await recordUsage(store, { events: orgs.flatMap((orgId) => eventsOf(orgId, 5)) });
          sum += await aggregateUsage(store, { limit: 20 + n });
        }
        return sum;
      }),
    );
    await countAll();

    const sums = await Promise.all(orgs.map((orgId) => listUsage(debate, { orgId })));
    expect(sums.map(({ items }) => items.map(({ count }) => count))).toEqual(orgs.map(() => [960n]));
    expect(counted.reduce((sum, each) => sum + each)).toBeLessThanOrEqual(1_440);
    expect(await reconcile(debate)).toEqual([]);
    await Promise.all(stores.map((store) => store.close()));
  });

  it('records an event once per key, and refuses a key of another event', async () => {
    const orgId = fresh('org');
    const events = eventsOf(orgId, 3);

    const recorded = await Promise.all([
      recordUsage(debate, { events }),
      recordUsage(debate, { events: [...events].reverse() }),
      recordUsage(debate, { events: events.slice(1) }),
    ]);

    expect(recorded.reduce((sum, each) => sum + each)).toBe(3);
    expect(await totalOf(orgId)).toBe(6n);
    const [first] = events;
    await expect(
      recordUsage(debate, {
        events: [
          ...eventsOf(orgId, 1),
          { orgId, eventType: 'debate', count: 3, idempotencyKey: first?.idempotencyKey ?? '' },
        ],
      }),
    ).rejects.toMatchObject({ code: 'DEBATE.KEY_REUSED' });
    expect(await totalOf(orgId)).toBe(6n);
  });

  it('counts nothing of an aggregation whose session was killed, and all of it the next time', async () => {
    const orgId = fresh('org');
    await countAll();
    await use(orgId, 4);

    // The session has marked the events and waits to add them to their month.
    const error = await endSessionInside(db(), 'LOCK TABLE usage_months', () => aggregateUsage(debate));
    expect(error).toMatchObject({ code: 'DATABASE.CONNECTION_LOST' });
    expect(await listUsage(debate, { orgId })).toMatchObject({ items: [] });

    expect(await aggregateUsage(debate)).toBe(4);
    expect(await aggregateUsage(debate)).toBe(0);
    expect(await totalOf(orgId)).toBe(8n);
  });

  it('belongs to the month of its time in UTC', async () => {
    const orgId = fresh('org');
    await clock.set('2026-02-28T23:59:59.999Z');
    await use(orgId, 1);
    await clock.set('2026-03-01T00:00:00Z');
    await use(orgId, 2);
    await countAll();

    const months = (await listUsage(debate, { orgId })).items.map(
      ({ month, count }) => `${month.toISOString().slice(0, 7)} ${count}`,
    );
    expect(months.sort()).toEqual(['2026-02 2', '2026-03 4']);
  });

  it('keeps its sum when the events go after 90 days, also of events that nobody had counted', async () => {
    const orgId = fresh('org');
    await use(orgId, 3);
    await countAll();
    await use(orgId, 2);
    const left = async () => (await db().admin('SELECT id FROM usage_events WHERE org_id = $1', [orgId])).length;
    const prune = async () => {
      while ((await pruneUsage(debate, { limit: 2 })) > 0);
    };
    await clock.move(89 * DAY_MS);
    await prune();
    expect(await left()).toBe(5);

    await clock.move(2 * DAY_MS);
    await prune();

    expect(await left()).toBe(0);
    expect(await totalOf(orgId)).toBe(10n);
    await countAll();
    expect(await totalOf(orgId)).toBe(10n);
  });

  it('counts each event once while four processes prune and four aggregate', async () => {
    const stores = givenStores(db(), 8);
    const orgId = fresh('org');
    await use(orgId, 200);
    await clock.move(91 * DAY_MS);

    await Promise.all(
      stores.map(async (store, n) => {
        for (let round = 0; round < 20; round += 1) {
          if (n % 2 === 0) await pruneUsage(store, { limit: 7 });
          else await aggregateUsage(store, { limit: 7 });
        }
      }),
    );
    await countAll();
    while ((await pruneUsage(debate)) > 0);

    expect(await totalOf(orgId)).toBe(400n);
    await Promise.all(stores.map((store) => store.close()));
  });

  it('does not count a young event that the administrator deletes', async () => {
    const orgId = fresh('org');
    await use(orgId, 1);

    await db().admin('DELETE FROM usage_events WHERE org_id = $1', [orgId]);

    expect(await totalOf(orgId)).toBe(0n);
  });
});
