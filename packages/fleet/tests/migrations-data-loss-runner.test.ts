import { migrateDown, migrateUp } from '@azora/db-migrate';
import { guardData } from '../src/postgres/data-loss/guard';
import {
  failureOf,
  givenMigrations,
  nameOf,
  removeMigrations,
  rowsOf,
  useEmptyDatabase,
  WAIT,
} from './migrations-fixture';

const url = useEmptyDatabase();
afterAll(removeMigrations);

const REVERTED = nameOf('03_c');

/** Deferred triggers: each defers the next one and does not count the rows that it writes; the last one removes all notes. */
const chain = (tables: readonly string[]) =>
  tables
    .map((table, at) => {
      const next = tables[at + 1];
      const work = next === undefined ? 'PERFORM public.wipe()' : `INSERT INTO ${next} VALUES (1)`;
      return `CREATE TABLE ${table} (id int);
        CREATE FUNCTION ${table}_fired() RETURNS trigger LANGUAGE plpgsql AS
          'BEGIN SET CONSTRAINTS ALL DEFERRED; SET LOCAL track_counts = off; ${work}; RETURN NULL; END';
        CREATE CONSTRAINT TRIGGER t AFTER INSERT ON ${table} DEFERRABLE INITIALLY DEFERRED
          FOR EACH ROW EXECUTE FUNCTION ${table}_fired();`;
    })
    .join('\n');

const GIVEN = {
  '01_a': `CREATE TABLE notes (id int PRIMARY KEY, v text);
    INSERT INTO notes SELECT n, 'v' || n FROM generate_series(1, 5) AS n;
    INSERT INTO notes VALUES (6, '${REVERTED}');
    CREATE TABLE numbered (id serial, v text); INSERT INTO numbered (v) VALUES ('a'), ('${REVERTED}');
    CREATE FUNCTION wipe() RETURNS int LANGUAGE plpgsql AS 'BEGIN DELETE FROM public.notes; RETURN 1; END';
    CREATE FUNCTION wipe_too() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM public.wipe(); RETURN old; END';
    CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS
      'BEGIN EXECUTE ''DECLARE held CURSOR WITH HOLD FOR SELECT public.wipe()''; RETURN NULL; END';
    CREATE TABLE holding (id int); CREATE CONSTRAINT TRIGGER t AFTER INSERT ON holding DEFERRABLE INITIALLY DEFERRED
      FOR EACH ROW EXECUTE FUNCTION hold();
    CREATE SCHEMA other; CREATE VIEW other._prisma_migrations AS SELECT v AS migration_name FROM numbered;
    CREATE TABLE information_schema.hidden (id int); INSERT INTO information_schema.hidden VALUES (1);
    CREATE EXTENSION citext; CREATE TABLE words (v citext); INSERT INTO words VALUES ('a'), ('b');
    ${chain(['one', 'two', 'three', 'four'])}`,
  '02_b': 'SELECT 1',
  '03_c': 'SELECT 1',
};

const HISTORY = `the history of ${nameOf('01_a')}, ${nameOf('02_b')}`;
const ALL_NOTES = 'rows of notes (6 → 0)';
const ALL_VALUES = 'values of notes.v (6 → 0)';

