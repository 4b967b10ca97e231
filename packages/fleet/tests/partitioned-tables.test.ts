/** @server any */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import { withClient } from '@azora/db-migrate';
import { findDrift } from '../src/operations/migrations/drift';
import { migrateTargetUp } from '../src/operations/migrations/migrate';
import { truncateDatabases } from '../src/operations/reset';
import { readStatus } from '../src/operations/status';
import { readHealth } from '../src/postgres/health';
import { readSchemaModel } from '../src/schema/schema-model';
import { backUp, filesIn, givenPlace, removePlaces, restore } from './backup-fixture';
import { type GivenFleet, givenFleet, removeFleets } from './fleet-fixture';
import { rowsOf } from './migrations-fixture';

const SCHEMA = `
model Line {
  id   Int
  at   DateTime @db.Timestamptz(6)
  /// @mask 'masked'
  text String
  @@id([at, id])
  @@map("lines")
}`;
const UP = `CREATE SCHEMA parts;
  CREATE TABLE lines (id int, at timestamptz(6), text text NOT NULL, PRIMARY KEY (at, id)) PARTITION BY RANGE (at);`;
const DOWN = `DROP TABLE lines; DROP SCHEMA parts;`;

describe('a table whose partitions are in a schema of their own', () => {
  let fleet: GivenFleet;
  beforeAll(async () => {
    fleet = await givenFleet({
      shop: { schema: SCHEMA, migrations: { '20260101000001_init': { up: UP, down: DOWN } } },
    });
    await migrateTargetUp(fleet.target('shop'), { lockTimeoutMs: 10_000 });
    const { admin } = fleet.target('shop');
    for (const month of [1, 2]) {
      await rowsOf(
        admin,
        `CREATE TABLE parts.lines_${month} PARTITION OF lines FOR VALUES FROM ('2026-0${month}-01Z') TO ('2026-0${month + 1}-01Z')`,
      );
    }
    await rowsOf(admin, `INSERT INTO lines VALUES (1, '2026-01-15Z', 'canary one'), (2, '2026-02-15Z', 'canary two')`);
  });
  afterAll(removePlaces);
  afterAll(removeFleets);

  it('is one table of the status and of the health, with the rows of all partitions', async () => {
    const { admin, role } = fleet.target('shop');
    await rowsOf(admin, 'ANALYZE parts.lines_1; ANALYZE parts.lines_2');

    const [status] = await readStatus(fleet.targets, new Map(), {});
    expect(status?.tables).toEqual({ lines: 2 });
    const { tables } = await withClient(admin, (client) => readHealth(client, role));
    expect(tables).toEqual([expect.objectContaining({ name: 'lines', rows: 2 })]);
    expect(tables[0]?.bytes).toBeGreaterThan(16_384);
  });

  it('has no drift when a partition was made or dropped without a migration', async () => {
    const rows = await findDrift(fleet.targets, {});

    expect(rows).toEqual([expect.objectContaining({ state: 'done', data: { changes: [], unwritten: '' } })]);
    expect(await readStatus(fleet.targets, new Map(), {})).toEqual([expect.objectContaining({ drift: false })]);
  });

  it('is masked in every partition of a masked set, and restored with its partitions', async () => {
    const { storage, directory } = await givenPlace();
    const schemaModel = await readSchemaModel(fleet.targets.map(({ service }) => service));

    const { set } = await backUp(fleet.targets, storage, { mask: { schemaModel, key: 'a key for tests' } });

    const files = (await filesIn(path.join(directory, set))).filter((file) => file.includes('lines'));
    const texts = await Promise.all(
      files.map(async (file) => gunzipSync(await readFile(path.join(directory, set, file))).toString()),
    );
    expect(files).toHaveLength(2);
    expect(texts.join('')).toMatch(/\tmasked\n/);
    expect(texts.join('')).not.toContain('canary');
    await restore(fleet.targets, storage, set);
    const parts = await rowsOf(fleet.target('shop').admin, 'SELECT tableoid::regclass::text FROM lines ORDER BY id');
    expect(parts).toEqual(['parts.lines_1', 'parts.lines_2']);
  });

  it('is emptied with its partitions by a reset of the rows', async () => {
    await truncateDatabases(fleet.targets, {});

    expect(await rowsOf(fleet.target('shop').admin, 'SELECT count(*)::int FROM lines')).toEqual([0]);
  });
});
