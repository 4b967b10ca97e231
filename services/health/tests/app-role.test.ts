import { useDatabase } from '@azora/db-testkit';
import { appendLogs, type Health, openHealth, recordCheck, reportHealth, setAlertRule } from '../src';
import { check, line, report } from './given';

/** The SQLSTATE insufficient_privilege. */
const NO_RIGHT = '42501';
const OWN_RULE = 'AZ001';

describe('the app role with its own SQL', () => {
  const db = useDatabase('health');
  let health: Health;
  beforeAll(async () => {
    health = openHealth({ url: db().url });
    await appendLogs(health, { lines: [line('kept', { userId: 'u1' })], idempotencyKey: 'k' });
    await recordCheck(health, check('k'));
    await setAlertRule(health, { name: 'down', kind: 'down', checks: 1 });
    await reportHealth(health, { reports: [report({ status: 'stopped' })] });
  });
  afterAll(() => health.close());

  const contents = () =>
    db().admin(`SELECT query_to_xml('SELECT * FROM logs', true, false, '')::text || query_to_xml('SELECT * FROM alerts', true, false, '')::text
      || query_to_xml('SELECT * FROM service_health', true, false, '')::text || query_to_xml('SELECT * FROM health_checks', true, false, '')::text
      || query_to_xml('SELECT * FROM constitutional_logs', true, false, '')::text || query_to_xml('SELECT * FROM outbox', true, false, '')::text AS rows`);

  it.each([
    [`INSERT INTO logs (id, service, message, created_at) VALUES ('x', 'auth', 'forged', 'epoch')`, NO_RIGHT],
    [`UPDATE logs SET message = 'All well'`, NO_RIGHT],
    ['DELETE FROM logs', NO_RIGHT],
    ['TRUNCATE logs', NO_RIGHT],
    ['DROP TABLE log_months.logs_2026_12', NO_RIGHT],
    ['SELECT * FROM log_months.logs_2026_12', NO_RIGHT],
    ['CREATE TABLE log_months.mine (id int)', NO_RIGHT],
    [`SELECT make_log_month('1999-01-01')`, NO_RIGHT],
    [`ALTER TABLE logs DETACH PARTITION log_months.logs_2026_12`, NO_RIGHT],
    [`INSERT INTO log_batches (key, body_hash, lines) VALUES ('x', repeat('a', 64), 1)`, NO_RIGHT],
    [`DELETE FROM log_batches`, NO_RIGHT],
    [
      `INSERT INTO constitutional_logs (id, service, action, article, verdict, compliance_score, reasoning)
        VALUES ('x', 'forge', 'rank', 'Article 7', 'compliant', 1, 'So')`,
      NO_RIGHT,
    ],
    [`UPDATE constitutional_logs SET verdict = 'compliant'`, NO_RIGHT],
    [`DELETE FROM constitutional_logs`, NO_RIGHT],
    [`UPDATE service_health SET status = 'running'`, NO_RIGHT],
    [`INSERT INTO service_health (service_name, port, status) VALUES ('x', 1, 'running')`, NO_RIGHT],
    [`DELETE FROM service_health`, NO_RIGHT],
    [`INSERT INTO health_checks (endpoint_id, status) SELECT id, 'running' FROM service_health`, NO_RIGHT],
    [`DELETE FROM health_checks`, NO_RIGHT],
    [`UPDATE alert_rules SET is_enabled = false`, NO_RIGHT],
    [`DELETE FROM alert_rules`, NO_RIGHT],
    [`UPDATE alerts SET status = 'resolved', resolved_at = now()`, NO_RIGHT],
    [`DELETE FROM alerts`, NO_RIGHT],
    [`SELECT judge_alerts(NULL)`, NO_RIGHT],
    [`INSERT INTO outbox (type, key, payload) VALUES ('health.alert-resolved.v1', 'mint', '{}')`, NO_RIGHT],
    [`CREATE OR REPLACE FUNCTION public.database_time() RETURNS timestamptz LANGUAGE sql AS 'SELECT now()'`, NO_RIGHT],
    [`SELECT append_logs('[{"id":"x","level":"INFO","service":" ","message":"m"}]', NULL, NULL)`, '23514'],
    [`SELECT append_logs('[{"id":"x","level":"INFO","service":"s","message":" "}]', NULL, NULL)`, '23514'],
    [
      `SELECT append_logs('[{"id":"x","level":"INFO","service":"s","message":"m","metadata":[]}]', NULL, NULL)`,
      '23514',
    ],
    [`SELECT append_logs('[]', 'empty', repeat('a', 64))`, '23514'],
    [`SELECT append_logs('[{"id":"x","level":"INFO","service":"s","message":"m"}]', 'k', repeat('a', 64))`, OWN_RULE],
    [`SELECT report_health('[{"serviceName":"a b","port":1,"status":"running"}]')`, OWN_RULE],
    [`SELECT report_health('[{"port":1,"status":"running"}]')`, OWN_RULE],
    [`SELECT report_health('[{"serviceName":"a","port":1,"status":"fine"}]')`, '23514'],
    [`SELECT report_health('[{"serviceName":"a","port":1,"status":"error"}]')`, '23514'],
    [
      `SELECT record_check(NULL, NULL, 'x', 'a b', 'rank', 'Article 7', 'warning', 0.5, 'So', NULL, NULL, NULL, NULL, NULL)`,
      OWN_RULE,
    ],
    [
      `SELECT record_check('k2', NULL, 'x', 'forge', 'rank', 'Article 7', 'warning', 'NaN', 'So', NULL, NULL, NULL, NULL, NULL)`,
      '23514',
    ],
    [`SELECT set_alert_rule('x', 'loud', 'down', NULL, 1, NULL, NULL, true)`, '23514'],
    [`SELECT move_alert('none', 'resolved', NULL)`, OWN_RULE],
    [`SELECT move_alert((SELECT id FROM alerts), 'open', NULL)`, OWN_RULE],
  ])('cannot run: %s', async (sql, code) => {
    const before = await contents();

    await expect(db().app(sql)).rejects.toMatchObject({ code });

    expect(await contents()).toEqual(before);
  });

  it('cannot delete anything early by the functions of retention', async () => {
    const before = await contents();

    for (const call of [
      `drop_log_month('-100 years')`,
      `prune_health_checks('-100 years', 1000)`,
      `prune_log_batches('-100 years', 1000)`,
      `make_log_months(-5)`,
    ]) {
      await db().app(`SELECT ${call}`);
    }

    expect(await contents()).toEqual(before);
    expect(await db().app('SELECT key FROM log_batches')).toEqual([{ key: 'k' }]);
  });

  it('has EXECUTE on the functions of the store only', async () => {
    const callable = await db().app(`SELECT proname::text AS name FROM pg_proc
      WHERE pronamespace = 'public'::regnamespace AND prosecdef AND has_function_privilege(oid, 'EXECUTE') ORDER BY 1`);

    expect(callable.map(({ name }) => name)).toEqual([
      'adopt_outbox',
      'append_logs',
      'drop_log_month',
      'erase_person',
      'judge_all_alerts',
      'make_log_months',
      'move_alert',
      'prune_health_checks',
      'prune_inbox',
      'prune_log_batches',
      'prune_outbox',
      'publish_event',
      'record_check',
      'report_health',
      'set_alert_rule',
    ]);
  });
});
