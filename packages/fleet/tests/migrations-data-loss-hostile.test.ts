import { NOTES, useDataLossGuard } from './data-loss-fixture';

const { lossesOf, isRefused } = useDataLossGuard();

/** A volatile function that removes all rows of notes, and an immutable one that calls it, as PostgreSQL allows. */
const WIPE = `${NOTES} CREATE FUNCTION wipe() RETURNS int LANGUAGE plpgsql AS 'BEGIN DELETE FROM public.notes; RETURN 1; END';
  CREATE FUNCTION pure(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN public.wipe(); END';
  CREATE TABLE other (id int); INSERT INTO other VALUES (1);`;
const HEIR = `${NOTES} CREATE TABLE heir (extra text) INHERITS (notes); INSERT INTO heir VALUES (9, 'h', NULL, 'e');`;
const PARTS = `CREATE TABLE notes (id int, v text) PARTITION BY LIST (id); CREATE TABLE one PARTITION OF notes FOR VALUES IN (1);
  CREATE TABLE rest PARTITION OF notes DEFAULT; INSERT INTO notes VALUES (1, 'a'), (2, 'b');`;
const CHILD = `${NOTES} CREATE TABLE child (id int REFERENCES notes ON DELETE CASCADE); INSERT INTO child VALUES (1);`;
const SEQUENCE = `CREATE SEQUENCE s; SELECT nextval('s') FROM generate_series(1, 7);`;
const BOTH = `${NOTES} UPDATE notes SET w = 'w' || id;`;

