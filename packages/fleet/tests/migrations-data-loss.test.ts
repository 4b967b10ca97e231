import { NOTES, useDataLossGuard } from './data-loss-fixture';

const { lossesOf } = useDataLossGuard();

const rows = (table: string, before: number, after: number) => ({ what: 'rows', table, before, after });
const values = (column: string, before: number, after: number) => ({
  what: 'values',
  table: 'notes',
  column,
  before,
  after,
});
const changed = (column: string, before: number, count: number) => ({
  what: 'changed values',
  table: 'notes',
  column,
  before,
  changed: count,
});

const AUDIT = `CREATE FUNCTION wipe() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN DELETE FROM notes; RETURN NULL; END';
  CREATE TABLE other (id int);`;

describe('a down.sql', () => {
  it('loses data on every road, with names and counts', async () => {
    const cases: readonly (readonly [string, string, readonly unknown[]])[] = [
      // Named directly.
      [NOTES, 'DROP TABLE notes', [rows('notes', 5, 0)]],
      [NOTES, 'ALTER TABLE notes DROP COLUMN v', [values('v', 5, 0)]],
      [NOTES, 'TRUNCATE notes', [rows('notes', 5, 0)]],
      [NOTES, 'DELETE FROM notes WHERE id > 3', [rows('notes', 5, 3)]],
      // Renamed first.
      [NOTES, 'ALTER TABLE notes RENAME TO old; DROP TABLE old', [rows('notes', 5, 0)]],
      [NOTES, 'ALTER TABLE notes RENAME v TO old; ALTER TABLE notes DROP COLUMN old', [values('v', 5, 0)]],
      [NOTES, 'CREATE SCHEMA attic; ALTER TABLE notes SET SCHEMA attic; DROP TABLE attic.notes', [rows('notes', 5, 0)]],
      // The swap idiom, where the copy is not complete.
      [
        NOTES,
        `CREATE TABLE notes_new (LIKE notes INCLUDING ALL); INSERT INTO notes_new SELECT * FROM notes WHERE id < 5;
         DROP TABLE notes; ALTER TABLE notes_new RENAME TO notes`,
        [rows('notes', 5, 0)],
      ],
      [
        NOTES,
        `ALTER TABLE notes ADD v_new text; UPDATE notes SET v_new = left(v, 1);
         ALTER TABLE notes DROP v; ALTER TABLE notes RENAME v_new TO v`,
        [changed('v', 5, 5)],
      ],
      [NOTES, "ALTER TABLE notes DROP v; ALTER TABLE notes ADD v text DEFAULT 'v1'", [changed('v', 5, 5)]],
      [NOTES, 'CREATE TEMP TABLE kept AS SELECT * FROM notes; DROP TABLE notes', [rows('notes', 5, 0)]],
      // A copy that was there before may be a coincidence.
      [`${NOTES} CREATE TABLE twin AS SELECT * FROM notes;`, 'DROP TABLE notes', [rows('notes', 5, 0)]],
      // Overwritten.
      [NOTES, '-- loses: notes.v\nUPDATE notes SET v = NULL', [values('v', 5, 0)]],
      [NOTES, "UPDATE notes SET v = 'x' WHERE id < 4", [changed('v', 5, 3)]],
      [NOTES, "INSERT INTO notes VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET v = excluded.v", [changed('v', 5, 1)]],
      [
        NOTES,
        'MERGE INTO notes USING (SELECT 2 AS id) AS it ON notes.id = it.id WHEN MATCHED THEN DELETE',
        [rows('notes', 5, 4)],
      ],
      [NOTES, 'WITH gone AS (DELETE FROM notes RETURNING id) SELECT count(*) FROM gone', [rows('notes', 5, 0)]],
      [NOTES, 'SELECT 1; WITH u AS (UPDATE notes SET v = upper(v) RETURNING 1) SELECT FROM u', [changed('v', 5, 5)]],
      // The same values in other rows.
      [
        NOTES,
        'UPDATE notes SET v = other.v FROM notes AS other WHERE other.id = 6 - notes.id',
        [{ what: 'changed rows', table: 'notes', before: 5, changed: 5 }],
      ],
      // A new row hides neither a lost row nor a changed one.
      [
        NOTES,
        "DELETE FROM notes WHERE id = 1; INSERT INTO notes VALUES (9, 'v1')",
        [{ what: 'changed values', table: 'notes', column: 'id', before: 5, changed: 1 }],
      ],
      [
        NOTES,
        "UPDATE notes SET v = 'x' WHERE id = 1; INSERT INTO notes VALUES (9)",
        [{ what: 'changed rows', table: 'notes', before: 5, changed: 1 }],
      ],
      // Nulls among values.
      [
        `${NOTES} UPDATE notes SET w = 'w' WHERE id = 1;`,
        "UPDATE notes SET w = 'x' WHERE w IS NULL",
        [changed('w', 1, 4)],
      ],
      // Retyped.
      [NOTES, 'ALTER TABLE notes ALTER v TYPE varchar(1) USING left(v, 1)', [changed('v', 5, 5)]],
      [NOTES, 'ALTER TABLE notes ALTER v TYPE int USING length(v)', [changed('v', 5, 5)]],
      [
        'CREATE TABLE notes (v numeric(9, 2)); INSERT INTO notes VALUES (5), (5.7);',
        'ALTER TABLE notes ALTER v TYPE int',
        [changed('v', 2, 2)],
      ],
      [
        "CREATE TYPE mood AS ENUM ('low', 'high'); CREATE TABLE notes (v mood); INSERT INTO notes VALUES ('low'), ('high');",
        `ALTER TYPE mood RENAME TO old; CREATE TYPE mood AS ENUM ('low');
         ALTER TABLE notes ALTER v TYPE mood USING 'low'::mood; DROP TYPE old`,
        [changed('v', 2, 2)],
      ],
      // Found by another name.
      [
        'CREATE SCHEMA a; CREATE TABLE a.notes (id int); INSERT INTO a.notes VALUES (1);',
        'SET search_path = a; DROP TABLE notes',
        [rows('a.notes', 1, 0)],
      ],
      [
        'CREATE SCHEMA a; CREATE TABLE a.notes (id int); CREATE TABLE "a.notes" (id int); INSERT INTO "a.notes" VALUES (1);',
        'DROP TABLE "a.notes"',
        [rows('a.notes', 1, 0)],
      ],
      [NOTES, 'CREATE TEMP TABLE notes (id int); DROP TABLE notes; DROP TABLE notes', [rows('notes', 5, 0)]],
      [
        NOTES,
        'CREATE TEMP TABLE notes AS SELECT * FROM notes; DELETE FROM public.notes; SELECT 1',
        [rows('notes', 5, 0)],
      ],
      // Inside of a value.
      [
        'CREATE TYPE place AS (x int, y int); CREATE TABLE notes (v place); INSERT INTO notes VALUES (ROW(1, 2));',
        'ALTER TYPE place DROP ATTRIBUTE y',
        [changed('v', 1, 1)],
      ],
      [
        'CREATE TYPE place AS (x int); CREATE TABLE notes (v place); INSERT INTO notes VALUES (ROW(NULL)), (NULL);',
        'UPDATE notes SET v = NULL',
        [values('v', 1, 0)],
      ],
      // By code.
      [NOTES, "DO $$ BEGIN EXECUTE 'DELETE ' || 'FROM notes'; END $$", [rows('notes', 5, 0)]],
      [
        `${NOTES} CREATE FUNCTION wipe() RETURNS void LANGUAGE sql AS 'DELETE FROM notes';`,
        'SELECT wipe()',
        [rows('notes', 5, 0)],
      ],
      [
        `${NOTES} CREATE FUNCTION wipe() RETURNS int LANGUAGE plpgsql AS 'BEGIN DELETE FROM notes; RETURN 1; END';
         CREATE TABLE other (id int); INSERT INTO other VALUES (1);`,
        'ALTER TABLE other ADD c int DEFAULT wipe()',
        [rows('notes', 5, 0)],
      ],
      [
        `${NOTES} ${AUDIT} CREATE TRIGGER t AFTER INSERT ON other FOR EACH ROW EXECUTE FUNCTION wipe();`,
        'INSERT INTO other VALUES (1)',
        [rows('notes', 5, 0)],
      ],
      [
        `${NOTES} ${AUDIT} CREATE CONSTRAINT TRIGGER t AFTER INSERT ON other DEFERRABLE INITIALLY DEFERRED
           FOR EACH ROW EXECUTE FUNCTION wipe();`,
        'INSERT INTO other VALUES (1)',
        [rows('notes', 5, 0)],
      ],
      [
        `${NOTES} CREATE INDEX i ON notes (v); CREATE FUNCTION wipe() RETURNS event_trigger LANGUAGE plpgsql
           AS 'BEGIN DELETE FROM notes; END'; CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION wipe();`,
        'DROP INDEX i',
        [rows('notes', 5, 0)],
      ],
      [
        `${NOTES} CREATE RULE r AS ON UPDATE TO notes DO INSTEAD DELETE FROM notes WHERE id = old.id;`,
        "UPDATE notes SET v = 'x' WHERE id = 1",
        [rows('notes', 5, 4)],
      ],
      [
        `${NOTES} CREATE TABLE child (id int REFERENCES notes ON DELETE CASCADE); INSERT INTO child VALUES (1);`,
        'DELETE FROM notes WHERE id = 1',
        [rows('child', 1, 0), rows('notes', 5, 4)],
      ],
      // With CASCADE.
      [
        "CREATE TYPE mood AS ENUM ('low'); CREATE TABLE notes (id int, v mood); INSERT INTO notes VALUES (1, 'low');",
        'DROP TYPE mood CASCADE',
        [values('v', 1, 0)],
      ],
      [
        'CREATE SCHEMA a; CREATE TABLE a.t (id int); INSERT INTO a.t VALUES (1);',
        'DROP SCHEMA a CASCADE',
        [rows('a.t', 1, 0)],
      ],
      [
        'CREATE TABLE notes (id int); INSERT INTO notes VALUES (1); CREATE TABLE heir (x int) INHERITS (notes); INSERT INTO heir VALUES (2, 3);',
        'DROP TABLE notes CASCADE',
        [rows('heir', 1, 0), rows('notes', 1, 0)],
      ],
      // Partitions.
      [
        `CREATE TABLE notes (id int) PARTITION BY RANGE (id); CREATE TABLE p PARTITION OF notes FOR VALUES FROM (0) TO (9);
         INSERT INTO notes VALUES (1);`,
        'ALTER TABLE notes DETACH PARTITION p; DROP TABLE p',
        [rows('p', 1, 0)],
      ],
      // Positions of sequences.
      [
        "CREATE SEQUENCE s; SELECT nextval('s') FROM generate_series(1, 7);",
        'ALTER SEQUENCE s RESTART',
        [{ what: 'sequence', sequence: 's', last: '7' }],
      ],
      [
        "CREATE SEQUENCE s; SELECT nextval('s') FROM generate_series(1, 7);",
        "SELECT setval('s', 3)",
        [{ what: 'sequence', sequence: 's', last: '7' }],
      ],
      [
        'CREATE TABLE notes (id int GENERATED ALWAYS AS IDENTITY); INSERT INTO notes DEFAULT VALUES; DELETE FROM notes;',
        'TRUNCATE notes RESTART IDENTITY',
        [{ what: 'sequence', sequence: 'notes_id_seq', last: '1' }],
      ],
      [
        'CREATE TABLE notes (id int GENERATED ALWAYS AS IDENTITY); INSERT INTO notes DEFAULT VALUES;',
        'ALTER TABLE notes ALTER id DROP IDENTITY, ALTER id ADD GENERATED ALWAYS AS IDENTITY',
        [{ what: 'sequence', sequence: 'notes_id_seq', last: '1' }],
      ],
      // Large objects.
      ["SELECT lo_from_bytea(4711, 'a');", 'SELECT lo_unlink(4711)', [{ what: 'large objects', before: 1, after: 0 }]],
      [
        "SELECT lo_from_bytea(4711, 'a');",
        "SELECT lo_put(4711, 0, 'b')",
        [{ what: 'large objects', before: 1, after: 1 }],
      ],
      // Settings that hide or shorten what is compared.
      [
        `${NOTES} CREATE ROLE azt_data_loss; ALTER TABLE notes OWNER TO azt_data_loss;
         ALTER TABLE notes ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
         CREATE POLICY p ON notes USING (id > 3); SET LOCAL ROLE azt_data_loss;`,
        'ALTER TABLE notes NO FORCE ROW LEVEL SECURITY; DELETE FROM notes',
        [{ what: 'unknown', table: 'notes', reason: expect.stringContaining('row-level security policy') }],
      ],
      [
        'CREATE TABLE notes (v float8); INSERT INTO notes VALUES (0.1::float8 + 0.2);',
        'SET extra_float_digits = -15; UPDATE notes SET v = 0.3',
        [changed('v', 1, 1)],
      ],
      [
        'CREATE DOMAIN word AS text; CREATE TABLE notes (v word); INSERT INTO notes VALUES (1);',
        `CREATE FUNCTION pg_temp.concat(word) RETURNS text LANGUAGE sql AS 'SELECT ''1''';
         UPDATE notes SET v = 2`,
        [changed('v', 1, 1)],
      ],
    ];

    const found: unknown[] = [];
    for (const [given, sql] of cases) found.push([sql, await lossesOf(given, sql)]);

    expect(found).toEqual(cases.map(([, sql, losses]) => [sql, losses]));
  });

  it('keeps the data, and needs no consent', async () => {
    const cases: readonly (readonly [string, string])[] = [
      [NOTES, 'ALTER TABLE notes ADD c text, ADD d int DEFAULT 1; CREATE INDEX ON notes (lower(v)); SELECT 1'],
      [NOTES, 'ALTER TABLE notes DROP COLUMN w'],
      [NOTES, 'DELETE FROM notes WHERE id > 9; CREATE TABLE empty (id int); DROP TABLE empty'],
      [NOTES, "INSERT INTO notes VALUES (6, 'x', 'y'); UPDATE notes SET w = 'z' WHERE id = 6"],
      [NOTES, "UPDATE notes SET w = 'backfilled'"],
      [NOTES, 'UPDATE notes SET v = v'],
      [NOTES, 'ALTER TABLE notes RENAME v TO x; ALTER TABLE notes RENAME TO entries; SELECT 1'],
      // The swap idioms, complete.
      [
        NOTES,
        `CREATE TABLE notes_new (LIKE notes INCLUDING ALL); INSERT INTO notes_new SELECT * FROM notes;
         DROP TABLE notes; ALTER TABLE notes_new RENAME TO notes`,
      ],
      [
        NOTES,
        `ALTER TABLE notes ADD v_new text; UPDATE notes SET v_new = v;
         ALTER TABLE notes DROP v; ALTER TABLE notes RENAME v_new TO v`,
      ],
      [NOTES, 'CREATE TABLE kept AS SELECT * FROM notes ORDER BY id DESC; DROP TABLE notes'],
      [
        `${NOTES} CREATE TABLE others (id int, v text, more int); INSERT INTO others VALUES (9, 'o', 1);`,
        'INSERT INTO others SELECT id, v FROM notes; DROP TABLE notes',
      ],
      [
        `${NOTES} CREATE TABLE others (LIKE notes);`,
        'WITH moved AS (DELETE FROM notes WHERE id > 3 RETURNING *) INSERT INTO others SELECT * FROM moved',
      ],
      [
        NOTES,
        `CREATE TABLE parts (LIKE notes) PARTITION BY RANGE (id);
         CREATE TABLE low PARTITION OF parts FOR VALUES FROM (0) TO (3); CREATE TABLE high PARTITION OF parts DEFAULT;
         INSERT INTO parts SELECT * FROM notes; DROP TABLE notes; ALTER TABLE parts RENAME TO notes`,
      ],
      [
        `CREATE TABLE notes (id int) PARTITION BY RANGE (id); CREATE TABLE p PARTITION OF notes FOR VALUES FROM (0) TO (9);
         CREATE TABLE q PARTITION OF notes DEFAULT; INSERT INTO notes VALUES (1), (9);`,
        'CREATE TABLE whole AS SELECT * FROM notes; DROP TABLE notes; ALTER TABLE whole RENAME TO notes',
      ],
      [
        `CREATE TABLE notes (id int) PARTITION BY RANGE (id); CREATE TABLE p PARTITION OF notes FOR VALUES FROM (0) TO (9);
         INSERT INTO notes VALUES (1);`,
        'ALTER TABLE notes DETACH PARTITION p; SELECT 1',
      ],
      // Retyped, and the old type can hold the values again.
      [NOTES, 'ALTER TABLE notes ALTER v TYPE varchar(2), ALTER id TYPE bigint'],
      [
        'CREATE TABLE notes (v numeric(9, 2)); INSERT INTO notes VALUES (5), (NULL);',
        'ALTER TABLE notes ALTER v TYPE int',
      ],
      [
        "CREATE TABLE notes (v timestamptz); INSERT INTO notes VALUES ('2026-01-31 12:00+02');",
        'ALTER TABLE notes ALTER v TYPE timestamp',
      ],
      [
        "CREATE TYPE mood AS ENUM ('low', 'high'); CREATE TABLE notes (v mood); INSERT INTO notes VALUES ('low');",
        `ALTER TYPE mood RENAME TO old; CREATE TYPE mood AS ENUM ('low');
         ALTER TABLE notes ALTER v TYPE mood USING v::text::mood; DROP TYPE old`,
      ],
      [
        "CREATE TYPE mood AS ENUM ('low', 'high'); CREATE TABLE notes (v mood); INSERT INTO notes VALUES ('low'), ('high');",
        "ALTER TYPE mood RENAME VALUE 'low' TO 'x'; ALTER TYPE mood RENAME VALUE 'high' TO 'low'",
      ],
      // Computed from other data.
      [
        'CREATE TABLE notes (a int, b int GENERATED ALWAYS AS (a + 1) STORED); INSERT INTO notes VALUES (1);',
        'ALTER TABLE notes DROP b',
      ],
      [`${NOTES} CREATE MATERIALIZED VIEW m AS SELECT v FROM notes;`, 'DROP MATERIALIZED VIEW m; SELECT 1'],
      [`${NOTES} COMMENT ON TABLE notes IS 'c';`, 'COMMENT ON TABLE notes IS NULL; SELECT 1'],
      // Sequences that go with their column, were never used, or continue.
      ['CREATE TABLE notes (id int, n serial);', 'ALTER TABLE notes DROP n'],
      ['CREATE SEQUENCE s;', 'DROP SEQUENCE s'],
      ["CREATE SEQUENCE s; SELECT nextval('s');", "SELECT nextval('s'); ALTER SEQUENCE s INCREMENT BY 10"],
    ];

    const found: unknown[] = [];
    for (const [given, sql] of cases) found.push([sql, await lossesOf(given, sql)]);

    expect(found).toEqual(cases.map(([, sql]) => [sql, []]));
  });
});
