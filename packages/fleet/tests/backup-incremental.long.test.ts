import { createHash } from 'node:crypto';
import { rm, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { generateX25519Identity } from 'age-encryption';
import type { Storage } from '../src/backup-store/storage';
import type { Target } from '../src/operations/targets';
import { backUp, givenPlace, hashesOf, removePlaces, restore, settle, takenOver } from './backup-fixture';
import { type GivenFleet, givenMigratedFleet, removeFleets } from './fleet-fixture';
import { rowsOf } from './migrations-fixture';

const SCHEMA = 'model Note {\n  id Int @id\n  @@map("notes")\n}';
const UP = `
CREATE TABLE notes (id int PRIMARY KEY, label text);
CREATE TABLE steady (id int PRIMARY KEY, label text);
INSERT INTO notes SELECT id, 'note ' || id FROM generate_series(1, 50) AS id;
INSERT INTO steady SELECT id, 'steady ' || id FROM generate_series(1, 50) AS id;`;
const UNCHANGED = ['_prisma_migrations', 'steady'];

describe('a backup after another one', () => {
  let fleet: GivenFleet;
  let target: Target;
  beforeEach(async () => {
    fleet = await givenMigratedFleet({ notes: { schema: SCHEMA, up: UP } });
    target = fleet.target('notes');
  });
  afterEach(removePlaces);
  afterEach(removeFleets);

  const change = (sql: string) => rowsOf(target.admin, sql);
  const givenSet = async (storage: Storage, options = {}) => {
    await settle(target.admin);
    return backUp(fleet.targets, storage, options);
  };

  it('names the set that stored a file first, over any number of sets', async () => {
    const { storage } = await givenPlace();
    const first = await givenSet(storage);
    await givenSet(storage);
    await storage.remove(first.set);

    const { manifest } = await givenSet(storage);

    expect(manifest.databases[0]?.tables.map(({ storedBy }) => storedBy)).toEqual(Array(3).fill(first.set));
  });

  it('takes the rows of an older copy of the database for others, although their transactions are older', async () => {
    const { storage } = await givenPlace();
    const copy = `${target.database}_copy`;
    await rowsOf(target.maintenance, `CREATE DATABASE "${copy}" TEMPLATE "${target.database}"`);
    await change('DELETE FROM notes WHERE id = 1');
    await givenSet(storage);
    await rowsOf(target.maintenance, `DROP DATABASE "${target.database}"`);
    await rowsOf(target.maintenance, `ALTER DATABASE "${copy}" RENAME TO "${target.database}"`);
    await change('DELETE FROM notes WHERE id = 2');

    const second = await givenSet(storage);

    expect(hashesOf(second)).toEqual(hashesOf(await givenSet(storage, { full: true })));
    expect(takenOver(second)).toEqual(UNCHANGED);
  });

  it('compares the content when the first set is of format 3, which can still be restored', async () => {
    const { storage, directory } = await givenPlace();
    const { set, manifest } = await givenSet(storage);
    const databases = manifest.databases.map(({ baseline: _, ...entry }) => {
      return { ...entry, tables: entry.tables.map(({ storedBy: __, ...table }) => table) };
    });
    await replaceManifest(path.join(directory, set), { ...manifest, format: 3, databases });
    await change(`UPDATE notes SET label = 'new' WHERE id = 1`);

    const second = await givenSet(storage);

    expect(takenOver(second)).toEqual(UNCHANGED);
    expect(hashesOf(second)).toEqual(hashesOf(await givenSet(storage, { full: true })));
    await restore(fleet.targets, storage, set);
    expect(await change(`SELECT label FROM notes WHERE id = 1`)).toEqual(['note 1']);
  });

  it.each([
    ['damaged', (file: string) => truncate(file, 10)],
    ['missing', (file: string) => rm(file)],
  ])('stores a table anew when its file in the first set is %s', async (_, harm) => {
    const { storage, directory } = await givenPlace();
    const { set } = await givenSet(storage);
    await harm(path.join(directory, set, 'notes', 'steady.copy.gz'));
    const log: string[] = [];

    const second = await givenSet(storage, { log: (line: string) => log.push(line) });

    expect(takenOver(second)).toEqual(['_prisma_migrations', 'notes']);
    const what = `notes/steady.copy.gz of the set ${set} cannot be used again`;
    expect(log).toEqual([`warning: ${what}, so that the table is stored anew`]);
    await restore(fleet.targets, storage, second.set);
  });

  it('shares files with sets of the same owner, and never with masked ones', async () => {
    const { storage } = await givenPlace();
    const secret = { identity: await generateX25519Identity() };
    const mask = { schemaModel: { services: [] } as never, key: 'a key for tests' };
    const shared = async (options: object) => takenOver(await givenSet(storage, options)).length;
    await givenSet(storage);

    expect(await shared({ mask })).toBe(0);
    expect(await shared({ secret })).toBe(0);
    expect(await shared({ secret: { identity: await generateX25519Identity() } })).toBe(0);
    expect(await shared({ secret })).toBe(3);
    expect(await shared({})).toBe(3);
    expect(await shared({ full: true })).toBe(0);

    const encrypted = await givenSet(storage, { secret });
    expect(takenOver(encrypted)).toHaveLength(3);
    for (const set of await storage.list()) if (set !== encrypted.set) await storage.remove(set);
    await change('TRUNCATE steady');
    await restore(fleet.targets, storage, encrypted.set, { secret });
    expect(await change('SELECT count(*)::int FROM steady')).toEqual([50]);
  });
});

async function replaceManifest(folder: string, manifest: object): Promise<void> {
  const text = JSON.stringify(manifest);
  await writeFile(path.join(folder, 'manifest.json'), text);
  await writeFile(path.join(folder, 'manifest.seal'), `sha256 ${createHash('sha256').update(text).digest('hex')}\n`);
}
