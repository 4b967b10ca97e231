/** @server any */
import { useDatabase, useTestClock } from '@azora/db-testkit';
import {
  acknowledgeAlert,
  appendLogs,
  erasePerson,
  exportPerson,
  type Health,
  listAlerts,
  listLogs,
  openHealth,
  recordCheck,
  reportHealth,
  setAlertRule,
} from '../src';
import { check, line, publishedIn, report } from './given';

describe('a person in health', () => {
  const db = useDatabase('health');
  const clock = useTestClock(db, '2027-01-15T00:00:00.000Z');
  let health: Health;
  beforeAll(async () => {
    health = openHealth({ url: db().url });
    const lines = [
      line('u1 signed in', { userId: 'u1', metadata: { city: 'Cape Town' } }),
      line('u2 signed in', { userId: 'u2' }),
    ];
    await appendLogs(health, { lines });
    await clock.set('2027-02-15T00:00:00.000Z');
    await appendLogs(health, { lines: [line('u1 signed out', { userId: 'u1' })] });
    await recordCheck(health, check('k', { userId: 'u1' }));
    await setAlertRule(health, { name: 'down', kind: 'down', checks: 1 });
    await reportHealth(health, { reports: [report({ status: 'stopped' })] });
    const [{ id = '' } = {}] = (await listAlerts(health)).alerts;
    await acknowledgeAlert(health, { alertId: id, userId: 'u1' });
  });
  afterAll(() => health.close());

  it('is exported with every row, in the form of the store', async () => {
    const { lines, checks, alerts } = await exportPerson(health, 'u1');

    expect(lines).toEqual((await listLogs(health, { userId: 'u1' })).lines.toReversed());
    expect(lines.map(({ message }) => message)).toEqual(['u1 signed in', 'u1 signed out']);
    expect(checks).toEqual([await recordCheck(health, check('k', { userId: 'u1' }))]);
    expect(alerts).toEqual((await listAlerts(health)).alerts);
    expect(await exportPerson(health, 'nobody')).toEqual({ lines: [], checks: [], alerts: [], auditLogs: [] });
    await expect(exportPerson(health, '')).rejects.toMatchObject({ code: 'HEALTH.INVALID_INPUT' });
  });

  it('is erased from lines of every month and from alerts once, and the evidence stays', async () => {
    const events = await publishedIn(db());

    const erased = await Promise.all([erasePerson(health, 'u1'), erasePerson(health, 'u1')]);

    expect(erased.toSorted((left, right) => right.lines - left.lines)).toEqual([
      { lines: 2, alerts: 1 },
      { lines: 0, alerts: 0 },
    ]);
    const messages = (await listLogs(health)).lines.map(({ message, userId, metadata }) => [message, userId, metadata]);
    expect(messages).toEqual([
      ['Erased', null, {}],
      ['u2 signed in', 'u2', {}],
      ['Erased', null, {}],
    ]);
    expect((await listAlerts(health)).alerts).toEqual([
      expect.objectContaining({ status: 'acknowledged', acknowledgedBy: null, acknowledgedAt: expect.any(Date) }),
    ]);
    const { lines, checks, alerts } = await exportPerson(health, 'u1');
    expect([lines.length, checks.length, alerts.length]).toEqual([0, 1, 0]);
    expect(await publishedIn(db())).toEqual(events);
    await expect(erasePerson(health, ' ')).rejects.toMatchObject({ code: 'HEALTH.INVALID_INPUT' });
  });
});