/** The given objects, a down.sql that loses data, and the tables or sequences whose data it loses. */
const HOSTILE: readonly (readonly [string, string, string])[] = [
  // What looks like one harmless statement.
  [NOTES, 'CREATE VIEW x AS SELECT begin atomic FROM (SELECT 1 AS begin) AS t; DROP TABLE notes', 'notes'],
  [NOTES, "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1 AS end; END; DROP TABLE notes; SELECT 'end'", 'notes'],
  [NOTES, "COMMENT ON TABLE notes IS U&'!0027; --' UESCAPE '!'; TRUNCATE notes", 'notes'],
  [NOTES, "COMMENT ON TABLE notes IS E'\\'; --'; TRUNCATE notes -- '", 'notes'],
  [NOTES, 'COMMENT ON TABLE notes IS $a$ $b$ $a$; TRUNCATE notes; COMMENT ON TABLE notes IS $b$ $b$', 'notes'],
  [NOTES, '/* /* */ TRUNCATE other; */ TRUNCATE notes', 'notes'],
  [NOTES, 'DROP TABLE U&"\\006eotes"', 'notes'],
  [NOTES, 'DROP TABLE U&"!006eotes" UESCAPE \'!\'', 'notes'],
  [
    `SET standard_conforming_strings = off; ${NOTES}`,
    "COMMENT ON TABLE notes IS 'a\\''; DROP TABLE notes; --'",
    'notes',
  ],
  // Code in statements that have no rows to change.
  [
    `${WIPE} CREATE TABLE parts (id int) PARTITION BY RANGE (id);`,
    'CREATE TABLE p PARTITION OF parts FOR VALUES FROM (wipe()) TO (9)',
    'notes',
  ],
  [WIPE, 'CREATE TABLE parts (id int) PARTITION BY RANGE ((pure(1) + id))', 'notes'],
  [
    `${WIPE} CREATE TABLE parts (id int) PARTITION BY RANGE (pure(id)); CREATE TABLE rest PARTITION OF parts DEFAULT;
     ALTER TABLE rest DROP CONSTRAINT IF EXISTS x;
     CREATE OR REPLACE FUNCTION wipe() RETURNS int LANGUAGE sql AS 'SELECT 5'; INSERT INTO parts VALUES (1);
     CREATE OR REPLACE FUNCTION wipe() RETURNS int LANGUAGE plpgsql AS 'BEGIN DELETE FROM notes; RETURN 5; END';`,
    'CREATE TABLE p PARTITION OF parts FOR VALUES FROM (100) TO (200)',
    'notes',
  ],
  [
    WIPE,
    'CREATE TABLE made (id int, n int GENERATED ALWAYS AS (pure(1)) STORED); INSERT INTO made VALUES (1)',
    'notes',
  ],
  [WIPE, 'CREATE TABLE made (id int, EXCLUDE (id WITH =) WHERE (pure(1) > id))', 'notes'],
  [WIPE, 'CREATE INDEX ON other (pure(id))', 'notes'],
  [WIPE, 'CREATE INDEX ON other (id) WHERE pure(1) = id', 'notes'],
  [WIPE, 'ALTER TABLE other ADD CHECK (wipe() > 0)', 'notes'],
  [
    `${WIPE} CREATE FUNCTION compare(int, int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN public.pure(1) + btint4cmp($1, $2) - 1; END';
     CREATE OPERATOR CLASS hostile FOR TYPE int USING btree AS OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >,
       FUNCTION 1 compare(int, int); INSERT INTO other VALUES (2);`,
    'CREATE INDEX ON other (id hostile)',
    'notes',
  ],
  [
    `${WIPE} CREATE SCHEMA evil; CREATE DOMAIN evil.text AS pg_catalog.text DEFAULT wipe();`,
    'SET search_path = evil, pg_catalog, public; ALTER TABLE other ADD c text',
    'notes',
  ],
  [
    `${WIPE} CREATE SCHEMA evil; CREATE DOMAIN evil.text AS pg_catalog.text DEFAULT wipe(); SET LOCAL search_path = evil, pg_catalog, public;`,
    'ALTER TABLE other ADD c text',
    'notes',
  ],
  [`${WIPE} CREATE DOMAIN pg_temp.text AS pg_catalog.text DEFAULT wipe();`, 'ALTER TABLE other ADD c text', 'notes'],
  [
    `${WIPE} CREATE DOMAIN pg_temp.t AS pg_catalog.text DEFAULT wipe();`,
    'ALTER DOMAIN pg_temp.t RENAME TO text; ALTER TABLE other ADD c text',
    'notes',
  ],
  [`${WIPE} CREATE DOMAIN pg_catalog.evil AS text DEFAULT wipe();`, 'ALTER TABLE other ADD c pg_catalog.evil', 'notes'],
  [
    `${WIPE} CREATE TABLE more (id int);
     CREATE FUNCTION first() RETURNS trigger LANGUAGE plpgsql AS
       'BEGIN SET CONSTRAINTS ALL DEFERRED; INSERT INTO more VALUES (1); RETURN NULL; END';
     CREATE FUNCTION second() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM wipe(); RETURN NULL; END';
     CREATE CONSTRAINT TRIGGER a AFTER INSERT ON other DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION first();
     CREATE CONSTRAINT TRIGGER b AFTER INSERT ON more DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION second();`,
    'INSERT INTO other VALUES (1)',
    'notes',
  ],
  [WIPE, 'CREATE VIEW x AS SELECT wipe() AS n; SELECT * FROM x', 'notes'],
  [WIPE, 'CREATE MATERIALIZED VIEW x AS SELECT wipe() AS n', 'notes'],
  [WIPE, 'PREPARE p AS SELECT wipe(); EXECUTE p', 'notes'],
  [WIPE, 'DECLARE c CURSOR FOR SELECT wipe(); FETCH c', 'notes'],
  [WIPE, 'EXPLAIN ANALYZE SELECT wipe()', 'notes'],
  [WIPE, 'COPY (SELECT wipe()) TO STDOUT', 'notes'],
  [WIPE, 'CREATE DOMAIN d AS int CHECK (wipe() > 0); SELECT 1::d', 'notes'],
  [
    WIPE,
    'CREATE CAST (text AS bit) WITH INOUT; ALTER TABLE notes ALTER id SET DEFAULT wipe(); INSERT INTO notes DEFAULT VALUES',
    'notes',
  ],
  [WIPE, 'DO $do$ BEGIN PERFORM wipe(); EXCEPTION WHEN OTHERS THEN NULL; END $do$', 'notes'],
  [`${WIPE} CREATE PROCEDURE p() LANGUAGE sql AS 'SELECT wipe()';`, 'CALL p()', 'notes'],
  // Views and rules that write.
  [`${NOTES} CREATE VIEW x AS SELECT * FROM notes;`, 'DELETE FROM x', 'notes'],
  [
    `${NOTES} CREATE VIEW x AS SELECT id FROM notes; CREATE RULE r AS ON INSERT TO x DO INSTEAD DELETE FROM notes;`,
    'INSERT INTO x VALUES (1)',
    'notes',
  ],
  [
    NOTES,
    'CREATE RULE r AS ON INSERT TO notes DO ALSO DELETE FROM notes WHERE id < 3; INSERT INTO notes VALUES (7)',
    'notes',
  ],
  [NOTES, `ALTER TABLE notes DISABLE TRIGGER ALL; SET session_replication_role = replica; DELETE FROM notes`, 'notes'],
  [CHILD, 'SET session_replication_role = replica; DELETE FROM notes', 'notes'],
  [CHILD, 'TRUNCATE notes CASCADE', 'child, notes'],
  // Inheritance and partitions.
  [HEIR, 'DELETE FROM notes WHERE id = 9', 'heir'],
  [HEIR, 'ALTER TABLE notes DROP COLUMN v', 'heir, notes'],
  [HEIR, 'ALTER TABLE heir NO INHERIT notes; DROP TABLE heir', 'heir'],
  [
    HEIR,
    'CREATE TABLE plain (LIKE notes); INSERT INTO plain SELECT * FROM notes; DROP TABLE notes CASCADE; ALTER TABLE plain RENAME TO notes',
    'heir, notes',
  ],
  [PARTS, 'DROP TABLE one', 'one'],
  [PARTS, 'ALTER TABLE notes DETACH PARTITION rest; TRUNCATE rest', 'rest'],
  [PARTS, 'TRUNCATE ONLY rest', 'rest'],
  [PARTS, "UPDATE notes SET id = 3, v = 'c'", 'one, rest'],
  [PARTS, 'DROP TABLE notes', 'one, rest'],
  // Types.
  [
    "CREATE TYPE mood AS ENUM ('a', 'b'); CREATE TABLE notes (v mood); INSERT INTO notes VALUES ('a');",
    "ALTER TYPE mood RENAME VALUE 'a' TO 'c'; UPDATE notes SET v = 'b'",
    'notes',
  ],
  [
    "CREATE TYPE mood AS ENUM ('a'); CREATE DOMAIN d AS mood; CREATE TABLE notes (id int, v d); INSERT INTO notes VALUES (1, 'a');",
    'DROP DOMAIN d CASCADE',
    'notes',
  ],
  [
    "CREATE TYPE pair AS (a int, b text); CREATE TABLE notes (v pair[]); INSERT INTO notes VALUES (ARRAY[ROW(1, 'x')::pair]);",
    'ALTER TYPE pair DROP ATTRIBUTE b',
    'notes',
  ],
  [
    "CREATE TYPE pair AS (a int, b text); CREATE TABLE notes OF pair; INSERT INTO notes VALUES (1, 'x');",
    'ALTER TYPE pair DROP ATTRIBUTE b CASCADE',
    'notes',
  ],
  [
    "CREATE TABLE notes (v timestamptz); INSERT INTO notes VALUES ('2026-01-31 12:00:30+02');",
    'ALTER TABLE notes ALTER v TYPE date',
    'notes',
  ],
  [
    'CREATE TABLE notes (v jsonb); INSERT INTO notes VALUES (\'{"a": 1, "b": 2}\');',
    "UPDATE notes SET v = v - 'b'",
    'notes',
  ],
  [
    "CREATE TABLE notes (v bytea); INSERT INTO notes VALUES ('\\x00ff');",
    'UPDATE notes SET v = substr(v, 1, 1)',
    'notes',
  ],
  [
    'CREATE TABLE notes (a int, b int GENERATED ALWAYS AS (a + 1) STORED); INSERT INTO notes VALUES (1);',
    'ALTER TABLE notes ALTER b DROP EXPRESSION; ALTER TABLE notes DROP a',
    'notes',
  ],
  [
    "CREATE TABLE notes (v varchar(9)); INSERT INTO notes VALUES ('abcdef');",
    'ALTER TABLE notes ALTER v TYPE varchar(3) USING v::varchar(3)',
    'notes',
  ],
  // Other statements.
  [NOTES, 'COPY notes TO STDOUT; DELETE FROM notes', 'notes'],
  [BOTH, 'UPDATE notes SET v = w, w = v', 'notes'],
  [
    BOTH,
    'MERGE INTO notes USING notes AS o ON notes.id = o.id WHEN MATCHED THEN UPDATE SET w = NULL WHEN NOT MATCHED THEN DO NOTHING',
    'notes',
  ],
  [
    NOTES,
    "WITH x AS (INSERT INTO notes VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET v = 'x' RETURNING 1) SELECT FROM x",
    'notes',
  ],
  [`${NOTES} CREATE ROLE azt_hostile; ALTER TABLE notes OWNER TO azt_hostile;`, 'DROP OWNED BY azt_hostile', 'notes'],
  [
    "CREATE EXTENSION hstore; CREATE TABLE notes (id int, v hstore); INSERT INTO notes VALUES (1, 'a=>1');",
    'DROP EXTENSION hstore CASCADE',
    'notes',
  ],
  [
    `${NOTES} CREATE SCHEMA e; CREATE EXTENSION hstore SCHEMA e;`,
    'ALTER EXTENSION hstore ADD TABLE notes; DROP EXTENSION hstore',
    'notes',
  ],
  [
    NOTES,
    'CREATE TEMP TABLE kept ON COMMIT DROP AS SELECT * FROM notes; DELETE FROM notes WHERE id IN (SELECT id FROM kept)',
    'notes',
  ],
  [NOTES, 'SAVEPOINT a; TRUNCATE notes; RELEASE a', 'notes'],
  [
    NOTES,
    'ALTER TABLE notes SET UNLOGGED; ALTER TABLE notes SET ACCESS METHOD heap; DELETE FROM notes WHERE id = 3',
    'notes',
  ],
  // Sequences.
  [SEQUENCE, 'ALTER SEQUENCE s MAXVALUE 7 CYCLE', 's'],
  [SEQUENCE, 'ALTER SEQUENCE s INCREMENT BY -1', 's'],
  [SEQUENCE, 'DROP SEQUENCE s; CREATE SEQUENCE s', 's'],
  [SEQUENCE, 'ALTER SEQUENCE s RENAME TO t; CREATE SEQUENCE s; DROP SEQUENCE t', 's'],
  ["SELECT lo_from_bytea(4711, 'a');", "SELECT lo_truncate(lo_open(4711, x'60000'::int), 0)", 'large objects'],
];

