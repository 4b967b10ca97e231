import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { Client } from 'pg';
import { writeRows } from '../src/bulk';
import { capabilitiesOf } from '../src/capabilities';
import { quoteIdentifier, quoteLiteral } from '../src/quote';

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

  // PostgreSQL text holds no NUL and no half of a surrogate pair.
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
  ])('by %s gives back every value as it was', async (_name, copyFrom) => {
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

  it('fails with the database error when a row breaks a rule, and the connection lives on', async () => {
    const rows = [['a'], ['b']];

    await expect(
      writeRows(client, { copyFrom: true, roles: true }, { table, columns: ['whole'], rows }),
    ).rejects.toMatchObject({ code: '22P02' });
    expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  });

  it('produces rows only as they are sent', async () => {
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

describe('quoting', () => {
  it('ends no identifier and no literal early', async () => {
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
