import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { endsTransaction, offsetOfCharacter, placeOf, runScript, splitStatements, withClient } from '@azora/db-migrate';
import fc from 'fast-check';
import type { ClientBase, QueryArrayResult } from 'pg';
import { useEmptyDatabase } from './migrations-fixture';

const textsOf = (sql: string) => splitStatements(sql).map(({ text }) => text);

describe('splitting SQL into statements', () => {
  it('handles strings, identifiers, comments, dollar quotes, parentheses and SQL bodies', () => {
    const sql = [
      `SELECT 'a;b', "c;d", E'\\';', $$;$$, $tag$ $$;$$ $tag$, 'it''s;'`,
      'SELECT 1 -- ; no\n /* ; /* ; */ ; */ + 2',
      'CREATE RULE r AS ON INSERT TO t DO ALSO (SELECT 1; SELECT 2)',
      'CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END',
      "SELECT E'a' -- ;\n '\\';' , U&'\\0061', a$b$c FROM d$1",
      'CREATE VIEW v AS SELECT begin atomic FROM lots',
      'CREATE TABLE t (begin atomic, "end" int)',
      'CREATE OR REPLACE PROCEDURE p(begin atomic) BEGIN ATOMIC SELECT 1 AS end; SELECT t.end, 2 AS case FROM t; END',
      'CREATE FUNCTION g() RETURNS begin BEGIN ATOMIC ; SELECT 1 case; END',
    ];

    expect(textsOf(`\uFEFF;; ${sql.join(';\n')};;`)).toEqual(sql);
  });

  it('finds nothing in comments, white space and semicolons', () => {
    expect(textsOf(' -- a\n /* b /* c */ */ ; \t;\r\n-- d')).toEqual([]);
  });

  it('returns the offset of each statement', () => {
    expect(splitStatements('-- x\n  SELECT 1;\nSELECT 2').map(({ offset }) => offset)).toEqual([7, 17]);
  });

  it('treats an unterminated token as part of the last statement', () => {
    for (const open of ["'a;", '"a;', '$$ a;', '/* a;', "E'\\'; a"]) {
      expect(splitStatements(`SELECT 1; SELECT ${open} SELECT 3`).length).toBe(2);
    }
  });

  it('takes linear time', () => {
    // A scan that started again at each quote would take hours, and the test would time out.
    const long = `SELECT '${"''".repeat(2_000_000)}'; SELECT 2`;

    expect(splitStatements(long)).toHaveLength(2);
  });
});

describe('the server splits in the same way', () => {
  const url = useEmptyDatabase();

  it('random SQL', async () => {
    const noise = fc
      .array(fc.constantFrom("'", ';', '"', '$$', '$a$', '--', '/*', '*/', '\\', '\n', 'E', 'é', '😀', '(', ' ', 'end'))
      .map((parts) => parts.join(''));
    const expression = fc.oneof(
      noise.map((text) => `'${text.replaceAll("'", "''")}'`),
      noise.map((text) => `E'${text.replaceAll(/['\\]/g, '\\$&')}'`),
      noise.map((text) => `E'1' -- ;\n  '${text.replaceAll(/['\\]/g, '\\$&')}'`),
      noise.map((text) => `1 AS "x${text.replaceAll('"', '""')}"`),
      noise.map((text) => `$é_1$${text}$é_1$`),
      noise.map((text) => `/*${text.replaceAll(/[/*]/g, '')}*/ 1`),
      noise.map((text) => `1 --${text.replaceAll('\n', '')}\n`),
      fc.constantFrom('1 AS a$b', "U&'\\0061'", 'CASE WHEN true THEN 1 END', '(1)', "'a'\n '\\'"),
    );
    const select = fc.array(expression, { minLength: 1, maxLength: 4 }).map((all) => `SELECT ${all.join(',')}`);
    const body =
      'RETURNS int BEGIN ATOMIC SELECT 1 AS end; SELECT CASE WHEN x.end THEN 1 END FROM (SELECT true AS end) AS x; END';
    const other = fc.constantFrom(
      `CREATE OR REPLACE FUNCTION f() ${body}`,
      'CREATE OR REPLACE PROCEDURE p() BEGIN /* ; */ ATOMIC END',
      'CREATE OR REPLACE TEMP VIEW v AS SELECT begin atomic FROM (SELECT 1 AS begin) AS lots',
      'CREATE OR REPLACE RULE r AS ON INSERT TO t DO ALSO (SELECT 1; SELECT 2)',
      'SAVEPOINT s',
    );
    const statements = fc.array(fc.oneof({ weight: 8, arbitrary: select }, { weight: 1, arbitrary: other }));

    await withClient(url(), async (client) => {
      await client.query('CREATE TABLE t (); BEGIN');
      const property = fc.asyncProperty(
        statements,
        fc.constantFrom(';', ' ; -- ;\n', ';/* ; */', ';;\n'),
        async (all, glue) => {
          const sql = all.join(glue);
          const split = splitStatements(sql);
          const whole = await answersOf(client, sql);
          const parts: unknown[] = [];
          for (const { text } of split) parts.push(...(await answersOf(client, text)));

          expect(split).toHaveLength(all.length);
          expect(parts).toEqual(whole);
        },
      );
      await fc.assert(property, { numRuns: 300 });
    });
  });

  it('every migration of the suite', async () => {
    // The migrations of the rag service need an extension that few servers have.
    const files = migrationFiles(path.resolve(__dirname, '../../../services')).filter(
      (file) => !file.includes('/rag/'),
    );

    expect(files.length).toBeGreaterThan(0);
    await withClient(url(), async (client) => {
      let service = '';
      for (const file of files) {
        // Each migration needs the earlier migrations of its service, and before PostgreSQL 17 their commits too: a new value of an
        // enum cannot be used in its own transaction.
        if (path.resolve(file, '../..') !== service)
          await client.query('DROP SCHEMA public CASCADE; CREATE SCHEMA public');
        service = path.resolve(file, '../..');
        const sql = readFileSync(file, 'utf8');
        const inTransaction = !sql.startsWith('-- no-transaction');
        if (inTransaction) await client.query('BEGIN');
        expect({ file, ...(await runScript(client, sql)) }).toEqual({ file, completed: splitStatements(sql).length });
        if (inTransaction) await client.query('COMMIT');
      }
    });
  });
});

