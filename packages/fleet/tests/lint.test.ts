/** @server none */
import { type Files, findingsOf, INIT, removeCheckouts, rulesBroken, TIMEOUT } from './lint-fixture';
import { failureOf } from './migrations-fixture';

afterAll(removeCheckouts);

describe('the lint rules', () => {
  const cases: readonly (readonly [string, string | Files, readonly string[]])[] = [
    ['a lock without a limit', 'ALTER TABLE users ADD COLUMN x text;', ['lock-timeout-missing']],
    ['a limit', `${TIMEOUT}ALTER TABLE users ADD COLUMN x text;`, []],
    ['a limit for the session', "SET lock_timeout TO '5s'; ALTER TABLE users ADD COLUMN x text;", []],
    [
      'a lock_timeout that is set too late',
      `ALTER TABLE users ADD COLUMN x text;\n${TIMEOUT}ALTER TABLE users ADD COLUMN y text;`,
      ['lock-timeout-missing'],
    ],
    [
      'a lock_timeout of zero',
      'SET LOCAL lock_timeout = 0; ALTER TABLE users ADD COLUMN x text;',
      ['lock-timeout-missing'],
    ],
    [
      'a lock_timeout that is reset',
      `${TIMEOUT}RESET lock_timeout; ALTER TABLE users ADD COLUMN x text;`,
      ['lock-timeout-missing'],
    ],
    [
      'SET LOCAL outside of a transaction',
      `-- no-transaction\n${TIMEOUT}ALTER TABLE users ADD COLUMN x text;`,
      ['lock-timeout-missing'],
    ],
    [
      'a new table that references an existing table',
      'CREATE TABLE orders (id uuid PRIMARY KEY, buyer uuid REFERENCES users (id));',
      ['lock-timeout-missing'],
    ],
    [
      'a new table that references itself',
      'CREATE TABLE orders (id uuid PRIMARY KEY, next uuid REFERENCES orders (id));',
      [],
    ],
    ['writing rows', "INSERT INTO users (name) VALUES ('a'); UPDATE users SET name = 'b';", []],
    ['a lock in a down migration', { up: 'SELECT 1;', down: 'ALTER TABLE users DROP COLUMN x;' }, []],
    ['a rule', 'CREATE RULE r AS ON DELETE TO users DO NOTHING;', ['lock-timeout-missing']],
    ['rewriting a table', '-- no-transaction\nVACUUM (FULL) users;', ['lock-timeout-missing']],
    ['cleaning a table', '-- no-transaction\nVACUUM (FULL false, ANALYZE) users;', []],

    ['an index', `${TIMEOUT}CREATE INDEX i ON users (id);`, ['index-not-concurrent']],
    ['an index that a down migration restores', { up: 'SELECT 1;', down: 'CREATE INDEX i ON users (id);' }, []],
    ['an index beside users', '-- no-transaction\nCREATE INDEX CONCURRENTLY i ON users (id);', []],
    [
      'every change of a new table',
      `CREATE TABLE fresh (id uuid); CREATE INDEX i ON fresh (id); DROP INDEX i;
       ALTER TABLE fresh ADD COLUMN x text, ADD COLUMN y text DEFAULT random()::text; ALTER TABLE fresh DROP COLUMN x;
       ALTER TABLE fresh ALTER COLUMN y SET NOT NULL; ALTER TABLE fresh ALTER COLUMN y TYPE varchar;
       ALTER TABLE fresh ADD CONSTRAINT c CHECK (y <> ''); ALTER TABLE fresh ADD CONSTRAINT u UNIQUE (y);
       ALTER TABLE fresh RENAME COLUMN y TO z; ALTER TABLE fresh RENAME TO fresher; CREATE INDEX j ON fresher (z);
       DROP TABLE fresher;`,
      [],
    ],
    [
      'the same statements outside of a transaction',
      `-- no-transaction\nCREATE TABLE fresh (id uuid); CREATE INDEX i ON fresh (id);
       ALTER TABLE fresh ADD CONSTRAINT c CHECK (id IS NOT NULL);`,
      [],
    ],
    [
      'a table made with IF NOT EXISTS',
      `${TIMEOUT}CREATE TABLE IF NOT EXISTS users (id uuid); CREATE INDEX i ON users (id);`,
      ['index-not-concurrent'],
    ],
    [
      'a table that is made after it is used',
      `${TIMEOUT}CREATE INDEX i ON users (id); ALTER TABLE users RENAME TO people; CREATE TABLE users (id uuid);`,
      ['index-not-concurrent', 'renaming-table'],
    ],

    [
      'CONCURRENTLY in a transaction',
      {
        up: 'CREATE INDEX CONCURRENTLY i ON users (id);',
        down: '\n-- no-transaction\nDROP INDEX CONCURRENTLY i;',
      },
      ['concurrent-in-transaction', 'down concurrent-in-transaction'],
    ],
    ['REINDEX CONCURRENTLY in a transaction', 'REINDEX (CONCURRENTLY) TABLE users;', ['concurrent-in-transaction']],
    ['REINDEX CONCURRENTLY outside of one', '-- no-transaction\nREINDEX INDEX CONCURRENTLY users_plain_idx;', []],
    [
      'several concurrent statements',
      '-- no-transaction\nCREATE INDEX CONCURRENTLY i ON users (id);\nDROP INDEX CONCURRENTLY j;\nREINDEX INDEX CONCURRENTLY k;',
      ['several-concurrent', 'several-concurrent'],
    ],

    ['CASCADE', `${TIMEOUT}ALTER TABLE users DROP CONSTRAINT users_pkey CASCADE;`, ['cascade']],
    ['CASCADE of a type', 'DROP TYPE mood CASCADE;', ['lock-timeout-missing', 'cascade']],
    ['CASCADE in a down migration', { up: 'SELECT 1;', down: 'DROP TYPE mood CASCADE;' }, []],

    [
      'dropping objects that the schema cannot express',
      `${TIMEOUT}ALTER TABLE users DROP CONSTRAINT users_name_check; ALTER TABLE users DROP CONSTRAINT users_once;
       DROP TRIGGER t ON users; DROP FUNCTION f();`,
      Array(4).fill('drops-unmanaged'),
    ],
    [
      'dropping indexes that the schema cannot express',
      '-- no-transaction\nDROP INDEX CONCURRENTLY public.users_name_idx;',
      ['drops-unmanaged'],
    ],
    [
      'dropping an object whose name PostgreSQL chose',
      `${TIMEOUT}ALTER TABLE users DROP CONSTRAINT users_age_check; DROP INDEX users_lower_idx;`,
      ['drops-unmanaged', 'drops-unmanaged', 'require-concurrent-index-deletion'],
    ],
    ['dropping what the schema expresses', '-- no-transaction\nDROP INDEX CONCURRENTLY users_plain_idx;', []],
    [
      'dropping all of it in a down migration',
      { up: 'SELECT 1;', down: 'DROP TRIGGER t ON users; DROP FUNCTION f();' },
      [],
    ],
    [
      'changing a CHECK, a trigger and a function',
      `${TIMEOUT}ALTER TABLE users DROP CONSTRAINT users_name_check;
       ALTER TABLE users ADD CONSTRAINT users_name_check CHECK (name <> 'x') NOT VALID;
       DROP TRIGGER t ON users; DROP FUNCTION f();
       CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END';
       CREATE TRIGGER t BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION f();`,
      [],
    ],
    [
      'a function that only one migration uses',
      'CREATE FUNCTION once() RETURNS int LANGUAGE sql RETURN 1; SELECT once(); DROP FUNCTION once();',
      [],
    ],
    [
      'a function that may exist already',
      'CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql RETURN 1; DROP FUNCTION f();',
      ['drops-unmanaged'],
    ],

    ["squawk's rules", `${TIMEOUT}ALTER TABLE users DROP COLUMN name;`, ['ban-drop-column']],
    [
      'a constraint that is validated under the lock',
      `${TIMEOUT}ALTER TABLE users ADD CONSTRAINT c CHECK (id IS NOT NULL);`,
      ['constraint-missing-not-valid'],
    ],
    [
      'a constraint that is validated in the transaction that adds it',
      `${TIMEOUT}ALTER TABLE users ADD CONSTRAINT c CHECK (id IS NOT NULL) NOT VALID;
       ALTER TABLE users VALIDATE CONSTRAINT c;`,
      ['constraint-missing-not-valid'],
    ],
    [
      'a constraint that is validated later',
      `-- no-transaction\nSET lock_timeout = '5s'; ALTER TABLE users ADD CONSTRAINT c CHECK (id IS NOT NULL) NOT VALID;
       ALTER TABLE users VALIDATE CONSTRAINT c;`,
      [],
    ],
    [
      'one finding where two rules of squawk apply',
      `${TIMEOUT}ALTER TABLE users ADD CONSTRAINT u UNIQUE (name), ADD CONSTRAINT c CHECK (id IS NOT NULL);
       ALTER TABLE users ADD CONSTRAINT k FOREIGN KEY (id) REFERENCES users (id);`,
      ['disallowed-unique-constraint', 'constraint-missing-not-valid', 'adding-foreign-key-constraint'],
    ],
    [
      'a column that fails on tables with rows',
      `${TIMEOUT}ALTER TABLE users ADD COLUMN x text NOT NULL;`,
      ['adding-required-field'],
    ],
    [
      'a down.sql that rewrites a table',
      { up: 'SELECT 1;', down: 'ALTER TABLE users ALTER COLUMN name TYPE bigint USING name::bigint;' },
      ['down changing-column-type'],
    ],
    ['a down migration that drops what its migration created', { up: 'SELECT 1;', down: 'DROP TABLE users;' }, []],
    ['a byte order mark', `\uFEFF${TIMEOUT}ALTER TABLE users ADD COLUMN x text;`, []],
  ];

  it.each(cases)('%s', async (_title, files, rules) => {
    expect(await rulesBroken(files)).toEqual(rules);
  });

  it('follow renames and drops across migrations', async () => {
    const renamed = `${TIMEOUT}ALTER INDEX users_name_idx RENAME TO users_first_idx;
      ALTER TABLE users RENAME CONSTRAINT users_name_check TO users_first_check;
      -- lint-ignore renaming-table: nothing reads it yet
      ALTER TABLE users RENAME TO people;`;
    const plain = '-- no-transaction\nDROP INDEX CONCURRENTLY users_name_idx;';
    const partial = '-- no-transaction\nDROP INDEX CONCURRENTLY users_first_idx;';
    const again = `${TIMEOUT}-- lint-ignore ban-drop-table: it is made anew
      DROP TABLE users;
      CREATE TABLE users (id uuid, name text); CREATE INDEX users_name_idx ON users (name);`;
    const check = `${TIMEOUT}ALTER TABLE people DROP CONSTRAINT users_first_check;`;
    const chosen = (column: string) => `${TIMEOUT}ALTER TABLE users DROP CONSTRAINT users_${column}_check;`;
    const ofLast = async (...ups: readonly string[]) => {
      const findings = await findingsOf([INIT, ...ups.map((up) => ({ up }))]);
      return findings.filter(({ migration }) => migration.startsWith(`2026010100000${ups.length}`)).length;
    };

    expect(await ofLast(plain)).toBe(1);
    expect(await ofLast(renamed, plain)).toBe(0);
    expect(await ofLast(again, plain)).toBe(0);
    expect(await ofLast(renamed, partial)).toBe(1);
    expect(await ofLast(renamed, check)).toBe(1);
    expect(await ofLast(renamed, partial, partial)).toBe(0);
    expect(await ofLast(chosen('age'), chosen('score'))).toBe(1);
  });

  it('reject a file that is not SQL', async () => {
    const error = await failureOf(findingsOf([INIT, { up: 'SELECT 1;\nALTER users;' }]));

    expect(error).toMatchObject({ code: 'MIGRATION.SYNTAX', meta: { line: 2, column: 7 } });
  });
});
