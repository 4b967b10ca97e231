import { type DatabaseUrl, parseDatabaseUrl, quoteIdentifier } from '@azora/db-core';
import { insertBaseline, migrateDown, migrateUp, rehearseDown, withClient } from '@azora/db-migrate';
import {
  failureOf,
  givenMigrations,
  openClient,
  removeMigrations,
  rowsOf,
  useEmptyDatabase,
} from './migrations-fixture';

const url = useEmptyDatabase();
afterEach(removeMigrations);

const FILES = { '01_a': 'CREATE TABLE a (id int)', '01_a/down': 'DROP TABLE a' };

/** The places that set a search path, with the place's name in the error and the remedy. */
const PLACES: readonly (readonly [string, (database: string, role: string) => string, string, string])[] = [
  [
    'the database',
    (database) => `CREATE SCHEMA app; ALTER DATABASE ${database} SET search_path = app, public`,
    'app, public, set by the database, so unqualified names mean the schema app',
    'Run ALTER DATABASE % RESET search_path',
  ],
  [
    'the role in the database',
    (database, role) => `CREATE SCHEMA app; ALTER ROLE ${role} IN DATABASE ${database} SET search_path = app`,
    'app, set by the role in this database, so unqualified names mean the schema app',
    'Run ALTER ROLE @ IN DATABASE % RESET search_path',
  ],
  [
    'a schema with the name of the role',
    (_, role) => `CREATE SCHEMA ${role}`,
    '"$user", public, set by the server, so unqualified names mean the schema #',
    'Run ALTER DATABASE % SET search_path = public',
  ],
  [
    'a database without the schemas of its path',
    (database) => `ALTER DATABASE ${database} SET search_path = nowhere`,
    'nowhere, set by the database, so unqualified names have no schema',
    'Run ALTER DATABASE % RESET search_path',
  ],
];

describe('a search path that does not begin with public', () => {
  it.each(PLACES)('is refused by name, with the remedy: %s', async (_, set, why, next) => {
    const migrations = await givenMigrations(FILES);
    const [database, role] = [quoteIdentifier(url().database), quoteIdentifier(url().user)];
    const named = (text: string) => text.replace('%', database).replace('@', role).replace('#', url().user);
    await rowsOf(url(), set(database, role));

    expect(await failureOf(migrateUp(url(), migrations))).toMatchObject({
      code: 'MIGRATION.SEARCH_PATH',
      message: `The search path of ${url().database} does not begin with public`,
      why: `It is ${named(why)}. Nothing was changed.`,
      next: named(next),
    });
    expect(await rowsOf(url(), "SELECT to_regclass('public._prisma_migrations')")).toEqual([null]);
    await rowsOf(url(), named(next).replace('Run ', ''));
    expect(await migrateUp(url(), migrations)).toHaveLength(1);
  });

  it('is refused when the URL sets it, by every verb that changes the history', async () => {
    const migrations = await givenMigrations(FILES);
    await rowsOf(url(), 'CREATE SCHEMA app');
    const refusal = {
      code: 'MIGRATION.SEARCH_PATH',
      next: 'Remove search_path from the options of the URL, and from PGOPTIONS',
    };
    const baseline = (target: DatabaseUrl) =>
      withClient(target, (client) => insertBaseline(client, migrations, { afterwards: () => Promise.resolve() }));

    expect(await failureOf(migrateUp(withPath('app'), migrations))).toMatchObject(refusal);
    expect(await failureOf(baseline(withPath('app')))).toMatchObject(refusal);
    await migrateUp(withPath('public,app'), migrations);
    expect(await failureOf(migrateDown(withPath('app'), migrations, { steps: 1 }))).toMatchObject(refusal);
    expect(await failureOf(rehearseDown(withPath('app'), migrations, { steps: 1 }))).toMatchObject(refusal);
    expect(await migrateDown(withPath('public,app'), migrations, { steps: 1 })).toHaveLength(1);
  });
});

describe('a lock on a table in another schema', () => {
  it('is named with its holder', async () => {
    const migrations = await givenMigrations({ '01_a': 'CREATE SCHEMA app; CREATE TABLE app.busy (id int)' });
    await migrateUp(url(), migrations);
    const more = await givenMigrations({
      '01_a': 'CREATE SCHEMA app; CREATE TABLE app.busy (id int)',
      '02_b': 'ALTER TABLE app.busy ADD c int',
    });
    const holder = await openClient(url(), 'holder');
    await holder.query('BEGIN; LOCK TABLE app.busy');

    const error = await failureOf(migrateUp(url(), more, { lockTimeoutMs: 50, lockRetries: 0 }));
    await holder.end();

    expect(error).toMatchObject({
      code: 'MIGRATION.LOCK_TIMEOUT',
      message: expect.stringMatching(/waiting for a lock on busy held by process \d+ \(holder, /),
    });
  });
});

function withPath(path: string): DatabaseUrl {
  const changed = new URL(url().href);
  changed.searchParams.set('options', `-c search_path=${path}`);
  return parseDatabaseUrl(changed.href, 'the test');
}
