/** @server any */
import { testEffort } from '@azora/db-testkit';
import fc from 'fast-check';
import type { Client } from 'pg';
import type { ServiceAdapter } from '../../studio/src/data/service-adapter';
import { type GivenFleet, givenFleet } from './fleet-fixture';
import { openClient, rowsOf } from './migrations-fixture';
import { type Column, type GivenAdapter, givenAdapter, type Table } from './studio-adapter-fixture';
import { AUDIT_LOG, AUDIT_LOG_SQL, givenStudio, removeStudios } from './studio-fixture';

const SCHEMA = `
/// @grant select, insert, update, delete
model Value {
  id    Int     @id
  big   BigInt?
  @@map("values")
}
${AUDIT_LOG}`;

const sign = fc.constantFrom('', '-');
const digits = (most: number) =>
  fc.stringMatching(new RegExp(`^[1-9][0-9]{0,${most - 1}}$`)).filter((text) => text.length <= most);
const decimal = (whole: number, fraction: number) =>
  fc
    .tuple(sign, digits(whole), fc.stringMatching(new RegExp(`^[0-9]{0,${fraction}}$`)))
    .map(([minus, before, after]) => (after === '' ? `${minus}${before}` : `${minus}${before}.${after}`));
const text = fc
  .oneof(
    fc.string({ unit: 'grapheme', maxLength: 12 }),
    fc.constantFrom('', ' ', 'true', 'null', '"true"', 'NULL', '{}', '1e400', 'two\nlines\r\n', '\\', "it's", '‮😀'),
  )
  .filter((value) => value.isWellFormed() && !value.includes('\0'));
const scalar = fc.oneof(
  fc.constantFrom('"true"', 'true', 'null', '1e400', '-0', '9007199254740993', '1234567890.12345678', '""', '{}', '[]'),
  text.map((value) => JSON.stringify(value)),
  decimal(20, 12),
);
const json = fc.oneof(
  scalar,
  fc.array(scalar, { maxLength: 3 }).map((items) => `[${items.join(', ')}]`),
  fc
    .array(fc.tuple(text, scalar), { maxLength: 3 })
    .map((entries) => `{${entries.map(([key, value]) => `${JSON.stringify(key)}: ${value}`).join(', ')}}`),
);
const listOf = (item: fc.Arbitrary<string>) =>
  fc
    .array(fc.option(item, { freq: 5 }), { maxLength: 4 })
    .map(
      (items) =>
        `{${items.map((it) => (it === null ? 'NULL' : JSON.stringify(it).replaceAll('\n', '\\n'))).join(',')}}`,
    );
const plainText = fc.stringMatching(/^[a-zA-Z0-9 ,{}]{0,8}$/);
const micros = fc
  .date({ min: new Date('0001-01-02'), max: new Date('9999-12-30'), noInvalidDate: true })
  .chain((date) => fc.nat(999).map((more) => date.toISOString().replace('Z', String(more).padStart(3, '0'))));

