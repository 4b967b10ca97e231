/** @server any */
import { useDatabase, useTestClock } from '@azora/db-testkit';
import { deactivate, type UpdateProfileInput, updateProfile } from '../src/index';
import { actionsOf, givenUser, outcomes, START, useAuth } from './given';

describe('updateProfile', () => {
  const db = useDatabase('auth');
  useTestClock(db, START);
  const openAuth = useAuth(db);
  const open = () => openAuth();
  const EMPTY = {
    name: '',
    username: null,
    avatarUrl: null,
    bio: null,
    phone: null,
    birthDate: null,
    city: null,
    country: null,
    language: 'en',
    timeZone: 'UTC',
  };
  const everything = async () => [
    await db().admin('SELECT * FROM users ORDER BY id'),
    await db().admin('SELECT * FROM user_profiles ORDER BY id'),
    await db().admin('SELECT * FROM audit_log ORDER BY id'),
  ];

  it('stores all fields in their canonical form', async () => {
    const auth = open();
    const { userId } = await givenUser(auth);
    const changes = {
      name: 'Ada Łovelace',
      username: 'ada',
      avatarUrl: 'https://cdn.azora.world/ada.png',
      bio: 'Counts.',
      phone: '+27115550100',
      birthDate: '2000-02-29',
      city: 'Johannesburg',
      country: 'ZA',
      language: 'en-za',
      timeZone: 'africa/johannesburg',
    };

    const profile = await updateProfile(auth, { userId, ...changes });

    expect(profile).toEqual({ userId, ...changes, language: 'en-ZA', timeZone: 'Africa/Johannesburg' });
    expect(await db().admin('SELECT birth_date::text FROM user_profiles WHERE user_id = $1', [userId])).toEqual([
      { birth_date: '2000-02-29' },
    ]);
    const entries = await db().admin(
      "SELECT details FROM audit_log WHERE user_id = $1 AND action = 'PROFILE_UPDATED'",
      [userId],
    );
    expect(entries).toEqual([{ details: { fields: Object.keys(changes).sort() } }]);
  });

  it('leaves absent fields unchanged, and removes a value that is null', async () => {
    const auth = open();
    const { userId } = await givenUser(auth);
    await updateProfile(auth, { userId, name: 'Ada', bio: 'Counts.', city: 'Lagos', birthDate: '2000-01-01' });

    await updateProfile(auth, { userId, city: null, language: 'yo' });
    const profile = await updateProfile(auth, { userId, birthDate: null, name: undefined } as never);

    expect(profile).toEqual({ userId, ...EMPTY, name: 'Ada', bio: 'Counts.', language: 'yo' });
  });

  it('gives a username to one of many concurrent calls, compared without case', async () => {
    const [one, other] = [open(), open()];
    const users = [await givenUser(one), await givenUser(one), await givenUser(one)];

    const ends = await outcomes(
      users.map(({ userId }, n) =>
        updateProfile(n % 2 === 0 ? one : other, { userId, username: n === 0 ? 'RACE' : 'race' }),
      ),
    );

    expect(ends).toEqual({ ok: 1, 'AUTH.USERNAME_TAKEN': 2 });
  });

  it.each([
    ['Asia/Kolkata', 'Asia/Kolkata'],
    ['Asia/Calcutta', 'Asia/Calcutta'],
    ['utc', 'UTC'],
  ])('stores the time zone %s as %s', async (timeZone, kept) => {
    const auth = open();
    const { userId } = await givenUser(auth);

    expect(await updateProfile(auth, { userId, timeZone })).toMatchObject({ timeZone: kept });
  });

  it.each<[string, Partial<Record<keyof UpdateProfileInput | 'role', unknown>>]>([
    ['no fields', {}],
    ['only undefined fields', { name: undefined }],
    ['a blank name', { name: ' ' }],
    ['a name of ten megabytes', { name: 'a'.repeat(10_000_000) }],
    ['a name with NUL', { name: 'a\0' }],
    ['half a surrogate pair', { bio: '\ud800' }],
    ['a null name', { name: null }],
    ['a username with spaces around it', { username: ' ada' }],
    ['a javascript URL as the avatar', { avatarUrl: 'javascript:alert(1)' }],
    ['an avatar URL without a host', { avatarUrl: 'https://' }],
    ['a local phone number', { phone: '011' }],
    ['a birth date of today', { birthDate: '2026-03-01' }],
    ['a birth date in the future', { birthDate: '2027-01-01' }],
    ['a birth date before 1900', { birthDate: '1899-12-31' }],
    ['a date that does not exist', { birthDate: '2001-02-29' }],
    ['a date in another format', { birthDate: '01/02/2001' }],
    ['a time instead of a date', { birthDate: '2001-02-01T00:00:00Z' }],
    ['a country in lower case', { country: 'za' }],
    ['a country that does not exist', { country: 'QQ' }],
    ['the European Union as a country', { country: 'EU' }],
    ['a language that does not exist', { language: 'english, please' }],
    ['a language with an extension', { language: 'en-u-ca-gregory' }],
    ['a null language', { language: null }],
    ['a time zone that does not exist', { timeZone: 'Mars/Olympus' }],
    ['an offset as the time zone', { timeZone: '+02:00' }],
    ['SQL as the time zone', { timeZone: "'; DROP TABLE users; --" }],
    ['a role', { role: 'admin' }],
  ])('rejects %s and writes nothing', async (_what, wrong) => {
    const auth = open();
    const { userId } = await givenUser(auth);
    const before = await everything();

    await expect(updateProfile(auth, { userId, ...wrong } as never)).rejects.toMatchObject({
      code: 'AUTH.INVALID_INPUT',
    });
    expect(await everything()).toEqual(before);
  });

  it('accepts a birth date of yesterday, and SQL as a name', async () => {
    const auth = open();
    const { userId } = await givenUser(auth);
    const name = "Robert'); DROP TABLE users; --";

    expect(await updateProfile(auth, { userId, birthDate: '2026-02-28', name })).toMatchObject({
      birthDate: '2026-02-28',
      name,
    });
  });

  it('rejects an unknown user and a deactivated one', async () => {
    const auth = open();
    const { userId } = await givenUser(auth);
    await deactivate(auth, { userId });

    expect(await outcomes([updateProfile(auth, { userId: 'nobody', name: 'x' })])).toEqual({
      'AUTH.USER_NOT_FOUND': 1,
    });
    expect(await outcomes([updateProfile(auth, { userId, name: 'x' })])).toEqual({ 'AUTH.ACCOUNT_INACTIVE': 1 });
    expect((await actionsOf(db(), userId)).at(-1)).toBe('USER_DEACTIVATED');
  });

  it('creates one profile when first changes race', async () => {
    const [one, other] = [open(), open()];
    const { userId } = await givenUser(one);

    const ends = await outcomes(
      Array.from({ length: 6 }, (_, n) => updateProfile(n % 2 === 0 ? one : other, { userId, city: `City ${n}` })),
    );

    expect(ends).toEqual({ ok: 6 });
    expect(await db().admin('SELECT city FROM user_profiles WHERE user_id = $1', [userId])).toEqual([
      { city: expect.stringMatching(/^City [0-5]$/) },
    ]);
  });
});