describe('statements that begin or end a transaction', () => {
  const isControl = (sql: string) => splitStatements(sql).some(endsTransaction);

  it.each([
    ['BEGIN', true],
    ['/* x */ commit', true],
    ['START TRANSACTION ISOLATION LEVEL SERIALIZABLE', true],
    ['end', true],
    ['ABORT', true],
    ['ROLLBACK', true],
    ['ROLLBACK WORK', true],
    ["PREPARE TRANSACTION 'x'", true],
    ["COMMIT PREPARED 'x'", true],
    ['ROLLBACK TO SAVEPOINT a', false],
    ['ROLLBACK WORK TO a', false],
    ['SAVEPOINT a; RELEASE a', false],
    ['PREPARE transaction AS SELECT 1', false],
    ['PREPARE find AS SELECT 1', false],
    ['DO $$ BEGIN NULL; END $$', false],
    ["SELECT 'COMMIT;'; SELECT 1 AS commit", false],
  ])('%s: %s', (sql, control) => {
    expect(isControl(sql)).toBe(control);
  });
});

describe('placeOf', () => {
  it('counts characters, not UTF-16 units', () => {
    const sql = "SELECT '😀', nope";

    expect(sql.slice(offsetOfCharacter(sql, 13))).toBe('nope');
    expect(placeOf(sql, offsetOfCharacter(sql, 13))).toEqual({
      line: 1,
      column: 13,
      excerpt: `1 | ${sql}\n                 ^`,
    });
  });

  it('shortens a long line around the place', () => {
    const { column, excerpt } = placeOf(`${'a'.repeat(5_000)}!${'b'.repeat(5_000)}`, 5_000);

    expect(column).toBe(5_001);
    expect(excerpt.split('\n')).toEqual([
      `1 | …${'a'.repeat(50)}!${'b'.repeat(49)}…`,
      `${' '.repeat('1 | …'.length + 50)}^`,
    ]);
  });
});

/** The result of each statement: its command, and the names and values of its rows. */
async function answersOf(client: ClientBase, sql: string): Promise<readonly unknown[]> {
  const results: unknown = await client.query({ text: sql, rowMode: 'array' });
  const all = (Array.isArray(results) ? results : [results]) as readonly QueryArrayResult[];
  // A text without a statement has a result without a command.
  const answers = all.filter(({ command }) => command !== null);
  return answers.map(({ command, fields, rows }) => ({ command, names: fields.map(({ name }) => name), rows }));
}

function migrationFiles(folder: string): readonly string[] {
  return readdirSync(folder).flatMap((service) => {
    const migrations = path.join(folder, service, 'prisma', 'migrations');
    const names = readdirSync(migrations, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    return names.map(({ name }) => path.join(migrations, name, 'migration.sql'));
  });
}
