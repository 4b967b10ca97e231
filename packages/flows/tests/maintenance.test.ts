/** @server any */
import { isDeepStrictEqual } from 'node:util';
import { openBus } from '@azora/db-events';
import { useDatabase, useTestClock } from '@azora/db-testkit';
import { openEducation, reserveSeat } from '@azora/education';
import { openForge } from '@azora/forge';
import { openHealth } from '@azora/health';
import { hold, openMint } from '@azora/mint';
import { openNexus, recommend, refreshProfiles, track } from '@azora/nexus';
import { notify, openNotifications } from '@azora/notification';
import { type FlowStores, runFlows } from '../src';
import { runMaintenance } from '../src/maintenance';
import { fresh, givenCourse, givenPerson, givenStudent } from './flows-given';

const START = '2027-01-15T00:00:00Z';
const HOUR_MS = 3_600_000;
const expiresIn = HOUR_MS;

describe('the maintenance of the flows', () => {
  const databases = {
    education: useDatabase('education'),
    forge: useDatabase('forge'),
    health: useDatabase('health'),
    mint: useDatabase('mint'),
    nexus: useDatabase('nexus'),
    notification: useDatabase('notification'),
  };
  const clocks = Object.values(databases).map((db) => useTestClock(db, START));
  const settings = (service: keyof typeof databases) => ({ url: databases[service]().url, slowQueryMs: 60_000 });
  let stores: FlowStores;
  beforeAll(() => {
    stores = {
      education: openEducation(settings('education')),
      forge: openForge(settings('forge')),
      health: openHealth(settings('health')),
      mint: openMint(settings('mint')),
      nexus: openNexus(settings('nexus')),
      notification: openNotifications(settings('notification')),
    };
  });
  afterAll(() => Promise.all(Object.values(stores).map((store) => store.close())));

  const waitAnHour = () => Promise.all(clocks.map((clock) => clock.move(HOUR_MS)));
  const sender = async () => 'sent' as const;

  async function givenHold(): Promise<string> {
    const { walletId: from } = await givenPerson(stores);
    const { walletId: to } = await givenPerson(stores, '0');
    return (await hold(stores.mint, { from, to, amount: '1', expiresIn, idempotencyKey: fresh('hold') })).id;
  }

  async function givenRecommendation(): Promise<void> {
    const userId = fresh('user');
    const event = { userId: fresh('user'), eventId: fresh('event'), kind: 'complete', itemType: 'course' } as const;
    await track(stores.nexus, { interactions: [{ ...event, itemId: fresh('course') }] });
    while ((await refreshProfiles(stores.nexus)) > 0);
    expect(await recommend(stores.nexus, { userId, limit: 1, expiresIn })).toHaveLength(1);
    await track(stores.nexus, { interactions: [{ ...event, eventId: fresh('event'), itemId: fresh('course') }] });
  }

  const statesOf = async () => {
    const state = async (service: keyof typeof databases, sql: string) =>
      (await databases[service]().admin(`SELECT (${sql})::text AS state`))[0]?.['state'];
    return {
      holds: await state('mint', "SELECT string_agg(DISTINCT status::text, ' ') FROM holds"),
      seats: await state('education', "SELECT string_agg(DISTINCT status::text, ' ') FROM seat_reservations"),
      shown: await state('notification', 'SELECT count(*) FROM notifications WHERE deleted_at IS NULL'),
      emails: await state('notification', "SELECT string_agg(DISTINCT status::text, ' ') FROM deliveries"),
      offers: await state('nexus', "SELECT string_agg(DISTINCT status::text, ' ') FROM recommendations"),
      uncounted: await state('nexus', 'SELECT count(*) FROM user_profiles WHERE stale_since IS NOT NULL'),
      months: await state('health', "SELECT to_regclass('log_months.logs_2027_04') IS NOT NULL"),
    };
  };

  it('ends what has expired, counts, sends and makes months, without a call of the service', async () => {
    await givenHold();
    const { courseId } = await givenCourse(stores);
    const { studentId } = await givenStudent(stores);
    await reserveSeat(stores.education, { studentId, courseId, expiresIn, idempotencyKey: fresh('seat') });
    const note = { userId: fresh('user'), title: 'T', message: 'M' };
    await notify(stores.notification, { ...note, expiresIn, idempotencyKey: fresh('note') });
    await notify(stores.notification, { ...note, channels: ['email'], idempotencyKey: fresh('note') });
    await givenRecommendation();
    const before = await statesOf();
    await waitAnHour();
    const stopping = new AbortController();
    const bus = openBus({ url: databases.nexus().url, logger: { warn: () => undefined }, pollMs: 50 });

    const running = runFlows({ bus, stores, sender, signal: stopping.signal });
    const expected = {
      ...{ holds: 'expired', seats: 'expired', shown: '1', emails: 'sent' },
      ...{ offers: 'expired', uncounted: '0', months: 'true' },
    };
    const found = await reached(statesOf, expected);
    stopping.abort();
    await running;
    await bus.close();

    expect(before).toEqual({
      ...{ holds: 'held', seats: 'held', shown: '2', emails: 'pending' },
      ...{ offers: 'pending', uncounted: '1', months: 'false' },
    });
    expect(found).toEqual(expected);
  });

  it('continues after each pause, and logs a failure once', async () => {
    const { admin } = databases.mint();
    const holdId = await givenHold();
    const state = async () => (await admin('SELECT status::text AS state FROM holds WHERE id = $1', [holdId]))[0];
    const warned: string[] = [];
    const logger = { warn: (_text: string, fields?: object) => warned.push(String(Object(fields).task)) };
    const stopping = new AbortController();
    await admin('ALTER FUNCTION release_expired_holds(int) RENAME TO gone');
    await waitAnHour();

    const running = runMaintenance({ stores, sender: undefined, everyMs: 10, logger, signal: stopping.signal });
    await reached(async () => warned, ['mint.releaseExpired']);
    const failed = await state();
    await admin('ALTER FUNCTION gone(int) RENAME TO release_expired_holds');
    await reached(state, { state: 'expired' });
    const second = await givenHold();
    await waitAnHour();
    await reached(async () => (await admin('SELECT status::text AS state FROM holds WHERE id = $1', [second]))[0], {
      state: 'expired',
    });
    stopping.abort();
    await running;

    expect(failed).toEqual({ state: 'held' });
    expect(warned).toEqual(['mint.releaseExpired']);
  });
});

/** Reads until the value is the expected one, and returns it. */
async function reached<Value>(read: () => Promise<Value>, expected: Value): Promise<Value> {
  for (;;) {
    const found = await read();
    if (isDeepStrictEqual(found, expected)) return found;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
