/** @server any */
import { useDatabase, useTestClock } from '@azora/db-testkit';
import { hashToken, issueToken, newToken, readToken, type TokenKind, takeToken } from '../src/session/tokens';
import { dump, givenUser, MINUTE_MS, outcomes, START, sha256, useAuth } from './given';

const KINDS: readonly TokenKind[] = ['password_reset', 'invitation', 'mfa_challenge'];

describe('tokens', () => {
  const db = useDatabase('auth');
  const clock = useTestClock(db, START);
  const open = useAuth(db);

  it('are 256 random bits, stored as their SHA-256', () => {
    const { token, hash } = newToken();

    expect(Buffer.from(token, 'base64url')).toHaveLength(32);
    expect(hash).toBe(sha256(token));
    expect(newToken().token).not.toBe(token);
  });

  it.each(KINDS)('of the kind %s are accepted only as that kind, and once', async (kind) => {
    const auth = open();
    const { userId, email: address } = await givenUser(auth);
    const { token } = await auth.transaction((tx) => issueToken(tx, { userId, kind, lifeMs: MINUTE_MS }));
    const before = await dump(db());
    for (const other of [...KINDS, 'email_verification' as const].filter((it) => it !== kind)) {
      const take = auth.transaction((tx) => takeToken(tx, { kind: other, token }));
      expect(await outcomes([take, readToken(auth, { kinds: [other], token })])).toEqual({ 'AUTH.TOKEN_INVALID': 2 });
    }
    expect(await dump(db())).toBe(before);

    const email = kind === 'mfa_challenge' ? null : address;
    const id = expect.any(String);
    expect(await readToken(auth, { kinds: KINDS, token })).toEqual({ id, userId, kind, email });
    const calls = Array.from({ length: 8 }, () => auth.transaction((tx) => takeToken(tx, { kind, token })));
    expect(await outcomes(calls)).toEqual({ ok: 1, 'AUTH.TOKEN_USED': 7 });
    expect(await outcomes([readToken(auth, { kinds: [kind], token })])).toEqual({ 'AUTH.TOKEN_USED': 1 });
  });

  it('expire exactly at their expiry', async () => {
    const auth = open();
    const { userId } = await givenUser(auth);
    const kind = 'mfa_challenge';
    const { token } = await auth.transaction((tx) => issueToken(tx, { userId, kind, lifeMs: MINUTE_MS }));
    await clock.move(MINUTE_MS);
    expect(await outcomes([readToken(auth, { kinds: [kind], token })])).toEqual({ 'AUTH.TOKEN_EXPIRED': 1 });

    await clock.move(-1);
    expect(await auth.transaction((tx) => takeToken(tx, { kind, token }))).toEqual({
      userId,
      email: null,
      at: clock.now(),
    });
  });

  it('stay valid if the transaction that used them up fails', async () => {
    const auth = open();
    const { userId } = await givenUser(auth);
    const kind = 'invitation';
    const { token } = await auth.transaction((tx) => issueToken(tx, { userId, kind, lifeMs: MINUTE_MS }));
    const failed = auth.transaction(async (tx) => {
      await takeToken(tx, { kind, token });
      throw new RangeError('after the token was used up');
    });

    await expect(failed).rejects.toThrow(RangeError);
    expect(await outcomes([auth.transaction((tx) => takeToken(tx, { kind, token }))])).toEqual({ ok: 1 });
    expect(await db().admin('SELECT token_hash FROM tokens WHERE user_id = $1 AND kind = $2', [userId, kind])).toEqual([
      { token_hash: hashToken(token) },
    ]);
  });
});
