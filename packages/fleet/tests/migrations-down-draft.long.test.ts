import { readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { readMigrations, withClient } from '@azora/db-migrate';
import { writeDown } from '../src/operations/migrations/down-draft';
import { migrateFleetDown, migrateFleetUp } from '../src/operations/migrations/migrate';
import { readObjects } from '../src/postgres/verify/catalog';
import { givenFleet, removeFleets } from './fleet-fixture';
import { failureOf, WAIT } from './migrations-fixture';

const INIT = `
  CREATE TYPE mood AS ENUM ('good');
  CREATE TABLE users (id int PRIMARY KEY, name text NOT NULL DEFAULT 'x', mood mood, CHECK (name <> ''));
  CREATE UNIQUE INDEX users_name ON users (name);
  CREATE INDEX users_lower ON users (lower(name)) WHERE id > 0;
  CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1';`;
const NAME = '20260102000000_change';

/** Changes that the draft reverts in full. */
const REVERTIBLE: Readonly<Record<string, string>> = {
  'a table with a foreign key and an enumeration': `CREATE TYPE kind AS ENUM ('a');
    CREATE TABLE pets (id int PRIMARY KEY, kind kind NOT NULL, owner int REFERENCES users);`,
  'columns, also dropped ones': `ALTER TABLE users ADD COLUMN age int NOT NULL DEFAULT 0, DROP COLUMN name;`,
  'a value of an enumeration': `ALTER TYPE mood ADD VALUE 'bad';`,
  'what Prisma does not know': `ALTER TABLE users ADD CONSTRAINT id_positive CHECK (id > 0);
    CREATE INDEX users_recent ON users (id) WHERE name <> 'x';
    CREATE VIEW names AS SELECT name FROM users;
    CREATE FUNCTION g() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
    CREATE TRIGGER t BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION g();`,
  'a dropped index and a changed type': `DROP INDEX users_name; ALTER TABLE users ALTER COLUMN id TYPE bigint;`,
};

afterEach(removeFleets);

/** A service whose newest migration has no down.sql, as Prisma makes it. */
async function givenChange(up: string) {
  const migrations = { '20260101000000_init': { up: INIT, down: 'DROP TABLE users;' }, [NAME]: { up, down: '' } };
  const fleet = await givenFleet({ shop: { schema: 'model users {\n  id Int @id\n}', migrations } });
  const target = fleet.target('shop');
  const file = path.join(target.service.migrationsPath, NAME, 'down.sql');
  await rm(file);
  return { target, file };
}

describe('migrate new --down', () => {
  it.each(Object.entries(REVERTIBLE))('writes a down.sql that reverts %s', async (_, up) => {
    const { target, file } = await givenChange(up);
    const catalog = () => withClient(target.admin, (client) => readObjects(client, { grants: false }));
    await migrateFleetUp([{ target, to: '20260101000000_init' }], WAIT);
    const before = await catalog();
    await migrateFleetUp([{ target }], WAIT);

    expect(await writeDown(target, NAME)).toEqual({ file, unproven: [] });

    const reverted = await migrateFleetDown([{ target }], { steps: 1, acceptDataLoss: false }, WAIT);
    expect(reverted).toMatchObject([{ state: 'done', data: { migrations: [NAME] } }]);
    expect(await catalog()).toEqual(before);
  });

  it('declares what is lost, and names the rows that it cannot restore', async () => {
    const { target, file } = await givenChange(
      "ALTER TABLE users DROP COLUMN name; INSERT INTO users VALUES (1, 'good');",
    );

    expect((await writeDown(target, NAME)).unproven).toEqual([
      'the rows that the migration itself inserts, updates or deletes',
    ]);
    expect(await readFile(file, 'utf8')).toMatch(
      /^-- loses: users\.name\n-- NOT RESTORED, complete it by hand: the rows/,
    );
  });

  it('writes nothing for a migration of rows alone, and never over a file', async () => {
    const { target, file } = await givenChange("INSERT INTO users VALUES (1, 'a');");

    expect((await failureOf(writeDown(target, NAME))).code).toBe('MIGRATION.DRAFT_FAILED');
    expect(await readMigrations(target.service.migrationsPath)).toMatchObject([{}, { down: { irreversible: null } }]);
    expect(await failureOf(writeDown(target, '20260101000000_init'))).toMatchObject({ code: 'USAGE.HAS_DOWN' });
    await expect(readFile(file)).rejects.toThrow('ENOENT');
  });
});
