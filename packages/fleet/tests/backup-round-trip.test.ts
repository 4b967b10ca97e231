import { execFileSync, spawnSync } from 'node:child_process';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { hasDrifted, withClient } from '@azora/db-migrate';
import fc from 'fast-check';
import { migrateTargetUp } from '../src/operations/migrations/migrate';
import { dumpSchema } from '../src/postgres/dump/schema';
import { backUp, givenPlace, removePlaces, restore } from './backup-fixture';
import { givenFleet, removeFleets } from './fleet-fixture';
import { rowsOf } from './migrations-fixture';

const SCHEMA = `
model Thing {
  id Int @id
  @@map("things")
}`;

/** Every column type of the suite, and every kind of object that its migrations create. */
const UP = `
CREATE TYPE mood AS ENUM ('sad', 'so so', 'it''s "fine"');
CREATE SEQUENCE odd_numbers INCREMENT 2 START 7;
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
  -- Name: not_a_header; Type: INDEX; Schema: public; Owner: -
  RAISE EXCEPTION 'append-only';
END $body$;
CREATE FUNCTION is_small(number numeric) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT number < 10';
CREATE TABLE owners ("Id" uuid PRIMARY KEY DEFAULT gen_random_uuid(), name varchar(50) NOT NULL,
  kind varchar(10) NOT NULL DEFAULT 'user' CHECK (kind IN ('user', 'group''s')), CHECK (name <> ALL (ARRAY['a', 'b'])));
CREATE TABLE things (
  id serial PRIMARY KEY, odd bigint DEFAULT nextval('odd_numbers'), owner uuid REFERENCES owners ("Id") ON DELETE CASCADE,
  amount numeric, money numeric(18, 8), big bigint, small smallint, real_value real, double_value double precision,
  flag boolean, label text, code char(4), word varchar(300), at timestamptz(6), local timestamp, day date, clock time,
  span interval, bytes bytea, feeling mood, feelings mood[], tags text[], numbers integer[], document jsonb, text_document json,
  id_value uuid, address inet, twice numeric GENERATED ALWAYS AS (big * 2) STORED,
  search tsvector GENERATED ALWAYS AS (to_tsvector('english', coalesce(label, ''))) STORED);
CREATE TABLE "two
lines" ("a
b" integer GENERATED ALWAYS AS IDENTITY, "it's; -- odd" text, "\r" integer GENERATED ALWAYS AS (1) STORED);
CREATE TABLE "odd ""name" ("a column" integer GENERATED ALWAYS AS IDENTITY, "select" text);
CREATE TABLE nothing ();
CREATE TABLE self (id integer PRIMARY KEY, parent integer REFERENCES self (id) DEFERRABLE INITIALLY DEFERRED);
CREATE UNIQUE INDEX things_label ON things (lower(label), md5(bytes)) WHERE label IS NOT NULL;
CREATE INDEX things_search ON things USING gin (search);
CREATE INDEX owners_kind ON owners (name) WHERE kind IN ('user', 'group''s');
CREATE VIEW small_things AS SELECT id, amount FROM things WHERE is_small(amount);
CREATE MATERIALIZED VIEW owners_counted AS SELECT count(*)::int AS owners FROM owners;
CREATE STATISTICS things_together ON odd, big FROM things;
CREATE RULE nothing_stays AS ON UPDATE TO nothing DO INSTEAD NOTHING;
ALTER TABLE self ENABLE ROW LEVEL SECURITY;
CREATE POLICY self_read ON self FOR SELECT USING (id > 0);
CREATE TRIGGER owners_keep BEFORE UPDATE OR DELETE ON owners FOR EACH ROW EXECUTE FUNCTION refuse();
CREATE CONSTRAINT TRIGGER self_checked AFTER UPDATE ON self DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse();
COMMENT ON TABLE things IS 'it''s; a -- comment';
COMMENT ON COLUMN things.label IS E'two\\nlines';`;

const COLUMNS = [
  ...['amount', 'money', 'big', 'small', 'real_value', 'double_value', 'flag', 'label', 'code', 'word', 'at', 'local'],
  ...[
    'day',
    'clock',
    'span',
    'bytes',
    'feeling',
    'feelings',
    'tags',
    'numbers',
    'document',
    'text_document',
    'id_value',
  ],
  'address',
];

/** Without NUL, which PostgreSQL's text cannot contain. */
const text = fc.oneof(
  fc.constantFrom('', '\\N', '\\.', '\t', '\n', '\r\n', '\\', '"', "'", '😀', 'ß\u0301', '\u202e', 'NULL', '{}', ','),
  fc.string({ unit: 'binary', maxLength: 40 }).map((value) => value.replaceAll('\0', '')),
);
const json = fc
  .jsonValue({ maxDepth: 3 })
  .map((value) => JSON.stringify(value))
  .filter((value) => !value.includes('\\u'));
