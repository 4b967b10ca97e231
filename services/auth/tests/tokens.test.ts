import { useDatabase } from '@azora/db-testkit';
import { hashToken, issueToken, newToken, readToken, type TokenKind, takeToken } from '../src/session/tokens';
import { dump, givenClock, givenUser, MINUTE_MS, outcomes, sha256, useAuth } from './given';

const KINDS: readonly TokenKind[] = ['password_reset', 'invitation', 'mfa_challenge'];

describe('tokens', () => {
  const db = useDatabase('auth');
  const open = useAuth(db);

  it('are 256 random bits, stored as their SHA-256', () => {
    const { token, hash } = newToken();

    expect(Buffer.from(token, 'base64url')).toHaveLength(32);
    expect(hash).toBe(sha256(token));
    expect(newToken().token).not.toBe(token);
  });

  it.each(KINDS)('of the kind %s are accepted only as that kind, and once', async (kind) => {
    const auth = open({ clock: givenClock() });
    const { userId } = await givenUser(auth);
    const at = auth.clock();
    const token = await auth.transaction((tx) => issueToken(tx, { userId, kind, at, lifeMs: MINUTE_MS }));
    const before = await dump(db());
    for (const other of [...KINDS, 'email_verification' as const].filter((it) => it !== kind)) {
      const take = auth.transaction((tx) => takeToken(tx, { kind: other, token, at }));
      expect(await outcomes([take, readToken(auth, { kinds: [other], token })])).toEqual({ 'AUTH.TOKEN_INVALID': 2 });
    }
    expect(await dump(db())).toBe(before);

    expect(await readToken(auth, { kinds: KINDS, token })).toEqual({ userId, kind, email: null });
    const calls = Array.from({ length: 8 }, () => auth.transaction((tx) => takeToken(tx, { kind, token, at })));
    expect(await outcomes(calls)).toEqual({ ok: 1, 'AUTH.TOKEN_USED': 7 });
    expect(await outcomes([readToken(auth, { kinds: [kind], token })])).toEqual({ 'AUTH.TOKEN_USED': 1 });
  });

  it('expire exactly at their expiry', async () => {
    const clock = givenClock();
    const auth = open({ clock });
    const { userId } = await givenUser(auth);
    const kind = 'mfa_challenge';
    const token = await auth.transaction((tx) => issueToken(tx, { userId, kind, at: clock(), lifeMs: MINUTE_MS }));
    clock.move(MINUTE_MS);
    expect(await outcomes([readToken(auth, { kinds: [kind], token })])).toEqual({ 'AUTH.TOKEN_EXPIRED': 1 });

    clock.move(-1);
    expect(await auth.transaction((tx) => takeToken(tx, { kind, token, at: clock() }))).toEqual({
      userId,
      email: null,
    });
  });

  it('stay valid if the transaction that used them up fails', async () => {
    const auth = open();
    const { userId } = await givenUser(auth);
    const at = auth.clock();
    const kind = 'invitation';
    const token = await auth.transaction((tx) => issueToken(tx, { userId, kind, at, lifeMs: MINUTE_MS }));
    const failed = auth.transaction(async (tx) => {
      await takeToken(tx, { kind, token, at });
      throw new RangeError('after the token was used up');
    });

    await expect(failed).rejects.toThrow(RangeError);
    expect(await outcomes([auth.transaction((tx) => takeToken(tx, { kind, token, at }))])).toEqual({ ok: 1 });
    expect(await db().admin('SELECT token_hash FROM tokens WHERE user_id = $1 AND kind = $2', [userId, kind])).toEqual([
      { token_hash: hashToken(token) },
    ]);
  });
});
