import { itKeepsAnAuditLog, useDatabase } from '@azora/db-testkit';
import { openHealth } from '../src/index';

const CHECK = `INSERT INTO constitutional_logs (id, service, action, article, verdict, compliance_score, reasoning)
  VALUES ('check', 'forge', 'rank', 'Article 7', 'warning', 0.7, 'Place of residence had weight.')`;

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

  it.each([
    ['logs', 'service', `service = ' '`],
    ['logs', 'message', `message = ''`],
    ['logs', 'metadata', `metadata = '1'`],
    ['service_health', 'service_name', `service_name = ''`],
    ['service_health', 'port', 'port = 0'],
    ['service_health', 'port', 'port = 65536'],
    ['service_health', 'status', `status = 'fine'`],
    ['service_health', 'response_time_ms', 'response_time_ms = -1'],
    ['service_health', 'error', `status = 'error', error_message = ' '`],
  ])('refuses %s whose %s is wrong: %s', async (table, rule, change) => {
    await expect(db().admin(`UPDATE ${table} SET ${change}`)).rejects.toMatchObject({
      constraint: `${table}_${rule}_check`,
    });
  });

  it.each([
    ['service', `' '`],
    ['action', `''`],
    ['article', `''`],
    ['reasoning', `' '`],
    ['compliance_score', '1.01'],
    ['compliance_score', '-0.01'],
    ['metadata', `'[]'`],
  ])('refuses a check whose %s is %s', async (column, value) => {
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

    await expect(db().app(sql)).rejects.toMatchObject({ constraint: `constitutional_logs_${column}_check` });
  });

  it.each([
    'UPDATE constitutional_logs SET verdict = $$compliant$$',
    'DELETE FROM constitutional_logs',
    'TRUNCATE constitutional_logs',
  ])('refuses to anybody: %s', async (sql) => {
    await expect(db().admin(sql)).rejects.toMatchObject({
      code: '23001',
      constraint: 'constitutional_logs_append_only',
    });
    await expect(db().app(sql)).rejects.toMatchObject({ code: '42501' });
  });

  it('lets the app prune log lines and rewrite none', async () => {
    await db().app(`INSERT INTO logs (id, service, message) VALUES ('old', 'auth', 'Signed in')`);

    await expect(db().app(`UPDATE logs SET message = 'All well'`)).rejects.toMatchObject({ code: '42501' });
    expect(await db().app(`DELETE FROM logs WHERE id = 'old' RETURNING id`)).toEqual([{ id: 'old' }]);
  });

  it('has one row per endpoint when four monitors race', async () => {
    const store = openHealth({ url: db().url });
    const report = () =>
      store.prisma.serviceHealth.create({ data: { serviceName: 'mint', port: 4008, status: 'running' } });

    const settled = await Promise.allSettled([report(), report(), report(), report()]);
    await store.close();

    expect(settled.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });

  it('finds failures in an index of nothing else', async () => {
    await db().admin('SET enable_seqscan = off');
    const plan = await db().admin(
      `EXPLAIN SELECT id FROM logs WHERE level IN ('ERROR', 'FATAL') ORDER BY created_at DESC`,
    );

    expect(JSON.stringify(plan)).toContain('logs_failures_idx');
  });

  itKeepsAnAuditLog(db);
});