const pick = (...values: readonly string[]) => fc.constantFrom(...values);
const row = fc.record(
  {
    amount: fc.oneof(
      pick('NaN', 'Infinity', '-Infinity', `${'9'.repeat(300)}.${'1'.repeat(300)}`, '1e-1000', '-0'),
      fc.integer().map(String),
    ),
    money: fc.oneof(pick('NaN', '9999999999.99999999', '-0.00000001'), fc.integer({ min: -1e9, max: 1e9 }).map(String)),
    big: pick('4611686018427387903', '-4611686018427387904', '0'),
    small: pick('32767', '-32768'),
    real_value: pick('NaN', 'Infinity', '1e-45', '3.4028235e38', '0.1', '-0'),
    double_value: fc.oneof(
      pick('NaN', '-Infinity', '5e-324', '0.1'),
      fc.double({ noNaN: true, noDefaultInfinity: true }).map(String),
    ),
    flag: pick('true', 'false'),
    label: text,
    code: pick('', 'a', 'ab  ', '😀'),
    word: text,
    at: pick(
      'infinity',
      '-infinity',
      '4713-01-01 00:00:00+00 BC',
      '294276-12-31 23:59:59.999999+00',
      '2026-11-21 10:00:00.123456+05:30',
    ),
    local: pick('infinity', '0001-01-01 00:00:00 BC', '2026-02-28 23:59:60'),
    day: pick('infinity', '-infinity', '4713-01-01 BC', '5874897-12-31'),
    clock: pick('00:00', '24:00', '23:59:59.999999'),
    span: pick('1 year -2 mons 3 days -04:05:06.000007', '178000000 years', '-1 second'),
    bytes: fc.uint8Array({ maxLength: 60 }).map((value) => `\\x${Buffer.from(value).toString('hex')}`),
    feeling: pick('sad', 'so so', `it's "fine"`),
    feelings: pick('{}', '{sad,"so so",NULL}'),
    tags: pick('{}', '{"",NULL,"NULL","a,b","\\"","\\\\"}', '{{a,b},{c,d}}', '[2:3]={x,y}'),
    numbers: pick('{}', '{1,-2147483648,NULL}'),
    document: json,
    text_document: json.map((value) => ` ${value} `),
    id_value: fc.uuid(),
    address: pick('::1', '10.0.0.1/8', '192.168.1.1'),
  },
  { requiredKeys: [] },
);