/** Every type of a column of the suite, and others that PostgreSQL itself offers, with texts of their values. */
const TYPES: Readonly<Record<string, fc.Arbitrary<string>>> = {
  smallint: fc.integer({ min: -32_768, max: 32_767 }).map(String),
  integer: fc.integer({ min: -2_147_483_648, max: 2_147_483_647 }).map(String),
  bigint: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String),
  'numeric(18,8)': decimal(10, 8),
  numeric: fc.oneof(decimal(40, 30), fc.constantFrom('NaN', 'Infinity', '1e400', '0.10', '-0.00')),
  'double precision': fc.oneof(fc.double().map(String), fc.constantFrom('-0', '1e-320', '0.1', '1e+15')),
  real: fc.oneof(fc.float().map(String), fc.constantFrom('-0', '1e-40')),
  boolean: fc.constantFrom('true', 'false'),
  text,
  'character varying(20)': text.filter((value) => [...value].length <= 20),
  'character(3)': fc.stringMatching(/^[a-z]{0,3}$/),
  uuid: fc.uuid(),
  json,
  jsonb: json,
  bytea: fc.stringMatching(/^([0-9a-f]{2}){0,8}$/).map((hex) => `\\x${hex}`),
  'timestamp(3) with time zone': micros.map((at) => `${at}+00`),
  'timestamp with time zone': micros.map((at) => `${at}+05:45`),
  'timestamp without time zone': micros,
  date: micros.map((at) => at.slice(0, 10)),
  time: micros.map((at) => at.slice(11)),
  interval: fc
    .tuple(fc.integer({ min: -99, max: 99 }), fc.integer({ min: -999_999, max: 999_999 }))
    .map(([days, seconds]) => `${days} days ${seconds}.000001 seconds`),
  'bigint[]': listOf(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String)),
  'integer[]': listOf(fc.integer({ min: -1000, max: 1000 }).map(String)),
  'text[]': listOf(plainText),
  'jsonb[]': listOf(fc.constantFrom('{"a": 9007199254740993}', '"true"')),
  tsvector: fc.stringMatching(/^[a-z]{1,5}( [a-z]{1,5}){0,3}$/),
  inet: fc.ipV4(),
  mood: fc.constantFrom('sad', 'it is fine'),
  'mood[]': fc.subarray(['sad', 'it is fine']).map((moods) => `{${moods.map((mood) => `"${mood}"`).join(',')}}`),
};
const COLUMNS = Object.keys(TYPES).map((type, index) => ({ name: `c${index}`, type }));
const columnOf = (type: string) => COLUMNS.find((column) => column.type === type)?.name ?? '';
/** How psql prints the values. A boolean is a word in the cell, where psql prints a letter. */
const PRINTED = COLUMNS.map(({ name, type }) => (type === 'boolean' ? `${name}::text` : `concat(${name})`));
const READ = `SELECT json_build_array(${PRINTED.join(', ')}) FROM "values" WHERE id = 1`;

let fleet: GivenFleet;
let given: GivenAdapter;
let adapter: ServiceAdapter;
let table: Table;
let client: Client;
const printed = async () => (await rowsOf(fleet.target('people').admin, READ))[0] as readonly string[];

beforeAll(async () => {
  fleet = await givenFleet({ people: { schema: SCHEMA, migrations: {} } });
  const columns = COLUMNS.map(({ name, type }) => `${name} ${type}`).join(', ');
  await rowsOf(
    fleet.target('people').admin,
    `CREATE TYPE mood AS ENUM ('sad', 'it is fine'); CREATE TABLE "values" (id int PRIMARY KEY, ${columns},
       needed text NOT NULL DEFAULT 'x', strict text NOT NULL DEFAULT '-'); ${AUDIT_LOG_SQL}
     INSERT INTO "values" (id) VALUES (1)`,
  );
  client = await openClient(fleet.target('people').admin);
  given = givenAdapter(await givenStudio(fleet, { write: true }));
  ({ adapter } = given);
  table = await given.table('values');
});
afterAll(async () => {
  await client?.end();
  await removeStudios([fleet]);
});

const column = (name: string): Column => table.columns[name] as Column;

/** The row as a page of the table shows it. */
const shown = async () => (await given.rows(table))[0] ?? {};

async function save(changes: Readonly<Record<string, unknown>>): Promise<string | undefined> {
  const [error] = await adapter.update({ table, row: await shown(), changes }, {});
  return error?.message;
}

