import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { useDatabase, useTestClock } from '../src/index';

const TIME = 'SELECT database_time() AS time';

describe('the clock of a test database', () => {
  const db = useDatabase('mint');
  const clock = useTestClock(db, '2026-03-01T12:00:00Z');

  it('stands still at its start, in every session', async () => {
    const [one, other] = await Promise.all([db().app(TIME), db().admin(TIME)]);
    expect([one, other]).toEqual([[{ time: clock.now() }], [{ time: clock.now() }]]);
  });

  it('moves only when the test moves it', async () => {
    await clock.move(90_000);
    expect(await db().app(TIME)).toEqual([{ time: new Date('2026-03-01T12:01:30Z') }]);
  });

  it('is back at its start in the next test', async () => {
    expect(await db().app(TIME)).toEqual([{ time: new Date('2026-03-01T12:00:00Z') }]);
  });

  it('moves for a statement that is waiting for a lock', async () => {
    const holder = new Client(db().target.admin.href);
    await holder.connect();
    await holder.query('SELECT pg_advisory_lock(1)');
    const waiting = db().app(`${TIME} FROM (SELECT pg_advisory_lock(1) OFFSET 0) AS lock`);
    const waiters = `SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted`;
    while ((await db().admin(waiters)).length === 0) await sleep(10);

    await clock.move(1_000);
    await holder.end();

    expect(await waiting).toEqual([{ time: new Date('2026-03-01T12:00:01Z') }]);
  });

  it('cannot be moved by the app role', async () => {
    const replace = `CREATE OR REPLACE FUNCTION database_time() RETURNS timestamptz LANGUAGE sql
      AS $$ SELECT '2099-01-01'::timestamptz $$`;
    await expect(db().app(replace)).rejects.toThrow('permission denied');
    await expect(db().app('ALTER FUNCTION database_time() RENAME TO other_time')).rejects.toThrow('must be owner');
    await expect(db().app("UPDATE test_clock.moment SET now = 'epoch'")).rejects.toThrow('permission denied');
  });
});