/** A down.sql, and what it would lose when the runner has written the history, at the commit, or at the end of the session. */
const HOSTILE: readonly (readonly [string, string])[] = [
  // The history of other migrations.
  ["DELETE FROM _prisma_migrations WHERE migration_name LIKE '%01_a'", `the history of ${nameOf('01_a')}`],
  ['UPDATE _prisma_migrations SET finished_at = NULL', HISTORY],
  ["UPDATE _prisma_migrations SET checksum = 'x', logs = migration_name", HISTORY],
  ['TRUNCATE _prisma_migrations', HISTORY],
  [
    'CREATE TABLE copy (LIKE _prisma_migrations); DROP TABLE _prisma_migrations; ALTER TABLE copy RENAME TO _prisma_migrations',
    HISTORY,
  ],
  [
    "INSERT INTO _prisma_migrations SELECT 'x', checksum, now(), '20990101000000_x' FROM _prisma_migrations LIMIT 1",
    'the history of 20990101000000_x',
  ],
  // Code that runs when the runner writes the history.
  ['CREATE TRIGGER t BEFORE DELETE ON _prisma_migrations FOR EACH ROW EXECUTE FUNCTION wipe_too()', ALL_NOTES],
  ['CREATE RULE r AS ON DELETE TO _prisma_migrations DO ALSO DELETE FROM notes', ALL_NOTES],
  [
    'ALTER TABLE _prisma_migrations RENAME TO old; CREATE VIEW _prisma_migrations AS SELECT v AS migration_name, id FROM notes',
    'rows of notes (6 → 5)',
  ],
  ['ALTER SCHEMA public RENAME TO old; ALTER SCHEMA other RENAME TO public', 'rows of numbered (2 → 1)'],
  // Code of an extension that the file replaced.
  [
    `CREATE OR REPLACE FUNCTION citext_cmp(citext, citext) RETURNS int LANGUAGE plpgsql IMMUTABLE STRICT AS
       'BEGIN PERFORM public.wipe(); RETURN 1; END';
     CREATE INDEX ON words (v)`,
    ALL_NOTES,
  ],
  // Triggers that are deferred again and again.
  ['INSERT INTO one VALUES (1)', ALL_NOTES],
  ['SET track_counts = off; INSERT INTO one VALUES (1)', ALL_NOTES],
  // The name that the check once used for itself.
  ['CREATE TEMPORARY VIEW azora_commands AS SELECT 1; INSERT INTO one VALUES (1)', ALL_NOTES],
  // Types that end with the session, and columns with them.
  ['CREATE DOMAIN pg_temp.d AS text; ALTER TABLE notes ALTER v TYPE pg_temp.d', ALL_VALUES],
  [
    'CREATE DOMAIN pg_temp.d AS text; CREATE DOMAIN e AS pg_temp.d; ALTER TABLE notes ALTER v TYPE e[] USING ARRAY[v]',
    ALL_VALUES,
  ],
  ['CREATE TEMP TABLE t (v text) ON COMMIT DROP; ALTER TABLE notes ALTER v TYPE t USING ROW(v)::t', ALL_VALUES],
  // Data in places where users have none as a rule.
  ['DROP TABLE information_schema.hidden', 'rows of information_schema.hidden (1 → 0)'],
  [
    `ALTER SEQUENCE numbered_id_seq OWNED BY NONE; DROP SEQUENCE numbered_id_seq CASCADE;
     CREATE SEQUENCE fresh; ALTER TABLE numbered ALTER id SET DEFAULT nextval('fresh')`,
    'the position of the sequence numbered_id_seq, which gave 2',
  ],
];

const NOTES = 'SELECT count(*)::int FROM notes';

async function reverting(sql: string): Promise<readonly string[]> {
  const migrations = await givenMigrations({ ...GIVEN, '03_c/down': sql });
  return migrateDown(url(), migrations, { ...WAIT, steps: 1, beforeEach: guardData });
}

async function lossOf(sql: string): Promise<string | undefined> {
  const { why = '' } = await failureOf(reverting(sql));
  return why.match(/Lost: (.*)\.$/)?.[1];
}

describe('a hostile down.sql under the runner', () => {
  beforeEach(async () => {
    await migrateUp(url(), await givenMigrations(GIVEN), WAIT);
  });

  it('loses neither data nor history', async () => {
    const found: unknown[] = [];
    for (const [sql] of HOSTILE) found.push([sql, await lossOf(sql)]);

    expect(found).toEqual(HOSTILE.map(([sql, loss]) => [sql, expect.stringContaining(loss)]));
    expect(await rowsOf(url(), NOTES)).toEqual([6]);
  });

  it('runs no query of a held cursor at the commit', async () => {
    const held = 'DECLARE c CURSOR WITH HOLD FOR SELECT wipe(); INSERT INTO holding VALUES (1)';

    expect(await reverting(held)).toEqual([REVERTED]);
    expect(await rowsOf(url(), NOTES)).toEqual([6]);
  });

  it('is measured when the history has a trigger that its functions serve', async () => {
    const trigger = 'CREATE TRIGGER t BEFORE DELETE ON _prisma_migrations FOR EACH ROW EXECUTE FUNCTION wipe_too()';
    await rowsOf(url(), `${trigger}; SELECT 1`);

    expect(await lossOf('DROP FUNCTION hold CASCADE')).toContain(ALL_NOTES);
    expect(
      await lossOf(
        'CREATE OR REPLACE FUNCTION wipe() RETURNS int LANGUAGE sql AS $$ DELETE FROM public.notes; SELECT 1 $$',
      ),
    ).toContain(ALL_NOTES);
  });
});
