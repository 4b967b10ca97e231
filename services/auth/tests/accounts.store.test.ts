/** @server any */
import { useDatabase, useTestClock } from '@azora/db-testkit';
import { register, requestEmailVerification, verifyEmail } from '../src/index';
import { actionsOf, DAY_MS, dump, givenSession, givenUser, outcomes, PASSWORD, START, useAuth } from './given';

const TEN_MEGABYTES = 'a'.repeat(10_000_000);
const SQL = "'; DROP TABLE users; --";

describe('accounts', () => {
  const db = useDatabase('auth');
  const clock = useTestClock(db, START);
  const open = useAuth(db);

  it('registers an address in its canonical form, with a password hash and no plain token', async () => {
    const auth = open();
    const registered = await register(auth, { email: '  Ada@Azora.World ', password: PASSWORD, name: 'Ada' });

    expect(registered).toMatchObject({
      email: 'ada@azora.world',
      verificationToken: expect.stringMatching(/^[\w-]{43}$/),
    });
    const [user] = await db().admin('SELECT email, name, email_verified FROM users WHERE id = $1', [registered.userId]);
    expect(user).toEqual({ email: 'ada@azora.world', name: 'Ada', email_verified: false });
    const everything = await dump(db());
    expect(everything).not.toContain(registered.verificationToken);
    expect(everything).not.toContain(PASSWORD);
    expect(await actionsOf(db(), registered.userId)).toEqual(['USER_REGISTERED']);
  });

  it.each([
    ['in capitals', 'TAKEN@AZORA.WORLD'],
    ['with spaces around it', '\ttaken@azora.world\n'],
    ['with a full-width domain', 'taken@ａｚｏｒａ.world'],
    ['with an ideographic full stop', 'taken@azora。world'],
  ])('rejects a taken address %s', async (_how, email) => {
    const auth = open();
    await givenUser(auth, 'taken@azora.world').catch(() => undefined);
    const before = await dump(db());

    await expect(register(auth, { email, password: PASSWORD })).rejects.toMatchObject({ code: 'AUTH.EMAIL_TAKEN' });
    expect(await dump(db())).toBe(before);
  });

  it.each([
    ['no @', 'ada'],
    ['two @', 'ada@azora@world.com'],
    ['no domain', 'ada@'],
    ['no local part', '@azora.world'],
    ['one label', 'ada@localhost'],
    ['an IP address', 'ada@127.0.0.1'],
    ['a space inside', 'a da@azora.world'],
    ['two dots', 'a..da@azora.world'],
    ['a NUL', 'ada\0@azora.world'],
    ['half a surrogate pair', 'ada\ud800@azora.world'],
    ['a Cyrillic а', '\u0430da@azora.world'],
    ['full-width letters', 'ａda@azora.world'],
    ['a Kelvin sign, whose lower case is k', '\u212aate@azora.world'],
    ['a zero-width space', 'ad\u200ba@azora.world'],
    ['a quoted local part', '"ada"@azora.world'],
    ['a path after the domain', 'ada@azora.world/x'],
    ['SQL', `ada${SQL}@azora.world`],
    ['65 characters before the @', `${'a'.repeat(65)}@azora.world`],
    ['ten megabytes', `${TEN_MEGABYTES}@azora.world`],
  ])('rejects an address with %s', async (_what, email) => {
    const before = await dump(db());

    await expect(register(open(), { email, password: PASSWORD })).rejects.toMatchObject({
      code: 'AUTH.INVALID_INPUT',
      meta: { fields: ['email'] },
    });
    expect(await dump(db())).toBe(before);
  });

  it('keeps a look-alike domain in another script apart from the original', async () => {
    const auth = open();
    const latin = await givenUser(auth, 'eve@azora.world');
    const cyrillic = await givenUser(auth, 'eve@\u0430zora.world');

    expect(latin.email).toBe('eve@azora.world');
    expect(cyrillic.email).toBe('eve@xn--zora-43d.world');
  });

  it.each([
    ['7 characters', 'aaa1bbb'],
    ['7 characters of two UTF-16 units each', '😀'.repeat(7)],
    ['1025 characters', `${'ab'.repeat(512)}c`],
    ['spaces only', ' '.repeat(12)],
    ['a NUL', 'four unrelated\0words'],
    ['half a surrogate pair', 'four unrelated\ud800words'],
    ['ten megabytes', TEN_MEGABYTES],
  ])('rejects a password of %s', async (_what, password) => {
    const before = await dump(db());

    await expect(register(open(), { email: 'pw@azora.world', password })).rejects.toMatchObject({
      code: 'AUTH.INVALID_INPUT',
      meta: { fields: ['password'] },
    });
    expect(await dump(db())).toBe(before);
  });

  it.each([
    ['a common password', 'Password123'],
    ['a common password in full-width letters', 'ｐａｓｓｗｏｒｄ１２３'],
    ['a single repeated character', 'zzzzzzzzzzzz'],
    ['the address', 'guess.me@azora.world'],
    ['the part of the address before the @', 'Guess.Me'],
    ['the name', 'Guess Me Now'],
  ])('rejects a password that is %s', async (_what, password) => {
    const input = { email: 'guess.me@azora.world', name: 'guess me now', password };
    const before = await dump(db());

    await expect(register(open(), input)).rejects.toMatchObject({ code: 'AUTH.PASSWORD_REFUSED' });
    expect(await dump(db())).toBe(before);
  });

  it.each([
    ['a name of 256 characters', { name: 'x'.repeat(256) }],
    ['a name of ten megabytes', { name: TEN_MEGABYTES }],
    ['a username that is an address', { username: 'ada@azora.world' }],
    ['a name that reorders text', { name: 'Ada \u202egnp.exe' }],
    ['an invalid IP address', { device: { ipAddress: SQL } }],
    ['a user agent that contains NUL', { device: { userAgent: 'x\0' } }],
    ['an unknown field', { role: 'admin' }],
  ])('rejects %s', async (_what, more) => {
    const before = await dump(db());

    await expect(register(open(), { email: 'more@azora.world', password: PASSWORD, ...more })).rejects.toMatchObject({
      code: 'AUTH.INVALID_INPUT',
    });
    expect(await dump(db())).toBe(before);
  });

  it('stores SQL in any field as plain text', async () => {
    const auth = open();
    const texts = { name: SQL, device: { userAgent: SQL } };
    const { userId } = await register(auth, { email: 'sql@azora.world', password: `${SQL} ${PASSWORD}`, ...texts });

    expect(await db().admin('SELECT name FROM users WHERE id = $1', [userId])).toEqual([{ name: SQL }]);
  });

  it('stores a username in lower case', async () => {
    const auth = open();
    const { userId } = await register(auth, { email: 'un@azora.world', password: PASSWORD, username: 'Ada_L' });

    expect(await db().admin('SELECT username FROM users WHERE id = $1', [userId])).toEqual([{ username: 'ada_l' }]);
    await expect(
      register(auth, { email: 'un2@azora.world', password: PASSWORD, username: 'ADA_L' }),
    ).rejects.toMatchObject({ code: 'AUTH.USERNAME_TAKEN' });
  });

  it('registers an address once when many requests race', async () => {
    const [one, two] = [open(), open()];
    const calls = Array.from({ length: 12 }, (_, n) =>
      register(n % 2 ? one : two, { email: n % 3 ? 'race@azora.world' : 'RACE@azora.world', password: PASSWORD }),
    );

    expect(await outcomes(calls)).toEqual({ ok: 1, 'AUTH.EMAIL_TAKEN': 11 });
  });

  it('verifies an address once when many requests race', async () => {
    const auths = [open(), open()];
    const { userId, verificationToken: token } = await givenUser(open());
    const calls = Array.from({ length: 12 }, (_, n) => verifyEmail(auths[n % 2] ?? open(), { token }));

    expect(await outcomes(calls)).toEqual({ ok: 1, 'AUTH.TOKEN_USED': 11 });
    expect(await db().admin('SELECT email_verified FROM users WHERE id = $1', [userId])).toEqual([
      { email_verified: true },
    ]);
    expect(await actionsOf(db(), userId)).toEqual(['USER_REGISTERED', 'EMAIL_VERIFIED']);
  });

  it('replaces the previous verification token', async () => {
    const auth = open();
    const first = await givenUser(auth);
    const second = await requestEmailVerification(auth, { userId: first.userId });

    await expect(verifyEmail(auth, { token: first.verificationToken })).rejects.toMatchObject({
      code: 'AUTH.TOKEN_USED',
    });
    expect(await verifyEmail(auth, { token: second.verificationToken })).toEqual({ userId: first.userId });
    await expect(requestEmailVerification(auth, { userId: 'nobody' })).rejects.toMatchObject({
      code: 'AUTH.USER_NOT_FOUND',
    });
  });

  it('rejects an expired token, and a token for an address that the account no longer has', async () => {
    const auth = open();
    const late = await givenUser(auth);
    const moved = await givenUser(auth);
    await db().admin("UPDATE users SET email = 'elsewhere@azora.world' WHERE id = $1", [moved.userId]);
    const before = await dump(db());

    await expect(verifyEmail(auth, { token: moved.verificationToken })).rejects.toMatchObject({
      code: 'AUTH.TOKEN_INVALID',
    });
    await clock.move(DAY_MS);
    await expect(verifyEmail(auth, { token: late.verificationToken })).rejects.toMatchObject({
      code: 'AUTH.TOKEN_EXPIRED',
    });
    expect(await dump(db())).toBe(before);
  });

  it('verifies an address while the clock runs backwards', async () => {
    const auth = open();
    const { userId, verificationToken: token } = await givenUser(auth);
    await clock.move(-DAY_MS);

    expect(await verifyEmail(auth, { token })).toEqual({ userId });
  });

  it('rejects tokens of other kinds and malformed tokens', async () => {
    const auth = open();
    const { refreshToken, sessionToken } = await givenSession(auth);
    const before = await dump(db());

    for (const token of [refreshToken, sessionToken, '', SQL, 'a\0b', '\ud800', 'x'.repeat(200)]) {
      await expect(verifyEmail(auth, { token })).rejects.toMatchObject({ code: 'AUTH.TOKEN_INVALID' });
    }
    await expect(verifyEmail(auth, { token: TEN_MEGABYTES })).rejects.toMatchObject({ code: 'AUTH.INVALID_INPUT' });
    expect(await dump(db())).toBe(before);
  });
});
