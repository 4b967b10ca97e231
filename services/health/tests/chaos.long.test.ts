/** @server none */
import { type ChaosCall, type ChaosServer, callUnderKills, openChaosServer, testEffort } from '@azora/db-testkit';
import {
  acknowledgeAlert,
  appendLogs,
  type EndpointStatus,
  type Health,
  judgeAlerts,
  listAlerts,
  maintainHealth,
  openHealth,
  recordCheck,
  reportHealth,
  setAlertRule,
} from '../src';
import { check as checkOf, line, report } from './given';

const CLIENTS = 8;
const KILLS = 2 * testEffort();
const CALLS = 300;
const STATUSES: readonly EndpointStatus[] = ['running', 'stopped', 'error', 'degraded'];

describe('health on a server that is killed', () => {
  let server: ChaosServer;
  let health: Health;
  beforeAll(async () => {
    server = await openChaosServer('health');
    health = openHealth({ url: server.url, pool: { max: CLIENTS }, slowQueryMs: 3_600_000 });
    await setAlertRule(health, { name: 'down', kind: 'down', checks: 2 });
  });
  afterAll(async () => {
    await health.close();
    await server.close();
  });

  /** What the clients know to be written. */
  const known = { lines: 0, checks: new Set<string>(), reports: 0 };
  let made = 0;

  async function acknowledgeOne(): Promise<void> {
    const { alerts } = await listAlerts(health, { statuses: ['open'], limit: 1 });
    for (const { id } of alerts) await acknowledgeAlert(health, { alertId: id, userId: 'ada' });
  }

  function next(): ChaosCall {
    made += 1;
    const number = made;
    const idempotencyKey = `key-${number}`;
    switch (number % 8) {
      case 0:
        return ['judge', () => judgeAlerts(health)];
      case 1:
        return ['acknowledge', acknowledgeOne];
      case 2:
        return ['maintain', () => maintainHealth(health)];
      case 3:
        return ['check', async () => known.checks.add((await recordCheck(health, checkOf(idempotencyKey))).id)];
      case 4:
      case 5: {
        const status = STATUSES[Math.floor(number / 8) % STATUSES.length] ?? 'running';
        const reports = [report({ serviceName: `service-${number % 3}`, status, errorMessage: 'Failed' })];
        return [
          'report',
          async () => {
            await reportHealth(health, { reports });
            known.reports += 1;
          },
        ];
      }
      default: {
        const lines = Array.from({ length: 1 + (number % 3) }, (_, n) => line(`${number}-${n}`));
        return [
          'append',
          async () => {
            const appended = await appendLogs(health, { lines, idempotencyKey });
            known.lines += appended;
          },
        ];
      }
    }
  }

  async function check(): Promise<void> {
    const [found] = await server.admin(`SELECT count(*)::int AS lines, count(DISTINCT message)::int AS messages,
      (SELECT coalesce(sum(lines), 0)::int FROM log_batches) AS batches,
      (SELECT jsonb_agg(id ORDER BY id COLLATE "C") FROM constitutional_logs) AS checks FROM logs`);
    const lines = { lines: known.lines, messages: known.lines, batches: known.lines };
    expect(found).toEqual({ ...lines, checks: [...known.checks].sort() });
    // A report has no key: one that lost the server may be there twice.
    const [row] = await server.admin('SELECT count(*)::int AS reports FROM health_checks');
    expect(Number(row?.['reports'])).toBeGreaterThanOrEqual(known.reports);
    expect(await server.admin(WRONG)).toEqual([]);
  }

  /** Endpoints whose state is not their last check, and alerts that are open twice or published another number of times. */
  const WRONG = `
    SELECT 'state' AS what, s.service_name AS id FROM service_health AS s WHERE s.status IS DISTINCT FROM (
      SELECT c.status FROM health_checks AS c WHERE c.endpoint_id = s.id ORDER BY c.id DESC LIMIT 1)
    UNION ALL
    SELECT 'open alerts', service_name FROM alerts WHERE status <> 'resolved' GROUP BY rule_id, service_name, port HAVING count(*) > 1
    UNION ALL
    SELECT 'events', a.id FROM alerts AS a LEFT JOIN outbox AS o ON o.payload ->> 'alertId' = a.id GROUP BY a.id
    HAVING count(*) FILTER (WHERE o.type = 'health.alert-opened.v1') <> 1
      OR count(*) FILTER (WHERE o.type = 'health.alert-resolved.v1') <> (a.status = 'resolved')::int
      OR count(*) FILTER (WHERE o.type = 'health.alert-acknowledged.v1') <> (a.acknowledged_at IS NOT NULL)::int`;

  it('keeps what it confirmed and does each repeated call once', async () => {
    const run = { clients: CLIENTS, kills: KILLS, calls: CALLS, next, check };
    const { done, lost } = await callUnderKills(server, { ...run, refusals: /^HEALTH\.ALERT_MOVE$/ });

    expect(Object.keys(done).sort()).toEqual(['acknowledge', 'append', 'check', 'judge', 'maintain', 'report']);
    expect(lost).toBeGreaterThan(0);
  });
});
