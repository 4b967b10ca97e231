/** @server any */
import { useDatabase } from '@azora/db-testkit';
import { type Auth, type ReadAuditInput, readAudit } from '../src/index';
import { useAuth } from './given';

/** Excludes the entries that other tests write now. */
const SEEDED = { to: new Date('2026-03-02T00:00:00Z') };

describe('readAudit', () => {
  const db = useDatabase('auth');
  const open = useAuth(db);

  beforeAll(async () => {
    // Three entries share each microsecond, so that pages end between equal times.
    await db().admin(`INSERT INTO audit_log (id, user_id, org_id, action, timestamp, ip_address)
      SELECT 'e' || lpad(n::text, 3, '0'), CASE n % 3 WHEN 0 THEN NULL ELSE 'user' || n % 3 END,
        CASE WHEN n % 5 = 0 THEN 'org' END, 'ACTION_' || n % 2,
        timestamptz '2026-03-01T12:00:00Z' + (n / 3) * interval '1 microsecond', '192.0.2.1'
      FROM generate_series(1, 60) AS n`);
  });

  const idsOf = async (auth: Auth, input: ReadAuditInput): Promise<readonly string[]> => {
    const { entries, nextCursor } = await readAudit(auth, input);
    const ids = entries.map(({ id }) => id);
    return nextCursor === null ? ids : [...ids, ...(await idsOf(auth, { ...input, cursor: nextCursor }))];
  };

  it('returns complete entries, newest first', async () => {
    const { entries, nextCursor } = await readAudit(open(), { ...SEEDED, limit: 1 });

    expect(entries).toEqual([
      {
        id: 'e060',
        timestamp: new Date('2026-03-01T12:00:00.000Z'),
        userId: null,
        orgId: 'org',
        action: 'ACTION_0',
        resourceType: null,
        resourceId: null,
        details: {},
        metadata: null,
        ipAddress: '192.0.2.1',
        userAgent: null,
        seq: 20n,
        hash: expect.stringMatching(/^[0-9a-f]{64}$/),
      },
    ]);
    expect(nextCursor).toEqual(expect.any(String));
  });

  it.each([1, 7, 60, 500])('returns every entry once on pages of %d', async (limit) => {
    const ids = await idsOf(open(), { ...SEEDED, limit });

    expect(ids).toHaveLength(60);
    expect(ids).toEqual([...new Set(ids)]);
    expect(ids.slice(0, 2)).toEqual(['e060', 'e059']);
  });

  it('does not shift a page when entries are written between two calls', async () => {
    const auth = open();
    const input = { userId: 'user1', limit: 3 };
    const first = await readAudit(auth, input);
    await db().app("INSERT INTO audit_log (id, user_id, action) VALUES ('late', 'user1', 'LATE')");
    const second = await readAudit(auth, { ...input, cursor: first.nextCursor ?? '' });

    expect([...first.entries, ...second.entries].map(({ id }) => id)).toEqual([
      'e058',
      'e055',
      'e052',
      'e049',
      'e046',
      'e043',
    ]);
  });

  it.each<[string, ReadAuditInput, number]>([
    ['a user', { userId: 'user2' }, 20],
    ['no known user', { userId: null }, 20],
    ['an organization', { orgId: 'org' }, 12],
    ['an action', { action: 'ACTION_1' }, 30],
    ['a user and an action', { userId: 'user2', action: 'ACTION_1' }, 10],
    ['a user without entries', { userId: 'user9' }, 0],
    ['a time range', { from: new Date('2026-03-01T12:00:00Z'), to: new Date('2026-03-01T12:00:00.001Z') }, 60],
    ['an earlier time range', { to: new Date('2026-03-01T12:00:00Z') }, 0],
  ])('filters by %s', async (_what, input, count) => {
    expect(await idsOf(open(), { ...input, limit: 9 })).toHaveLength(count);
  });

  it.each<[string, ReadAuditInput]>([
    ['a limit of 0', { limit: 0 }],
    ['a limit of 501', { limit: 501 }],
    ['a malformed cursor', { cursor: 'x' }],
    ['a forged cursor', { cursor: Buffer.from("1 '; DROP TABLE audit_log; --").toString('base64url') }],
    ['a cursor of ten megabytes', { cursor: 'x'.repeat(10_000_000) }],
    ['SQL as the user id', { userId: "' OR 1=1" }],
    ['a NUL in the action', { action: 'x\0' }],
    ['an invalid date', { from: new Date(Number.NaN) }],
  ])('rejects %s', async (_what, input) => {
    await expect(readAudit(open(), input)).rejects.toMatchObject({ code: 'AUTH.INVALID_INPUT' });
  });
});
