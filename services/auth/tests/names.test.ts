/** @server any */
import { useDatabase } from '@azora/db-testkit';
import { canonicalUsername, displayNameInput } from '../src/account/names';
import { createOrganization, register, updateProfile } from '../src/index';
import { dump, givenUser, outcomes, PASSWORD, useAuth } from './given';

/** The planes with assigned characters, except surrogates. */
const EVERY_CHARACTER = `SELECT n FROM (SELECT generate_series(1, 204799) UNION ALL SELECT generate_series(917504, 921599)) AS c (n)
  WHERE n NOT BETWEEN 55296 AND 57343`;

const charactersOf = (points: unknown) => (points as number[]).map((point) => String.fromCodePoint(point));

describe('usernames', () => {
  const db = useDatabase('auth');
  const open = useAuth(db);
  const usernameOf = async (userId: string) =>
    (await db().admin('SELECT username FROM users WHERE id = $1', [userId]))[0]?.['username'];

  it.each([
    ['Ada.Lovelace-1_x', 'ada.lovelace-1_x'],
    ['\uff21\uff24\uff21', 'ada'],
    ['e\u0301mile', '\u00e9mile'],
    ['STRASSE', 'strasse'],
    ['\u0391\u0394\u0391', '\u03b1\u03b4\u03b1'],
    ['\u7530\u4e2dtanaka', '\u7530\u4e2dtanaka'],
    ['\u05e2\u05d3\u05d41', '\u05e2\u05d3\u05d41'],
    ['\u0928\u092e\u0938\u094d\u0924\u0947', '\u0928\u092e\u0938\u094d\u0924\u0947'],
  ])('%j has the canonical form %j, which is its own canonical form', (typed, username) => {
    expect(canonicalUsername(typed)).toEqual({ username });
    expect(canonicalUsername(username)).toEqual({ username });
  });

  it.each([
    ['an address', 'ada@azora.world'],
    ['an address in full-width letters', 'ada\uff20azora.world'],
    ['a space', 'ada lovelace'],
    ['a space at the end', 'ada '],
    ['a no-break space', 'ada\u00a0l'],
    ['a control character', 'ada\u0007'],
    ['a line feed', 'ada\n'],
    ['a zero-width space', 'ad\u200ba'],
    ['a zero-width joiner', 'ad\u200da'],
    ['a byte order mark', '\ufeffada'],
    ['a soft hyphen', 'ad\u00ada'],
    ['a right-to-left override', 'ada\u202etxt'],
    ['a left-to-right mark', 'ada\u200e'],
    ['a tag', 'ada\u{e0061}'],
    ['a Hangul filler', '\u3164'],
    ['a ligature', '\ufb01n'],
    ['a symbol', 'ada\u2665'],
    ['an emoji', '\u{1f600}'],
    ['a leading combining mark', '\u0301ada'],
    ['a leading dot', '.ada'],
    ['a private character', 'ada\ue000'],
    ['letters of two scripts', '\u0430da'],
    ['two directions', 'ada\u05d0'],
    ['two kinds of digits', '\u0639\u0644\u064a3\u0663'],
    ['nothing', ''],
    ['256 characters', 'x'.repeat(256)],
  ])('do not contain %s', async (_what, username) => {
    const before = await dump(db());
    const taken = register(open(), { email: 'n@azora.world', password: PASSWORD, username });

    await expect(taken).rejects.toMatchObject({ code: 'AUTH.INVALID_INPUT', meta: { fields: ['username'] } });
    expect(await dump(db())).toBe(before);
  });

  it.each([
    ['in another case', 'Lovelace', 'LOVELACE'],
    ['in Cyrillic', 'aceop', '\u0430\u0441\u0435\u043e\u0440'],
    ['in Greek', 'vo', '\u03bd\u03bf'],
    ['with digits for letters', 'paypal', 'paypa1'],
    ['with a zero for an o', 'google', 'g00gle'],
    ['with rn for m', 'modern', 'modem'],
    ['with a dotless i', 'mini', 'm\u0131ni'],
    ['in another normal form', '\u00e9tude', 'e\u0301tude'],
  ])('are taken by one that looks like them: %s', async (_what, first, second) => {
    const auth = open();
    const [one, other] = [await givenUser(auth), await givenUser(auth)];
    await updateProfile(auth, { userId: one.userId, username: first });

    await expect(updateProfile(auth, { userId: other.userId, username: second })).rejects.toMatchObject({
      code: 'AUTH.USERNAME_TAKEN',
    });
    expect(await usernameOf(other.userId)).toBeNull();
    // The owner of the name may change how it is written.
    await updateProfile(auth, { userId: one.userId, username: second });
  });

  it('go to one of many accounts that ask for names that look alike at the same time', async () => {
    const auth = open();
    const users = await Promise.all(Array.from({ length: 8 }, () => givenUser(auth)));
    const names = ['scope', '\u0455\u0441\u043e\u0440\u0435', 'sc0pe', 'SCOPE'];

    const ends = await outcomes(
      users.map(({ userId }, n) => updateProfile(auth, { userId, username: names[n % 4] ?? '' })),
    );

    expect(ends).toEqual({ ok: 1, 'AUTH.USERNAME_TAKEN': 7 });
  });

  it('keep these rules for a client that writes SQL as the app role', async () => {
    const auth = open();
    const [one, other] = [await givenUser(auth), await givenUser(auth)];
    const write = (userId: string, username: string) =>
      db().app('UPDATE users SET username = $2 WHERE id = $1', [userId, username]);
    await write(one.userId, 'admin');

    for (const username of ['ADMIN', 'admin\u200b', ' admin', 'admin@x.y', 'admin\u202e', '\uff41dmin', 'e\u0301'])
      await expect(write(other.userId, username)).rejects.toMatchObject({ constraint: 'users_username_check' });
    for (const username of ['\u0430dmin', 'adm\u0131n', 'adrnin', '\ua4eedmin'])
      await expect(write(other.userId, username)).rejects.toMatchObject({ constraint: 'users_username_skeleton_key' });
  });

  it('allow no character in the store that the database rejects', async () => {
    const [row] = await db().admin(
      `SELECT array_agg(n) AS points FROM (${EVERY_CHARACTER} AND NOT is_username(chr(n))) _`,
    );
    const rejected = charactersOf(row?.['points']);

    expect(rejected.length).toBeGreaterThan(1_000);
    const isCanonical = (text: string) => Object.values(canonicalUsername(text))[0] === text;
    expect(rejected.filter(isCanonical)).toEqual([]);
  });
});

