import { findDrift } from '../src/operations/migrations/drift';
import { isBehind, migrateFleetUp, readFleetMigrations } from '../src/operations/migrations/migrate';
import { baselineTarget, resolveTarget } from '../src/operations/migrations/resolve';
import { readStatus } from '../src/operations/status';
import { driftText, historyText } from '../src/render/migrations';
import { type GivenFleet, givenFleet, removeFleets } from './fleet-fixture';
import { failureOf, openClient, rowsOf, WAIT } from './migrations-fixture';

const SCHEMA = 'model Note {\n  id Int @id\n  body String?\n  @@map("notes")\n}';
const INIT = {
  up: 'CREATE TABLE notes (id int, body text, CONSTRAINT notes_pkey PRIMARY KEY (id));',
  down: 'DROP TABLE notes;',
};
const SLOW = {
  up: '-- no-transaction\nCREATE INDEX CONCURRENTLY notes_body_idx ON notes (body);\nSELECT 1 / 0;',
  down: '-- no-transaction\nDROP INDEX CONCURRENTLY notes_body_idx;',
};

const BASELINE = { runnerTimeoutMs: 5_000, passwordOf: () => 'only-for-tests' };

describe('a database that differs from its migrations', () => {
  let fleet: GivenFleet;
  beforeEach(async () => {
    fleet = await givenFleet({ shop: { schema: SCHEMA, migrations: { '20260101000000_init': INIT } } });
  });
  afterEach(removeFleets);

  const target = () => fleet.target('shop');
  const up = () => migrateFleetUp([{ target: target() }], WAIT);
  const rows = (sql: string) => rowsOf(target().admin, sql);
  const drift = async () => {
    const found = await findDrift(fleet.targets, {});
    const [row] = found;
    if (row?.state !== 'done') throw new Error(JSON.stringify(row));
    return { ...row.data, text: driftText(found) };
  };
  const state = async () => {
    const [row] = await readFleetMigrations(fleet.targets, {});
    return row?.state === 'done' ? row.data : row;
  };

  it('is reported object by object', async () => {
    await up();
    expect(await drift()).toMatchObject({ changes: [], unwritten: '', text: '1 database compared, no drift' });
    await rows(
      `ALTER TABLE notes ADD COLUMN planted int, ALTER COLUMN body SET DEFAULT 'x', DROP CONSTRAINT notes_pkey`,
    );

    const { changes, text } = await drift();

    expect(changes).toMatchObject([
      {
        kind: 'column',
        object: 'notes.body',
        change: 'changed',
        expected: expect.any(String),
        actual: expect.stringContaining("'x'"),
      },
      { kind: 'constraint', object: 'notes.notes_pkey', change: 'missing', expected: 'PRIMARY KEY (id)' },
      { kind: 'index', object: 'notes_pkey', change: 'missing', expected: expect.any(String) },
      { kind: 'column', object: 'notes.planted', change: 'unexpected', actual: 'integer' },
    ]);
    expect(text).toContain('shop: column notes.planted is unexpected\n  database    integer');
  });

  it('is compared with its applied migrations, and the schema with all migrations', async () => {
    await up();
    await fleet.write('shop', {
      schema: SCHEMA.replace('body String?', 'body String?\n  title String?'),
      migrations: { '20260102000000_pending': { up: 'CREATE TABLE later ();', down: 'DROP TABLE later;' } },
    });

    const { changes, unwritten } = await drift();

    expect(changes).toEqual([]);
    expect(unwritten).toMatch(/ADD COLUMN +"title"/);
  });

  it('continues after a person records that an unfinished migration was rolled back', async () => {
    await up();
    await fleet.write('shop', { migrations: { '20260102000000_slow': SLOW } });
    const name = '20260102000000_slow';
    expect(await up()).toMatchObject([{ state: 'failed', error: { code: 'MIGRATION.SQL_FAILED' } }]);
    expect(await up()).toMatchObject([
      { error: { code: 'MIGRATION.UNFINISHED', next: expect.stringContaining('resolve') } },
    ]);

    await resolveTarget(target(), name, 'rolled-back', 5_000);
    expect(await state()).toMatchObject({ pending: [name], unfinished: [] });
    await rows('DROP INDEX notes_body_idx');
    await fleet.write('shop', { migrations: { [name]: { ...SLOW, up: SLOW.up.replace('1 / 0', '1') } } });
    expect(await up()).toMatchObject([{ state: 'done', data: { migrations: [name] } }]);
    expect(await failureOf(resolveTarget(target(), name, 'rolled-back', 5_000))).toMatchObject({
      code: 'USAGE.NOTHING_TO_RESOLVE',
      why: expect.stringContaining('it is applied'),
    });
    expect(await failureOf(resolveTarget(target(), 'nope', 'applied', 5_000))).toMatchObject({
      code: 'USAGE.UNKNOWN_MIGRATION',
    });
  });

  it('continues after a person records that an unfinished migration was completed', async () => {
    await up();
    await fleet.write('shop', { migrations: { '20260102000000_slow': SLOW } });
    await up();

    await resolveTarget(target(), '20260102000000_slow', 'applied', 5_000);

    expect(await state()).toMatchObject({ pending: [], unfinished: [], edited: [], failed: [] });
    expect(await up()).toMatchObject([{ data: { migrations: [] } }]);
    expect(await readStatus(fleet.targets, new Map(), {})).toMatchObject([{ drift: false }]);
  });

  it('shows an index whose build failed, however it came, until it is rebuilt', async () => {
    await up();
    await rows("INSERT INTO notes VALUES (1, 'same'), (2, 'same')");
    await rows('CREATE UNIQUE INDEX CONCURRENTLY "Once" ON notes (body)').catch(() => undefined);

    expect(await state()).toMatchObject({ pending: [], invalidIndexes: ['"Once"'] });
    expect((await readFleetMigrations(fleet.targets, {})).some(isBehind)).toBe(true);
    expect(historyText(await readFleetMigrations(fleet.targets, {}))).toContain('invalid  the index "Once"');
    expect(await up()).toMatchObject([
      { state: 'failed', error: { code: 'MIGRATION.INVALID_INDEX', next: expect.stringContaining('"Once"') } },
    ]);

    await rows(`DELETE FROM notes WHERE id = 2`);
    await rows('REINDEX INDEX CONCURRENTLY "Once"');
    expect(await up()).toMatchObject([{ state: 'done' }]);
    expect(await state()).toMatchObject({ invalidIndexes: [] });
  });

  it('is adopted if the migrations make the same objects, and rejected if not', async () => {
    await rows(`${INIT.up} INSERT INTO notes VALUES (1, 'kept'); ALTER TABLE notes ADD COLUMN stray int`);
    const differs = await failureOf(baselineTarget(target(), BASELINE));
    expect(differs).toMatchObject({
      code: 'MIGRATION.BASELINE_DIFFERS',
      why: '1 difference: column notes.stray is unexpected.',
    });
    expect(await rows("SELECT to_regclass('_prisma_migrations')")).toEqual([null]);
    await rows('ALTER TABLE notes DROP COLUMN stray');

    expect(await baselineTarget(target(), BASELINE)).toEqual(['20260101000000_init']);

    expect(await up()).toMatchObject([{ state: 'done', data: { migrations: [] } }]);
    expect(await rows('SELECT body FROM notes')).toEqual(['kept']);
    expect(await drift()).toMatchObject({ changes: [], unwritten: '' });
    expect(await failureOf(baselineTarget(target(), BASELINE))).toMatchObject({
      code: 'MIGRATION.HAS_HISTORY',
    });
  });

  it('is neither resolved nor adopted while another session migrates it', async () => {
    await up();
    const holder = await openClient(target().admin, 'holder');
    const { rows: pids } = await holder.query('SELECT pg_backend_pid() AS pid, pg_advisory_lock(72707369)');

    const error = await failureOf(resolveTarget(target(), '20260101000000_init', 'applied', 100));

    expect(error).toMatchObject({
      code: 'MIGRATION.LOCKED',
      why: expect.stringContaining(`process ${pids[0].pid} (holder`),
    });
    await holder.end();
  });
});
