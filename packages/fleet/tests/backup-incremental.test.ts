import { stat } from 'node:fs/promises';
import path from 'node:path';
import { withClient } from '@azora/db-migrate';
import type { ClientBase } from 'pg';
import { isComparable, readBaseline } from '../src/postgres/dump/unchanged';
import { backUp, givenPlace, hashesOf, removePlaces, restore, settle, takenOver } from './backup-fixture';
import { type GivenFleet, givenMigratedFleet, removeFleets } from './fleet-fixture';
import { openClient, rowsOf } from './migrations-fixture';

/** How the rows of a table change between two backups, by the name of the table. Each has the rows 1 to 50. */
const CHANGES: Readonly<Record<string, string>> = {
  inserted: `INSERT INTO inserted VALUES (51, 'new')`,
  deleted: 'DELETE FROM deleted WHERE id = 50',
  updated: `UPDATE updated SET label = 'new' WHERE id = 1`,
  replaced: `DELETE FROM replaced WHERE id = 1; INSERT INTO replaced VALUES (51, 'new')`,
  refilled: `TRUNCATE refilled; INSERT INTO refilled SELECT id + 50 FROM steady`,
  caught: `DO $$ BEGIN UPDATE caught SET label = 'new'; EXCEPTION WHEN division_by_zero THEN NULL; END $$`,
};
const UNCHANGED: Readonly<Record<string, string>> = {
  steady: 'ANALYZE steady',
  locked: 'SELECT FROM locked FOR UPDATE',
  vacuumed: 'VACUUM FULL vacuumed',
  undone: 'BEGIN; DELETE FROM undone; ROLLBACK',
};
const TABLES = [...Object.keys(CHANGES), ...Object.keys(UNCHANGED), 'late'];
const UP = TABLES.map(
  (name) => `CREATE TABLE ${name} (id int PRIMARY KEY, label text);
             INSERT INTO ${name} SELECT id, '${name} ' || id FROM generate_series(1, 50) AS id;`,
).join('\n');

let fleet: GivenFleet;
beforeAll(async () => {
  fleet = await givenMigratedFleet({ notes: { schema: `model Late {\n  id Int @id\n  @@map("late")\n}`, up: UP } });
});
afterAll(removePlaces);
afterAll(removeFleets);

describe('a second backup', () => {
  it('shares the files of unchanged tables, stores the others anew, and does not need the first set', async () => {
    const { storage, directory } = await givenPlace();
    const { admin } = fleet.target('notes');
    await settle(admin);
    const writer = await openClient(admin);
    await writer.query(`BEGIN; SAVEPOINT one; UPDATE late SET label = 'late'`);
    const first = await backUp(fleet.targets, storage);
    await writer.query('COMMIT');
    await writer.end();
    for (const sql of Object.values({ ...CHANGES, ...UNCHANGED }).flatMap(statementsOf)) await rowsOf(admin, sql);

    const second = await backUp(fleet.targets, storage);

    expect(takenOver(second)).toEqual(['_prisma_migrations', ...Object.keys(UNCHANGED)].sort());
    expect(second.rows).toMatchObject([{ data: { tables: TABLES.length + 1, unchanged: 5 } }]);
    expect(hashesOf(second)).toEqual(hashesOf(await backUp(fleet.targets, storage, { full: true })));
    const inode = async (set: string, file: string) => (await stat(path.join(directory, set, 'notes', file))).ino;
    expect(await inode(second.set, 'steady.copy.gz')).toBe(await inode(first.set, 'steady.copy.gz'));

    await storage.remove(first.set);
    await rowsOf(admin, `TRUNCATE ${TABLES.join(', ')}`);
    await restore(fleet.targets, storage, second.set);
    expect(await rowsOf(admin, `SELECT count(*)::int FROM steady`)).toEqual([50]);
    expect(await rowsOf(admin, `SELECT id FROM updated WHERE label = 'new'`)).toEqual([1]);
  });
});

