/** @server any */
import { useDatabase, useTestClock } from '@azora/db-testkit';
import { complianceReport, type Health, listChecks, openHealth, recordCheck } from '../src';
import { check, publishedIn } from './given';

describe('constitutional checks', () => {
  const db = useDatabase('health');
  const clock = useTestClock(db, '2027-01-15T00:00:00.000Z');
  let health: Health;
  beforeAll(() => {
    health = openHealth({ url: db().url });
  });
  beforeEach(() =>
    db().admin(`DO $$ BEGIN
      ALTER TABLE constitutional_logs DISABLE TRIGGER USER; DELETE FROM constitutional_logs; DELETE FROM outbox;
      ALTER TABLE constitutional_logs ENABLE TRIGGER USER; END $$`),
  );
  afterAll(() => health.close());

  it('records the rule, the subject, the verdict and the evidence, and publishes the verdict', async () => {
    const evidence = { model: 'ranker-3', weights: { city: 0.4 } };
    const input = check('k1', { subject: { type: 'forge.Application', id: 'a1' }, userId: 'u1', evidence });

    const recorded = await recordCheck(health, input);

    expect(recorded).toEqual({
      id: expect.stringMatching(/^c/),
      service: 'forge',
      action: 'rank-applications',
      article: 'Article 7: fairness',
      verdict: 'warning',
      complianceScore: 0.7,
      reasoning: input.reasoning,
      subjectType: 'forge.Application',
      subjectId: 'a1',
      userId: 'u1',
      evidence,
      metadata: {},
      createdAt: clock.now(),
    });
    expect(await publishedIn(db())).toEqual([
      ['check-recorded', { checkId: recorded.id, service: 'forge', verdict: 'warning' }],
    ]);
  });

  it('records a check once per key when six calls race, and rejects other input under the key', async () => {
    const recorded = await Promise.all(Array.from({ length: 6 }, () => recordCheck(health, check('k1'))));

    expect(new Set(recorded.map(({ id }) => id)).size).toBe(1);
    expect(await publishedIn(db())).toHaveLength(1);
    await expect(recordCheck(health, check('k1', { verdict: 'compliant' }))).rejects.toMatchObject({
      code: 'HEALTH.KEY_REUSED',
    });
  });

  it('lists checks by every condition, page by page', async () => {
    await recordCheck(health, check('a', { subject: { type: 'forge.Job', id: 'j1' } }));
    await clock.move(1_000);
    await recordCheck(health, check('b', { service: 'nexus', verdict: 'violation', userId: 'u2' }));
    await clock.move(1_000);
    await recordCheck(health, check('c', { article: 'Article 2: dignity', verdict: 'compliant' }));
    const keys = async (input: Parameters<typeof listChecks>[1]) => {
      const { checks } = await listChecks(health, input);
      return checks.map(({ service, verdict, article }) => `${service} ${verdict} ${article.slice(8, 9)}`);
    };

    expect(await keys({})).toEqual(['forge compliant 2', 'nexus violation 7', 'forge warning 7']);
    expect(await keys({ service: 'nexus' })).toEqual(['nexus violation 7']);
    expect(await keys({ verdicts: ['violation', 'compliant'] })).toEqual(['forge compliant 2', 'nexus violation 7']);
    expect(await keys({ article: 'Article 2: dignity' })).toEqual(['forge compliant 2']);
    expect(await keys({ subject: { type: 'forge.Job', id: 'j1' } })).toEqual(['forge warning 7']);
    expect(await keys({ userId: 'u2' })).toEqual(['nexus violation 7']);
    expect(await keys({ since: new Date('2027-01-15T00:00:01Z'), until: clock.now() })).toEqual(['nexus violation 7']);
    const first = await listChecks(health, { limit: 2 });
    expect((await listChecks(health, { limit: 2, cursor: first.nextCursor ?? '' })).checks).toHaveLength(1);
  });

  it('reports the verdicts of a time: of all, by service and by article', async () => {
    await recordCheck(health, check('a', { verdict: 'violation', complianceScore: 0 }));
    await recordCheck(health, check('b', { verdict: 'compliant', complianceScore: 1 }));
    await recordCheck(
      health,
      check('c', { service: 'family', article: 'Article 2: dignity', verdict: 'compliant', complianceScore: 0.5 }),
    );
    await clock.move(60_000);
    await recordCheck(health, check('later'));
    const since = new Date('2027-01-15T00:00:00Z');
    const until = new Date('2027-01-15T00:01:00Z');

    const reported = await complianceReport(health, { since, until });

    const forge = { checks: 2, compliant: 1, warnings: 0, violations: 1, complianceRate: 0.5, meanScore: 0.5 };
    const family = { checks: 1, compliant: 1, warnings: 0, violations: 0, complianceRate: 1, meanScore: 0.5 };
    expect(reported).toEqual({
      checks: 3,
      compliant: 2,
      warnings: 0,
      violations: 1,
      complianceRate: 2 / 3,
      meanScore: 0.5,
      byService: [
        { service: 'family', ...family },
        { service: 'forge', ...forge },
      ],
      byArticle: [
        { article: 'Article 7: fairness', ...forge },
        { article: 'Article 2: dignity', ...family },
      ],
    });
    expect(await complianceReport(health, { since, until, service: 'family' })).toMatchObject({ checks: 1 });
    expect(await complianceReport(health, { since: until, until })).toEqual({
      checks: 0,
      compliant: 0,
      warnings: 0,
      violations: 0,
      complianceRate: null,
      meanScore: null,
      byService: [],
      byArticle: [],
    });
  });

  it.each([
    { service: 'not a name' },
    { service: '' },
    { action: ' ' },
    { article: 'x'.repeat(101) },
    { verdict: 'unknown' },
    { complianceScore: 1.01 },
    { complianceScore: Number.NaN },
    { reasoning: '' },
    { subject: { type: 'forge.Job', id: '' } },
    { userId: 'with space' },
    { evidence: { nul: '\0' } },
    { idempotencyKey: ' ' },
    { createdAt: new Date(0) },
  ])('rejects a check with %j', async (fields) => {
    const input = check('k', fields as Parameters<typeof check>[1]);

    await expect(recordCheck(health, input)).rejects.toMatchObject({ code: 'HEALTH.INVALID_INPUT' });
    expect(await publishedIn(db())).toEqual([]);
  });
});
