import { itKeepsAnAuditLog, itTestsEveryCheck, refusalsOf, schemaRefuses, useDatabase } from '@azora/db-testkit';

const HASH = 'a'.repeat(64);

/** A table, the rule that a change of its rows violates, and the change. */
const INVALID = [
  ['logs', 'service', `service = ' '`],
  ['logs', 'message', `message = ''`],
  ['logs', 'metadata', `metadata = '1'`],
  ['service_health', 'service_name', `service_name = ''`],
  ['service_health', 'port', 'port = 0'],
  ['service_health', 'port', 'port = 65536'],
  ['service_health', 'status', `status = 'fine'`],
  ['service_health', 'response_time_ms', 'response_time_ms = -1'],
  ['service_health', 'error', `status = 'error', error_message = ' '`],
  ['log_batches', 'key', `key = ' '`],
  ['log_batches', 'body_hash', `body_hash = repeat('A', 64)`],
  ['log_batches', 'lines', 'lines = 0'],
  ['health_checks', 'status', `status = 'fine'`],
  ['health_checks', 'response_time_ms', 'response_time_ms = -1'],
  ['health_checks', 'error', `status = 'error', error_message = ' '`],
  ['health_checks', 'error', `status = 'error', error_message = NULL`],
  ['alert_rules', 'name', `name = 'Not a name'`],
  ['alert_rules', 'service_name', `service_name = ' '`],
  ['alert_rules', 'threshold', 'threshold = 0'],
  ['alert_rules', 'checks', 'checks = 0'],
  ['alert_rules', 'checks', 'checks = NULL'],
  ['alert_rules', 'window_seconds', 'window_seconds = 1'],
  ['alerts', 'acknowledged', `status = 'acknowledged'`],
  ['alerts', 'resolved', `status = 'resolved'`],
] as const;

/** The rows that the changes above violate. */
const ROWS = [
  `INSERT INTO logs (id, service, message) VALUES ('line', 'auth', 'Signed in')`,
  `INSERT INTO log_batches (key, body_hash, lines) VALUES ('batch', '${HASH}', 1)`,
  `INSERT INTO constitutional_logs (id, service, action, article, verdict, compliance_score, reasoning)
    VALUES ('check', 'forge', 'rank', 'Article 7', 'warning', 0.7, 'Place of residence had weight.')`,
  `INSERT INTO service_health (service_name, port, status) VALUES ('auth', 4001, 'running')`,
  `INSERT INTO health_checks (endpoint_id, status) SELECT id, status FROM service_health`,
  `INSERT INTO alert_rules (id, name, kind, threshold, checks) VALUES ('rule', 'down', 'down', 1, 2)`,
  `INSERT INTO alerts (id, rule_id, service_name, port) VALUES ('alert', 'rule', 'auth', 4001)`,
];

/** A column of a constitutional check, and a value that it rejects. */
const INVALID_CHECKS = [
  ['service', `' '`],
  ['action', `''`],
  ['article', `''`],
  ['reasoning', `' '`],
  ['compliance_score', '1.01'],
  ['compliance_score', '-0.01'],
  ['metadata', `'[]'`],
  ['evidence', `'1'`],
  ['subject', `'forge.Job', NULL`],
  ['subject', `NULL, 'job'`],
  ['subject', `' ', 'job'`],
  ['subject', `'forge.Job', ' '`],
  ['request', `'key', NULL`],
  ['request', `'key', repeat('A', 64)`],
] as const;

/** Checks of two columns. */
const COLUMNS: Readonly<Record<string, string>> = {
  subject: 'subject_type, subject_id',
  request: 'request_key, request_hash',
};

describe('the health schema', () => {
  const db = useDatabase('health');

  beforeAll(async () => {
    for (const row of ROWS) await db().admin(row);
  });

  it('gives new rows their defaults', async () => {
    expect(await db().app('SELECT level, metadata FROM logs')).toEqual([{ level: 'INFO', metadata: {} }]);
    expect(await db().app('SELECT id, last_check IS NOT NULL AS checked FROM service_health')).toEqual([
      { id: 1, checked: true },
    ]);
  });

  it.each(INVALID)('rejects rows of %s with an invalid %s: %s', async (table, rule, change) => {
    await schemaRefuses(db().admin(`UPDATE ${table} SET ${change}`), `${table}_${rule}_check`);
  });

  it.each(INVALID_CHECKS)('rejects a check with %s = %s', async (column, value) => {
    const facts: Record<string, string> = {
      id: `'wrong'`,
      service: `'forge'`,
      action: `'rank'`,
      article: `'Article 7'`,
      verdict: `'violation'`,
      compliance_score: '0.1',
      reasoning: `'So'`,
      [COLUMNS[column] ?? column]: value,
    };
    const sql = `INSERT INTO constitutional_logs (${Object.keys(facts).join(', ')}) VALUES (${Object.values(facts).join(', ')})`;

    await schemaRefuses(db().admin(sql), `constitutional_logs_${column}_check`);
  });

  it.each([
    'UPDATE constitutional_logs SET verdict = $$compliant$$',
    'DELETE FROM constitutional_logs',
    'TRUNCATE constitutional_logs',
  ])('rejects, even from the administrator: %s', async (sql) => {
    await schemaRefuses(db().admin(sql), 'constitutional_logs_append_only');
    await expect(db().app(sql)).rejects.toMatchObject({ code: '42501' });
  });

  it('accepts one row per service name and port when four sessions race', async () => {
    const report = `INSERT INTO service_health (service_name, port, status) VALUES ('mint', 4008, 'running')`;
    const refused = await refusalsOf(Array.from({ length: 4 }, () => db().admin(report)));

    expect(refused).toEqual(Array(3).fill('service_health_service_name_port_key'));
  });

  it('rejects an alert with an invalid port', async () => {
    const insert = `INSERT INTO alerts (id, rule_id, service_name, port) VALUES ('other', 'rule', 'mint', 0)`;
    await schemaRefuses(db().admin(insert), 'alerts_port_check');
  });

  it('accepts no line of a month without a partition', async () => {
    const insert = `INSERT INTO logs (id, service, message, created_at) VALUES ('old', 'auth', 'Signed in', '1999-12-31Z')`;
    await expect(db().admin(insert)).rejects.toMatchObject({ code: '23514', table: 'logs' });

    expect(await db().admin(`SELECT make_log_month('1999-12-05') AS made`)).toEqual([{ made: true }]);
    expect(await db().admin(`SELECT make_log_month('1999-12-31') AS made`)).toEqual([{ made: false }]);
    await db().admin(insert);
    expect(await db().admin(`SELECT id FROM log_months.logs_1999_12`)).toEqual([{ id: 'old' }]);
  });

  it('finds failures through the partial index on failures', async () => {
    await db().admin('SET enable_seqscan = off');
    const plan = await db().admin(
      `EXPLAIN SELECT id FROM logs WHERE level IN ('ERROR', 'FATAL') ORDER BY created_at DESC`,
    );

    expect(JSON.stringify(plan)).toMatch(/logs_\d{4}_\d{2}_created_at_idx/);
  });

  itTestsEveryCheck(db, [
    'alerts_port_check',
    ...INVALID.map(([table, rule]) => `${table}_${rule}_check`),
    ...INVALID_CHECKS.map(([column]) => `constitutional_logs_${column}_check`),
  ]);

  itKeepsAnAuditLog(db);
});
