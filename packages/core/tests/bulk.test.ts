import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { Client } from 'pg';
import { JSON_NULL, writeRows } from '../src/bulk';
import { capabilitiesOf } from '../src/capabilities';
import { quoteIdentifier, quoteLiteral } from '../src/quote';
import type { CopyValue } from '../src/seed';

describe('writeRows', () => {
  const client = new Client(process.env['TEST_DATABASE_URL']);
  const table = `bulk "${randomBytes(4).toString('hex')}`;
  const columns = ['key', 'whole', 'real', 'yes', 'moment', 'texts', 'document'];

  beforeAll(async () => {
    await client.connect();
    await client.query(`CREATE TEMPORARY TABLE ${quoteIdentifier(table)} (key text, whole bigint, "real" float8, yes boolean,
      moment timestamptz, texts text[], document jsonb)`);
  });
  afterAll(() => client.end());
  beforeEach(() => client.query(`TRUNCATE ${quoteIdentifier(table)}`));

  // PostgreSQL text cannot contain NUL or an unpaired surrogate.
  const text = fc
    .string({ unit: 'grapheme' })
    .map((it) => it.replaceAll('\0', ''))
    .filter((it) => it.isWellFormed());
  const row = fc.tuple(
    fc.option(text),
    fc.option(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })),
    fc.option(fc.double({ noNaN: true, noDefaultInfinity: true })),
    fc.option(fc.boolean()),
    fc.option(fc.date({ min: new Date('0100-01-01'), max: new Date('9999-01-01'), noInvalidDate: true })),
    fc.option(fc.array(fc.option(text), { maxLength: 4 })),
    fc.option(fc.dictionary(text, text, { maxKeys: 4 })),
  );

  it.each([
    ['COPY', true],
    ['INSERT', false],
  ])('stores by %s every value as it was passed', async (_name, copyFrom) => {
    await fc.assert(
      fc.asyncProperty(fc.array(row, { maxLength: 20 }), async (rows) => {
        await client.query(`TRUNCATE ${quoteIdentifier(table)}`);

        const written = await writeRows(client, { copyFrom, roles: true }, { table, columns, rows });

        const found = await client.query({ text: `SELECT * FROM ${quoteIdentifier(table)}`, rowMode: 'array' });
        expect(written).toBe(rows.length);
        expect(found.rows).toEqual(
          rows.map((values) =>
            values.map((value) => (typeof value === 'bigint' ? String(value) : value === 0 ? 0 : value)),
          ),
        );
      }),
      { numRuns: 60 },
    );
  });

  it('fails with the error of the database when a row breaks a rule, and keeps the connection usable', async () => {
    const rows = [['a'], ['b']];

    await expect(
      writeRows(client, { copyFrom: true, roles: true }, { table, columns: ['whole'], rows }),
    ).rejects.toMatchObject({ code: '22P02' });
    expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  });

  it('takes rows from the iterable only as they are sent', async () => {
    let made = 0;
    function* endless() {
      for (;;) {
        made += 1;
        yield made === 200_000 ? [Symbol('not a value') as never] : ['x'.repeat(100)];
      }
    }

    await expect(
      writeRows(client, { copyFrom: true, roles: true }, { table, columns: ['key'], rows: endless() }),
    ).rejects.toThrow();
    expect(made).toBe(200_000);
  });
});

