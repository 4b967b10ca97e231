import {
  catalogFingerprint,
  hasDrifted,
  migrateDown,
  migrateUp,
  readStoredFingerprint,
  storeFingerprint,
  withClient,
} from '@azora/db-migrate';
import type { ClientBase } from 'pg';
import { CHANGES as ALL_CHANGES, BASE } from './catalog-fixture';
import { givenMigrations, removeMigrations, rowsOf, useEmptyDatabase, WAIT } from './migrations-fixture';

const url = useEmptyDatabase();
afterAll(removeMigrations);

const SCHEMA = `
  CREATE TYPE mood AS ENUM ('sad', 'glad');
  CREATE DOMAIN positive AS int CHECK (VALUE > 0);
  CREATE TABLE people (
    id serial PRIMARY KEY, name varchar(20) NOT NULL DEFAULT 'x', mood mood, age positive,
    twice int GENERATED ALWAYS AS (age * 2) STORED, CONSTRAINT adult CHECK (age > 17),
    CONSTRAINT named CHECK (age BETWEEN 1 AND 200 AND (name <> '' OR mood = 'sad'))
  );
  CREATE TABLE pets (id int PRIMARY KEY, owner int REFERENCES people ON DELETE CASCADE);
  CREATE INDEX pets_owner ON pets (owner);
  CREATE INDEX pets_few ON pets (id) WHERE id BETWEEN 1 AND 9 AND id <> 5;
  CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
  CREATE TRIGGER touched BEFORE UPDATE ON pets FOR EACH ROW EXECUTE FUNCTION touch();
  CREATE TABLE moments (
    at timestamptz DEFAULT '2020-01-01 00:00:00+00', every interval DEFAULT '1 day 2 hours', part float8 DEFAULT 0.1,
    raw bytea DEFAULT '\\x00ff', path text DEFAULT 'a\\b', price money DEFAULT 1.5
  );
  CREATE TABLE days (day int) PARTITION BY LIST (day);
  CREATE SCHEMA parts;
  CREATE VIEW numbered AS SELECT id FROM people;
  CREATE SEQUENCE numbers;`;

/** Manual changes. Each one must change the fingerprint. */
const CHANGES = [
  'CREATE TABLE other ()',
  'ALTER TABLE people ALTER name TYPE varchar(21)',
  'ALTER TABLE people ALTER name DROP NOT NULL',
  "ALTER TABLE people ALTER name SET DEFAULT 'y'",
  'ALTER TABLE people ALTER twice DROP EXPRESSION',
  'ALTER TABLE people ADD nickname text',
  'ALTER TABLE people DROP CONSTRAINT adult',
  'ALTER TABLE people RENAME CONSTRAINT adult TO grown',
  'ALTER TABLE people DROP CONSTRAINT adult, ADD CONSTRAINT adult CHECK (age > 17) NOT VALID',
  `ALTER TABLE people DROP CONSTRAINT named,
     ADD CONSTRAINT named CHECK ((age BETWEEN 1 AND 200 AND name <> '') OR mood = 'sad')`,
  'ALTER TABLE people ENABLE ROW LEVEL SECURITY',
  'ALTER TABLE pets SET (fillfactor = 50)',
  'ALTER TABLE pets SET UNLOGGED',
  'ALTER TABLE pets DROP CONSTRAINT pets_owner_fkey, ADD CONSTRAINT pets_owner_fkey FOREIGN KEY (owner) REFERENCES people',
  'DROP INDEX pets_owner; CREATE INDEX pets_owner ON pets (owner DESC)',
  'DROP INDEX pets_owner; CREATE INDEX pets_owner ON pets (owner) WHERE owner > 1',
  'DROP TRIGGER touched ON pets',
  'ALTER TABLE pets DISABLE TRIGGER touched',
  "CREATE OR REPLACE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END'",
  'ALTER FUNCTION touch() SECURITY DEFINER',
  "CREATE FUNCTION more() RETURNS int LANGUAGE sql AS 'SELECT 1'",
  'CREATE AGGREGATE total (int) (sfunc = int4pl, stype = int)',
  "ALTER TYPE mood ADD VALUE 'calm' BEFORE 'glad'",
  "ALTER TYPE mood RENAME VALUE 'sad' TO 'blue'",
  'ALTER DOMAIN positive DROP CONSTRAINT positive_check',
  'CREATE OR REPLACE VIEW numbered AS SELECT id FROM people WHERE id > 1',
  'CREATE RULE nothing AS ON DELETE TO pets DO INSTEAD NOTHING',
  'CREATE POLICY mine ON pets USING (id > 1)',
  'ALTER SEQUENCE numbers INCREMENT 2',
  'CREATE EXTENSION pg_trgm',
  "COMMENT ON TABLE people IS 'x'",
  'ALTER TABLE people DISABLE TRIGGER ALL',
  'ALTER TABLE pets DISABLE TRIGGER ALL',
  'CREATE SCHEMA other; CREATE TABLE other.hidden ()',
  "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'pets_owner'::regclass",
];

