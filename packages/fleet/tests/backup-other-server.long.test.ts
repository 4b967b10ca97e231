import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { withUrlParts } from '@azora/db-core';
import { migrateTargetUp } from '../src/operations/migrations/migrate';
import type { Target } from '../src/operations/targets';
import { startEmbedded, stopEmbedded } from '../src/postgres/embedded/server';
import { backUp, givenPlace, removePlaces, restore } from './backup-fixture';
import { givenFleet, removeFleets } from './fleet-fixture';
import { failureOf, rowsOf } from './migrations-fixture';

const SCHEMA = 'model Note {\n  id Int @id\n  kind String @db.VarChar(10)\n  @@map("notes")\n}';
const FIRST = {
  up: `CREATE TABLE notes (id int PRIMARY KEY, kind varchar(10) NOT NULL CHECK (kind IN ('a', 'b')));`,
  down: 'DROP TABLE notes;',
};
const SECOND = { up: 'ALTER TABLE notes ADD more text DEFAULT $$x$$;', down: 'ALTER TABLE notes DROP more;' };

/** From the test server, of any version, to the embedded server, which has the newest version. */
describe('a backup set of one server', () => {
  let home = '';
  let elsewhere: (target: Target) => Target;
  beforeAll(async () => {
    home = await mkdtemp(path.join(os.tmpdir(), 'azora-other-'));
    const { url } = await startEmbedded({ home });
    elsewhere = (target) => ({
      ...target,
      server: 'embedded',
      maintenance: withUrlParts(url, { database: 'postgres' }),
      admin: withUrlParts(url, { database: target.database }),
    });
  });
  afterAll(async () => {
    await stopEmbedded({ home });
    await rm(home, { recursive: true, force: true });
    await removePlaces();
    await removeFleets();
  });

  const given = async () => {
    const fleet = await givenFleet({ notes: { schema: SCHEMA, migrations: { '20260101000001_init': FIRST } } });
    const target = fleet.target('notes');
    await migrateTargetUp(target, { lockTimeoutMs: 10_000 });
    await rowsOf(target.admin, `INSERT INTO notes VALUES (1, 'a'), (2, 'b')`);
    const { storage } = await givenPlace();
    return { fleet, target, storage, ...(await backUp([target], storage)) };
  };

  it('restores on another server without the databases, and applies newer migrations', async () => {
    const { fleet, target, storage, set } = await given();
    await fleet.write('notes', { migrations: { '20260101000001_init': FIRST, '20260101000002_more': SECOND } });
    const there = elsewhere(target);

    expect(await restore([there], storage, set)).toMatchObject([
      { state: 'done', data: { migrated: ['20260101000002_more'], kept: null } },
    ]);

    expect(await rowsOf(there.admin, 'SELECT id || kind || more FROM notes ORDER BY id')).toEqual(['1ax', '2bx']);
    const app = withUrlParts(there.admin, { user: there.role, password: 'only-for-tests' });
    expect(await rowsOf(app, 'SELECT count(*)::int FROM notes')).toEqual([2]);
    await expect(rowsOf(there.admin, `INSERT INTO notes VALUES (3, 'c')`)).rejects.toThrow('notes_kind_check');
    expect(await rowsOf(target.admin, 'SELECT count(*)::int FROM notes')).toEqual([2]);
  });

  it('is rejected when the checkout lacks its migrations, or has different ones of the same names', async () => {
    const { fleet, target, storage, set } = await given();
    const there = elsewhere(target);
    const edited = { up: `${FIRST.up}\n-- edited`, down: FIRST.down };
    await fleet.write('notes', { migrations: { '20260101000001_init': edited } });
    expect(await failureOf(restore([there], storage, set))).toMatchObject({ code: 'RESTORE.OTHER_HISTORY' });

    await rm(path.join(fleet.root, 'services', 'notes', 'prisma', 'migrations', '20260101000001_init'), {
      recursive: true,
    });
    await fleet.write('notes', { migrations: { '20260101000002_more': SECOND } });
    expect(await failureOf(restore([there], storage, set))).toMatchObject({
      code: 'RESTORE.NEWER_THAN_CODE',
      meta: { migrations: ['20260101000001_init'] },
    });
    expect(
      await rowsOf(there.maintenance, `SELECT count(*)::int FROM pg_database WHERE datname = '${there.database}'`),
    ).toEqual([0]);
  });
});
