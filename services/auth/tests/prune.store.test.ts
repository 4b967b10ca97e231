/** @server any */
import { useDatabase, useTestClock } from '@azora/db-testkit';
import { pruneExpired } from '../src/index';
import { DAY_MS, dump, givenSession, givenUser, START, useAuth } from './given';

// Each describe has a database of its own: pruning is not limited to the rows of one user.
describe('pruneExpired', () => {
  const db = useDatabase('auth');
  const clock = useTestClock(db, START);
  const open = useAuth(db);

  it('deletes rows that expired before their retention period, and no others', async () => {
    const auth = open();
    const { userId } = await givenSession(auth);
    await db().admin(`
      INSERT INTO token_blacklist (jti, expires_at) VALUES ('old', '2026-03-02'), ('new', '2026-07-01');
      INSERT INTO organizations (id, name, slug) VALUES ('org', 'Org', 'org');
      INSERT INTO org_invitations (id, org_id, email, token_hash, expires_at, created_at)
        VALUES ('old', 'org', 'x@azora.world', repeat('a', 64), '2026-03-02', '2026-03-01');
      INSERT INTO one_time_codes (id, user_id, channel, purpose, code_hash, expires_at, created_at)
        VALUES ('old', '${userId}', 'sms', 'confirm', repeat('a', 64), '2026-03-01 00:10', '2026-03-01')`);
    expect(await pruneExpired(auth)).toEqual({
      tokens: 0,
      sessions: 0,
      org_invitations: 0,
      one_time_codes: 0,
      token_blacklist: 0,
      sign_in_sources: 0,
      message_limits: 0,
    });
    await clock.move(91 * DAY_MS);
    await givenSession(auth);
    await clock.move(7 * DAY_MS);

    expect(await pruneExpired(auth)).toEqual({
      tokens: 2,
      sessions: 1,
      org_invitations: 1,
      one_time_codes: 1,
      token_blacklist: 1,
      sign_in_sources: 0,
      // Of the registrations without an address of the network.
      message_limits: 1,
    });
    const left = `SELECT (SELECT count(*) FROM tokens)::int AS tokens, (SELECT count(*) FROM sessions)::int AS sessions,
      (SELECT count(*) FROM users)::int AS users, (SELECT count(*) FROM audit_log)::int AS entries`;
    expect(await db().admin(left)).toEqual([{ tokens: 2, sessions: 1, users: 2, entries: 4 }]);
  });

  it.each([{ batchSize: 0 }, { batchSize: 10_001 }, { maxBatches: -1 }, { batchSize: '1; DROP TABLE users' as never }])(
    'rejects %p',
    async (input) => {
      const before = await dump(db());

      await expect(pruneExpired(open(), input)).rejects.toMatchObject({ code: 'AUTH.INVALID_INPUT' });
      expect(await dump(db())).toBe(before);
    },
  );
});

describe('pruneExpired in batches', () => {
  const db = useDatabase('auth');
  useTestClock(db, '2021-01-01T00:00:00Z');
  const open = useAuth(db);

  it('stops after maxBatches, and shares the rows with concurrent calls', async () => {
    const { userId } = await givenUser(open());
    await db().admin(`INSERT INTO tokens (id, user_id, kind, token_hash, family_id, expires_at, created_at)
      SELECT 'batch' || n, '${userId}', 'refresh', lpad(to_hex(n), 64, '0'), n, '2020-01-02', '2020-01-01'
      FROM generate_series(1, 95) AS n`);

    expect(await pruneExpired(open(), { batchSize: 10, maxBatches: 2 })).toMatchObject({ tokens: 20 });
    const pruned = await Promise.all([1, 2, 3].map(() => open()).map((auth) => pruneExpired(auth, { batchSize: 10 })));
    expect(pruned.reduce((sum, { tokens }) => sum + tokens, 0)).toBe(75);
  });
});