describe('names for display', () => {
  const db = useDatabase('auth');
  const open = useAuth(db);
  const nameInput = displayNameInput(200);

  it.each([
    ' Ada  Lovelace ',
    '\u0639\u0644\u06cc\u200c\u0631\u0636\u0627',
    '\u{1f469}\u200d\u{1f4bb} Ada',
    '\u05e2\u05d3\u05d4 Ada',
    'Zo\u00eb \u201cZ\u201d O\u2019Neil-Smith, Jr.',
    '\u2764\ufe0f',
  ])('may be %j', (name) => {
    expect(nameInput.parse(name)).toBe(name.trim());
  });

  it.each([
    ['a control character', 'Ada\u0007'],
    ['a line feed', 'Ada\nLovelace'],
    ['a line separator', 'Ada\u2028Lovelace'],
    ['a right-to-left override', 'Ada \u202egnp.exe'],
    ['an isolate', '\u2067Ada\u2069'],
    ['a zero-width space', 'A\u200bda'],
    ['hidden text in tags', 'Ada\u{e0061}\u{e0062}'],
    ['a Hangul filler', '\u3164\u3164'],
    ['only joiners', '\u200d\u200d'],
    ['only blank Braille', '\u2800'],
  ])('do not contain %s', async (_what, name) => {
    const auth = open();
    const { userId } = await givenUser(auth);
    const calls = [
      register(auth, { email: 'd@azora.world', password: PASSWORD, name }),
      updateProfile(auth, { userId, name }),
      updateProfile(auth, { userId, city: name }),
      createOrganization(auth, { ownerId: userId, name, slug: 'hidden' }),
    ];

    expect(await outcomes(calls)).toEqual({ 'AUTH.INVALID_INPUT': 4 });
  });

  it('have the same hidden characters in the store and in the database', async () => {
    const [row] = await db().admin(`
      SELECT array_agg(n) FILTER (WHERE hidden) AS hidden, array_agg(n) FILTER (WHERE NOT hidden) AS shown
      FROM (SELECT n, without_hidden(chr(n)) <> chr(n) AS hidden FROM (${EVERY_CHARACTER}) AS c) AS characters`);
    const hidden = charactersOf(row?.['hidden']);
    expect(hidden.length).toBeGreaterThan(3_000);
    expect(hidden.filter((character) => nameInput.safeParse(`x${character}x`).success)).toEqual([]);
    expect(displayNameInput(1_000_000).safeParse(`x${charactersOf(row?.['shown']).join('')}x`).success).toBe(true);
  });

  it('keep this rule for a client that writes SQL as the app role', async () => {
    const auth = open();
    const { userId } = await givenUser(auth);
    await updateProfile(auth, { userId, city: 'Pretoria' });
    await createOrganization(auth, { ownerId: userId, name: 'Azora', slug: 'shown' });

    for (const [table, column] of [
      ['users', 'name'],
      ['user_profiles', 'city'],
      ['organizations', 'name'],
    ])
      await expect(db().app(`UPDATE ${table} SET ${column} = E'Ada \\u202e'`)).rejects.toMatchObject({
        constraint: `${table}_${column}_check`,
      });
  });
});
