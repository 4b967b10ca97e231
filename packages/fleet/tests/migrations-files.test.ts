import { createHash } from 'node:crypto';
import { mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { readMigrations } from '@azora/db-migrate';
import { failureOf, givenFolder, givenMigrations, nameOf, removeMigrations } from './migrations-fixture';

afterAll(removeMigrations);

describe('reading migrations', () => {
  it('reads the folders in the order of their names, and ignores files beside them', async () => {
    const folder = await givenFolder({ '02_b': 'SELECT 2;', '01_a': 'SELECT 1;', '01_a/down': 'SELECT -1;' });
    await writeFile(path.join(folder, 'migration_lock.toml'), 'provider = "postgresql"\n');
    await writeFile(path.join(folder, 'notes.txt'), 'stray');
    await mkdir(path.join(folder, '.idea'));

    const migrations = await readMigrations(folder);

    const directory = path.join(folder, nameOf('01_a'));
    expect(migrations.map(({ name }) => name)).toEqual([nameOf('01_a'), nameOf('02_b')]);
    expect(migrations[0]).toEqual({
      name: nameOf('01_a'),
      directory,
      file: path.join(directory, 'migration.sql'),
      sql: 'SELECT 1;',
      checksum: createHash('sha256').update('SELECT 1;').digest('hex'),
      transactional: true,
      squashes: [],
      down: { file: path.join(directory, 'down.sql'), sql: 'SELECT -1;', transactional: true },
    });
  });

  it('treats a missing directory as one without migrations', async () => {
    expect(await readMigrations('/nowhere/at/all')).toEqual([]);
  });

  it('computes the checksum of the bytes, including byte order mark and line endings', async () => {
    const sql = '\uFEFFSELECT 1;\r\n';

    const [migration] = await givenMigrations({ '01_a': sql });

    expect(migration?.checksum).toBe(createHash('sha256').update(Buffer.from(sql)).digest('hex'));
  });

  it.each(['-- no-transaction\nVACUUM;', '--no-transaction\r\nVACUUM;', '\uFEFF-- no-transaction'])(
    'runs %j outside of a transaction',
    async (sql) => {
      const [migration] = await givenMigrations({ '01_a': sql });

      expect(migration?.transactional).toBe(false);
    },
  );

  it('reads the reason of an irreversible migration', async () => {
    const [migration] = await givenMigrations({
      '01_a': 'SELECT 1;',
      '01_a/down': '-- irreversible: e-mails went out\n',
    });

    expect(migration?.down).toEqual({ irreversible: 'e-mails went out' });
  });

  it.each(['', '-- nothing\n', '/* /* nested */ */ ;\n', '-- irreversible:\n', '\uFEFF -- SELECT 1\r\n;'])(
    'rejects the down.sql %j, which does nothing',
    async (sql) => {
      const error = await failureOf(givenMigrations({ '01_a': 'SELECT 1;', '01_a/down': sql }));

      expect(error.code).toBe('MIGRATION.NO_DOWN');
      expect(error.message).toMatch(/20260101000001_a\/down\.sql does nothing/);
    },
  );

  it('takes a migration without down.sql, as Prisma makes it, for irreversible', async () => {
    const folder = await givenFolder({ '01_a': 'SELECT 1;' });
    await rm(path.join(folder, nameOf('01_a'), 'down.sql'));

    expect(await readMigrations(folder)).toMatchObject([{ down: { irreversible: null } }]);
  });

  it('rejects a missing migration.sql', async () => {
    const folder = await givenFolder({ '01_a': 'SELECT 1;' });
    await rm(path.join(folder, nameOf('01_a'), 'migration.sql'));

    expect((await failureOf(readMigrations(folder))).code).toBe('MIGRATION.NO_SQL');
  });

  it('takes the names that Prisma takes', async () => {
    const folder = await givenFolder({});
    const names = ['0_init', '20230620_old', '20240126184148_models copy', '20250517173700_a.sql', '20260101000001_ü'];
    for (const name of names) {
      await mkdir(path.join(folder, name));
      await writeFile(path.join(folder, name, 'migration.sql'), 'SELECT 1;');
    }

    expect((await readMigrations(folder)).map(({ name }) => name)).toEqual(names);
  });

  it.each(['add_users', '_a', '20260101000001_a\nb'])('rejects a folder with the name %j', async (name) => {
    const folder = await givenFolder({ '01_a': 'SELECT 1;' });
    await mkdir(path.join(folder, name));

    expect((await failureOf(readMigrations(folder))).code).toBe('MIGRATION.BAD_NAME');
  });

  it('rejects bytes that are not text, which the server would truncate or misread', async () => {
    for (const bytes of [Buffer.from('SELECT 1;\0DROP TABLE a;'), Buffer.from([0x53, 0xe9, 0x3b])]) {
      const folder = await givenFolder({ '01_a': 'SELECT 1;' });
      await writeFile(path.join(folder, nameOf('01_a'), 'migration.sql'), bytes);

      expect((await failureOf(readMigrations(folder))).code).toBe('MIGRATION.UNREADABLE');
    }
  });

  it('names the file that cannot be read', async () => {
    const folder = await givenFolder({ '01_a': 'SELECT 1;' });
    const file = path.join(folder, nameOf('01_a'), 'migration.sql');
    await rm(file);
    await symlink(file, file);

    expect(await failureOf(readMigrations(folder))).toMatchObject({
      code: 'MIGRATION.UNREADABLE',
      why: 'ELOOP.',
      meta: { file },
    });
  });
});
