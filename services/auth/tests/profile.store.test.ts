import { useDatabase } from '@azora/db-testkit';
import { deactivate, type UpdateProfileInput, updateProfile } from '../src/index';
import { actionsOf, givenClock, givenUser, outcomes, useAuth } from './given';

describe('updateProfile', () => {
  const db = useDatabase('auth');
  const openAuth = useAuth(db);
  const clock = givenClock('2026-03-01T12:00:00Z');
  const open = () => openAuth({ clock });
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

  it('keeps all that is given, in one spelling', async () => {
    const auth = open();
    const { userId } = await givenUser(auth);
    const told = {
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

    const profile = await updateProfile(auth, { userId, ...told });

    expect(profile).toEqual({ userId, ...told, language: 'en-ZA', timeZone: 'Africa/Johannesburg' });
    expect(await db().admin('SELECT birth_date::text FROM user_profiles WHERE user_id = $1', [userId])).toEqual([
      { birth_date: '2000-02-29' },
    ]);
    const entries = await db().admin(
      "SELECT details FROM audit_log WHERE user_id = $1 AND action = 'PROFILE_UPDATED'",
      [userId],
    );
    expect(entries).toEqual([{ details: { fields: Object.keys(told).sort() } }]);
  });

  it('changes what is given and nothing else; null takes a value away', async () => {
    const auth = open();
    const { userId } = await givenUser(auth);
    await updateProfile(auth, { userId, name: 'Ada', bio: 'Counts.', city: 'Lagos', birthDate: '2000-01-01' });

    await updateProfile(auth, { userId, city: null, language: 'yo' });
    const profile = await updateProfile(auth, { userId, birthDate: null, name: undefined } as never);

    expect(profile).toEqual({ userId, ...EMPTY, name: 'Ada', bio: 'Counts.', language: 'yo' });
  });

  it('gives a user name to one of all who want it, in whatever case of letters', async () => {
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
  ])('takes the time zone %s as %s', async (timeZone, kept) => {
    const auth = open();
    const { userId } = await givenUser(auth);

    expect(await updateProfile(auth, { userId, timeZone })).toMatchObject({ timeZone: kept });
  });

  it.each<[string, Partial<Record<keyof UpdateProfileInput | 'role', unknown>>]>([
    ['nothing', {}],
    ['nothing but undefined', { name: undefined }],
    ['a blank name', { name: ' ' }],
    ['a name of ten megabytes', { name: 'a'.repeat(10_000_000) }],
    ['a name with NUL', { name: 'a\0' }],
    ['half a surrogate pair', { bio: '\ud800' }],
    ['no name', { name: null }],
    ['a user name with blanks around it', { username: ' ada' }],
    ['a picture by javascript', { avatarUrl: 'javascript:alert(1)' }],
    ['a picture without a host', { avatarUrl: 'https://' }],
    ['a local telephone number', { phone: '011' }],
    ['a birth today', { birthDate: '2026-03-01' }],
    ['a birth in the future', { birthDate: '2027-01-01' }],
    ['a birth before 1900', { birthDate: '1899-12-31' }],
    ['a day that is none', { birthDate: '2001-02-29' }],
    ['a day in another form', { birthDate: '01/02/2001' }],
    ['a time for a day', { birthDate: '2001-02-01T00:00:00Z' }],
    ['a country in small letters', { country: 'za' }],
    ['a country that is none', { country: 'QQ' }],
    ['the European Union for a country', { country: 'EU' }],
    ['a language that is none', { language: 'english, please' }],
    ['a language with an extension', { language: 'en-u-ca-gregory' }],
    ['no language', { language: null }],
    ['a time zone that is none', { timeZone: 'Mars/Olympus' }],
    ['an offset for a time zone', { timeZone: '+02:00' }],
    ['SQL for a time zone', { timeZone: "'; DROP TABLE users; --" }],
    ['a role', { role: 'admin' }],
  ])('refuses %s and writes nothing', async (_what, wrong) => {
    const auth = open();
    const { userId } = await givenUser(auth);
    const before = await everything();

    await expect(updateProfile(auth, { userId, ...wrong } as never)).rejects.toMatchObject({
      code: 'AUTH.INVALID_INPUT',
    });
    expect(await everything()).toEqual(before);
  });

  it('takes a birth yesterday and SQL for a name', async () => {
    const auth = open();
    const { userId } = await givenUser(auth);
    const name = "Robert'); DROP TABLE users; --";

    expect(await updateProfile(auth, { userId, birthDate: '2026-02-28', name })).toMatchObject({
      birthDate: '2026-02-28',
      name,
    });
  });

  it('is refused for an unknown user and a deactivated one', async () => {
    const auth = open();
    const { userId } = await givenUser(auth);
    await deactivate(auth, { userId });

    expect(await outcomes([updateProfile(auth, { userId: 'nobody', name: 'x' })])).toEqual({
      'AUTH.USER_NOT_FOUND': 1,
    });
    expect(await outcomes([updateProfile(auth, { userId, name: 'x' })])).toEqual({ 'AUTH.ACCOUNT_INACTIVE': 1 });
    expect((await actionsOf(db(), userId)).at(-1)).toBe('USER_DEACTIVATED');
  });

  it('makes one profile, however many change it first', async () => {
    const [one, other] = [open(), open()];
    const { userId } = await givenUser(one);

    const ends = await outcomes(
      Array.from({ length: 6 }, (_, n) => updateProfile(n % 2 === 0 ? one : other, { userId, city: `City ${n}` })),
    );

    expect(ends).toEqual({ ok: 6 });
  });
});
