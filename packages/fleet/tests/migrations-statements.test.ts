import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { loadModule, parseSync } from 'libpg-query';
import { offsetOfCharacter, placeOf } from '../src/postgres/migrations/place';
import { endsTransaction, splitStatements } from '../src/postgres/migrations/statements';

const textsOf = (sql: string) => splitStatements(sql).map(({ text }) => text);

/** The same by PostgreSQL's own parser, compiled to WebAssembly; undefined when it refuses the text. */
function parsedTexts(sql: string): readonly string[] | undefined {
  const bytes = Buffer.from(sql);
  try {
    return (parseSync(sql).stmts ?? []).map(({ stmt_location: start = 0, stmt_len: length }) =>
      bytes.subarray(start, length === undefined ? undefined : start + length).toString('utf8'),
    );
  } catch {
    return undefined;
  }
}

/** Where a statement begins and ends differs by comments and white space around it, which are of no consequence. */
function bare(text: string): string {
  const [statement] = splitStatements(text);
  return statement?.text ?? '';
}

beforeAll(loadModule);

describe('splitting SQL into statements', () => {
  it('knows strings, identifiers, comments, dollar quotes, parentheses and SQL bodies', () => {
    const sql = [
      `SELECT 'a;b', "c;d", E'\\';', $$;$$, $tag$ $$;$$ $tag$, 'it''s;'`,
      'SELECT 1 -- ; no\n /* ; /* ; */ ; */ + 2',
      'CREATE RULE r AS ON INSERT TO t DO ALSO (SELECT 1; SELECT 2)',
      'CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END',
      "SELECT E'a' -- ;\n '\\';' , U&'\\0061', a$b$c FROM d$1",
    ];

    expect(textsOf(`\uFEFF;; ${sql.join(';\n')};;`)).toEqual(sql);
  });

  it('finds nothing in comments, white space and semicolons', () => {
    expect(textsOf(' -- a\n /* b /* c */ */ ; \t;\r\n-- d')).toEqual([]);
  });

  it('says where each begins', () => {
    expect(splitStatements('-- x\n  SELECT 1;\nSELECT 2').map(({ offset }) => offset)).toEqual([7, 17]);
  });

  it('takes what does not end as one statement to the end', () => {
    for (const open of ["'a;", '"a;', '$$ a;', '/* a;', "E'\\'; a"]) {
      expect(splitStatements(`SELECT 1; SELECT ${open} SELECT 3`).length).toBe(2);
    }
  });

  it('stays linear in the length of the text', () => {
    const long = `SELECT '${"''".repeat(500_000)}'; SELECT 2`;

    const started = performance.now();
    expect(splitStatements(long)).toHaveLength(2);
    expect(performance.now() - started).toBeLessThan(500);
  });

  it('agrees with PostgreSQL on every migration of the suite', () => {
    const files = sqlFiles(path.resolve(__dirname, '..', '..', '..', 'services'));

    expect(files.length).toBeGreaterThan(0);
    for (const file of files) {
      const sql = readFileSync(file, 'utf8');
      expect({ file, texts: textsOf(sql) }).toEqual({ file, texts: parsedTexts(sql)?.map(bare) });
    }
  });

  it('agrees with PostgreSQL on random SQL', () => {
    const noise = fc
      .array(fc.constantFrom("'", ';', '"', '$$', '$a$', '--', '/*', '*/', '\\', '\n', 'E', 'é', '😀', '(', ' ', 'end'))
      .map((parts) => parts.join(''));
    const expression = fc.oneof(
      noise.map((text) => `'${text.replaceAll("'", "''")}'`),
      noise.map((text) => `E'${text.replaceAll(/['\\]/g, '\\$&')}'`),
      noise.map((text) => `E'1'\n  '${text.replaceAll(/['\\]/g, '\\$&')}'`),
      noise.map((text) => `"x${text.replaceAll('"', '""')}"`),
      noise.map((text) => `$é_1$${text}$é_1$`),
      noise.map((text) => `/*${text.replaceAll(/[/*]/g, '')}*/ 1`),
      noise.map((text) => `1 --${text.replaceAll('\n', '')}\n`),
      fc.constantFrom('a$b', "U&'\\0061'", 'CASE WHEN true THEN 1 END', '(1)', "'a'\n '\\'"),
    );
    const statement = fc.oneof(
      {
        weight: 8,
        arbitrary: fc.array(expression, { minLength: 1, maxLength: 4 }).map((all) => `SELECT ${all.join(',')}`),
      },
      {
        weight: 1,
        arbitrary: fc.constantFrom(
          'COMMIT',
          'END',
          'CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT CASE WHEN true THEN 1 END; END',
          'CREATE OR REPLACE PROCEDURE p() BEGIN /* ; */ ATOMIC END',
          'CREATE RULE r AS ON INSERT TO t DO ALSO (SELECT 1; SELECT 2)',
        ),
      },
    );
    const property = fc.property(
      fc.array(statement, { minLength: 1 }),
      fc.constantFrom(';', ' ; -- ;\n', ';/* ; */', ';;\n'),
      (all, glue) => {
        const sql = all.join(glue);
        expect(textsOf(sql)).toEqual(parsedTexts(sql)?.map(bare));
      },
    );

    fc.assert(property, { numRuns: 1_000 });
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

describe('places', () => {
  it('counts characters, not UTF-16 units', () => {
    const sql = "SELECT '😀', nope";

    expect(sql.slice(offsetOfCharacter(sql, 13))).toBe('nope');
    expect(placeOf(sql, offsetOfCharacter(sql, 13))).toEqual({
      line: 1,
      column: 13,
      excerpt: `1 | ${sql}\n                 ^`,
    });
  });

  it('shows a long line around the place only', () => {
    const { column, excerpt } = placeOf(`${'a'.repeat(5_000)}!${'b'.repeat(5_000)}`, 5_000);

    expect(column).toBe(5_001);
    expect(excerpt.split('\n')).toEqual([
      `1 | …${'a'.repeat(50)}!${'b'.repeat(49)}…`,
      `${' '.repeat('1 | …'.length + 50)}^`,
    ]);
  });
});

function sqlFiles(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => /prisma\/migrations\/.*\.sql$/.test(name) && !name.includes('node_modules'))
    .map((name) => path.join(folder, name));
}
