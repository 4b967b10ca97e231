/** @server any */
import { useDatabase, useTestClock } from '@azora/db-testkit';
import {
  ENDPOINT_STATUSES,
  getServiceHealth,
  type Health,
  type HealthReport,
  healthHistory,
  listServiceHealth,
  openHealth,
  reportHealth,
  uptime,
} from '../src';
import { publishedIn, report } from './given';

const MINUTE_MS = 60_000;

describe('the health of services', () => {
  const db = useDatabase('health');
  const start = '2027-01-15T00:00:00.000Z';
  const clock = useTestClock(db, start);
  let health: Health;
  beforeAll(() => {
    health = openHealth({ url: db().url });
  });
  beforeEach(() => db().admin('TRUNCATE service_health, outbox CASCADE'));
  afterAll(() => health.close());

  const tell = (...reports: readonly Partial<HealthReport>[]) =>
    reportHealth(health, { reports: reports.map((fields) => report(fields)) });

  it('keeps the last state of each endpoint and every check, at one time of the database', async () => {
    await tell({ responseTimeMs: 9, metadata: { region: 'za' } }, { serviceName: 'auth', port: 4001 });
    await clock.move(MINUTE_MS);
    const failed = { status: 'error', errorMessage: 'Connection refused' } as const;

    const [endpoint] = await tell(failed);

    expect(endpoint).toEqual({
      id: expect.any(Number),
      serviceName: 'mint',
      port: 4008,
      ...failed,
      responseTimeMs: null,
      metadata: null,
      lastCheck: clock.now(),
      createdAt: expect.any(Date),
      updatedAt: clock.now(),
    });
    expect(await getServiceHealth(health, { serviceName: 'mint', port: 4008 })).toEqual(endpoint);
    expect((await listServiceHealth(health)).map(({ serviceName, status }) => `${serviceName} ${status}`)).toEqual([
      'auth running',
      'mint error',
    ]);
    expect(await listServiceHealth(health, { statuses: ['error'] })).toEqual([endpoint]);
    expect(await listServiceHealth(health, { serviceName: 'auth' })).toHaveLength(1);
    const { checks, nextCursor } = await healthHistory(health, { serviceName: 'mint', port: 4008, limit: 1 });
    expect(checks).toEqual([{ id: expect.any(BigInt), ...failed, responseTimeMs: null, createdAt: clock.now() }]);
    expect(await healthHistory(health, { serviceName: 'mint', port: 4008, cursor: nextCursor ?? '' })).toEqual({
      checks: [expect.objectContaining({ status: 'running', responseTimeMs: 9, createdAt: new Date(start) })],
      nextCursor: null,
    });
  });

  const PAIRS = ENDPOINT_STATUSES.flatMap((from) => ENDPOINT_STATUSES.map((to) => [from, to] as const));

  it.each(PAIRS)('goes from %s to %s and publishes a change only', async (from, to) => {
    await tell({ status: from, errorMessage: 'Failed' });
    await tell({ status: to, errorMessage: 'Failed' });

    const endpoint = { serviceName: 'mint', port: 4008 };
    expect(await publishedIn(db())).toEqual([
      ['status-changed', { ...endpoint, from: null, to: from }],
      ...(from === to ? [] : [['status-changed', { ...endpoint, from, to }]]),
    ]);
  });

  it('records racing first reports one after the other, without a lost check or a repeated event', async () => {
    const statuses = ['running', 'degraded', 'stopped', 'running'] as const;
    await Promise.all(
      Array.from({ length: 16 }, (_, n) =>
        // In opposite orders: calls that locked in the order of their input would deadlock.
        tell(
          ...[{ status: statuses[n % 4] ?? 'running' }, { serviceName: 'auth', port: 1 }].toSorted(() =>
            n % 2 === 0 ? 1 : -1,
          ),
        ),
      ),
    );

    const changes = (await publishedIn(db())).flatMap(([, data]) => {
      const { serviceName, from, to } = data as { serviceName: string; from: string | null; to: string };
      return serviceName === 'mint' ? [[from, to]] : [];
    });
    expect(changes.every(([from], n) => from === (changes[n - 1]?.[1] ?? null))).toBe(true);
    const counted = await db().admin(`SELECT service_name, count(*)::int AS checks FROM health_checks
      JOIN service_health ON service_health.id = endpoint_id GROUP BY 1 ORDER BY 1`);
    expect(counted).toEqual([
      { service_name: 'auth', checks: 16 },
      { service_name: 'mint', checks: 16 },
    ]);
  });

  it('computes uptime from the time that checks describe, and percentiles of response times', async () => {
    for (const [status, responseTimeMs] of [
      ['running', 10],
      ['degraded', 20],
      ['stopped', 30],
      ['running', 40],
    ] as const) {
      await tell({ status, responseTimeMs });
      await clock.move(MINUTE_MS);
    }
    // Nobody checks for 56 minutes; the last check counts for 5 of them.
    await clock.move(55 * MINUTE_MS);

    const since = new Date(start);
    const [found] = await uptime(health, { serviceName: 'mint', since });

    expect(found).toEqual({
      serviceName: 'mint',
      port: 4008,
      checks: 4,
      failures: 1,
      uptime: 7 / 8,
      knownMs: 8 * MINUTE_MS,
      responseTimeMs: { p50: 25, p95: 38.5, p99: expect.closeTo(39.7) },
    });
    // From the middle of the first minute to the middle of the third.
    const part = { since: new Date(since.getTime() + 30_000), until: new Date(since.getTime() + 150_000) };
    expect(await uptime(health, { serviceName: 'mint', port: 4008, ...part })).toEqual([
      expect.objectContaining({ checks: 2, failures: 1, knownMs: 120_000, uptime: 0.75 }),
    ]);
    expect(await uptime(health, { serviceName: 'mint', since, validForMs: 30_000 })).toEqual([
      expect.objectContaining({ knownMs: 120_000, uptime: 0.75 }),
    ]);
    expect(await uptime(health, { serviceName: 'mint', since: clock.now() })).toEqual([]);
    expect(await uptime(health, { serviceName: 'other', since })).toEqual([]);
  });

  it('knows no endpoint that nobody has reported', async () => {
    const endpoint = { serviceName: 'mint', port: 1 };

    await expect(getServiceHealth(health, endpoint)).rejects.toMatchObject({ code: 'HEALTH.ENDPOINT_NOT_FOUND' });
    await expect(healthHistory(health, endpoint)).rejects.toMatchObject({
      code: 'HEALTH.ENDPOINT_NOT_FOUND',
      meta: endpoint,
    });
  });

  it.each([
    { status: 'fine' },
    { status: 'error' },
    { port: 0 },
    { port: 65_536 },
    { serviceName: 'with space' },
    { responseTimeMs: -1 },
    { responseTimeMs: 1.5 },
    { metadata: { nul: '\0' } },
  ])('rejects a report with %j', async (fields) => {
    await expect(tell(fields as Partial<HealthReport>)).rejects.toMatchObject({ code: 'HEALTH.INVALID_INPUT' });
    expect(await publishedIn(db())).toEqual([]);
  });

  it('rejects two reports about one endpoint in one call, and no reports', async () => {
    await expect(tell({}, { status: 'stopped' })).rejects.toMatchObject({
      code: 'HEALTH.INVALID_INPUT',
      why: 'reports: contains two reports about one endpoint.',
    });
    await expect(tell()).rejects.toMatchObject({ code: 'HEALTH.INVALID_INPUT' });
  });
});
