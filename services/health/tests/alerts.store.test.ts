/** @server any */
import { schemaRefuses, useDatabase, useTestClock } from '@azora/db-testkit';
import { Client } from 'pg';
import {
  acknowledgeAlert,
  appendLogs,
  type Health,
  type HealthReport,
  judgeAlerts,
  listAlertRules,
  listAlerts,
  openHealth,
  reportHealth,
  resolveAlert,
  type SetAlertRuleInput,
  setAlertRule,
} from '../src';
import { line, publishedIn, report } from './given';

const STATUSES = ['open', 'acknowledged', 'resolved'] as const;
const MOVES = new Set(['open acknowledged', 'open resolved', 'acknowledged resolved']);

describe('alerts', () => {
  const db = useDatabase('health');
  const clock = useTestClock(db, '2027-01-15T00:00:00.000Z');
  let health: Health;
  beforeAll(() => {
    health = openHealth({ url: db().url });
  });
  beforeEach(() => db().admin('TRUNCATE service_health, alert_rules, logs, outbox CASCADE'));
  afterAll(() => health.close());

  const tell = (fields: Partial<HealthReport> = {}) => reportHealth(health, { reports: [report(fields)] });
  const down = (fields: Partial<SetAlertRuleInput> = {}) =>
    setAlertRule(health, { name: 'down', kind: 'down', checks: 2, ...fields } as SetAlertRuleInput);
  const states = async () =>
    (await listAlerts(health)).alerts.map(({ rule, serviceName, port, status }) => [rule, serviceName, port, status]);
  const eventNames = async () =>
    (await publishedIn(db())).map(([name]) => name).filter((name) => name.startsWith('alert'));

  it('opens after as many failed checks as the rule says, once, and is resolved by a good check', async () => {
    await down();
    await tell({ status: 'stopped' });
    expect(await states()).toEqual([]);
    await tell({ status: 'error', errorMessage: 'Refused' });
    await tell({ status: 'stopped' });
    expect(await states()).toEqual([['down', 'mint', 4008, 'open']]);
    await clock.move(1_000);
    await tell();

    const [alert] = (await listAlerts(health)).alerts;
    expect(alert).toMatchObject({ status: 'resolved', resolvedAt: clock.now(), kind: 'down', acknowledgedBy: null });
    expect((await publishedIn(db())).filter(([name]) => name.startsWith('alert'))).toEqual(
      ['alert-opened', 'alert-resolved'].map((name) => [
        name,
        { alertId: alert?.id, rule: 'down', kind: 'down', serviceName: 'mint', port: 4008 },
      ]),
    );
  });

  it('opens for slow answers in a row, and counts an unknown time as fast', async () => {
    await setAlertRule(health, { name: 'slow', kind: 'slow', checks: 2, thresholdMs: 100 });
    for (const responseTimeMs of [101, 100, 101]) await tell({ responseTimeMs });
    await tell();
    expect(await states()).toEqual([]);
    for (const responseTimeMs of [101, 200]) await tell({ responseTimeMs });
    expect(await states()).toEqual([['slow', 'mint', 4008, 'open']]);
  });

  it('opens for an endpoint that nobody checks any more, and is resolved by its next check', async () => {
    await setAlertRule(health, { name: 'silent', kind: 'silent', windowSeconds: 60 });
    await tell();
    await clock.move(60_000);
    await judgeAlerts(health);
    expect(await states()).toEqual([]);
    await clock.move(1);
    await judgeAlerts(health);
    expect(await states()).toEqual([['silent', 'mint', 4008, 'open']]);
    await tell({ status: 'stopped' });
    expect(await states()).toEqual([['silent', 'mint', 4008, 'resolved']]);
  });

  it('opens for a service with too many errors in its log, and is resolved when the window has passed', async () => {
    await setAlertRule(health, { name: 'errors', kind: 'errors', threshold: 2, windowSeconds: 60 });
    await appendLogs(health, {
      lines: [
        line('a', { level: 'ERROR' }),
        line('b', { level: 'FATAL' }),
        line('c', { service: 'auth', level: 'ERROR' }),
      ],
    });
    await judgeAlerts(health);
    expect(await states()).toEqual([['errors', 'mint', null, 'open']]);
    // A check of an endpoint decides nothing about the log.
    await tell();
    expect(await states()).toEqual([['errors', 'mint', null, 'open']]);
    await clock.move(60_001);
    await judgeAlerts(health);
    expect(await states()).toEqual([['errors', 'mint', null, 'resolved']]);
  });

  it('applies a new, changed or disabled rule at once', async () => {
    await tell({ status: 'stopped' });
    const rule = await down({ checks: 1 });
    expect(rule).toEqual({
      id: expect.any(String),
      name: 'down',
      kind: 'down',
      serviceName: null,
      threshold: 1,
      checks: 1,
      windowSeconds: null,
      isEnabled: true,
      createdAt: clock.now(),
      updatedAt: clock.now(),
    });
    expect(await states()).toEqual([['down', 'mint', 4008, 'open']]);
    expect((await down({ checks: 2 })).id).toBe(rule.id);
    expect(await states()).toEqual([['down', 'mint', 4008, 'resolved']]);
    await down({ checks: 1 });
    await down({ checks: 1, isEnabled: false });
    expect((await listAlerts(health, { statuses: ['open'] })).alerts).toEqual([]);
    await down({ checks: 1, serviceName: 'auth' });
    expect((await listAlerts(health, { statuses: ['open'] })).alerts).toEqual([]);
    expect(await listAlertRules(health)).toEqual([expect.objectContaining({ name: 'down', serviceName: 'auth' })]);
  });

  it('lists alerts by every condition, page by page', async () => {
    await down({ checks: 1 });
    for (const serviceName of ['auth', 'mint', 'forge']) {
      await tell({ serviceName, status: 'stopped' });
      await clock.move(1_000);
    }
    await tell({ serviceName: 'auth' });
    const names = async (input: Parameters<typeof listAlerts>[1]) =>
      (await listAlerts(health, input)).alerts.map(({ serviceName }) => serviceName);

    expect(await names({})).toEqual(['forge', 'mint', 'auth']);
    expect(await names({ statuses: ['resolved'] })).toEqual(['auth']);
    expect(await names({ serviceName: 'mint', rule: 'down' })).toEqual(['mint']);
    expect(await names({ rule: 'other' })).toEqual([]);
    expect(await names({ since: new Date('2027-01-15T00:00:01Z'), until: new Date('2027-01-15T00:00:02Z') })).toEqual([
      'mint',
    ]);
    const { nextCursor } = await listAlerts(health, { limit: 2 });
    expect(await names({ limit: 2, cursor: nextCursor ?? '' })).toEqual(['auth']);
  });

  const PAIRS = STATUSES.flatMap((from) => STATUSES.map((to) => [from, to] as const));

  it.each(PAIRS)('goes from %s to %s only if that move exists, by the store and by SQL', async (from, to) => {
    await down({ checks: 1 });
    await tell({ status: 'stopped' });
    const [{ id = '' } = {}] = (await listAlerts(health)).alerts;
    if (from !== 'open') await acknowledgeAlert(health, { alertId: id, userId: 'u1' });
    if (from === 'resolved') await resolveAlert(health, { alertId: id });
    const isAllowed = MOVES.has(`${from} ${to}`);

    // A row may stay as it is, except for the person who acknowledged it: this statement changes the status, the times and the person.
    const sql = `UPDATE alerts SET status = '${to}', updated_at = updated_at + interval '1 s',
      acknowledged_by = CASE '${to}' WHEN 'acknowledged' THEN 'u2' ELSE acknowledged_by END,
      acknowledged_at = CASE '${to}' WHEN 'open' THEN NULL ELSE coalesce(acknowledged_at, now()) END,
      resolved_at = CASE '${to}' WHEN 'resolved' THEN now() END`;
    const rolledBack = db().admin(`DO $$ BEGIN ${sql.replaceAll('$$', '')}; RAISE EXCEPTION 'accepted'; END $$`);
    await expect(rolledBack).rejects.toMatchObject({ message: isAllowed ? 'accepted' : 'alert_move' });

    if (to === 'open') return;
    const moved =
      to === 'acknowledged'
        ? acknowledgeAlert(health, { alertId: id, userId: 'u2' })
        : resolveAlert(health, { alertId: id });
    if (isAllowed) await expect(moved).resolves.toMatchObject({ id, status: to });
    else {
      await expect(moved).rejects.toMatchObject({
        code: 'HEALTH.ALERT_MOVE',
        message: `An alert cannot go from ${from} to ${to}`,
        meta: { alertId: id, from, to },
      });
    }
  });

  it('is acknowledged by one of many, and resolved once', async () => {
    await down({ checks: 1 });
    await tell({ status: 'stopped' });
    const [{ id = '' } = {}] = (await listAlerts(health)).alerts;

    const taken = await Promise.allSettled(
      Array.from({ length: 6 }, (_, n) => acknowledgeAlert(health, { alertId: id, userId: `u${n}` })),
    );
    const ended = await Promise.allSettled([
      ...Array.from({ length: 4 }, () => resolveAlert(health, { alertId: id })),
      tell(),
    ]);

    expect(taken.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(ended.slice(0, 4).filter(({ status }) => status === 'fulfilled').length).toBeLessThanOrEqual(1);
    expect(ended.at(-1)).toMatchObject({ status: 'fulfilled' });
    expect(await eventNames()).toEqual(['alert-opened', 'alert-acknowledged', 'alert-resolved']);
  });

  it('opens one alert when reports, judgements and changes of the rule race', async () => {
    await tell({ status: 'stopped' });

    await Promise.all([
      ...Array.from({ length: 4 }, () => down({ checks: 1 })),
      ...Array.from({ length: 6 }, () => tell({ status: 'stopped' })),
      ...Array.from({ length: 4 }, () => judgeAlerts(health)),
    ]);

    expect(await states()).toEqual([['down', 'mint', 4008, 'open']]);
  });

  it('is judged by a report that is about to commit, not by the check before it', async () => {
    await down({ checks: 1 });
    await tell({ status: 'stopped' });
    const [{ id = '' } = {}] = (await listAlerts(health)).alerts;
    await resolveAlert(health, { alertId: id });
    const reporter = new Client({ connectionString: db().url });
    await reporter.connect();
    await reporter.query('BEGIN');
    await reporter.query('SELECT report_health($1)', [JSON.stringify([report()])]);

    let isJudged = false;
    const judged = judgeAlerts(health).then(() => {
      isJudged = true;
    });
    for (let isWaiting = false; !isWaiting && !isJudged; ) {
      const [row] = await db().admin(`SELECT count(*)::int AS sessions FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock'`);
      isWaiting = row?.['sessions'] === 1;
    }
    await reporter.query('COMMIT');
    await reporter.end();
    await judged;

    expect(await states()).toEqual([['down', 'mint', 4008, 'resolved']]);
  });

  it('agrees with the last check when good and bad reports race with judgements', async () => {
    await down({ checks: 1 });
    await Promise.all(
      Array.from({ length: 24 }, (_, n) =>
        n % 3 === 2 ? judgeAlerts(health) : tell({ status: n % 2 === 0 ? 'stopped' : 'running' }),
      ),
    );

    const [endpoint] = await db().admin('SELECT status FROM service_health');
    const open = (await listAlerts(health, { statuses: ['open'] })).alerts;
    expect(open).toHaveLength(endpoint?.['status'] === 'stopped' ? 1 : 0);
  });

  it('keeps its rule, endpoint and time, even for the administrator', async () => {
    await down({ checks: 1 });
    await tell({ status: 'stopped' });

    for (const change of [`service_name = 'auth'`, 'port = 1', `created_at = 'epoch'`, `id = 'x'`]) {
      await expect(
        db().admin(`UPDATE alerts SET ${change}, status = 'resolved', resolved_at = now()`),
      ).rejects.toMatchObject({
        message: 'alert_terms',
      });
    }
    await schemaRefuses(
      db().admin(
        `INSERT INTO alerts (id, rule_id, service_name, port) SELECT 'second', rule_id, service_name, port FROM alerts`,
      ),
      'alerts_unresolved_key',
    );
  });

  it('is unknown under another id', async () => {
    await expect(resolveAlert(health, { alertId: 'none' })).rejects.toMatchObject({
      code: 'HEALTH.ALERT_NOT_FOUND',
      meta: { alertId: 'none' },
    });
  });

  it.each([
    { kind: 'down', checks: 0 },
    { kind: 'down', checks: 101 },
    { kind: 'down', checks: 1, windowSeconds: 1 },
    { kind: 'slow', checks: 1 },
    { kind: 'silent', windowSeconds: 86_401 },
    { kind: 'errors', windowSeconds: 60, threshold: 0 },
    { kind: 'loud' },
    { kind: 'down', checks: 1, name: 'Not A Name' },
    { kind: 'down', checks: 1, serviceName: ' ' },
  ])('rejects a rule with %j', async (input) => {
    await expect(setAlertRule(health, { name: 'rule', ...input } as SetAlertRuleInput)).rejects.toMatchObject({
      code: 'HEALTH.INVALID_INPUT',
    });
    expect(await listAlertRules(health)).toEqual([]);
  });
});
