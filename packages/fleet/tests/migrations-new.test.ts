/** @server any */
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { withClient } from '@azora/db-migrate';
import { migrateFleetDown, migrateFleetUp } from '../src/operations/migrations/migrate';
import { writeMigrations } from '../src/operations/migrations/new-migration';
import { diffSchema } from '../src/postgres/schema-engine/diff';
import { readObjects } from '../src/postgres/verify/catalog';
import { type GivenFleet, givenFleet, removeFleets } from './fleet-fixture';
import { failureOf, rowsOf, WAIT } from './migrations-fixture';

/** A schema with all kinds of objects that schema.prisma cannot express. */
const INIT = {
  up: `
    CREATE TYPE "mood" AS ENUM ('good', 'bad');
    CREATE TABLE "users" ("id" INTEGER NOT NULL, "email" TEXT NOT NULL, "nick" VARCHAR(50), "mood" "mood",
      "search" tsvector GENERATED ALWAYS AS (to_tsvector('simple', "email")) STORED, CONSTRAINT "users_pkey" PRIMARY KEY ("id"));
    ALTER TABLE "users" ADD CONSTRAINT "users_email_check" CHECK (email <> ''), ADD CONSTRAINT "users_nick_check" CHECK (nick <> '');
    CREATE UNIQUE INDEX "users_email_key" ON "users" (lower(email));
    CREATE INDEX "users_nick_idx" ON "users" ("nick") WHERE nick IS NOT NULL;
    CREATE INDEX "users_search_idx" ON "users" USING GIN ("search");
    CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
    CREATE TRIGGER g BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION f();`,
  down: 'DROP TABLE "users"; DROP TYPE "mood"; DROP FUNCTION f();',
};
const NOW = new Date('2026-11-21T10:00:00Z');
const ENUM = 'enum Mood {\n  good\n  bad\n  @@map("mood")\n}\n';
const COLUMNS = {
  id: 'id Int @id',
  email: 'email String',
  nick: 'nick String? @db.VarChar(50)',
  mood: 'mood Mood?',
  search: 'search Unsupported("tsvector")? @default(dbgenerated())',
};
const model = (columns: Readonly<Record<string, string>>, more = '  @@index([search], type: Gin)\n') =>
  `${ENUM}\nmodel User {\n${Object.values(columns)
    .map((line) => `  ${line}\n`)
    .join('')}\n${more}  @@map("users")\n}`;

