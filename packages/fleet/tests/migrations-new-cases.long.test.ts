/** @server any */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { withClient } from '@azora/db-migrate';
import { findDrift } from '../src/operations/migrations/drift';
import { migrateFleetDown, migrateFleetUp } from '../src/operations/migrations/migrate';
import { writeMigrations } from '../src/operations/migrations/new-migration';
import { readObjects } from '../src/postgres/verify/catalog';
import { givenFleet, removeFleets } from './fleet-fixture';
import { failureOf, rowsOf, WAIT } from './migrations-fixture';

const NOW = new Date('2026-11-21T10:00:00Z');

/** A table users with these columns as SQL and as the fields of its model. */
interface Case {
  readonly folder?: string;
  readonly before?: string;
  readonly columns?: string;
  readonly after?: string;
  readonly fields?: string;
  readonly more?: string;
  readonly models?: string;
  readonly id?: string;
}

const MOOD = `CREATE TYPE "mood" AS ENUM ('good', 'bad');`;
const moods = (...values: readonly string[]) => `enum Mood {\n  ${values.join('\n  ')}\n  @@map("mood")\n}`;

/** Changes that can be applied and reverted. */
const REVERTIBLE: Readonly<Record<string, Case>> = {
  'a value added to an enumeration with dependants': {
    before: `${MOOD} CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';`,
    columns: `, "mood" "mood" NOT NULL DEFAULT 'good', "n" INTEGER, CONSTRAINT "c" CHECK (mood <> 'bad' OR n > 0)`,
    after: `CREATE INDEX "p" ON users (n) WHERE mood = 'good';
      CREATE TRIGGER g BEFORE UPDATE OF mood ON users FOR EACH ROW WHEN (new.mood = 'bad') EXECUTE FUNCTION f();
      CREATE POLICY mine ON users FOR SELECT USING (mood = 'good');
      CREATE UNIQUE INDEX pair ON users (id, mood); CREATE TABLE logs (id int, user_id int, mood mood, CONSTRAINT logs_pkey PRIMARY KEY (id));
      ALTER TABLE logs ADD CONSTRAINT logged FOREIGN KEY (user_id, mood) REFERENCES users (id, mood) ON UPDATE CASCADE`,
    fields: 'mood Mood @default(good)\n  n Int?\n  logs Log[]',
    more: '@@unique([id, mood], map: "pair")',
    models: `${moods('good', 'bad', 'calm')}\nmodel Log {\n  id Int @id\n  userId Int? @map("user_id")\n  mood Mood?
      user User? @relation(fields: [userId, mood], references: [id, mood], onDelete: NoAction, map: "logged")\n  @@map("logs")\n}`,
  },
  'a value added to an enumeration that views, functions, defaults and generated columns use': {
    before: MOOD,
    columns: `, "mood" "mood" NOT NULL DEFAULT 'good', "moods" "mood"[] GENERATED ALWAYS AS (ARRAY[mood]) STORED,
      "well" BOOLEAN GENERATED ALWAYS AS (mood = 'good') STORED, "n" INTEGER DEFAULT length('good'::"mood"::text)`,
    after: `CREATE INDEX "users_well_idx" ON users (well); COMMENT ON INDEX users_well_idx IS 'often asked';
      ALTER TABLE users ADD CONSTRAINT "well" CHECK (well OR n > 0);
      CREATE FUNCTION other(given mood) RETURNS mood LANGUAGE sql IMMUTABLE RETURN CASE given WHEN 'good' THEN 'bad'::mood ELSE 'good' END;
      REVOKE ALL ON FUNCTION other FROM PUBLIC; COMMENT ON FUNCTION other IS 'it''s the other';
      CREATE VIEW moody WITH (security_barrier = true) AS SELECT id, mood, other(mood), moods FROM users;
      GRANT SELECT ON moody TO PUBLIC; CREATE VIEW moodier AS SELECT m.*, 'bad'::mood AS worst FROM moody m;
      CREATE MATERIALIZED VIEW counted AS SELECT mood, count(*) FROM moodier GROUP BY mood WITH NO DATA;
      CREATE UNIQUE INDEX counted_mood ON counted (mood);
      CREATE FUNCTION moodiest() RETURNS SETOF moodier LANGUAGE sql BEGIN ATOMIC SELECT * FROM moodier; END`,
    fields: `mood Mood @default(good)\n  moods Mood[] @default(dbgenerated())\n  well Boolean? @default(dbgenerated())
      n Int? @default(dbgenerated("length(('good'::mood)::text)"))`,
    more: '@@index([well])',
    models: moods('good', 'bad', 'calm'),
  },
  'a new value that is the default': {
    before: MOOD,
    columns: `, "mood" "mood" NOT NULL DEFAULT 'good'`,
    fields: 'mood Mood @default(calm)',
    models: moods('good', 'bad', 'calm'),
  },
  "a history that begins with Prisma's 0_init": { folder: '0_init', fields: 'a Int?' },
  'a relation to a column that becomes unique': {
    columns: ', "code" TEXT NOT NULL',
    fields: 'code String @unique\n  pets Pet[]',
    models:
      'model Pet {\n  id Int @id\n  owner String\n  user User @relation(fields: [owner], references: [code])\n  @@map("pets")\n}',
  },
  'an index whose name no folder can have': {
    columns: ', "a" INTEGER',
    fields: 'a Int?',
    more: '@@index([a], map: "über alles x")',
  },
  'autoincrement() on an existing column': { id: 'id Int @id @default(autoincrement())' },
  'a default from a sequence of its own': {
    before: 'CREATE SEQUENCE "mine";',
    columns: `, "n" BIGINT NOT NULL DEFAULT nextval('mine')`,
    fields: `n BigInt @default(dbgenerated("nextval('mine'::regclass)"))\n  z Int?`,
  },
  'an index on a partitioned table': {
    columns: ', "a" INTEGER',
    after:
      'DROP TABLE users; CREATE TABLE users (id integer, a integer, CONSTRAINT "users_pkey" PRIMARY KEY (id)) PARTITION BY RANGE (id)',
    fields: 'a Int?',
    more: '@@index([a])',
  },
  'a UNIQUE constraint that is removed': {
    columns: ', "a" INTEGER, CONSTRAINT "users_a_key" UNIQUE ("a")',
    fields: 'a Int?',
  },
};

