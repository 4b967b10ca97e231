import { readFileSync } from 'node:fs';
import path from 'node:path';
import { repositoryRoot, useDatabase } from '@azora/db-testkit';

const FOLDER = path.join(repositoryRoot(), 'services', 'auth', 'prisma', 'migrations', '20261130000004_names');
const BCRYPT = `$2b$12$${'a'.repeat(53)}`;

describe('the migration of names', () => {
  const db = useDatabase('auth');
  const run = (file: string) => db().admin(`BEGIN; ${readFileSync(path.join(FOLDER, file), 'utf8')} COMMIT`);
  const givenUser = (id: string, username: string | null, name = 'Ada') =>
    db().admin(
      `INSERT INTO users (id, email, password_hash, username, name, created_at)
       VALUES ($1, $1 || '@azora.world', $2, $3, $4, now() - interval '1 day' * (100 - ascii($1)))`,
      [id, BCRYPT, username, name],
    );
  const usernames = async () =>
    Object.fromEntries((await db().admin('SELECT id, username FROM users')).map(({ id, username }) => [id, username]));

  beforeAll(() => run('down.sql'));

  it('gives the usernames of existing accounts their form, and removes those that are not allowed or look alike', async () => {
    const given = {
      a: 'Ada',
      b: '\u0430da',
      c: '\uff43\uff59',
      d: 'dan@azora.world',
      e: 'eve\u200b',
      f: 'e\u0301mile',
      g: 'grace h',
      h: '0scar',
      i: 'Oscar',
      j: null,
    };
    for (const [id, username] of Object.entries(given)) await givenUser(id, username);
    await db().admin("UPDATE users SET name = E'Ada\\u202e\\u0007 L' WHERE id = 'a'");
    await db().admin(`INSERT INTO organizations (id, name, slug) VALUES ('o', E'\\u202e\\u200b', 'hidden')`);
    await db().admin(`INSERT INTO user_profiles (id, user_id, city) VALUES ('a', 'a', E'\\u200b')`);
    await db().admin(`INSERT INTO tokens (id, user_id, kind, token_hash, expires_at)
      VALUES ('t', 'a', 'password_reset', repeat('a', 64), now() + interval '1 hour')`);

    await run('migration.sql');

    expect(await usernames()).toEqual({
      ...{ a: 'ada', b: null, c: 'cy', d: null, e: null, f: '\u00e9mile', g: null, h: '0scar', i: null, j: null },
    });
    const removed = await db().admin(
      "SELECT user_id FROM audit_log WHERE action = 'USERNAME_REMOVED' ORDER BY user_id",
    );
    expect(removed.map(({ user_id }) => user_id)).toEqual(['b', 'd', 'e', 'g', 'i']);
    expect(await db().admin("SELECT name FROM users WHERE id = 'a'")).toEqual([{ name: 'Ada L' }]);
    expect(await db().admin('SELECT name FROM organizations')).toEqual([{ name: 'hidden' }]);
    expect(await db().admin('SELECT city FROM user_profiles')).toEqual([{ city: null }]);
    expect(await db().admin('SELECT email FROM tokens')).toEqual([{ email: 'a@azora.world' }]);
  });

  it('can be reverted and applied again', async () => {
    const before = await usernames();

    await run('down.sql');
    await run('migration.sql');

    expect(await usernames()).toEqual(before);
  });
});
