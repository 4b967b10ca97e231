import type { Migration } from '@azora/db-migrate';
import { compareHistory, migrateDown, migrateUp, type RunOptions, readHistory, withClient } from '@azora/db-migrate';
import {
  failureOf,
  givenMigrations,
  nameOf,
  removeMigrations,
  rowsOf,
  tablesOf,
  useEmptyDatabase,
  WAIT,
} from './migrations-fixture';

const url = useEmptyDatabase();
afterAll(removeMigrations);

const THREE = {
  '01_a': 'CREATE TABLE a ();',
  '01_a/down': 'DROP TABLE a;',
  '02_b': 'CREATE TABLE b ();',
  '02_b/down': 'DROP TABLE b;',
  '03_c': 'CREATE TABLE c ();',
  '03_c/down': 'DROP TABLE c;',
};

const up = (migrations: readonly Migration[]) => migrateUp(url(), migrations, WAIT);
const down = (migrations: readonly Migration[], steps: number, options: Partial<RunOptions> = {}) =>
  migrateDown(url(), migrations, { ...WAIT, ...options, steps });

async function givenApplied(files: Readonly<Record<string, string>>): Promise<readonly Migration[]> {
  const migrations = await givenMigrations(files);
  await up(migrations);
  return migrations;
}

const appliedNames = (migrations: readonly Migration[]) =>
  withClient(url(), async (client) => compareHistory(migrations, await readHistory(client)).applied);

describe('migrating down', () => {
  it('reverts the given number of migrations, newest first, and up applies them again', async () => {
    const migrations = await givenApplied(THREE);

    expect(await down(migrations, 2)).toEqual([nameOf('03_c'), nameOf('02_b')]);
    expect(await tablesOf(url())).toEqual(['a']);
    expect(await appliedNames(migrations)).toEqual([nameOf('01_a')]);
    expect(await up(migrations)).toEqual([nameOf('02_b'), nameOf('03_c')]);
    expect(await down(migrations, 9)).toHaveLength(3);
    expect(await down(migrations, 1)).toEqual([]);
    expect(await tablesOf(url())).toEqual([]);
  });

  it('reverts nothing for zero steps', async () => {
    expect(await down(await givenApplied(THREE), 0)).toEqual([]);
  });

  it('removes earlier failed attempts from the history', async () => {
    const broken = await givenMigrations({ ...THREE, '01_a': 'CREATE TABLE' });
    await failureOf(up(broken));
    const migrations = await givenApplied(THREE);

    await down(migrations, 3);

    expect(await rowsOf(url(), 'SELECT count(*)::int FROM _prisma_migrations')).toEqual([0]);
  });

  it('rejects an irreversible migration before anything runs', async () => {
    const migrations = await givenApplied({ ...THREE, '02_b/down': '-- irreversible: the mails are out' });

    expect(await failureOf(down(migrations, 3))).toMatchObject({
      code: 'MIGRATION.IRREVERSIBLE',
      message: `${nameOf('02_b')} cannot be reverted`,
      why: 'Its down.sql gives the reason: the mails are out.',
    });
    expect(await tablesOf(url())).toEqual(['a', 'b', 'c']);
    expect(await down(migrations, 1)).toEqual([nameOf('03_c')]);
  });

  it('rejects edited and missing files, and COMMIT, before anything runs', async () => {
    const migrations = await givenApplied(THREE);
    const edited = await givenMigrations({ ...THREE, '01_a': 'CREATE TABLE a (id int);' });
    const commits = await givenMigrations({ ...THREE, '02_b/down': 'DROP TABLE b; COMMIT;' });

    expect((await failureOf(down(edited, 1))).code).toBe('MIGRATION.EDITED');
    expect((await failureOf(down(migrations.slice(1), 1))).code).toBe('MIGRATION.MISSING');
    expect((await failureOf(down(commits, 2))).code).toBe('MIGRATION.HOLDS_TRANSACTION');
    expect(await tablesOf(url())).toEqual(['a', 'b', 'c']);
  });

  it('changes nothing when a down.sql fails halfway', async () => {
    const migrations = await givenApplied({ ...THREE, '02_b/down': 'DROP TABLE b;\nDROP TABLE nope;' });

    const error = await failureOf(down(migrations, 3));

    expect(error).toMatchObject({ code: 'MIGRATION.SQL_FAILED', why: expect.stringContaining('down.sql:2:1') });
    expect(await tablesOf(url())).toEqual(['a', 'b']);
    expect(await appliedNames(migrations)).toEqual([nameOf('01_a'), nameOf('02_b')]);
    expect(await up(migrations)).toEqual([nameOf('03_c')]);
  });

  it('runs afterEach in the transaction of each step', async () => {
    const migrations = await givenApplied(THREE);
    const afterEach = async () => {
      throw new Error('not now');
    };

    await expect(down(migrations, 1, { afterEach })).rejects.toThrow('not now');
    expect(await tablesOf(url())).toEqual(['a', 'b', 'c']);
    expect(await appliedNames(migrations)).toHaveLength(3);
  });

  it('runs a down.sql outside of a transaction when its first line requires that', async () => {
    const files = {
      '01_a': 'CREATE TABLE a (id int); CREATE INDEX i ON a (id);',
      '01_a/down': '-- no-transaction\nDROP INDEX CONCURRENTLY i; DROP TABLE a;',
    };

    expect(await down(await givenApplied(files), 1)).toEqual([nameOf('01_a')]);
    expect(await tablesOf(url())).toEqual([]);
  });

  it('does not retry a down.sql that failed outside of a transaction', async () => {
    const files = { '01_a': 'CREATE TABLE a ();', '01_a/down': '-- no-transaction\nDROP TABLE a; DROP TABLE nope;' };
    const migrations = await givenApplied(files);

    expect((await failureOf(down(migrations, 1))).code).toBe('MIGRATION.SQL_FAILED');
    expect((await failureOf(up(migrations))).code).toBe('MIGRATION.UNFINISHED');
    expect((await failureOf(down(migrations, 1))).code).toBe('MIGRATION.UNFINISHED');
  });
});
