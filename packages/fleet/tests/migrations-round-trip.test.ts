import { migrateUp, withClient } from '@azora/db-migrate';
import { tripEmpty, tripWithRows } from '../src/postgres/verify/round-trip';
import { givenMigrations, nameOf, removeMigrations, rowsOf, useEmptyDatabase, WAIT } from './migrations-fixture';

const url = useEmptyDatabase();
afterAll(removeMigrations);

const USERS = {
  '01_users':
    "CREATE TYPE mood AS ENUM ('good', 'bad'); CREATE TABLE users (id int PRIMARY KEY, email text, mood mood);",
  '01_users/down': 'DROP TABLE users; DROP TYPE mood;',
};
const ROWS = "INSERT INTO users SELECT n, n || '@x', 'good' FROM generate_series(1, 5) n";

/** Runs the round trip of each migration, first on empty tables, then with rows. */
async function trip(files: Readonly<Record<string, string>>, rows = ROWS): Promise<readonly string[]> {
  const migrations = await givenMigrations(files);
  const { problems, catalogs } = await withClient(url(), (client) => tripEmpty(client, migrations));
  if (problems.length > 0) return problems.map(({ migration, what }) => `${migration}: ${what}`);
  await rowsOf(url(), rows);
  const found = await withClient(url(), (client) => tripWithRows(client, migrations, catalogs));
  return found.map(({ migration, what }) => `${migration}: ${what}`);
}

const second = (up: string, down: string) => ({ ...USERS, '02_next': up, '02_next/down': down });
const NEXT = nameOf('02_next');