/** Schemas that the migrations already match. */
const MATCHING: Readonly<Record<string, Case>> = {
  'an operator class': {
    columns: ', "a" TEXT',
    after: 'CREATE INDEX "users_a_idx" ON users (a text_pattern_ops)',
    fields: 'a String?',
    more: '@@index([a(ops: raw("text_pattern_ops"))])',
  },
  'an index with INCLUDE': {
    columns: ', "a" INTEGER, "b" INTEGER',
    after: 'CREATE INDEX "users_a_idx" ON users (a) INCLUDE (b)',
    fields: 'a Int?\n  b Int?',
    more: '@@index([a])',
  },
  'a generated column': {
    columns: ', "a" TEXT, "s" TEXT GENERATED ALWAYS AS (lower(a)) STORED',
    fields: 'a String?\n  s String? @default(dbgenerated())',
  },
  'a partial index': {
    columns: ', "a" TEXT',
    after: `CREATE UNIQUE INDEX "users_a_key" ON users (a) WHERE a <> ''`,
    fields: 'a String? @unique',
  },
};

describe('migrate new', () => {
  afterEach(removeFleets);

  it.each(Object.entries(REVERTIBLE))('writes what works for %s', async (_, given) => {
    const { target, write } = await givenCase(given);
    const look = () => withClient(target.admin, (client) => readObjects(client, { grants: true }));
    const before = await look();

    expect((await write()).length).toBeGreaterThan(0);

    expect(await migrateFleetUp([{ target }], WAIT)).toMatchObject([{ state: 'done' }]);
    expect(await write()).toEqual([]);
    expect(
      await migrateFleetDown([{ target, to: given.folder ?? '20260101000000_init' }], { acceptDataLoss: true }, WAIT),
    ).toMatchObject([{ state: 'done' }]);
    expect(await look()).toEqual(before);
  });

  it.each(Object.entries(MATCHING))('writes nothing for %s, and drift finds nothing', async (_, given) => {
    const { target, write } = await givenCase(given);

    expect(await write()).toEqual([]);
    expect(await findDrift([target], {})).toMatchObject([{ state: 'done', data: { changes: [], unwritten: '' } }]);
  });

  it.each([
    ['another name', '@@unique([a, b])'],
    ['the same name', '@@unique([a, b], map: "users_a_key")'],
  ])('keeps the table unique while a unique index with %s replaces another', async (_, more) => {
    const columns = ', "a" INTEGER, "b" INTEGER';
    const after = 'CREATE UNIQUE INDEX "users_a_key" ON users (a)';
    const { target, write } = await givenCase({ columns, after, fields: 'a Int?\n  b Int?', more });
    const names = await write();
    const uniques = `SELECT count(*)::int FROM pg_index WHERE indrelid = 'users'::regclass AND indisunique AND indisvalid AND NOT indisprimary`;
    const seen: unknown[] = [];

    for (const to of names) {
      expect(await migrateFleetUp([{ target, to }], WAIT)).toMatchObject([{ state: 'done' }]);
      seen.push(...(await rowsOf(target.admin, uniques)));
    }
    for (const _name of names) {
      expect(await migrateFleetDown([{ target }], { steps: 1, acceptDataLoss: true }, WAIT)).toMatchObject([
        { state: 'done' },
      ]);
      seen.push(...(await rowsOf(target.admin, uniques)));
    }

    expect(seen).toEqual([2, 1, 2, 1]);
  });

  it('continues the numbers of a column that becomes autoincrement()', async () => {
    const { target, write } = await givenCase({ id: 'id Int @id @default(autoincrement())' });
    await rowsOf(target.admin, 'INSERT INTO users VALUES (41)');
    await write();
    await migrateFleetUp([{ target }], WAIT);

    expect(await rowsOf(target.admin, 'INSERT INTO users DEFAULT VALUES RETURNING id')).toEqual([42]);
  });

  it('declares a change irreversible that PostgreSQL refuses to revert', async () => {
    const { write, read } = await givenCase({
      before: MOOD,
      columns: ', "mood" "mood"',
      after: 'CREATE DOMAIN feeling AS mood',
      fields: 'mood Mood?',
      models: moods('good', 'bad', 'calm'),
    });
    const [name = ''] = await write();

    expect(await read(name, 'migration.sql')).toContain(`ADD VALUE 'calm'`);
    expect(await read(name, 'down.sql')).toMatch(
      /^-- irreversible: cannot drop type mood_old because other objects depend on it/,
    );
  });

  it('names no file when a draft fails, and writes none', async () => {
    const { write } = await givenCase({ columns: ', "a" TEXT', after: 'CREATE VIEW v AS SELECT a FROM users' });
    const error = await failureOf(write());

    expect(error).toMatchObject({ code: 'MIGRATION.DRAFT_FAILED', next: expect.stringContaining('by hand') });
    expect(`${error.message} ${error.why} ${error.next}`).not.toMatch(/shop.prisma|down\.sql:|migration\.sql:/);
  });
});

async function givenCase({ folder = '20260101000000_init', before = '', columns = '', after = '', ...model }: Case) {
  const up = `${before} CREATE TABLE "users" ("id" INTEGER NOT NULL${columns}, CONSTRAINT "users_pkey" PRIMARY KEY ("id")); ${after};`;
  const { id = 'id Int @id', fields = '', more = '', models = '' } = model;
  const schema = `model User {\n  ${id}\n  ${fields}\n  ${more}\n  @@map("users")\n}\n${models}`;
  const fleet = await givenFleet({
    shop: { schema, migrations: { [folder]: { up, down: 'DROP TABLE users CASCADE;' } } },
  });
  const target = fleet.target('shop');
  await migrateFleetUp([{ target, to: folder }], WAIT);
  const write = async () =>
    (await writeMigrations(target, { slug: 'change', why: 'a user asked for it', now: NOW })).map(({ name }) => name);
  const read = (name: string, file: string) => readFile(path.join(target.service.migrationsPath, name, file), 'utf8');
  return { target, write, read };
}
