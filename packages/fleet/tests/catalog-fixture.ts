/** Objects on which the changes below work, in two schemas. */
export const BASE = `
  CREATE SCHEMA other;
  CREATE TYPE mood AS ENUM ('sad', 'glad');
  CREATE TYPE pair AS (one int, two text);
  CREATE DOMAIN positive AS int CONSTRAINT above CHECK (VALUE > 0);
  CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
  CREATE FUNCTION watch() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
  CREATE TABLE people (
    id int PRIMARY KEY, name text NOT NULL, mood mood, age positive, born timestamptz DEFAULT '2020-01-01 00:00:00+00',
    height float8 DEFAULT 0.1, code varchar(9), CONSTRAINT adult CHECK (age > 17)
  );
  CREATE TABLE pets (id int CONSTRAINT pets_pkey PRIMARY KEY, owner int CONSTRAINT owned REFERENCES people, weight int, note text);
  CREATE INDEX pets_weight ON pets (weight, (weight + 1));
  CREATE UNIQUE INDEX pets_note ON pets (note);
  CREATE TRIGGER touched BEFORE UPDATE ON pets FOR EACH ROW EXECUTE FUNCTION touch();
  CREATE TABLE other.notes (id int, body text);
  CREATE TABLE months (day date NOT NULL, n int) PARTITION BY RANGE (day);
  CREATE TABLE january PARTITION OF months FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
  CREATE TRIGGER touched BEFORE UPDATE ON months FOR EACH ROW EXECUTE FUNCTION touch();
  CREATE SEQUENCE numbers;
  CREATE VIEW grown AS SELECT id, name FROM people;
  CREATE MATERIALIZED VIEW counted AS SELECT count(*) AS n FROM pets;
  CREATE FOREIGN DATA WRAPPER files;
  CREATE SERVER disk FOREIGN DATA WRAPPER files;
  CREATE FOREIGN TABLE rows (id int) SERVER disk OPTIONS (path 'a');
  CREATE TEXT SEARCH DICTIONARY short (TEMPLATE = simple);
  CREATE TEXT SEARCH CONFIGURATION words (COPY = simple);
  CREATE FUNCTION same(int, int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1 = $2';`;

/** A change of the catalog. The number chooses a variant, and some variants change nothing. */
export type CatalogChange = (n: number) => string;

const of = <Value>(values: readonly Value[], n: number): Value => values[n % values.length] as Value;

