import { itKeepsAnAuditLog, itTestsEveryCheck, refusalsOf, schemaRefuses, useDatabase } from '@azora/db-testkit';

const CHECK = `INSERT INTO constitutional_logs (id, service, action, article, verdict, compliance_score, reasoning)
  VALUES ('check', 'forge', 'rank', 'Article 7', 'warning', 0.7, 'Place of residence had weight.')`;

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
] as const;

/** A column of a constitutional check, and a value that it rejects. */
const INVALID_CHECKS = [
  ['service', `' '`],
  ['action', `''`],
  ['article', `''`],
  ['reasoning', `' '`],
  ['compliance_score', '1.01'],
  ['compliance_score', '-0.01'],
  ['metadata', `'[]'`],
] as const;

describe('the health schema', () => {
  const db = useDatabase('health');

  beforeAll(async () => {
    await db().app(`INSERT INTO logs (id, service, message) VALUES ('line', 'auth', 'Signed in')`);
    await db().app(CHECK);
    await db().app(`INSERT INTO service_health (service_name, port, status) VALUES ('auth', 4001, 'running')`);
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
      [column]: value,
    };
    const sql = `INSERT INTO constitutional_logs (${Object.keys(facts).join(', ')}) VALUES (${Object.values(facts).join(', ')})`;

    await schemaRefuses(db().app(sql), `constitutional_logs_${column}_check`);
  });

  it.each([
    'UPDATE constitutional_logs SET verdict = $$compliant$$',
    'DELETE FROM constitutional_logs',
    'TRUNCATE constitutional_logs',
  ])('rejects, even from the administrator: %s', async (sql) => {
    await schemaRefuses(db().admin(sql), 'constitutional_logs_append_only');
    await expect(db().app(sql)).rejects.toMatchObject({ code: '42501' });
  });

  it('lets the app role prune log lines, and gives it no privilege to rewrite them', async () => {
    await db().app(`INSERT INTO logs (id, service, message) VALUES ('old', 'auth', 'Signed in')`);

    await expect(db().app(`UPDATE logs SET message = 'All well'`)).rejects.toMatchObject({ code: '42501' });
    expect(await db().app(`DELETE FROM logs WHERE id = 'old' RETURNING id`)).toEqual([{ id: 'old' }]);
  });

  it('accepts one row per service name and port when four monitors race', async () => {
    const report = `INSERT INTO service_health (service_name, port, status) VALUES ('mint', 4008, 'running')`;
    const refused = await refusalsOf(Array.from({ length: 4 }, () => db().app(report)));

    expect(refused).toEqual(Array(3).fill('service_health_service_name_port_key'));
  });

  it('finds failures through the partial index on failures', async () => {
    await db().admin('SET enable_seqscan = off');
    const plan = await db().admin(
      `EXPLAIN SELECT id FROM logs WHERE level IN ('ERROR', 'FATAL') ORDER BY created_at DESC`,
    );

    expect(JSON.stringify(plan)).toContain('logs_failures_idx');
  });

  itTestsEveryCheck(db, [
    ...INVALID.map(([table, rule]) => `${table}_${rule}_check`),
    ...INVALID_CHECKS.map(([column]) => `constitutional_logs_${column}_check`),
  ]);

  itKeepsAnAuditLog(db);
});