/** A session runs the statements between BEGIN and ROLLBACK together; VACUUM must run alone. */
function statementsOf(sql: string): readonly string[] {
  return /^(BEGIN|DO)\b/.test(sql) ? [sql] : sql.split('; ');
}

describe('the baseline of a database', () => {
  const database = () => fleet.target('notes').admin;
  const UP_TO_NOW = `
    CREATE TYPE mood AS ENUM ('calm', 'glad');
    CREATE TYPE place AS (street text, town text);
    CREATE DOMAIN word AS text;
    CREATE TABLE notes (id int, label varchar(10) DEFAULT 'a', feeling mood, at place, said word);
    CREATE TABLE twins (LIKE notes INCLUDING ALL);`;

  it.each([
    ['a renamed label of an enum', `ALTER TYPE mood RENAME VALUE 'calm' TO 'quiet'`, true],
    [
      'swapped labels of an enum',
      `ALTER TYPE mood RENAME VALUE 'calm' TO 'x'; ALTER TYPE mood RENAME VALUE 'glad' TO 'calm'; ALTER TYPE mood RENAME VALUE 'x' TO 'glad'`,
      true,
    ],
    [
      'a column in place of another',
      `ALTER TABLE notes DROP COLUMN said; ALTER TABLE notes ADD COLUMN said word DEFAULT 'b'`,
      true,
    ],
    [
      'swapped names of tables',
      'ALTER TABLE notes RENAME TO x; ALTER TABLE twins RENAME TO notes; ALTER TABLE x RENAME TO twins',
      true,
    ],
    [
      'swapped names of columns',
      'ALTER TABLE notes RENAME label TO x; ALTER TABLE notes RENAME said TO label; ALTER TABLE notes RENAME x TO said',
      true,
    ],
    ['another type of a column', 'ALTER TABLE notes ALTER COLUMN label TYPE text', true],
    ['another attribute of a composite type', 'ALTER TYPE place ADD ATTRIBUTE country text', true],
    ['a temporary table', 'CREATE TEMPORARY TABLE notes (id int)', false],
    [
      'statistics, an index and a comment',
      `ANALYZE notes; CREATE INDEX ON notes (id); COMMENT ON TABLE notes IS 'c'`,
      false,
    ],
  ])('shows %s', async (_, sql, isDifferent) => {
    await withClient(database(), async (client) => {
      await client.query(`BEGIN; ${UP_TO_NOW}`);
      const before = await catalogOf(client);
      await client.query(sql);
      const after = await catalogOf(client);
      await client.query('ROLLBACK');

      expect(before).toMatch(/^[0-9a-f]{64}$/);
      expect(after !== before).toBe(isDifferent);
    });
  });

  it.each(['regclass', 'regrole[]', 'money'])('proves nothing where a column has the type %s', async (type) => {
    await withClient(database(), async (client) => {
      await client.query(`BEGIN; CREATE TABLE notes (id ${type})`);
      expect(await catalogOf(client)).toBeNull();
      await client.query(`ROLLBACK; BEGIN; CREATE DOMAIN kind AS ${type.replace('[]', '')}`);
      expect(await catalogOf(client)).toBeNull();
      await client.query('ROLLBACK');
    });
  });

  it('is comparable within one run of one server, for half of the transaction ids', async () => {
    await withClient(database(), async (client) => {
      const baseline = await readBaseline(client, false);
      const later = (facts: object) => isComparable({ ...baseline, ...facts }, baseline);
      const ids = (more: bigint) => ({ horizon: String(BigInt(baseline.horizon) + more) });

      expect(later({})).toBe(true);
      expect(later(ids(2n ** 30n - 1n))).toBe(true);
      expect(later(ids(2n ** 30n))).toBe(false);
      expect(later({ server: 'another' })).toBe(false);
      expect(isComparable({ ...baseline, server: null }, { ...baseline, server: null })).toBe(false);
      expect(isComparable({ ...baseline, catalog: null }, { ...baseline, catalog: null })).toBe(false);
    });
  });
});

async function catalogOf(client: ClientBase): Promise<string | null> {
  return (await readBaseline(client, false)).catalog;
}
