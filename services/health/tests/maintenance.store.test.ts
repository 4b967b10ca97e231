import { useDatabase, useTestClock } from '@azora/db-testkit';
import { Client } from 'pg';
import { appendLogs, type Health, listLogs, maintainHealth, openHealth, reportHealth } from '../src';
import { line, monthsOf, report } from './given';

describe('the maintenance of health', () => {
  const db = useDatabase('health');
  const clock = useTestClock(db, '2027-01-15T00:00:00.000Z');
  let health: Health;
  beforeAll(() => {
    health = openHealth({ url: db().url });
  });
  // Only the months of a test, whatever months the migration made.
  beforeEach(async () => {
    for (const month of await monthsOf(db())) await db().admin(`DROP TABLE log_months.logs_${month.replace('-', '_')}`);
    await db().admin('TRUNCATE log_batches, service_health CASCADE');
  });
  afterAll(() => health.close());

  it('makes the present month and the next ones, and changes nothing when it is called again', async () => {
    expect(await maintainHealth(health)).toEqual({
      monthsMade: 4,
      monthsDropped: [],
      isBusy: false,
      checks: 0,
      batches: 0,
    });
    expect(await monthsOf(db())).toEqual(['2027-01', '2027-02', '2027-03', '2027-04']);
    expect((await maintainHealth(health, { monthsAhead: 12 })).monthsMade).toBe(9);
    expect((await maintainHealth(health, { monthsAhead: 12 })).monthsMade).toBe(0);
  });

  it('drops a month when its last line is older than the retention, and not a day earlier', async () => {
    for (const time of ['2027-01-31T23:00:00Z', '2027-02-01T01:00:00Z']) {
      await clock.set(time);
      await appendLogs(health, { lines: [line(time)] });
    }

    await clock.set('2027-03-02T23:59:59Z');
    expect((await maintainHealth(health)).monthsDropped).toEqual([]);
    await clock.set('2027-03-03T00:00:00Z');
    expect((await maintainHealth(health)).monthsDropped).toEqual(['2027-01']);
    expect((await listLogs(health)).lines.map(({ message }) => message)).toEqual(['2027-02-01T01:00:00Z']);
    await clock.set('2028-01-01T00:00:00Z');
    expect((await maintainHealth(health, { keepLogDays: 90 })).monthsDropped).toEqual([
      '2027-02',
      '2027-03',
      '2027-04',
      '2027-05',
      '2027-06',
    ]);
  });

  it('never drops a month that is younger than 30 days, whatever the app role asks for', async () => {
    await appendLogs(health, { lines: [line('young')] });
    await clock.set('2027-02-20T00:00:00Z');

    expect(await db().app(`SELECT * FROM drop_log_month('-1 day')`)).toEqual([]);
    await expect(maintainHealth(health, { keepLogDays: 29 })).rejects.toMatchObject({ code: 'HEALTH.INVALID_INPUT' });
    expect(await monthsOf(db())).toContain('2027-01');
  });

  it('leaves a month to the next call while a reader holds the log, and writers go on meanwhile', async () => {
    await appendLogs(health, { lines: [line('old')] });
    await clock.set('2027-06-01T00:00:00Z');
    const reader = new Client({ connectionString: db().url });
    await reader.connect();
    await reader.query('BEGIN; SELECT count(*) FROM logs');

    const [maintained] = await Promise.all([
      maintainHealth(health),
      ...Array.from({ length: 5 }, (_, n) => appendLogs(health, { lines: [line(`new ${n}`)] })),
    ]);

    expect(maintained).toMatchObject({ isBusy: true, monthsDropped: [] });
    expect((await listLogs(health)).lines).toHaveLength(6);
    await reader.query('ROLLBACK');
    await reader.end();
    expect(await maintainHealth(health)).toMatchObject({ isBusy: false, monthsDropped: ['2027-01'] });
  });

  it('waits for a lock for 40 ms at most, also if the session allows more', async () => {
    const [found] = await db().admin(`SELECT proconfig FROM pg_proc WHERE proname = 'drop_log_month'`);

    expect(found?.['proconfig']).toContain('lock_timeout=40ms');
  });

  it('makes a month without waiting for an open reader or writer', async () => {
    await appendLogs(health, { lines: [line('present')] });
    const writer = new Client({ connectionString: db().url });
    await writer.connect();
    await writer.query(
      `BEGIN; SELECT append_logs('[{"id": "open", "level": "INFO", "service": "x", "message": "open"}]', NULL, NULL)`,
    );

    // Would wait for the writer until the timeout of the app role if it asked for a stronger lock.
    expect(await maintainHealth(health, { monthsAhead: 6 })).toMatchObject({ monthsMade: 6 });

    await writer.query('COMMIT');
    await writer.end();
  });

  it('drops and makes each month once when many processes maintain at once', async () => {
    await appendLogs(health, { lines: [line('old')] });
    await clock.set('2027-08-01T00:00:00Z');

    const all = await Promise.all(Array.from({ length: 8 }, () => maintainHealth(health)));

    expect(all.reduce((sum, { monthsMade }) => sum + monthsMade, 0)).toBe(4);
    const dropped = all.flatMap(({ monthsDropped }) => monthsDropped);
    if (all.every(({ isBusy }) => !isBusy)) expect(dropped).toEqual(['2027-01']);
    await maintainHealth(health);
    expect(await monthsOf(db())).toEqual(['2027-08', '2027-09', '2027-10', '2027-11']);
  });

  it('deletes checks after 90 days and forgets the keys of batches after 7', async () => {
    await reportHealth(health, { reports: [report()] });
    await appendLogs(health, { lines: [line('once')], idempotencyKey: 'k' });
    await clock.move(8 * 86_400_000);
    expect(await maintainHealth(health)).toMatchObject({ checks: 0, batches: 1 });
    await clock.move(90 * 86_400_000);

    expect(await maintainHealth(health, { keepCheckDays: 120 })).toMatchObject({ checks: 0 });
    expect(await maintainHealth(health)).toMatchObject({ checks: 1, batches: 0 });
    expect(await db().admin('SELECT count(*)::int AS endpoints FROM service_health')).toEqual([{ endpoints: 1 }]);
  });
});