/** Conditions, and whether PostgreSQL prints them in another form once it has read what it printed. */
const EXPRESSIONS: readonly (readonly [string, boolean])[] = [
  ['a BETWEEN 1 AND 5 AND b > 0', true],
  ['b > 0 AND a BETWEEN 1 AND 5', false],
  ['(a = 1 AND b = 2) OR (a = 2 AND b = 1)', false],
  ['a BETWEEN 1 AND 5 AND b BETWEEN 1 AND 5 OR a NOT BETWEEN 1 AND 5 AND b = 0', true],
  ['a BETWEEN SYMMETRIC 1 AND 5 OR b > 0', true],
  ['(a, b) = (1, 2) AND a > 0', true],
  [`c IN ('a', 'it''s')`, true],
  [`c NOT IN ('x AND y', '((') AND a BETWEEN 1 AND 2 AND d = ')) AND (('`, true],
  [`CASE WHEN a BETWEEN 1 AND 5 AND b > 0 THEN d ELSE 'x' END IN ('p', 'q')`, true],
];

/** Changes that must not change the fingerprint. */
const HARMLESS = [
  // As pg_restore makes them. PostgreSQL then stores the parts of BETWEEN without parentheses of their own.
  `DO $$ BEGIN EXECUTE (
     SELECT format('ALTER TABLE people DROP CONSTRAINT named, ADD CONSTRAINT named %s', pg_get_constraintdef(oid))
     FROM pg_constraint WHERE conname = 'named'); END $$`,
  "DO $$ BEGIN EXECUTE (SELECT 'DROP INDEX pets_few; ' || pg_get_indexdef('pets_few'::regclass)); END $$",
  "INSERT INTO people (name, age) VALUES ('z', 20); SELECT nextval('numbers')",
  'GRANT SELECT ON people TO pg_monitor',
  'ALTER TABLE people OWNER TO pg_monitor',
  'ANALYZE',
  'ALTER TABLE pets DROP owner, ADD owner int REFERENCES people ON DELETE CASCADE; CREATE INDEX pets_owner ON pets (owner)',
  'INSERT INTO _prisma_migrations (id, checksum, migration_name) VALUES (1, 2, 3)',
  'ALTER TABLE _prisma_migrations ADD note text',
  "SET search_path = ''",
  'SET search_path = pg_catalog, public; SET extra_float_digits = -10',
  "SET TimeZone = 'Asia/Tokyo'; SET DateStyle = 'SQL, DMY'; SET IntervalStyle = 'sql_standard'",
  "SET quote_all_identifiers = on; SET bytea_output = 'escape'; SET standard_conforming_strings = off",
  // Functions make such partitions as time goes by.
  'CREATE TABLE parts.one PARTITION OF days FOR VALUES IN (1); CREATE INDEX ON parts.one (day)',
];

async function migrated(): Promise<void> {
  await migrateUp(url(), await givenMigrations({ '01_a': SCHEMA }), { ...WAIT, afterEach: storeFingerprint });
}