describe('a value of every type', () => {
  it('goes from the database to the page and back byte for byte', async () => {
    const row = fc.tuple(...COLUMNS.map(({ type }) => fc.option(TYPES[type] ?? fc.constant(''), { freq: 6 })));
    await fc.assert(
      fc.asyncProperty(row, async (values) => {
        const set = COLUMNS.map(({ name, type }, index) => `${name} = $${index + 1}::text::${type}`).join(', ');
        await client.query(`UPDATE "values" SET ${set}`, [...values]);
        const before = await printed();

        const cells = await shown();
        const problem = await save(Object.fromEntries(COLUMNS.map(({ name }) => [name, cells[name]])));

        expect(problem).toBeUndefined();
        const seen = COLUMNS.map(({ name, type }, index) =>
          cells[name] === null && type !== 'boolean' && before[index] === '' ? '' : cells[name],
        );
        expect(seen.map((value) => (value === null ? null : String(value)))).toEqual(before);
        expect(await printed()).toEqual(before);
      }),
      { numRuns: 8 * testEffort(), seed: 20_261_130 },
    );
  });

  it('is stored as it was typed', async () => {
    const typed = fc.tuple(...COLUMNS.map(({ type }) => TYPES[type] ?? fc.constant('')));
    await fc.assert(
      fc.asyncProperty(typed, fc.nat(COLUMNS.length - 1), async (values, index) => {
        const { name = '', type = '' } = COLUMNS[index] ?? {};
        const value = values[index] ?? '';

        const checked = await adapter.checkValue(column(name), value);
        if (!('stored' in checked)) throw new Error(`${type} ${value}: ${checked.problem}`);
        const problem = await save({ [name]: checked.stored });

        expect(problem).toBeUndefined();
        const parsed = type === 'boolean' ? '$1' : `concat($1::text::${type})`;
        const { rows } = await client.query(`SELECT ${parsed} AS value`, [value]);
        expect((await printed())[index]).toBe(rows[0]?.value);
      }),
      { numRuns: 8 * testEffort(), seed: 20_261_130 },
    );
  });

  it.each([
    ['numeric(18,8)', '1,5', /invalid input syntax for type numeric/],
    ['integer', '12abc', /invalid input syntax for type integer/],
    ['integer', '', /invalid input syntax for type integer/],
    ['bigint', '9223372036854775808', /out of range/],
    ['jsonb', '{"a": 1,}', /invalid input syntax for type json/],
    ['uuid', 'abc', /invalid input syntax for type uuid/],
    ['character varying(20)', 'x'.repeat(21), /value too long/],
    ['timestamp with time zone', '2026-02-30', /out of range/],
    ['text[]', '["a"]', /malformed array/],
    ['mood', 'glad', /invalid input value for enum/],
  ])('is refused at the cell, and by the database, when %s cannot hold %s', async (type, value, why) => {
    const name = columnOf(type);
    const before = await printed();

    const checked = await adapter.checkValue(column(name), value);
    const problem = await save({ [name]: value });

    expect(checked).toEqual({ problem: expect.stringMatching(why) });
    expect(problem).toMatch(why);
    expect(await printed()).toEqual(before);
  });

  it('is shown as the database will round it before it is saved', async () => {
    const check = (type: string, value: string) => adapter.checkValue(column(columnOf(type)), value);

    expect([
      await check('numeric(18,8)', '1234567890.123456789'),
      await check('timestamp(3) with time zone', '2026-01-01 00:00:00.0004+00'),
      await check('integer[]', '{ 1, 2 }'),
    ]).toEqual([
      { stored: '1234567890.12345679' },
      { stored: expect.stringMatching(/:00[+-][\d:]+$/) },
      { stored: '{1,2}' },
    ]);
  });
});

describe('an empty text', () => {
  it('is not NULL and not the default', async () => {
    const name = columnOf('text');

    expect(await save({ [name]: '', needed: '' })).toBeUndefined();

    expect(await rowsOf(fleet.target('people').admin, `SELECT ${name}, needed FROM "values"`)).toEqual([
      { [name]: '', needed: '' },
    ]);
  });

  it('is never invented for a required column of a new row', async () => {
    await rowsOf(fleet.target('people').admin, `ALTER TABLE "values" ALTER strict DROP DEFAULT`);
    const fresh = await given.table('values');

    const [error] = await adapter.insert({ table: fresh, rows: [{ id: 2 }] }, {});

    expect(error?.message).toMatch(/null value in column "strict"/);
    expect(await rowsOf(fleet.target('people').admin, 'SELECT count(*)::int FROM "values"')).toEqual([1]);
  });
});