/** Changes of everything that pg_dump prints. Each can run after any of the others. */
export const CHANGES: Readonly<Record<string, CatalogChange>> = {
  schema: (n) => `CREATE SCHEMA IF NOT EXISTS more_${n}`,
  table: (n) => `CREATE TABLE IF NOT EXISTS other.t_${n} (id int, b text DEFAULT 'x')`,
  'table dropped': (n) => `DROP TABLE IF EXISTS other.t_${n}`,
  'column type': (n) => `ALTER TABLE other.notes ALTER body TYPE varchar(${n + 1})`,
  'column default': (n) => `ALTER TABLE other.notes ALTER id SET DEFAULT ${n}`,
  'default of a view': (n) => `ALTER VIEW grown ALTER name SET DEFAULT 'n${n}'`,
  'not null': (n) => `ALTER TABLE other.notes ALTER body ${of(['SET', 'DROP'], n)} NOT NULL`,
  identity: (n) =>
    `CREATE TABLE IF NOT EXISTS with_identity_${n} (id int GENERATED ${of(['ALWAYS', 'BY DEFAULT'], n)} AS IDENTITY (START ${n + 1}))`,
  'generated column': (n) =>
    `ALTER TABLE pets ADD COLUMN IF NOT EXISTS g_${n} int GENERATED ALWAYS AS (weight * ${n}) STORED`,
  statistics: (n) => `ALTER TABLE pets ALTER weight SET STATISTICS ${of([-1, 100, 200], n)}`,
  storage: (n) => `ALTER TABLE pets ALTER note SET STORAGE ${of(['EXTENDED', 'EXTERNAL', 'MAIN', 'PLAIN'], n)}`,
  compression: (n) => `ALTER TABLE pets ALTER note SET COMPRESSION ${of(['default', 'pglz'], n)}`,
  'column option': (n) => `ALTER TABLE pets ALTER weight ${of(['SET (n_distinct = 5)', 'RESET (n_distinct)'], n)}`,
  'table option': (n) => `ALTER TABLE pets ${of(['SET (fillfactor = 70)', 'RESET (fillfactor)'], n)}`,
  'toast option': (n) =>
    `ALTER TABLE pets ${of(['SET (toast.autovacuum_enabled = off)', 'RESET (toast.autovacuum_enabled)'], n)}`,
  unlogged: (n) => `ALTER TABLE other.notes SET ${of(['LOGGED', 'UNLOGGED'], n)}`,
  'replica identity': (n) =>
    `ALTER TABLE people REPLICA IDENTITY ${of(['DEFAULT', 'FULL', 'NOTHING', 'USING INDEX people_pkey'], n)}`,
  cluster: (n) => `ALTER TABLE pets ${of(['CLUSTER ON pets_pkey', 'SET WITHOUT CLUSTER'], n)}`,
  'row level security': (n) => `ALTER TABLE pets ${of(['ENABLE', 'DISABLE'], n)} ROW LEVEL SECURITY`,
  'forced row level security': (n) => `ALTER TABLE pets ${of(['FORCE', 'NO FORCE'], n)} ROW LEVEL SECURITY`,
  policy: (n) =>
    `DROP POLICY IF EXISTS mine ON pets; CREATE POLICY mine ON pets ${of(['FOR SELECT', ''], n)} USING (id > ${n})`,
  check: (n) =>
    `ALTER TABLE people DROP CONSTRAINT IF EXISTS adult, ADD CONSTRAINT adult CHECK (age > ${n}) ${of(['', 'NOT VALID'], n)}`,
  'check with BETWEEN': (n) =>
    `ALTER TABLE people DROP CONSTRAINT IF EXISTS child, ADD CONSTRAINT child CHECK (age BETWEEN 1 AND 9 AND code IN ('a', 'b${n}'))`,
  'foreign key': (n) =>
    `ALTER TABLE pets DROP CONSTRAINT owned, ADD CONSTRAINT owned FOREIGN KEY (owner) REFERENCES people ON DELETE ${of(['CASCADE', 'SET NULL'], n)} ${of(['', 'DEFERRABLE'], n)}`,
  'unique constraint': (n) =>
    `ALTER TABLE pets DROP CONSTRAINT IF EXISTS one, ADD CONSTRAINT one UNIQUE (weight) INCLUDE (${of(['id', 'note'], n)})`,
  'exclusion constraint': (n) =>
    `ALTER TABLE pets DROP CONSTRAINT IF EXISTS apart, ADD CONSTRAINT apart EXCLUDE USING btree (weight WITH =) WHERE (weight > ${n})`,
  index: (n) =>
    `DROP INDEX IF EXISTS people_name; CREATE INDEX people_name ON people (name ${of(['', 'text_pattern_ops', 'DESC'], n)})`,
  'partial index': (n) => `DROP INDEX IF EXISTS people_some; CREATE INDEX people_some ON people (id) WHERE id > ${n}`,
  'statistics of an index': (n) => `ALTER INDEX pets_weight ALTER COLUMN 2 SET STATISTICS ${of([-1, 50], n)}`,
  'extended statistics': (n) =>
    `CREATE STATISTICS IF NOT EXISTS stats_${n} ON id, owner FROM pets; ALTER STATISTICS stats_${n} SET STATISTICS ${n}`,
  'trigger disabled': (n) =>
    `ALTER TABLE pets ${of(['DISABLE', 'ENABLE', 'ENABLE ALWAYS', 'ENABLE REPLICA'], n)} TRIGGER touched`,
  'trigger of a partition disabled': (n) => `ALTER TABLE january ${of(['DISABLE', 'ENABLE'], n)} TRIGGER touched`,
  trigger: (n) =>
    `DROP TRIGGER IF EXISTS more ON people; CREATE TRIGGER more AFTER ${of(['INSERT', 'DELETE'], n)} ON people EXECUTE FUNCTION touch()`,
  'event trigger': (n) =>
    `CREATE EVENT TRIGGER watched_${n} ON ddl_command_end EXECUTE FUNCTION watch(); ALTER EVENT TRIGGER watched_${n} DISABLE`,
  'event trigger dropped': (n) => `DROP EVENT TRIGGER IF EXISTS watched_${n}`,
  rule: (n) =>
    `CREATE OR REPLACE RULE quiet AS ON DELETE TO other.notes ${of(['', 'WHERE old.id > 1'], n)} DO INSTEAD NOTHING`,
  function: (n) =>
    `CREATE OR REPLACE FUNCTION other.f() RETURNS int LANGUAGE sql ${of(['STABLE', 'VOLATILE'], n)} AS 'SELECT ${n}'`,
  'function setting': (n) =>
    `ALTER FUNCTION touch() ${of(['SET work_mem = 100', 'RESET ALL', 'SECURITY DEFINER', 'COST 7'], n)}`,
  aggregate: (n) => `CREATE OR REPLACE AGGREGATE total (int) (sfunc = int4pl, stype = int, initcond = '${n}')`,
  operator: (n) =>
    `DROP OPERATOR IF EXISTS === (int, int); CREATE OPERATOR === (FUNCTION = same, LEFTARG = int, RIGHTARG = int ${of(['', ', HASHES', ', COMMUTATOR = ==='], n)})`,
  'operator class': (n) => `CREATE OPERATOR FAMILY other.family_${n} USING btree`,
  enum: (n) => `ALTER TYPE mood ADD VALUE IF NOT EXISTS 'm${n}' BEFORE 'glad'`,
  'enum renamed': (n) => `ALTER TYPE mood RENAME TO mood_${n}; ALTER TYPE mood_${n} RENAME TO mood`,
  composite: (n) => `ALTER TYPE pair ALTER ATTRIBUTE two TYPE varchar(${n + 1})`,
  domain: (n) => `ALTER DOMAIN positive SET DEFAULT ${n}`,
  'domain check': (n) =>
    `ALTER DOMAIN positive DROP CONSTRAINT IF EXISTS below; ALTER DOMAIN positive ADD CONSTRAINT below CHECK (VALUE < ${n + 100})`,
  range: (n) =>
    `CREATE TYPE range_${n} AS RANGE (subtype = ${of(['float8', 'text'], n)}, multirange_type_name = many_${n})`,
  'range dropped': (n) => `DROP TYPE IF EXISTS range_${n}`,
  cast: (n) =>
    `DROP CAST IF EXISTS (pair AS text); CREATE CAST (pair AS text) WITH INOUT ${of(['', 'AS ASSIGNMENT', 'AS IMPLICIT'], n)}`,
  collation: (n) => `DROP COLLATION IF EXISTS plain; CREATE COLLATION plain (LOCALE = '${of(['C', 'POSIX'], n)}')`,
  conversion: (n) =>
    `DROP CONVERSION IF EXISTS swap; CREATE ${of(['DEFAULT', ''], n)} CONVERSION swap FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8`,
  view: (n) =>
    `CREATE OR REPLACE VIEW grown ${of(['', 'WITH (security_barrier)'], n)} AS SELECT id, name FROM people WHERE id > ${n}`,
  'materialized view': (n) =>
    `DROP MATERIALIZED VIEW counted; CREATE MATERIALIZED VIEW counted AS SELECT count(*) AS n FROM pets WHERE id > ${n}`,
  sequence: (n) => `ALTER SEQUENCE numbers INCREMENT ${n + 1} ${of(['CYCLE', 'NO CYCLE'], n)}`,
  'sequence owner': (n) => `ALTER SEQUENCE numbers OWNED BY ${of(['NONE', 'pets.weight', 'people.id'], n)}`,
  'partition strategy': (n) =>
    `DROP TABLE IF EXISTS parts; CREATE TABLE parts (a int, b int) PARTITION BY ${of(['RANGE (a)', 'LIST (a)', 'HASH (a, b)', 'HASH (b)'], n)}`,
  'partition bound': (n) =>
    `DROP TABLE IF EXISTS february; CREATE TABLE february PARTITION OF months FOR VALUES FROM ('2026-02-01') TO ('2026-02-${10 + n}')`,
  'partition index': (n) => `DROP INDEX IF EXISTS months_n; CREATE INDEX months_n ON months (n ${of(['', 'DESC'], n)})`,
  inheritance: (n) =>
    `DROP TABLE IF EXISTS child; CREATE TABLE child () INHERITS (other.notes); ${of(['ALTER TABLE child NO INHERIT other.notes', ''], n)}`,
  'text search configuration': (n) =>
    `ALTER TEXT SEARCH CONFIGURATION words ALTER MAPPING FOR asciiword WITH ${of(['simple', 'short'], n)}`,
  'text search dictionary': (n) => `ALTER TEXT SEARCH DICTIONARY short (StopWords = ${of(['english', 'german'], n)})`,
  'foreign table': (n) => `ALTER FOREIGN TABLE rows OPTIONS (SET path 'p${n}')`,
  server: (n) => `ALTER SERVER disk VERSION '${n}'`,
  extension: () => 'CREATE EXTENSION IF NOT EXISTS pg_trgm SCHEMA other',
  'comment on a table': (n) => `COMMENT ON TABLE people IS ${of(["'a'", "'b AND c'", 'NULL'], n)}`,
  'comment on a column': (n) => `COMMENT ON COLUMN people.name IS ${of(["'a'", "'b'", 'NULL'], n)}`,
  'comment on an index': (n) => `COMMENT ON INDEX pets_weight IS ${of(["'a'", "'b'", 'NULL'], n)}`,
  'comment on a constraint': (n) => `COMMENT ON CONSTRAINT pets_pkey ON pets IS ${of(["'a'", 'NULL'], n)}`,
  'comment on a function': (n) => `COMMENT ON FUNCTION touch() IS ${of(["'a'", 'NULL'], n)}`,
  'comment on a schema': (n) => `COMMENT ON SCHEMA other IS ${of(["'a'", 'NULL'], n)}`,
  'comment on a type': (n) => `COMMENT ON TYPE mood IS ${of(["'a'", 'NULL'], n)}`,
  'comment on a trigger': (n) => `COMMENT ON TRIGGER touched ON pets IS ${of(["'a'", 'NULL'], n)}`,
};

/** What changes neither pg_dump's schema nor the fingerprint. */
export const HARMLESS: Readonly<Record<string, CatalogChange>> = {
  rows: (n) => `INSERT INTO other.notes VALUES (${n}, 'x'); SELECT nextval('numbers')`,
  analyze: () => 'ANALYZE',
  temporary: (n) => `CREATE TEMP TABLE mine (id int); COMMENT ON TABLE mine IS 'n${n}'; DROP TABLE mine`,
  'dropped again': (n) => `CREATE TABLE gone_${n} (id serial); DROP TABLE gone_${n}`,
  rights: (n) => `${of(['GRANT', 'REVOKE'], n)} SELECT ON people ${of(['TO', 'FROM'], n)} pg_monitor`,
};