describe('the fingerprint of a catalog', () => {
  it('changes with every manual change of the schema, and with no harmless change', async () => {
    await migrated();

    await withClient(url(), async (client) => {
      expect(await hasDrifted(client)).toBe(false);
      expect(await driftsAfter(client, CHANGES)).toEqual(CHANGES.map((change) => [change, true]));
      expect(await driftsAfter(client, HARMLESS)).toEqual(HARMLESS.map((change) => [change, false]));
    });
  });

  it('is the same after applying, reverting and applying again', async () => {
    const migrations = await givenMigrations({
      '01_a': SCHEMA,
      '02_b': 'ALTER TABLE pets ADD b int;',
      '02_b/down': 'ALTER TABLE pets DROP b;',
    });
    const options = { ...WAIT, afterEach: storeFingerprint };
    const seen: string[] = [];
    const look = () => withClient(url(), async (client) => seen.push(await catalogFingerprint(client)));
    await migrateUp(url(), migrations, options);
    await look();
    await migrateDown(url(), migrations, { ...options, steps: 1 });
    await look();
    await migrateUp(url(), migrations, options);
    await look();

    expect(seen[0]).toMatch(/^[0-9a-f]{64}$/);
    expect(seen[1]).not.toBe(seen[0]);
    expect(seen[2]).toBe(seen[0]);
    expect(await withClient(url(), readStoredFingerprint)).toBe(seen[0]);
  });

  it('is unknown if none is stored, or if another version of PostgreSQL or of the toolkit stored it', async () => {
    await withClient(url(), async (client) => {
      expect(await hasDrifted(client)).toBeUndefined();
      await migrated();
      const { rows } = await client.query(`SELECT obj_description('_prisma_migrations'::regclass) AS mark`);
      const [version, server, hash] = String(rows[0]?.mark).split(' ');
      // An earlier version of the toolkit saw less, and its fingerprint says nothing about what it did not see.
      for (const mark of [`azora:2 ${server} ${hash}`, `${version} 9 ${hash}`]) {
        await client.query(`COMMENT ON TABLE _prisma_migrations IS '${mark}'`);
        expect(await hasDrifted(client)).toBeUndefined();
        expect(await readStoredFingerprint(client)).toBeUndefined();
      }
    });
  });

  it('sees each kind of change that pg_dump prints', async () => {
    await rowsOf(url(), BASE);
    await withClient(url(), async (client) => {
      const before = await catalogFingerprint(client);
      const unseen: string[] = [];
      for (const [kind, change] of Object.entries(ALL_CHANGES)) {
        const seen = await fingerprintsAfter(client, [0, 1, 2].map(change));
        if (seen.every((fingerprint) => fingerprint === before)) unseen.push(kind);
      }

      // Their objects are not there.
      expect(unseen).toEqual(['table dropped', 'event trigger dropped', 'enum renamed', 'range dropped']);
    });
  });

  it('is the same after a dump and restore of an expression that PostgreSQL then words otherwise', async () => {
    await withClient(url(), async (client) => {
      const printed = `SELECT pg_get_constraintdef((SELECT oid FROM pg_constraint WHERE conname = 'rule')) AS rule,
        pg_get_viewdef('v'::regclass) AS view, pg_get_indexdef('i'::regclass) AS index`;
      for (const [expression, isReworded] of EXPRESSIONS) {
        await client.query(`BEGIN;
          CREATE TABLE t (a int, b int, c varchar(9), d text, CONSTRAINT rule CHECK (${expression}));
          CREATE VIEW v AS SELECT a FROM t WHERE ${expression};
          CREATE INDEX i ON t (a) WHERE ${expression}`);
        const fingerprint = await catalogFingerprint(client);
        const [before] = (await client.query(printed)).rows;
        await client.query(`ALTER TABLE t DROP CONSTRAINT rule, ADD CONSTRAINT rule ${before.rule};
          CREATE OR REPLACE VIEW v AS ${before.view}; DROP INDEX i; ${before.index}`);
        const [after] = (await client.query(printed)).rows;

        expect([expression, await catalogFingerprint(client)]).toEqual([expression, fingerprint]);
        expect([expression, after.rule !== before.rule]).toEqual([expression, isReworded]);
        await client.query('ROLLBACK');
      }
    });
  });

  it('tells expressions apart that differ in their parentheses', async () => {
    await withClient(url(), async (client) => {
      await client.query('CREATE TABLE t (a int, b int, c int)');
      const checks = ['(a > 1 OR b > 1) AND c > 1', 'a > 1 OR (b > 1 AND c > 1)', '(a > 1 AND b > 1) OR c > 1'];
      const seen = await fingerprintsAfter(
        client,
        checks.map((check) => `ALTER TABLE t ADD CHECK (${check})`),
      );

      expect(new Set(seen).size).toBe(checks.length);
    });
  });

  it('does not change the search path of the caller, inside or outside of a transaction', async () => {
    await withClient(url(), async (client) => {
      await client.query('SET search_path = pg_catalog, public');
      await catalogFingerprint(client);
      await client.query('BEGIN; SET LOCAL search_path = public');
      await catalogFingerprint(client);
      const inside = await client.query('SHOW search_path');
      await client.query('COMMIT');

      expect(inside.rows).toEqual([{ search_path: 'public' }]);
      expect((await client.query('SHOW search_path')).rows).toEqual([{ search_path: 'pg_catalog, public' }]);
    });
  });

  it('ignores objects of extensions', async () => {
    const migrations = await givenMigrations({ '01_a': 'CREATE EXTENSION pg_trgm; CREATE TABLE a ();' });
    await migrateUp(url(), migrations, { ...WAIT, afterEach: storeFingerprint });
    await rowsOf(url(), 'ALTER EXTENSION pg_trgm DROP FUNCTION show_trgm(text)');

    expect(await withClient(url(), hasDrifted)).toBe(true);
    await rowsOf(url(), 'ALTER EXTENSION pg_trgm ADD FUNCTION show_trgm(text); ALTER FUNCTION show_trgm COST 7');
    expect(await withClient(url(), hasDrifted)).toBe(false);
  });
});

/** The fingerprint after each change, which is undone. */
async function fingerprintsAfter(client: ClientBase, changes: readonly string[]): Promise<readonly string[]> {
  const seen: string[] = [];
  for (const change of changes) {
    await client.query('BEGIN');
    await client.query(change);
    seen.push(await catalogFingerprint(client));
    await client.query('ROLLBACK');
  }
  return seen;
}

/** Makes each change in its own transaction, which is rolled back. */
async function driftsAfter(client: ClientBase, changes: readonly string[]): Promise<readonly unknown[]> {
  const drifts: unknown[] = [];
  for (const change of changes) {
    await client.query('BEGIN');
    await client.query(change);
    drifts.push([change, await hasDrifted(client)]);
    await client.query('ROLLBACK');
  }
  return drifts;
}
