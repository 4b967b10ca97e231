/** @server any */
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { migrateDown, migrateOnStart, migrateUp, readMigrations } from '@azora/db-migrate';
import { findDestinations } from '../src/operations/migrations/destination';
import { findDrift } from '../src/operations/migrations/drift';
import { readFleetMigrations } from '../src/operations/migrations/migrate';
import { squashMigrations } from '../src/operations/migrations/squash';
import { writeTag } from '../src/operations/migrations/tags';
import type { Target } from '../src/operations/targets';
import { type GivenFleet, givenFleet, removeFleets } from './fleet-fixture';
import { failureOf, rowsOf, WAIT } from './migrations-fixture';

const SCHEMA = 'model Note {\n  id Int @id @default(autoincrement())\n  text String\n  @@map("notes")\n}';
const NAMES = ['20260101000000_init', '20260102000000_text', '20260103000000_index copy'] as const;
const UPS: Readonly<Record<string, string>> = {
  [NAMES[0]]: 'CREATE TABLE notes (id serial PRIMARY KEY); INSERT INTO notes DEFAULT VALUES;',
  [NAMES[1]]: `ALTER TABLE notes ADD COLUMN text text NOT NULL DEFAULT 'it''s';
    ALTER TABLE notes ALTER COLUMN text DROP DEFAULT;
    CREATE FUNCTION first_note() RETURNS text LANGUAGE sql AS 'SELECT text FROM notes ORDER BY id LIMIT 1';`,
  [NAMES[2]]: 'CREATE INDEX CONCURRENTLY notes_text ON notes (lower(text));',
};
const SQUASHED = '20260103000001_squashed';
const LATER = '20260104000000_later';

describe('baseline --squash', () => {
  let fleet: GivenFleet;
  let shop: Target;
  beforeEach(async () => {
    fleet = await givenFleet({ shop: { schema: SCHEMA, migrations: {} } });
    shop = fleet.target('shop');
    for (const [name, sql] of Object.entries(UPS)) await write(name, sql);
  });
  afterEach(removeFleets);

  /** As Prisma writes it: without down.sql. */
  const write = async (name: string, sql: string) => {
    const folder = path.join(shop.service.migrationsPath, name);
    await mkdir(folder, { recursive: true });
    await writeFile(path.join(folder, 'migration.sql'), sql);
  };
  const files = () => readMigrations(shop.service.migrationsPath);
  const up = async () => migrateUp(shop.admin, await files(), WAIT);
  const history = () => rowsOf(shop.admin, 'SELECT migration_name FROM _prisma_migrations ORDER BY 1');

  it('writes one migration with the same objects and rows, which an empty database applies', async () => {
    expect(await squashMigrations(shop, undefined)).toEqual({ name: SQUASHED, squashes: NAMES });

    expect(await readdir(shop.service.migrationsPath)).toEqual([SQUASHED]);
    expect(await up()).toEqual([SQUASHED]);
    expect(
      await rowsOf(shop.admin, "INSERT INTO notes (text) VALUES ('b') RETURNING id, first_note() AS text"),
    ).toEqual([{ id: 2, text: "it's" }]);
    expect(await findDrift([shop], {})).toMatchObject([{ data: { changes: [], unwritten: '' } }]);
  });

  it('is recognized by a database that has applied all replaced migrations, which then continues', async () => {
    const older = await files();
    await up();
    await squashMigrations(shop, undefined);

    expect(await readFleetMigrations([shop], {})).toMatchObject([
      { data: { applied: [SQUASHED], pending: [], missing: [] } },
    ]);
    await writeTag(fleet.root, 'newest', { shop: NAMES[2] });
    await writeTag(fleet.root, 'older', { shop: NAMES[1] });
    expect(await findDestinations(fleet.root, [shop], 'newest')).toMatchObject([{ to: SQUASHED }]);
    expect(await failureOf(findDestinations(fleet.root, [shop], 'older'))).toMatchObject({
      code: 'MIGRATION.MISSING',
      why: `The tag older names this migration, which ${SQUASHED} replaces.`,
    });
    expect(await up()).toEqual([]);
    await write(LATER, 'ALTER TABLE notes ADD COLUMN later int;');
    expect(await up()).toEqual([LATER]);
    expect(await history()).toEqual([...NAMES, SQUASHED, LATER]);
    expect(await findDrift([shop], {})).toMatchObject([{ data: { changes: [] } }]);
    expect((await failureOf(migrateDown(shop.admin, await files(), { ...WAIT, steps: 2 }))).code).toBe(
      'MIGRATION.IRREVERSIBLE',
    );
    // Code from before the squash still starts.
    expect(await migrateUp(shop.admin, older, { ...WAIT, newerHistory: 'tolerated' })).toEqual([]);
  });

  it('is refused by a database that lacks a part, and names the part', async () => {
    await migrateUp(shop.admin, (await files()).slice(0, 2), WAIT);
    await squashMigrations(shop, undefined);

    expect(await failureOf(up())).toMatchObject({
      code: 'MIGRATION.MISSING',
      message: `${SQUASHED} replaces ${NAMES[2]}, which is not applied`,
      next: expect.stringContaining('from before the squash'),
    });
    expect(await history()).toEqual(NAMES.slice(0, 2));
  });

  it('replaces the migrations up to one, and can be squashed again', async () => {
    expect(await squashMigrations(shop, NAMES[1])).toEqual({
      name: '20260102000001_squashed',
      squashes: NAMES.slice(0, 2),
    });
    expect(await readdir(shop.service.migrationsPath)).toEqual(['20260102000001_squashed', NAMES[2]]);
    await up();

    expect(await squashMigrations(shop, undefined)).toMatchObject({ name: SQUASHED });
    expect(await squashMigrations(shop, undefined)).toBeUndefined();
    expect(await up()).toEqual([]);
  });

  it('still knows the databases with the first history after the second squash', async () => {
    await up();
    await squashMigrations(shop, NAMES[1]);
    await up();
    await squashMigrations(shop, undefined);

    expect(await up()).toEqual([]);
    expect(await readFleetMigrations([shop], {})).toMatchObject([{ data: { applied: [SQUASHED], missing: [] } }]);
  });

  it('changes nothing when it was interrupted between the new folder and the old ones', async () => {
    const old = await files();
    await squashMigrations(shop, undefined);
    for (const { name, sql } of old) await write(name, sql);

    expect((await files()).map(({ name }) => name)).toEqual([SQUASHED]);
    expect(await up()).toEqual([SQUASHED]);
  });

  it('works when a service starts, by any number of copies at once', async () => {
    await up();
    await squashMigrations(shop, undefined);
    const { admin, role, service } = shop;
    const start = () => migrateOnStart({ migrations: service.migrationsPath, url: admin, role, ...WAIT });

    expect(await Promise.all(Array.from({ length: 5 }, start))).toEqual([[], [], [], [], []]);
    expect(await history()).toEqual([...NAMES, SQUASHED]);
  });

  it('writes nothing when one migration has another result', async () => {
    await write(LATER, "SELECT lo_from_bytea(1, 'x');");

    expect(await failureOf(squashMigrations(shop, undefined))).toMatchObject({
      code: 'MIGRATION.DRAFT_FAILED',
      why: expect.stringContaining('it lacks 1 large object'),
    });
    expect(await readdir(shop.service.migrationsPath)).toEqual([...NAMES, LATER]);
  });
});