describe('migrate new', () => {
  let fleet: GivenFleet;
  beforeAll(async () => {
    fleet = await givenFleet({ shop: { schema: model(COLUMNS), migrations: { '20260101000000_init': INIT } } });
  });
  afterAll(removeFleets);

  const target = () => fleet.target('shop');
  const folder = () => target().service.migrationsPath;
  const write = async (schema: string, slug = 'change') => {
    await fleet.write('shop', { schema });
    const written = await writeMigrations(target(), { slug, why: 'a user asked for it', now: NOW });
    return Promise.all(
      written.map(async ({ name, losses, unproven }) => ({
        name,
        losses,
        unproven,
        up: await readFile(path.join(folder(), name, 'migration.sql'), 'utf8'),
        down: await readFile(path.join(folder(), name, 'down.sql'), 'utf8'),
      })),
    );
  };
  afterEach(async () => {
    for (const name of await readdir(folder())) {
      if (!name.endsWith('_init')) await rm(path.join(folder(), name), { recursive: true });
    }
  });

  it('writes nothing when the migrations match, and drops no object that the schema cannot express', async () => {
    expect(await write(model(COLUMNS))).toEqual([]);
    expect(await readdir(folder())).toEqual(['20260101000000_init']);
  });

  it('writes both files with a header, and down.sql restores objects that the schema cannot express', async () => {
    const { nick: _, ...rest } = COLUMNS;
    const [first, ...others] = await write(model({ ...rest, age: 'age Int @default(0)' }), 'age_for_nick');

    expect(others).toEqual([]);
    expect(first).toMatchObject({
      name: '20261121100000_age_for_nick',
      losses: ['the values of users.nick'],
      unproven: [],
    });
    expect(first?.up).toMatch(
      /^-- Why: a user asked for it\n-- Locks: users \(ACCESS EXCLUSIVE\)\n-- Runs again: .*\nSET LOCAL lock_timeout/,
    );
    expect(first?.up).toContain('-- DATA LOSS: the values of users.nick\nALTER TABLE');
    expect(first?.up).not.toMatch(/DROP INDEX|users_email|search/);
    expect(first?.down).toMatch(/^-- loses: users\.nick\n/);
    for (const restored of ['users_nick_check', 'users_nick_idx']) expect(first?.down).toContain(restored);
    await proveRoundTrip();
  });

  it('builds each index on an existing table concurrently, in a migration of its own', async () => {
    const written = await write(
      model(COLUMNS, '  @@index([search], type: Gin)\n  @@index([email])\n  @@unique([nick])\n'),
    );

    expect(written.map(({ name }) => name)).toEqual(
      ['20261121100000_change_users_email_idx', '20261121100001_change_users_nick_key'].sort(),
    );
    for (const { up, down } of written) {
      expect(up).toMatch(/^-- no-transaction\n[\s\S]*CREATE (UNIQUE )?INDEX CONCURRENTLY "users_\w+"/);
      expect(down).toMatch(/^-- no-transaction\nDROP INDEX CONCURRENTLY "users_\w+";\n$/);
    }
    await proveRoundTrip();
  });

  it('restores a generated column, adds and removes enum values, and leaves the transaction to the runner', async () => {
    const { search: _, ...rest } = COLUMNS;
    const without = model(rest, '').replace('  bad\n', '');
    const [first] = await write(without);

    expect(first?.losses).toContain('the values of users.search');
    expect(first?.unproven).toEqual([]);
    expect(first?.down).toContain('GENERATED ALWAYS AS (');
    expect(first?.down).not.toMatch(/^(BEGIN|COMMIT)/m);
    await proveRoundTrip();
  });

  it('restores a dropped table with objects that the schema cannot express', async () => {
    const [first] = await write('model Other {\n  id Int @id\n}');

    expect(first).toMatchObject({ losses: ['the table users'], unproven: [] });
    for (const restored of ['users_email_check', 'users_email_key', 'TRIGGER g', 'GENERATED ALWAYS AS'])
      expect(first?.down).toContain(restored);
    await proveRoundTrip();
  });

  it('marks a narrowed type, and a column that fails on tables with rows', async () => {
    const [first] = await write(model({ ...COLUMNS, nick: 'nick String? @db.VarChar(5)', age: 'age Int' }));

    expect(first?.losses).toEqual(['values of users.nick that the new type cannot hold']);
    expect(first?.up).toContain('-- FAILS ON ROWS: the new column age is NOT NULL and has no default');
  });

  it('uses a name that sorts after every existing migration, and writes nothing on failure', async () => {
    await fleet.write('shop', {
      migrations: { '20990101000000_later': { up: 'CREATE TABLE later ();', down: 'DROP TABLE later;' } },
    });
    const [first] = await write(`${model(COLUMNS)}\n\nmodel Extra {\n  id Int @id\n}`);
    expect(first?.name).toBe('20990101000001_change');

    const bad = writeMigrations(target(), { slug: '../x', why: '', now: NOW });
    expect(await failureOf(bad)).toMatchObject({ code: 'USAGE.BAD_SLUG' });
    await mkdir(path.join(folder(), '20990101000002_empty'));
    expect(await failureOf(write(model(COLUMNS)))).toMatchObject({ code: 'MIGRATION.NO_SQL' });
  });

  it('leaves no scratch database behind', async () => {
    const sql = `SELECT datname FROM pg_database WHERE datname LIKE '${target().database}\\_\\_scratch%'`;

    expect(await rowsOf(target().maintenance, sql)).toEqual([]);
  });

  /** After up, Prisma's engine finds no difference; after down, the catalog is the same as before. */
  async function proveRoundTrip(): Promise<void> {
    const look = () => withClient(target().admin, (client) => readObjects(client, { grants: false }));
    await migrateFleetUp([{ target: target(), to: '20260101000000_init' }], WAIT);
    const before = await look();
    const [up] = await migrateFleetUp([{ target: target() }], WAIT);
    expect(up).toMatchObject({ state: 'done' });
    const schema = await readFile(target().service.schemaPath, 'utf8');
    expect((await diffSchema(target().admin, schema)).up).toBe('');
    const [down] = await migrateFleetDown(
      [{ target: target(), to: '20260101000000_init' }],
      { acceptDataLoss: false },
      WAIT,
    );
    expect(down).toMatchObject({ state: 'done' });
    expect(await look()).toEqual(before);
  }
});