describe.each([
  ['COPY', true],
  ['INSERT', false],
])('the type of a column decides how %s writes a value:', (_name, copyFrom) => {
  const client = new Client(process.env['TEST_DATABASE_URL']);
  const ODD = [
    'plain',
    'two words',
    '{a,b}',
    '"quoted"',
    'back\\slash',
    'tab\tline\nend\r',
    'NULL',
    '',
    "it's",
    '1,2;3',
  ];

  beforeAll(async () => {
    await client.connect();
    await client.query(`CREATE DOMAIN pg_temp.document AS jsonb`);
    await client.query(`CREATE DOMAIN pg_temp.tags AS text[]`);
  });
  afterAll(() => client.end());

  /** The value as PostgreSQL shows it after it was written to a column of this type. */
  async function written(type: string, value: CopyValue): Promise<unknown> {
    await client.query(`CREATE TEMPORARY TABLE typed (number int, value ${type})`);
    try {
      const target = { table: 'typed', columns: ['value', 'number'], rows: [[value, 1]] };
      await writeRows(client, { copyFrom, roles: true }, target);
      return (await client.query('SELECT value::text FROM typed')).rows[0]?.value;
    } finally {
      await client.query('DROP TABLE typed');
    }
  }

  it.each(['jsonb', 'json', 'pg_temp.document'])('%s takes every JavaScript value as JSON', async (type) => {
    const values = [[], [1, [2]], [{ a: ODD }, null], {}, { list: [] }, ...ODD, '[1]', 0, true, false];

    for (const value of values) expect(JSON.parse(String(await written(type, value)))).toEqual(value);
    expect(JSON.parse(String(await written(type, new Date(0))))).toBe('1970-01-01T00:00:00.000Z');
    expect(await written(type, 12345678901234567890n)).toBe('12345678901234567890');
  });

  it('jsonb tells a JSON null from an SQL NULL', async () => {
    expect(await written('jsonb', JSON_NULL)).toBe('null');
    expect(await written('jsonb', null)).toBeNull();
    expect(await written('jsonb', [JSON_NULL, null])).toBe('[null, null]');
  });

  it.each(['text[]', 'pg_temp.tags'])('%s takes a list with every character and NULL', async (type) => {
    await client.query(`CREATE TEMPORARY TABLE expected AS SELECT $1::text[] AS value`, [[...ODD, null]]);
    const { rows } = await client.query('SELECT value::text FROM expected');
    await client.query('DROP TABLE expected');

    expect(await written(type, [...ODD, null])).toBe(rows[0]?.value);
    expect(await written(type, [])).toBe('{}');
    expect(await written(type, '{a,b}')).toBe('{a,b}');
  });

  it('array types take nested arrays as dimensions', async () => {
    expect(
      await written('int[]', [
        [1, 2],
        [3, null],
      ]),
    ).toBe('{{1,2},{3,NULL}}');
    expect(await written('text[][]', [[['{', '"']], [['\\', '']]])).toBe('{{{"{","\\""}},{{"\\\\",""}}}');
    expect(await written('boolean[]', [true, false])).toBe('{t,f}');
    expect(await written('box[]', ['(1,1),(0,0)', '(2,2),(1,1)'])).toBe('{(1,1),(0,0);(2,2),(1,1)}');
    await expect(written('int[]', [[1], [2, 3]])).rejects.toMatchObject({ code: '22P02' });
  });

  it('each element of an array of JSON values is one value', async () => {
    expect(await written('jsonb[]', [[1, 2], 'text', { a: '"' }, null, JSON_NULL])).toBe(
      '{"[1, 2]","\\"text\\"","{\\"a\\": \\"\\\\\\"\\"}",NULL,"null"}',
    );
    expect(await written('pg_temp.document[]', [[]])).toBe('{[]}');
  });

  it('bytea takes bytes; other types take objects and arrays as JSON text', async () => {
    expect(await written('bytea', Buffer.from([0, 92, 255]))).toBe('\\x005cff');
    expect(await written('bytea[]', [new Uint8Array([1])])).toBe('{"\\\\x01"}');
    expect(await written('text', { a: [1] })).toBe('{"a":[1]}');
    expect(await written('text', [1, 2])).toBe('[1,2]');
  });

  it('a column that the table does not have is rejected by the server', async () => {
    await client.query('CREATE TEMPORARY TABLE narrow (value int)');
    const target = { table: 'narrow', columns: ['value', 'missing'], rows: [[1, 2]] };

    await expect(writeRows(client, { copyFrom, roles: true }, target)).rejects.toMatchObject({ code: '42703' });
    await expect(writeRows(client, { copyFrom, roles: true }, { ...target, table: 'nowhere' })).rejects.toMatchObject({
      code: '42P01',
    });
    await client.query('DROP TABLE narrow');
  });
});

describe('quoting', () => {
  it('keeps any text inside its identifier or literal', async () => {
    const client = new Client(process.env['TEST_DATABASE_URL']);
    await client.connect();
    try {
      await fc.assert(
        fc.asyncProperty(fc.string({ minLength: 1, maxLength: 15 }), async (odd) => {
          fc.pre(!odd.includes('\0') && odd.isWellFormed());
          const { rows } = await client.query(`SELECT ${quoteLiteral(odd)} AS ${quoteIdentifier(odd)}`);
          expect(rows).toEqual([{ [odd]: odd }]);
        }),
      );
    } finally {
      await client.end();
    }
  });
});

describe('capabilitiesOf', () => {
  it.each([
    ['PostgreSQL 18.4 on x86_64-pc-linux-gnu, compiled by gcc', true],
    ['PostgreSQL 17.5 (PGlite 0.3) on wasm32-unknown-emscripten', false],
  ])('%s', (version, copyFrom) => {
    expect(capabilitiesOf(version).copyFrom).toBe(copyFrom);
  });
});
