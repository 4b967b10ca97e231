import { migrateOnStart, withClient } from '@azora/db-migrate';
import { findServices } from '../src/config/registry';
import { readSettings } from '../src/config/settings';
import { migrateFleetUp, readFleetMigrations } from '../src/operations/migrations/migrate';
import { baselineTarget } from '../src/operations/migrations/resolve';
import { setUpDatabases } from '../src/operations/setup';
import type { Target } from '../src/operations/targets';
import { createDatabase } from '../src/postgres/databases';
import { type GivenFleet, givenCheckout, removeFleets } from './fleet-fixture';
import { failureOf, rowsOf, WAIT } from './migrations-fixture';

const SCHEMA = 'model Note {\n  id Int @id\n  @@map("notes")\n}';
const INIT = { up: 'CREATE TABLE notes (id int PRIMARY KEY);', down: 'DROP TABLE notes;' };
const passwordOf = () => 'only-for-tests';
const BASELINE = { ...WAIT, passwordOf };

/** Everything that a run could leave in the database or on the server: objects, rights, settings and the app role. */
const TRACES = `
  SELECT to_regclass('_prisma_migrations') AS history, datacl::text AS database_rights,
         (SELECT nspacl::text FROM pg_namespace WHERE nspname = 'public') AS schema_rights,
         (SELECT count(*)::int FROM pg_class WHERE relacl IS NOT NULL AND relnamespace = 'public'::regnamespace) AS granted,
         (SELECT count(*)::int FROM pg_roles WHERE rolname = replace(datname, 'shop', 'shop_app')) AS roles
  FROM pg_database WHERE datname = current_database()`;

describe('a database that is not empty and has no applied migration', () => {
  let fleet: GivenFleet;
  let shop: Target;
  beforeEach(async () => {
    const given = { schema: SCHEMA, migrations: { '20260101000000_init': INIT } };
    fleet = await givenCheckout({ shop: given, other: given });
    shop = fleet.target('shop');
    await withClient(shop.maintenance, (client) => createDatabase(client, shop.database));
  });
  afterEach(removeFleets);

  const rows = (sql: string) => rowsOf(shop.admin, sql);
  const setUp = async () => {
    const services = await findServices(fleet.root);
    const settings = readSettings(fleet.root, services, fleet.environment);
    const input = { settings, allServices: services, services, schemaModel: { services: [] }, passwordOf };
    return (await setUpDatabases(input, { ...WAIT, log: () => undefined })).rows;
  };
  const start = () => {
    const { admin, role, service } = shop;
    return migrateOnStart({ migrations: service.migrationsPath, url: admin, role, ...WAIT });
  };

  it('is neither migrated nor provisioned, and keeps its rights', async () => {
    await rows('CREATE TABLE users (id serial PRIMARY KEY); SELECT 1');
    const before = await rows(TRACES);

    const why = 'It contains public.users. Nothing was changed.';
    const refused = { state: 'failed', error: { code: 'MIGRATION.SCHEMA_NOT_EMPTY', kind: 'configuration', why } };
    expect(await setUp()).toMatchObject([
      { service: 'other', state: 'done' },
      { service: 'shop', ...refused },
    ]);
    expect(await migrateFleetUp([{ target: shop }], WAIT)).toMatchObject([refused]);
    expect(await failureOf(start())).toMatchObject(refused.error);
    expect(await rows(TRACES)).toEqual(before);
  });

  it('is recognized by objects of every kind, in every schema', async () => {
    for (const [create, drop, name] of [
      ['CREATE VIEW v AS SELECT 1 AS one', 'DROP VIEW v', 'public.v'],
      ["CREATE TYPE mood AS ENUM ('good')", 'DROP TYPE mood', 'public.mood'],
      ['CREATE DOMAIN positive AS int', 'DROP DOMAIN positive', 'public.positive'],
      ['CREATE TYPE pair AS (a int, b int)', 'DROP TYPE pair', 'public.pair'],
      ['CREATE FUNCTION f() RETURNS int LANGUAGE sql RETURN 1', 'DROP FUNCTION f', 'public.f'],
      ['CREATE SEQUENCE ids', 'DROP SEQUENCE ids', 'public.ids'],
      ['CREATE SCHEMA app; CREATE TABLE app.users (id int)', 'DROP SCHEMA app CASCADE', 'app.users'],
    ] as const) {
      await rows(`${create}; SELECT 1`);

      expect(await failureOf(start())).toMatchObject({
        code: 'MIGRATION.SCHEMA_NOT_EMPTY',
        why: `It contains ${name}. Nothing was changed.`,
      });
      await rows(`${drop}; SELECT 1`);
    }
    expect(await rows(TRACES)).toMatchObject([{ history: null }]);
  });

  it('is empty with an extension and an empty schema', async () => {
    await rows('CREATE EXTENSION pgcrypto; CREATE SCHEMA app; SELECT 1');

    expect(await setUp()).toMatchObject([{ state: 'done' }, { state: 'done' }]);
  });

  it('is adopted by the command that the error names, also after failed attempts', async () => {
    await rows(`${INIT.up} CREATE TABLE _prisma_migrations (
      id varchar(36) PRIMARY KEY, checksum varchar(64) NOT NULL, finished_at timestamptz, migration_name varchar(255) NOT NULL,
      logs text, rolled_back_at timestamptz, started_at timestamptz NOT NULL DEFAULT now(),
      applied_steps_count int NOT NULL DEFAULT 0);
      INSERT INTO _prisma_migrations (id, checksum, migration_name, logs, rolled_back_at)
      VALUES ('1', 'x', '20260101000000_init', 'relation "notes" already exists', now()); SELECT 1`);

    expect(await migrateFleetUp([{ target: shop }], WAIT)).toMatchObject([
      { error: { next: expect.stringContaining('"npx azora-db migrate baseline shop"') } },
    ]);
    expect(await baselineTarget(shop, BASELINE)).toEqual(['20260101000000_init']);

    expect(await rows('SELECT migration_name, finished_at IS NOT NULL AS done FROM _prisma_migrations')).toEqual([
      { migration_name: '20260101000000_init', done: true },
    ]);
    expect(await readFleetMigrations([shop], {})).toMatchObject([
      { data: { pending: [], failed: [], unfinished: [] } },
    ]);
    expect(await setUp()).toMatchObject([{ state: 'done' }, { state: 'done', data: { migrations: [] } }]);
  });

  it('keeps its rights when a baseline is rejected', async () => {
    await rows('CREATE TABLE users (id int); SELECT 1');
    const before = await rows(TRACES);

    expect((await failureOf(baselineTarget(shop, BASELINE))).code).toBe('MIGRATION.BASELINE_DIFFERS');
    expect(await rows(TRACES)).toEqual(before);
  });

  it('names a database of its own as the way out when its objects are in other schemas', async () => {
    await rows('CREATE SCHEMA app; CREATE TABLE app.users (id int); SELECT 1');

    expect((await failureOf(start())).next).toBe('Use an empty database, or one that does not exist yet');
  });

  it('is migrated again after a run down that left an object which no migration made', async () => {
    await setUp();
    await rows('CREATE TABLE notebook (id int); SELECT 1');
    await rows('DROP TABLE notes; DELETE FROM _prisma_migrations; SELECT 1');

    expect(await migrateFleetUp([{ target: shop }], WAIT)).toMatchObject([{ state: 'done' }]);
  });
});