describe('the round trip of a migration', () => {
  it('succeeds for columns, indexes, constraints, triggers, functions, grants and moved rows', async () => {
    const up = `
      ALTER TABLE users RENAME COLUMN email TO mail;
      ALTER TABLE users ADD COLUMN domain text, ADD CONSTRAINT users_mail_check CHECK (mail <> '');
      UPDATE users SET domain = split_part(mail, '@', 2);
      CREATE INDEX users_domain_idx ON users (domain text_pattern_ops) WHERE domain <> '';
      CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
      CREATE TRIGGER g BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION f();
      GRANT SELECT (mail) ON users TO PUBLIC;`;
    const down = `
      REVOKE SELECT (mail) ON users FROM PUBLIC;
      DROP TRIGGER g ON users; DROP FUNCTION f();
      ALTER TABLE users DROP CONSTRAINT users_mail_check, DROP COLUMN domain;
      ALTER TABLE users RENAME COLUMN mail TO email;`;

    expect(await trip(second(up, down))).toEqual([]);
  });

  it('succeeds for default rights that are revoked and granted again', async () => {
    const files = {
      ...USERS,
      '01_users': `${USERS['01_users']} CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1';`,
      '01_users/down': `DROP FUNCTION f(); ${USERS['01_users/down']}`,
    };
    const up = 'REVOKE EXECUTE ON FUNCTION f() FROM PUBLIC;';
    const down = 'GRANT EXECUTE ON FUNCTION f() TO PUBLIC;';

    expect(await trip({ ...files, '02_next': up, '02_next/down': down })).toEqual([]);
    expect(await trip({ ...files, '02_next': up, '02_next/down': 'SELECT 1;' })).toContainEqual(
      expect.stringContaining('grant public.f() is'),
    );
  });

  it.each([
    [
      'a remaining column',
      'ALTER TABLE users ADD a int, ADD b int',
      'ALTER TABLE users DROP a',
      'column users.b is unexpected',
    ],
    ['a lost default', 'ALTER TABLE users ALTER email SET DEFAULT 1', 'SELECT 1', 'column users.email is changed'],
    [
      'another operator class',
      'CREATE INDEX i ON users (email)',
      'DROP INDEX i; CREATE INDEX i ON users (email text_pattern_ops)',
      'index i is unexpected',
    ],
    [
      'a constraint',
      'ALTER TABLE users ADD CONSTRAINT k CHECK (id > 0)',
      'SELECT 1',
      'constraint users.k is unexpected',
    ],
    ['a grant', 'GRANT SELECT ON users TO PUBLIC', 'SELECT 1', 'grant users is'],
    ['an enum value', "ALTER TYPE mood ADD VALUE 'so so'", 'SELECT 1', 'type mood is changed'],
    ['an extension', 'CREATE EXTENSION pg_trgm', 'SELECT 1', 'extension pg_trgm is unexpected'],
    [
      'a function',
      "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
      'SELECT 1',
      'function public.f() is unexpected',
    ],
  ])('finds %s', async (_, up, down, expected) => {
    const problems = await trip(second(`${up};`, `${down};`));

    expect(problems).toContainEqual(expect.stringContaining(`${NEXT}: down.sql leaves a difference: ${expected}`));
  });

  it('finds a down.sql that fails, on empty tables and on tables with rows', async () => {
    expect(await trip(second('CREATE TABLE a ();', 'DROP TABLE b;'))).toEqual([
      expect.stringMatching(`${NEXT}: fails: .*table "b" does not exist`),
    ]);
  });

  it('finds a migration.sql that fails on tables with rows', async () => {
    const up = 'ALTER TABLE users ADD COLUMN age int NOT NULL;';
    const rows = 'INSERT INTO users (id, age) VALUES (1, 40)';

    expect(await trip(second(up, 'ALTER TABLE users DROP COLUMN age;'), rows)).toEqual([
      expect.stringMatching(`${NEXT}: fails on tables with rows: .*age`),
    ]);
  });

  it('finds rows that are not restored, unless down.sql declares the loss', async () => {
    const up = 'ALTER TABLE users DROP COLUMN email;';
    const down = 'ALTER TABLE users ADD COLUMN email text;';

    expect(await trip(second(up, down), 'INSERT INTO users VALUES (1)')).toEqual([]);
    await rowsOf(url(), 'DROP SCHEMA public CASCADE; CREATE SCHEMA public');
    const backfilled = `${down} UPDATE users SET email = gen_random_uuid()::text;`;
    const insert = 'INSERT INTO users VALUES (1)';
    expect(await trip(second(up, backfilled), insert)).toEqual([
      `${NEXT}: applying and reverting changes rows of users, and no line "-- loses:" declares it`,
    ]);
    await rowsOf(url(), 'DROP SCHEMA public CASCADE; CREATE SCHEMA public');
    expect(await trip(second(up, `-- loses: users.email\n${backfilled}`), insert)).toEqual([]);
  });

  it('finds a data migration whose down.sql does nothing', async () => {
    const up = 'UPDATE users SET email = lower(email);';
    const rows = "INSERT INTO users VALUES (1, 'a@x')";

    expect(await trip(second(up, 'SELECT 1;'), rows)).toEqual([
      expect.stringContaining(`${NEXT}: down.sql changes neither the catalog nor a row`),
    ]);
  });

  it('accepts the reason why no row can show the effect', async () => {
    const files = second('UPDATE users SET email = lower(email);', '-- unproven: no e-mail has capitals\nSELECT 1;');

    expect(await trip(files, "INSERT INTO users VALUES (1, 'a@x')")).toEqual([]);
  });

  it('stops at an irreversible migration', async () => {
    const files = {
      ...second('ALTER TABLE users ADD a int;', '-- irreversible: it sent e-mails'),
      '03_last': 'CREATE TABLE c ();',
      '03_last/down': 'DROP TABLE c;',
    };
    const migrations = await givenMigrations(files);
    const { problems, catalogs } = await withClient(url(), (client) => tripEmpty(client, migrations));
    await rowsOf(url(), 'INSERT INTO users VALUES (1)');

    expect(problems).toEqual([]);
    expect(await withClient(url(), (client) => tripWithRows(client, migrations, catalogs))).toEqual([]);
    expect(await rowsOf(url(), 'SELECT id FROM users')).toEqual([1]);
    expect(await migrateUp(url(), migrations, WAIT)).toEqual([nameOf('03_last')]);
  });
});