/** A down.sql that looks dangerous and loses nothing. */
const SAFE: readonly (readonly [string, string])[] = [
  [NOTES, 'SAVEPOINT a; TRUNCATE notes; ROLLBACK TO a'],
  [
    NOTES,
    'ALTER TABLE notes SET UNLOGGED; ALTER TABLE notes ALTER v SET STORAGE EXTERNAL; ALTER TABLE notes SET (fillfactor = 50)',
  ],
  [
    NOTES,
    'ALTER TABLE notes SET TABLESPACE pg_default; CLUSTER notes USING notes_pkey; REINDEX TABLE notes; ANALYZE notes',
  ],
  [
    NOTES,
    'CREATE TABLE twin (LIKE notes INCLUDING ALL); WITH m AS (DELETE FROM notes RETURNING *) INSERT INTO twin SELECT * FROM m; DROP TABLE notes; ALTER TABLE twin RENAME TO notes',
  ],
  [NOTES, "COMMENT ON TABLE notes IS '; DROP TABLE notes; --'"],
  [NOTES, "COMMENT ON TABLE notes IS $$'; TRUNCATE notes; --'$$; SELECT 'DELETE FROM notes'"],
  [NOTES, 'CREATE TEMP TABLE notes (id int); DROP TABLE notes'],
  [NOTES, 'CREATE TEMP TABLE mine AS SELECT * FROM notes; DELETE FROM mine; DROP TABLE mine'],
  [WIPE, "DO $$ BEGIN PERFORM wipe(); RAISE 'no'; EXCEPTION WHEN OTHERS THEN NULL; END $$"],
  [WIPE, 'DROP FUNCTION pure; DROP FUNCTION wipe'],
  [WIPE, 'CREATE TABLE made (n int DEFAULT wipe()); CREATE VIEW x AS SELECT wipe() AS n; DROP VIEW x; DROP TABLE made'],
  [HEIR, 'ALTER TABLE heir NO INHERIT notes; ALTER TABLE notes ADD c int'],
  [PARTS, 'ALTER TABLE notes DETACH PARTITION one; ALTER TABLE notes DETACH PARTITION rest; DROP TABLE notes'],
  [
    PARTS,
    'CREATE TABLE two (LIKE notes); WITH m AS (DELETE FROM notes WHERE id = 2 RETURNING *) INSERT INTO two SELECT * FROM m; ALTER TABLE notes ATTACH PARTITION two FOR VALUES IN (2)',
  ],
  [CHILD, 'ALTER TABLE child DROP CONSTRAINT child_id_fkey; ALTER TABLE notes DROP CONSTRAINT notes_pkey CASCADE'],
  [
    `${NOTES} CREATE ROLE azt_hostile; GRANT SELECT ON notes TO azt_hostile;`,
    'DROP OWNED BY azt_hostile; DROP ROLE azt_hostile',
  ],
  [`${NOTES} CREATE EXTENSION hstore;`, 'DROP EXTENSION hstore CASCADE'],
  [BOTH, 'ALTER TABLE notes RENAME v TO x; ALTER TABLE notes RENAME w TO v; ALTER TABLE notes RENAME x TO w'],
  [
    SEQUENCE,
    "ALTER SEQUENCE s MAXVALUE 7; SELECT setval('s', 7); ALTER SEQUENCE s RENAME TO t; ALTER SEQUENCE t AS int",
  ],
  [SEQUENCE, 'ALTER SEQUENCE s MAXVALUE 100 CYCLE; ALTER SEQUENCE s CACHE 5'],
  [
    'CREATE TABLE notes (id int GENERATED ALWAYS AS IDENTITY, v text); INSERT INTO notes (v) VALUES (1);',
    'ALTER TABLE notes ALTER id DROP IDENTITY',
  ],
  [
    "CREATE TYPE pair AS (a int, b text); CREATE TABLE notes (v pair); INSERT INTO notes VALUES (ROW(1, 'x'));",
    'ALTER TYPE pair RENAME ATTRIBUTE b TO c; ALTER TYPE pair SET SCHEMA public',
  ],
];

