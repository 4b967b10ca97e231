import { execFileSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { hasDrifted, migrateOnStart, withClient } from '@azora/db-migrate';
import { migrateTargetUp } from '../src/operations/migrations/migrate';
import { type GivenFleet, givenFleet, removeFleets } from './fleet-fixture';
import { failureOf, rowsOf } from './migrations-fixture';

const SCHEMA =
  '/// @grant select, insert\nmodel Note {\n  id Int @id\n  @@map("notes")\n}\n\nmodel Tag {\n  id Int @id\n}';
const INIT = {
  up: 'CREATE TABLE notes (id serial PRIMARY KEY); CREATE TABLE "Tag" (id int PRIMARY KEY);',
  down: 'DROP TABLE notes; DROP TABLE "Tag";',
};

describe('a service that migrates itself when it starts', () => {
  let fleet: GivenFleet;
  beforeEach(async () => {
    const given = { schema: SCHEMA, migrations: { '20260101000000_init': INIT } };
    fleet = await givenFleet({ shop: given, twin: given });
  });
  afterEach(removeFleets);

  const start = (service: string) => {
    const { admin, role, service: found } = fleet.target(service);
    return migrateOnStart({ migrations: found.migrationsPath, url: admin.href, role });
  };
  const rights = (service: string) =>
    rowsOf(
      fleet.target(service).admin,
      `SELECT relname, array_agg(privilege_type ORDER BY privilege_type)::text AS rights
       FROM pg_class, aclexplode(relacl) WHERE grantee = '${fleet.target(service).role}'::regrole
       GROUP BY relname ORDER BY relname`,
    );

  it('applies each migration once, however many copies start at the same time', async () => {
    const applied = await Promise.all(Array.from({ length: 10 }, () => start('shop')));

    expect(applied.flat()).toEqual(['20260101000000_init']);
    expect(await rowsOf(fleet.target('shop').admin, 'SELECT count(*)::int FROM _prisma_migrations')).toEqual([1]);
  });

  it('starts on a database that newer code has migrated further, but applies nothing to it', async () => {
    await start('shop');
    const { admin } = fleet.target('shop');
    const newer = `INSERT INTO _prisma_migrations (id, checksum, migration_name, finished_at, applied_steps_count)
      VALUES ('newer', '', '20260301000000_newer', now(), 1) RETURNING id`;
    await rowsOf(admin, newer);

    expect(await start('shop')).toEqual([]);
    expect(await failureOf(migrateTargetUp(fleet.target('shop'), {}))).toMatchObject({
      code: 'MIGRATION.MISSING',
      message: '20260301000000_newer is applied, but its folder is missing',
      why: 'It is newer than every folder, so newer code has migrated the database.',
    });

    const late = { up: 'CREATE TABLE late ();', down: 'DROP TABLE late;' };
    await fleet.write('shop', { migrations: { '20260201000000_late': late } });
    expect((await failureOf(start('shop'))).code).toBe('MIGRATION.OUT_OF_ORDER');
  });

  it('leaves the rights and the fingerprint that the toolkit leaves', async () => {
    await start('shop');
    await migrateTargetUp(fleet.target('twin'), {});

    expect(await rights('shop')).toEqual([
      { relname: 'Tag', rights: '{DELETE,INSERT,SELECT,UPDATE}' },
      { relname: 'notes', rights: '{INSERT,SELECT}' },
      { relname: 'notes_id_seq', rights: '{SELECT,UPDATE,USAGE}' },
    ]);
    expect(await rights('twin')).toEqual(await rights('shop'));
    expect(await withClient(fleet.target('shop').admin, hasDrifted)).toBe(false);
  });

  it.each([
    ['a misspelled annotation', '/// @grnat select\nmodel Note {\n}', ':1'],
    ['an unknown right', '/// @grant fly\nmodel Note {\n}', ':1'],
    ['the annotation twice', '/// @grant select\n/// @grant insert\nmodel Note {\n}', ':2'],
    ['the annotation in a sentence', '/// It has @grant select\nmodel Note {\n}', ':1'],
    ['the annotation in an ordinary comment', '// @grant select\nmodel Note {\n}', ':1'],
    ['the annotation behind the name of a model', 'model Note { /// @grant select\n}', ':1'],
    ['the annotation above a field', 'model Note {\n  /// @grant select\n  id Int @id\n}', ':2'],
    ['the annotation above an enum', '/// @grant select\nenum Mood {\n}', ':1'],
    ['the annotation before an empty line', '/// @grant select\n\nmodel Note {\n}', ':1'],
  ])('applies nothing when the schema has %s, which could widen the rights of the app role', async (_, text, place) => {
    const { admin, service } = fleet.target('shop');
    await writeFile(service.schemaPath, text);

    const error = await failureOf(start('shop'));

    expect(error).toMatchObject({
      code: 'SCHEMA.INVALID_ANNOTATION',
      message: expect.stringContaining(`schema.prisma${place} `),
    });
    expect(await rowsOf(admin, "SELECT to_regclass('notes')")).toEqual([null]);
  });

  it('reports a url that cannot be read', async () => {
    const { role, service } = fleet.target('shop');

    const error = await failureOf(migrateOnStart({ migrations: service.migrationsPath, url: 'mysql://x', role }));

    expect(error.code).toBe('CONFIG.BAD_URL');
  });
});

describe('the package of the runner', () => {
  it('loads pg and the light parts of core, and nothing of the toolkit or of Prisma', () => {
    const program = `require('@azora/db-migrate'); console.log(JSON.stringify(Object.keys(require.cache)))`;
    const output = execFileSync(process.execPath, ['-e', program], { cwd: __dirname, encoding: 'utf8' });
    const packages = (JSON.parse(output) as string[]).map(
      (file) => file.match(/packages\/[^/]+|node_modules\/[^/]+/)?.[0],
    );

    const loaded = [...new Set(packages)].filter((name) => !/^node_modules\/(pg|postgres)/.test(name ?? ''));
    expect(loaded.sort()).toEqual(['node_modules/xtend', 'packages/core', 'packages/migrate']);
  });
});
