/** @server any */
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { DatabaseUrl } from '@azora/db-core';
import {
  catalogFingerprint,
  hasDrifted,
  migrateDown,
  migrateUp,
  rehearseDown,
  storeFingerprint,
  withClient,
} from '@azora/db-migrate';
import { removeCompanion, startCompanion } from '../src/postgres/companion/server';
import { guardData } from '../src/postgres/data-loss/guard';
import { failureOf, givenMigrations, nameOf, removeMigrations, rowsOf, tablesOf, WAIT } from './migrations-fixture';

/** All connections share one session, so advisory locks exclude no connection. */
describe('PGlite, the companion', () => {
  let home = '';
  let url: DatabaseUrl;

  beforeAll(async () => {
    home = await mkdtemp(path.join(os.tmpdir(), 'azora-pglite-'));
    url = (await startCompanion({ home, service: 'rag', database: 'azora_rag' })).url;
  });
  afterEach(() => rowsOf(url, 'DROP SCHEMA public CASCADE; CREATE SCHEMA public'));
  afterAll(async () => {
    await removeCompanion({ home, service: 'rag' });
    await rm(home, { recursive: true, force: true });
    await removeMigrations();
  });

  it('applies and reverts migrations like any other server', async () => {
    const migrations = await givenMigrations({
      '01_a': "SET search_path = ''; CREATE TABLE public.a (id int); INSERT INTO public.a VALUES (1);",
      '01_a/down': 'DROP TABLE a;',
      '02_b': '-- no-transaction\nCREATE INDEX CONCURRENTLY b ON a (id); VACUUM a;',
      '02_b/down': 'DROP INDEX b;',
    });
    const options = { ...WAIT, statementTimeoutMs: 5_000, afterEach: storeFingerprint };
    const runs = await Promise.all(Array.from({ length: 5 }, () => migrateUp(url, migrations.slice(0, 1), options)));

    expect(runs.flat()).toEqual([nameOf('01_a')]);
    expect(await migrateUp(url, migrations, options)).toEqual([nameOf('02_b')]);
    expect(await migrateUp(url, migrations, options)).toEqual([]);
    expect(await withClient(url, hasDrifted)).toBe(false);
    await rowsOf(url, 'ALTER TABLE a ADD by_hand int');
    expect(await withClient(url, hasDrifted)).toBe(true);
    expect(await migrateDown(url, migrations, { ...options, steps: 2 })).toHaveLength(2);
    expect(await tablesOf(url)).toEqual([]);
  });

  it('measures what a down.sql would lose', async () => {
    const migrations = await givenMigrations({
      '01_a': "CREATE TABLE a (id serial, v text); INSERT INTO a (v) VALUES ('x'), ('y');",
      '02_b': 'CREATE TABLE b ();',
      '02_b/down': "DROP TABLE b; UPDATE a SET v = 'x';",
      '03_c': 'CREATE TABLE c AS SELECT * FROM a;',
      '03_c/down': 'CREATE TABLE kept AS SELECT * FROM c; DROP TABLE c;',
    });
    await migrateUp(url, migrations, WAIT);
    const options = { ...WAIT, beforeEach: guardData };

    expect(await failureOf(rehearseDown(url, migrations, { ...options, steps: 2 }))).toMatchObject({
      code: 'MIGRATION.DATA_LOSS',
      meta: { losses: [{ what: 'changed values', table: 'a', column: 'v', before: 2, changed: 2 }] },
    });
    expect(await migrateDown(url, migrations, { ...options, steps: 1 })).toEqual([nameOf('03_c')]);
    expect(await failureOf(migrateDown(url, migrations, { ...options, steps: 1 }))).toMatchObject({
      code: 'MIGRATION.DATA_LOSS',
    });
    expect(await tablesOf(url)).toEqual(['a', 'b', 'kept']);
  });

  it('reports errors with their place, and leaves nothing behind', async () => {
    const migrations = await givenMigrations({ '01_c': "CREATE TABLE c ();\nSELECT '😀', nope;" });

    expect(await failureOf(migrateUp(url, migrations, WAIT))).toMatchObject({
      code: 'MIGRATION.SQL_FAILED',
      meta: { line: 2, column: 13 },
    });
    expect(await tablesOf(url)).toEqual([]);
    expect(await withClient(url, catalogFingerprint)).toMatch(/^[0-9a-f]{64}$/);
  });
});