describe('a hostile down.sql', () => {
  it('loses nothing without consent', async () => {
    const found: unknown[] = [];
    for (const [given, sql] of HOSTILE) found.push([sql, namesIn(await lossesOf(given, sql))]);

    expect(found).toEqual(HOSTILE.map(([, sql, names]) => [sql, names]));
  });

  it('needs no consent if nothing is lost', async () => {
    const found: unknown[] = [];
    for (const [given, sql] of SAFE) found.push([sql, namesIn(await lossesOf(given, sql))]);

    expect(found).toEqual(SAFE.map(([, sql]) => [sql, '']));
  });

  it('needs consent outside of a transaction, unless every statement is proven harmless', async () => {
    const unproven = [
      'DROP DATABASE other',
      'ALTER SYSTEM SET fsync = off',
      'DROP TABLESPACE space',
      'REINDEX TABLE notes',
      'VACUUM FULL notes',
      'CALL p()',
      'DELETE FROM notes',
      'CREATE INDEX CONCURRENTLY ON notes (lower(v))',
      "SET standard_conforming_strings = off; COMMENT ON TABLE notes IS 'a\\''; DROP TABLE notes; --'",
      "DROP INDEX CONCURRENTLY i; SET SESSION standard_conforming_strings TO 'off'",
      "CREATE FUNCTION f() RETURNS int LANGUAGE c AS 'somewhere', 'f'",
    ];
    const proven = [
      'DROP INDEX CONCURRENTLY IF EXISTS i',
      'VACUUM',
      'SET lock_timeout = 5; CREATE INDEX CONCURRENTLY ON notes (v)',
    ];
    const found: unknown[] = [];
    for (const sql of [...unproven, ...proven]) if (await isRefused(sql)) found.push(sql);

    expect(found).toEqual(unproven);
  });
});

function namesIn(losses: unknown): string {
  const all = losses as readonly { readonly what: string; readonly table?: string; readonly sequence?: string }[];
  return [...new Set(all.map(({ what, table, sequence }) => table ?? sequence ?? what))].sort().join(', ');
}