describe('a backup set', () => {
  const native = pgDump();
  afterAll(removePlaces);
  afterAll(removeFleets);

  const givenShop = async () => {
    const up = { '20260101000001_init': { up: UP, down: '-- irreversible: a test\n' } };
    const fleet = await givenFleet({ shop: { schema: SCHEMA, migrations: up } });
    await migrateTargetUp(fleet.target('shop'), { lockTimeoutMs: 10_000 });
    return fleet.target('shop');
  };

  it('restores any value of every column type', async () => {
    const target = await givenShop();
    const { admin } = target;
    const { storage } = await givenPlace();

    await fc.assert(
      fc.asyncProperty(fc.array(row, { minLength: 1, maxLength: 15 }), async (rows) => {
        await rowsOf(admin, 'TRUNCATE things, owners CASCADE');
        const columns = COLUMNS.join(', ');
        // As text through each type's input function, so that JavaScript does not convert numbers and times.
        const values = COLUMNS.map((column) => `(given ->> '${column}')::${typeOf(column)}`).join(', ');
        await withClient(admin, (client) =>
          client.query(
            `INSERT INTO things (${columns}) SELECT ${values} FROM jsonb_array_elements($1) AS given
             ON CONFLICT DO NOTHING`,
            [JSON.stringify(rows)],
          ),
        );
        const before = await rowsOf(admin, 'SELECT things::text FROM things ORDER BY id');
        expect(before.length).toBeGreaterThan(0);
        const { set } = await backUp([target], storage);
        await rowsOf(admin, 'DELETE FROM things');

        await restore([target], storage, set);

        expect(await rowsOf(admin, 'SELECT things::text FROM things ORDER BY id')).toEqual(before);
        await storage.remove(set);
      }),
      { numRuns: 6 },
    );
  });

  it('restores every object with the same definition, the positions of sequences, and no drift', async () => {
    const target = await givenShop();
    const { admin } = target;
    await rowsOf(
      admin,
      `INSERT INTO owners (name) VALUES ('Ada'); INSERT INTO things (label, owner) SELECT 'x', "Id" FROM owners;
       INSERT INTO "odd ""name" ("select") VALUES ('a'), (NULL); INSERT INTO nothing DEFAULT VALUES;
       BEGIN; INSERT INTO self VALUES (1, 2), (2, 1); COMMIT; SELECT setval('odd_numbers', 99, false)`,
    );
    const schemaOf = () => withClient(admin, (client) => dumpSchema(client));
    const before = { schema: await schemaOf(), native: native?.(admin.href) };
    const { storage } = await givenPlace();
    const { set, manifest } = await backUp([target], storage);

    expect(await restore([target], storage, set)).toMatchObject([{ state: 'done', data: { rows: 8, kept: null } }]);

    expect({ schema: await schemaOf(), native: native?.(admin.href) }).toEqual(before);
    expect(before.schema.preData).not.toMatch(
      /PRIMARY KEY|FOREIGN KEY|^CREATE (UNIQUE )?(INDEX|TRIGGER|RULE|POLICY|STATISTICS)/m,
    );
    expect(before.schema.postData).not.toMatch(/^CREATE (TABLE|TYPE|VIEW|MATERIALIZED|FUNCTION|SEQUENCE)/m);
    expect(await withClient(admin, hasDrifted)).toBe(false);
    expect(await rowsOf(admin, `SELECT nextval('odd_numbers')`)).toEqual(['99']);
    expect(await rowsOf(admin, `INSERT INTO things DEFAULT VALUES RETURNING id`)).toEqual([2]);
    expect(await rowsOf(admin, 'SELECT count(*)::int FROM nothing')).toEqual([1]);
    expect(await rowsOf(admin, 'SELECT owners FROM owners_counted')).toEqual([1]);
    await expect(rowsOf(admin, 'DELETE FROM owners')).rejects.toThrow('append-only');
    expect(manifest.databases[0]?.migrations.map(({ name }) => name)).toEqual(['20260101000001_init']);
  });

  it('gives the planner a first set of statistics, and leaves the rest to autovacuum', async () => {
    const target = await givenShop();
    const { admin } = target;
    await rowsOf(admin, `INSERT INTO owners (name) SELECT 'owner ' || n FROM generate_series(1, 200) AS n`);
    const { storage } = await givenPlace();
    const { set } = await backUp([target], storage);

    await restore([target], storage, set);

    expect(await rowsOf(admin, `SELECT attname FROM pg_stats WHERE tablename = 'owners' ORDER BY 1`)).toEqual([
      'Id',
      'kind',
      'name',
    ]);
    // A session reports its row counts a moment after it has ended.
    const isLeft = () =>
      rowsOf(
        admin,
        `SELECT n_mod_since_analyze = 200 OR autoanalyze_count > 0 FROM pg_stat_user_tables WHERE relname = 'owners'`,
      );
    while ((await isLeft())[0] !== true) await sleep(50);
  });

  it('can be restored with plain psql and its own script', async () => {
    if (spawnSync('psql', ['--version']).status !== 0) {
      expect(process.env['TEST_DATABASE_URL']).toBeDefined();
      return;
    }
    const target = await givenShop();
    await rowsOf(
      target.admin,
      `INSERT INTO owners (name) VALUES ('Ada'); INSERT INTO things (label) VALUES (E'a\\tb');
       INSERT INTO "two\nlines" ("it's; -- odd") VALUES ('x')`,
    );
    const { storage, directory } = await givenPlace();
    const { set } = await backUp([target], storage);
    await rowsOf(target.admin, 'DROP SCHEMA public CASCADE; CREATE SCHEMA public');

    execFileSync('psql', ['-X', '-q', '-d', target.admin.href, '-f', 'restore.sql'], {
      cwd: path.join(directory, set, 'shop'),
      stdio: ['ignore', 'ignore', 'inherit'],
    });

    expect(await rowsOf(target.admin, 'SELECT label FROM things')).toEqual(['a\tb']);
    expect(await rowsOf(target.admin, `SELECT "a\nb" || "it's; -- odd" FROM "two\nlines"`)).toEqual(['1x']);
    await expect(rowsOf(target.admin, 'DELETE FROM owners')).rejects.toThrow('append-only');
  });
});

function typeOf(column: string): string {
  const types = UP.slice(UP.indexOf('id serial'));
  const [, type = ''] =
    new RegExp(`\\b${column} ([a-z]+(?: precision)?(?:\\([\\d, ]+\\))?(?:\\[\\])?)`).exec(types) ?? [];
  return type;
}

/** The output of the machine's pg_dump for a database; undefined when it cannot read the test server. */
function pgDump(): ((url: string) => string) | undefined {
  const run = (url: string) => spawnSync('pg_dump', ['--dbname', url], { encoding: 'utf8' });
  const { status } = run(process.env['TEST_DATABASE_URL'] ?? '');
  if (status !== 0) return undefined;
  // The token that protects a script against injected commands differs each time.
  return (url) => run(url).stdout.replace(/^\\(un)?restrict .*$/gm, '');
}
