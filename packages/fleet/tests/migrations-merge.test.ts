/** @server any */
import { migrateUp, resolveMigration, withClient } from '@azora/db-migrate';
import type { Client } from 'pg';
import {
  failureOf,
  givenMigrations,
  nameOf,
  openClient,
  removeMigrations,
  rowsOf,
  tablesOf,
  useEmptyDatabase,
  WAIT,
} from './migrations-fixture';

const url = useEmptyDatabase();
afterAll(removeMigrations);

const afterwards = async () => undefined;
const FIRST = { '01_a': 'CREATE TABLE a ();', '03_c': 'CREATE TABLE c ();' };

describe('after a merge', () => {
  it('a migration that sorts before an applied one is applied only on request', async () => {
    await migrateUp(url(), await givenMigrations(FIRST), WAIT);
    const merged = await givenMigrations({ ...FIRST, '02_b': 'CREATE TABLE b ();' });

    expect(await failureOf(migrateUp(url(), merged, WAIT))).toMatchObject({
      code: 'MIGRATION.OUT_OF_ORDER',
      next: expect.stringContaining('npx azora-db migrate up --out-of-order'),
    });
    expect(await migrateUp(url(), merged, { ...WAIT, outOfOrder: true })).toEqual([nameOf('02_b')]);
    expect(await migrateUp(url(), merged, WAIT)).toEqual([]);
    expect(await tablesOf(url())).toEqual(['a', 'b', 'c']);
  });

  it('a folder with a new name is recorded under it', async () => {
    await migrateUp(url(), await givenMigrations(FIRST), WAIT);
    const renamed = await givenMigrations({ '01_a': FIRST['01_a'], '04_c': FIRST['03_c'] });
    const resolve = (name: string) =>
      withClient(url(), (client) =>
        resolveMigration(client, renamed, nameOf(name), 'renamed', { ...WAIT, afterwards }),
      );

    expect(await failureOf(migrateUp(url(), renamed, WAIT))).toMatchObject({
      code: 'MIGRATION.MISSING',
      next: expect.stringContaining(`resolve renamed <service> ${nameOf('04_c')}`),
    });
    expect((await failureOf(resolve('01_a'))).code).toBe('USAGE.NOTHING_TO_RESOLVE');
    await resolve('04_c');
    expect(await migrateUp(url(), renamed, WAIT)).toEqual([]);
    expect(await rowsOf(url(), 'SELECT migration_name FROM _prisma_migrations ORDER BY 1')).toEqual([
      nameOf('01_a'),
      nameOf('04_c'),
    ]);
  });
});

describe('a pooler in transaction mode', () => {
  it('is refused before anything is written, and keeps no migration lock', async () => {
    const sessions = [await openClient(url()), await openClient(url())];
    try {
      const migrations = await givenMigrations(FIRST);

      expect(await failureOf(migrateUp(pooled(sessions), migrations, WAIT))).toMatchObject({
        code: 'MIGRATION.POOLED',
      });
      expect(await rowsOf(url(), "SELECT to_regclass('_prisma_migrations')")).toEqual([null]);
      expect(await migrateUp(url(), migrations, { runnerTimeoutMs: 1 })).toHaveLength(2);
    } finally {
      await Promise.all(sessions.map((session) => session.end()));
    }
  });

  it('is refused at the first step that another session answers', async () => {
    const sessions = [await openClient(url()), await openClient(url())];
    try {
      // The lock, its check, the history, the contents and the table of the history are on one session, the step on another one.
      const client = pooled(sessions, (text) => text.includes('pg_current_xact_id'));

      const error = await failureOf(migrateUp(client, await givenMigrations(FIRST), WAIT));

      expect(error.code).toBe('MIGRATION.POOLED');
      expect(await rowsOf(url(), 'SELECT count(*)::int FROM _prisma_migrations WHERE finished_at IS NOT NULL')).toEqual(
        [0],
      );
      expect(await tablesOf(url())).toEqual([]);
    } finally {
      await Promise.all(sessions.map((session) => session.end()));
    }
  });
});

/** A client whose transactions go to the next session each time, or from the first query on that matches. */
function pooled(sessions: readonly Client[], from: (text: string) => boolean = () => true): Client {
  let turn = 0;
  let isOpen = false;
  return new Proxy(sessions[0] as Client, {
    get(target, property) {
      if (property !== 'query') return Reflect.get(target, property);
      return (...args: Parameters<Client['query']>) => {
        const text = String(args[0]);
        if (!isOpen && (turn > 0 || from(text))) turn += 1;
        isOpen = text.includes('BEGIN') || (isOpen && !/ROLLBACK|COMMIT/.test(text));
        const session = sessions[turn % sessions.length] as Client;
        return session.query(...args);
      };
    },
  });
}
