/** @server none */
import { effectsOf } from '../src/postgres/analysis/effects';
import { isWidening } from '../src/postgres/analysis/losses';
import { parseScript } from '../src/postgres/analysis/parse';
import type { Effect } from '../src/postgres/analysis/statement-effects';
import { failureOf } from './migrations-fixture';

async function effects(sql: string): Promise<readonly Effect[]> {
  return effectsOf(await parseScript({ file: 'migration.sql', sql })).flatMap((statement) => statement.effects);
}

const EXCLUSIVE = 'ACCESS EXCLUSIVE';

describe('parseScript', () => {
  it('divides SQL where PostgreSQL does, in portions, with the place and the text of each statement', async () => {
    const statements = [
      "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1 AS end; SELECT CASE 'é;😀' WHEN '' THEN 1 END; END",
      'CREATE VIEW v AS SELECT begin atomic FROM (SELECT 1 AS begin) AS lots',
      `COMMENT ON TABLE t IS '${'é'.repeat(60_000)}'`,
      'DROP TABLE t',
    ];
    const sql = `\uFEFF-- é\n${statements.join(' /* é; */ ;\n\n-- x;\n')}`;

    const parsed = await parseScript({ file: 'migration.sql', sql });

    expect(parsed.map(({ text }) => text)).toEqual(statements);
    expect(parsed.map(({ offset }) => offset)).toEqual(statements.map((text) => sql.indexOf(text)));
    expect(parsed.map(({ node }) => Object.keys(node)[0])).toEqual([
      'CreateFunctionStmt',
      'ViewStmt',
      'CommentStmt',
      'DropStmt',
    ]);
  });
});

describe('the effects of a migration', () => {
  it.each<[string, Partial<Effect>]>([
    ['ALTER TABLE t ADD COLUMN c text', { lock: EXCLUSIVE, work: undefined }],
    [
      "ALTER TABLE t ADD COLUMN c text NOT NULL DEFAULT 'x'",
      { lock: EXCLUSIVE, work: undefined, needsNoRows: undefined },
    ],
    ['ALTER TABLE t ADD COLUMN c timestamptz NOT NULL DEFAULT now()', { work: undefined }],
    ['ALTER TABLE t ADD COLUMN c uuid DEFAULT gen_random_uuid()', { work: 'rewrite' }],
    ['ALTER TABLE t ADD COLUMN c bigserial', { work: 'rewrite' }],
    ['ALTER TABLE t ADD COLUMN c int GENERATED ALWAYS AS (1) STORED', { work: 'rewrite' }],
    ['ALTER TABLE t ADD COLUMN c text NOT NULL', { needsNoRows: expect.stringContaining('c is NOT NULL') }],
    ['ALTER TABLE t DROP COLUMN c', { loss: { what: 'column', table: 't', column: 'c' } }],
    [
      'ALTER TABLE t ALTER COLUMN c TYPE varchar(9)',
      { loss: { what: 'type', table: 't', column: 'c', type: 'varchar(9)' } },
    ],
    ['ALTER TABLE t ALTER COLUMN c SET NOT NULL', { lock: EXCLUSIVE, work: 'scan' }],
    ['ALTER TABLE t ADD CHECK (true)', { lock: EXCLUSIVE, work: 'scan' }],
    ['ALTER TABLE t ADD CONSTRAINT k CHECK (true) NOT VALID', { lock: EXCLUSIVE, work: undefined }],
    ['ALTER TABLE t VALIDATE CONSTRAINT k', { lock: 'SHARE UPDATE EXCLUSIVE', work: 'scan' }],
    ['ALTER TABLE t ADD FOREIGN KEY (c) REFERENCES u', { lock: 'SHARE ROW EXCLUSIVE', work: 'scan' }],
    ['CREATE INDEX ON t (c)', { lock: 'SHARE', work: 'scan' }],
    ['CREATE INDEX CONCURRENTLY i ON t (c)', { lock: 'SHARE UPDATE EXCLUSIVE' }],
    ['CREATE TRIGGER g BEFORE INSERT ON t EXECUTE FUNCTION f()', { lock: 'SHARE ROW EXCLUSIVE' }],
    ['DROP TRIGGER g ON t', { lock: EXCLUSIVE }],
    ['DROP TABLE t', { loss: { what: 'table', table: 't' } }],
    ['TRUNCATE t', { loss: { what: 'rows', table: 't' } }],
    ['DELETE FROM t', { lock: 'ROW EXCLUSIVE', loss: { what: 'rows', table: 't' } }],
    ['UPDATE public.t SET c = 1', { lock: 'ROW EXCLUSIVE' }],
    ['ALTER TABLE t RENAME COLUMN c TO d', { lock: EXCLUSIVE }],
  ])('%s', async (sql, expected) => {
    const [first] = await effects(sql);

    expect(first).toMatchObject({ table: 't', ...expected });
  });

  it('include the other table of a foreign key, and the objects that a dropped type removes', async () => {
    expect(await effects('ALTER TABLE t ADD FOREIGN KEY (c) REFERENCES u')).toContainEqual({
      table: 'u',
      lock: 'SHARE ROW EXCLUSIVE',
    });
    expect(await effects('DROP TYPE mood CASCADE')).toMatchObject([{ loss: { what: 'objects', table: 'mood' } }]);
    expect(await effects('DROP TYPE mood')).toEqual([]);
  });

  it('exclude tables that the file itself makes', async () => {
    expect(await effects('CREATE TABLE t (); ALTER TABLE t ADD c int; CREATE INDEX ON t (c); DROP TABLE t')).toEqual(
      [],
    );
  });

  it('treat a table that references itself as new, and one made IF NOT EXISTS as existing', async () => {
    expect(await effects('CREATE TABLE t (id int PRIMARY KEY, up int REFERENCES t)')).toEqual([]);
    expect(await effects('CREATE TABLE IF NOT EXISTS t (); DROP TABLE t')).toMatchObject([{ loss: { table: 't' } }]);
  });

  it('are not computed for a file that does not parse; the error has file, line and caret', async () => {
    const error = await failureOf(parseScript({ file: 'a/migration.sql', sql: "SELECT '😀';\nALTER TABEL t;" }));

    expect(error).toMatchObject({
      code: 'MIGRATION.SYNTAX',
      message: expect.stringMatching(/^a\/migration\.sql:2:7 /),
    });
    expect(error.why).toContain('2 | ALTER TABEL t;\n          ^');
  });
});

describe('isWidening', () => {
  it.each([
    ['integer', 'int8', true],
    ['bigint', 'integer', false],
    ['character varying(20)', 'text', true],
    ['character varying(20)', 'varchar(40)', true],
    ['character varying(40)', 'varchar(20)', false],
    ['text', 'varchar(20)', false],
    ['numeric(10,2)', 'numeric(12,2)', true],
    ['numeric(10,2)', 'numeric(12,4)', true],
    ['numeric(10,2)', 'numeric(11,4)', false],
    ['integer', 'numeric', true],
    ['integer', 'numeric(3,0)', false],
    ['real', 'float8', true],
    ['text', 'text[]', false],
    ['text', 'uuid', false],
    ['timestamp(3) without time zone', 'timestamptz', false],
  ])('%s to %s: %s', (from, to, expected) => {
    expect(isWidening(from, to)).toBe(expected);
  });
});
