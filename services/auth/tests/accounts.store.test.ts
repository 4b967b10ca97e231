import { useDatabase } from '@azora/db-testkit';
import { register, requestEmailVerification, verifyEmail } from '../src/index';
import { actionsOf, DAY_MS, dump, givenClock, givenSession, givenUser, outcomes, PASSWORD, useAuth } from './given';

const TEN_MEGABYTES = 'a'.repeat(10_000_000);
const SQL = "'; DROP TABLE users; --";

describe('accounts', () => {
  const db = useDatabase('auth');
  const open = useAuth(db);

  it('registers an address in its one spelling, with a hash of the password and no token in plain', async () => {
    const auth = open();
    const registered = await register(auth, { email: '  Ada@Azora.World ', password: PASSWORD, name: 'Ada' });

    expect(registered).toMatchObject({
      email: 'ada@azora.world',
      verificationToken: expect.stringMatching(/^[\w-]{43}$/),
    });
    expect(await db().admin('SELECT email, name, email_verified FROM users')).toEqual([
      { email: 'ada@azora.world', name: 'Ada', email_verified: false },
    ]);
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
  ])('refuses a taken address %s', async (_how, email) => {
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
  ])('refuses an address with %s', async (_what, email) => {
    const before = await dump(db());

    await expect(register(open(), { email, password: PASSWORD })).rejects.toMatchObject({
      code: 'AUTH.INVALID_INPUT',
      meta: { fields: ['email'] },
    });
    expect(await dump(db())).toBe(before);
  });

  it('keeps the domain of another script apart from the one that it looks like', async () => {
    const auth = open();
    const latin = await givenUser(auth, 'eve@azora.world');
    const cyrillic = await givenUser(auth, 'eve@\u0430zora.world');

    expect(latin.email).toBe('eve@azora.world');
    expect(cyrillic.email).toBe('eve@xn--zora-43d.world');
  });

  it.each([
    ['7 characters', 'aaa1bbb'],
    ['7 characters of two units each', '😀'.repeat(7)],
    ['1025 characters', `${'ab'.repeat(512)}c`],
    ['blanks only', ' '.repeat(12)],
    ['a NUL', 'four unrelated\0words'],
    ['half a surrogate pair', 'four unrelated\ud800words'],
    ['ten megabytes', TEN_MEGABYTES],
  ])('refuses a password of %s', async (_what, password) => {
    const before = await dump(db());

    await expect(register(open(), { email: 'pw@azora.world', password })).rejects.toMatchObject({
      code: 'AUTH.INVALID_INPUT',
      meta: { fields: ['password'] },
    });
    expect(await dump(db())).toBe(before);
  });

  it.each([
    ['a common one', 'Password123'],
    ['a common one in full-width letters', 'ｐａｓｓｗｏｒｄ１２３'],
    ['one character again and again', 'zzzzzzzzzzzz'],
    ['the address', 'guess.me@azora.world'],
    ['what is before its @', 'Guess.Me'],
    ['the name', 'Guess Me Now'],
  ])('refuses as a password %s', async (_what, password) => {
    const input = { email: 'guess.me@azora.world', name: 'guess me now', password };
    const before = await dump(db());

    await expect(register(open(), input)).rejects.toMatchObject({ code: 'AUTH.PASSWORD_REFUSED' });
    expect(await dump(db())).toBe(before);
  });

  it.each([
    ['a name', { name: 'x'.repeat(256) }],
    ['a name of ten megabytes', { name: TEN_MEGABYTES }],
    ['a user name with spaces around it', { username: ' ada' }],
    ['an IP address', { device: { ipAddress: SQL } }],
    ['a user agent', { device: { userAgent: 'x\0' } }],
    ['an unknown field', { role: 'admin' }],
  ])('refuses %s that it cannot keep', async (_what, more) => {
    const before = await dump(db());

    await expect(register(open(), { email: 'more@azora.world', password: PASSWORD, ...more })).rejects.toMatchObject({
      code: 'AUTH.INVALID_INPUT',
    });
    expect(await dump(db())).toBe(before);
  });

  it('keeps SQL in every field as the text that it is', async () => {
    const auth = open();
    const texts = { name: SQL, username: SQL, device: { userAgent: SQL } };
    const input = { email: 'sql@azora.world', password: `${SQL} ${SQL}`, ...texts };
    const { userId } = await register(auth, input);

    expect(await db().admin('SELECT name, username FROM users WHERE id = $1', [userId])).toEqual([
      { name: SQL, username: SQL },
    ]);
    await expect(
      register(auth, { email: 'sql2@azora.world', password: PASSWORD, username: SQL.toUpperCase() }),
    ).rejects.toMatchObject({ code: 'AUTH.USERNAME_TAKEN' });
  });

  it('registers an address once, however many ask at once', async () => {
    const [one, two] = [open(), open()];
    const calls = Array.from({ length: 12 }, (_, n) =>
      register(n % 2 ? one : two, { email: n % 3 ? 'race@azora.world' : 'RACE@azora.world', password: PASSWORD }),
    );

    expect(await outcomes(calls)).toEqual({ ok: 1, 'AUTH.EMAIL_TAKEN': 11 });
  });

  it('verifies an address once, of any number at once', async () => {
    const auths = [open(), open()];
    const { userId, verificationToken: token } = await givenUser(open());
    const calls = Array.from({ length: 12 }, (_, n) => verifyEmail(auths[n % 2] ?? open(), { token }));

    expect(await outcomes(calls)).toEqual({ ok: 1, 'AUTH.TOKEN_USED': 11 });
    expect(await db().admin('SELECT email_verified FROM users WHERE id = $1', [userId])).toEqual([
      { email_verified: true },
    ]);
    expect(await actionsOf(db(), userId)).toEqual(['USER_REGISTERED', 'EMAIL_VERIFIED']);
  });

  it('puts a new verification in the place of the last', async () => {
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

  it('refuses a verification that expired, and one for an address that the account gave up', async () => {
    const clock = givenClock();
    const auth = open({ clock });
    const late = await givenUser(auth);
    const moved = await givenUser(auth);
    await db().admin("UPDATE users SET email = 'elsewhere@azora.world' WHERE id = $1", [moved.userId]);
    const before = await dump(db());

    await expect(verifyEmail(auth, { token: moved.verificationToken })).rejects.toMatchObject({
      code: 'AUTH.TOKEN_INVALID',
    });
    clock.move(DAY_MS);
    await expect(verifyEmail(auth, { token: late.verificationToken })).rejects.toMatchObject({
      code: 'AUTH.TOKEN_EXPIRED',
    });
    expect(await dump(db())).toBe(before);
  });

  it('takes a verification while the clock runs backwards', async () => {
    const clock = givenClock();
    const auth = open({ clock });
    const { userId, verificationToken: token } = await givenUser(auth);
    clock.move(-DAY_MS);

    expect(await verifyEmail(auth, { token })).toEqual({ userId });
  });

  it('refuses tokens of another kind and what is no token', async () => {
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
