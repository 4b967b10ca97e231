import fc from 'fast-check';
import { Client } from 'pg';
import { runPrepared } from '../src/prepared-query';

describe('a prepared statement', () => {
  const client = new Client(process.env['TEST_DATABASE_URL']);
  beforeAll(() => client.connect());
  afterAll(() => client.end());

  /** No two tests use the same name for different texts. */
  const run = (name: string, text: string, values: readonly unknown[] = []) =>
    runPrepared(client, { name, text, values });
  const expectUsable = async () => expect(await run('usable', 'SELECT 1 AS one')).toEqual([{ one: 1 }]);

  it('sends every value, and reads every column, as a query of pg does', async () => {
    const text = `SELECT $1::text AS text, $2::bytea AS bytes, $3::jsonb AS document, $4::timestamptz AS time, $5::text[] AS texts,
      $6::bigint AS whole, $7::float8 AS "real", $8::boolean AS yes, $1::text || 'ä€😀' AS "Longer ü name"`;
    // PostgreSQL text cannot contain NUL.
    const string = fc.string({ unit: 'binary' }).map((it) => it.replaceAll('\0', ''));
    const wellFormed = string.filter((it) => it.isWellFormed());
    const nullable = <Value>(values: fc.Arbitrary<Value>) => fc.oneof(values, fc.constantFrom(null, undefined));
    const values = fc.tuple(
      nullable(string),
      nullable(fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes))),
      nullable(fc.dictionary(wellFormed, wellFormed)),
      nullable(fc.date({ min: new Date('0100-01-01'), max: new Date('9999-01-01'), noInvalidDate: true })),
      nullable(fc.array(fc.option(string), { maxLength: 4 })),
      nullable(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })),
      nullable(fc.double()),
      nullable(fc.boolean()),
    );

    await fc.assert(
      fc.asyncProperty(values, async (sent) => {
        const { rows } = await client.query(text, [...sent]);
        expect(await run('every_type', text, sent)).toEqual(rows);
      }),
      { numRuns: 200 },
    );
  });

  it('sends and reads more than one packet', async () => {
    const long = 'é'.repeat(200_000);

    expect(await run('long', 'SELECT n, $1::text AS text FROM generate_series(1, 3) AS n', [long])).toEqual(
      [1, 2, 3].map((n) => ({ n, text: long })),
    );
  });

  it('is parsed once in a session', async () => {
    const text = `SELECT count(*)::int AS count FROM pg_prepared_statements WHERE name = 'once'`;
    const parse = jest.spyOn((client as unknown as { connection: { parse(): void } }).connection, 'parse');

    expect([await run('once', text), await run('once', text)]).toEqual([[{ count: 1 }], [{ count: 1 }]]);
    expect(parse).toHaveBeenCalledTimes(1);
    parse.mockRestore();
  });

  it.each([
    ['no rows', 'SELECT 1 AS one WHERE false'],
    ['no columns', 'CREATE TEMPORARY TABLE without_result (id int)'],
    ['no statement', ''],
  ])('with %s has no rows', async (what, text) => {
    expect(await run(`with ${what}`.replaceAll(' ', '_'), text)).toEqual([]);
    await expectUsable();
  });

  it.each([
    ['that PostgreSQL cannot parse', 'SELEC 1', '42601'],
    ['that fails at its first row', 'SELECT 1 / $1::int AS result', '22012'],
    [
      'that fails after a row',
      'SELECT 1 / (2 - n) AS result FROM generate_series(1, 2) AS n WHERE $1::int = 0',
      '22012',
    ],
    ['with too few values', 'SELECT $1::int + $2::int AS sum', '08P01'],
  ])('%s rejects with the error of PostgreSQL, each time', async (what, text, code) => {
    const name = what.replaceAll(' ', '_');

    for (let time = 0; time < 2; time += 1) await expect(run(name, text, [0])).rejects.toMatchObject({ code });
    await expectUsable();
  });

  it('rejects a value that cannot be sent, and sends nothing', async () => {
    const circular: { self?: unknown } = {};
    circular.self = circular;

    await expect(run('circular', 'SELECT $1::jsonb AS document', [circular])).rejects.toThrow(TypeError);
    await expectUsable();
  });

  it('rejects a statement that waits for data to copy', async () => {
    await client.query('CREATE TEMPORARY TABLE copied (id int)');

    await expect(run('copy', 'COPY copied FROM STDIN')).rejects.toMatchObject({ code: '57014' });
    await expectUsable();
  });
});
