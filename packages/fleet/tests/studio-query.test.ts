import { request as httpRequest } from 'node:http';
import { studioRole } from '../src/operations/studio/access';
import { TIME_LIMITS } from '../src/studio/limits';
import { answerQuery } from '../src/studio/query';
import type { GivenFleet } from './fleet-fixture';
import { openClient, rowsOf } from './migrations-fixture';
import {
  closeStudios,
  faultOf,
  type GivenStudio,
  givenPeople,
  givenStudio,
  post,
  removeStudios,
} from './studio-fixture';

let fleet: GivenFleet;

beforeAll(async () => {
  fleet = await givenPeople();
});
afterEach(closeStudios);
afterAll(() => removeStudios([fleet]));

const QUERY_CANCELED = '57014';

async function ask({ send, server }: GivenStudio, request: unknown) {
  const { text, headers } = await send(post(server.port, 'people', JSON.stringify(request)));
  return { answer: JSON.parse(text), cut: headers['x-studio-cut'] };
}

const sessionsOf = (query: string) =>
  rowsOf(
    fleet.target('people').admin,
    `SELECT count(*)::int FROM pg_stat_activity
     WHERE usename = '${studioRole(fleet.target('people'))}' AND state = 'active' AND query LIKE '${query}%'`,
  );

/** Asks again until it is so; jest's own timeout ends it. */
async function until(isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo())) await new Promise((resolve) => setTimeout(resolve, 20));
}

describe('values', () => {
  it('come as PostgreSQL prints them, but for those that JavaScript has', async () => {
    const { query } = await givenStudio(fleet);

    const [, rows] =
      await query(`SELECT 9007199254740993::bigint AS big, 1.10::numeric AS exact, 7 AS whole, true AS yes,
      'NaN'::float8 AS odd, 0.5::float8 AS half, '{"a":[1]}'::jsonb AS json, '{1,2}'::int[] AS list, NULL AS none,
      '2026-01-02 03:04:05.123456+00'::timestamptz AT TIME ZONE 'UTC' AS at, '\\xff'::bytea AS bytes, '1 day'::interval AS day`);

    expect(rows).toEqual([
      {
        big: '9007199254740993',
        exact: '1.10',
        whole: 7,
        yes: true,
        odd: 'NaN',
        half: 0.5,
        json: { a: [1] },
        list: [1, 2],
        none: null,
        at: '2026-01-02 03:04:05.123456',
        bytes: '\\xff',
        day: '1 day',
      },
    ]);
  });

  it('go as parameters of whatever type the statement wants', async () => {
    const { query } = await givenStudio(fleet);

    const [, rows] = await query(
      'SELECT $1::int + 1 AS a, $2::text[] AS b, $3::jsonb AS c, $4::bool AS d, $5::text AS e, $6::int[] AS f',
      [41, ['a,"b\\', null], { x: "'" }, false, null, [[1], [2]]],
    );

    expect(rows).toEqual([{ a: 42, b: ['a,"b\\', null], c: { x: "'" }, d: false, e: null, f: [[1], [2]] }]);
  });

  it('are looked up in the schema that the page names', async () => {
    const studio = await givenStudio(fleet);
    const sql = 'SELECT current_schemas(false)::text[] AS path, count(*)::int FROM tables WHERE false';

    const { answer } = await ask(studio, { procedure: 'query', query: { sql }, schema: 'information_schema' });

    expect(answer).toEqual([null, [{ path: ['information_schema', 'public'], count: 0 }]]);
  });

  it('are looked up nowhere else when a schema is named to break out', async () => {
    const studio = await givenStudio(fleet);

    const { answer } = await ask(studio, {
      procedure: 'query',
      query: { sql: 'SELECT 1 AS one' },
      schema: `x"; COMMIT; --'`,
    });

    expect(answer).toEqual([null, [{ one: 1 }]]);
  });
});

describe('an answer', () => {
  it('of ten million rows is a thousand of them, and says so', async () => {
    const studio = await givenStudio(fleet);
    await studio.query('SELECT 1');
    const before = process.memoryUsage.rss();

    const { answer, cut } = await ask(studio, {
      procedure: 'query',
      query: { sql: "SELECT n, repeat('x', 100) AS text FROM generate_series(1, 10000000) AS n" },
    });

    expect([answer[1].length, answer[1].at(-1).n, cut]).toEqual([1000, 1000, 'rows']);
    expect(process.memoryUsage.rss() - before).toBeLessThan(100 * 1024 * 1024);
  });

  it('of exactly a thousand rows is whole', async () => {
    const studio = await givenStudio(fleet);

    const { answer, cut } = await ask(studio, {
      procedure: 'query',
      query: { sql: 'SELECT n FROM generate_series(1, 1000) n' },
    });

    expect([answer[1].length, cut]).toEqual([1000, undefined]);
  });

  it.each([
    ['one value', "SELECT repeat('x', 200000000) AS text"],
    ['many rows', "SELECT repeat('x', 50000) AS text FROM generate_series(1, 1000)"],
    ['a COPY', "COPY (SELECT repeat('x', 50000) FROM generate_series(1, 100000)) TO STDOUT"],
  ])('of more than 8 MB in %s is refused, and little of it is read', async (_what, sql) => {
    const studio = await givenStudio(fleet);
    await studio.query('SELECT 1');
    const before = process.memoryUsage.rss();

    const reply = await studio.query(sql);

    expect(faultOf(reply)).toBe('STUDIO.RESULT_TOO_LARGE');
    expect(process.memoryUsage.rss() - before).toBeLessThan(100 * 1024 * 1024);
    expect(await studio.query('SELECT 1 AS one')).toEqual([null, [{ one: 1 }]]);
  });

  it('to what gives no rows is empty', async () => {
    const { query } = await givenStudio(fleet);

    const replies = [
      await query('SET LOCAL work_mem = 1024'),
      await query('-- nothing'),
      await query(';'),
      await query('COPY (SELECT 1) TO STDOUT'),
    ];

    expect(replies).toEqual(Array(4).fill([null, []]));
  });
});

describe('a statement that runs too long', () => {
  it('is cut off by the server', async () => {
    const { query } = await givenStudio(fleet, { limits: { statementMs: 2_000, requestMs: 60_000 } });

    const reply = await query('SELECT pg_sleep(60)');

    expect(faultOf(reply)).toBe(QUERY_CANCELED);
    expect(await query('SELECT 1 AS one')).toEqual([null, [{ one: 1 }]]);
  });

  it('is cut off by the studio when it has taken off the limit', async () => {
    const { query } = await givenStudio(fleet, { limits: { statementMs: 15_000, requestMs: 4_000 } });
    const endless = "SELECT set_config('statement_timeout', '0', false), pg_sleep(30) FROM generate_series(1, 1000)";

    const reply = await query(endless);
    await until(async () => (await sessionsOf('SELECT set_config'))[0] === 0);

    expect(faultOf(reply)).toBe('STUDIO.TOO_LONG');
    expect(await query("SELECT current_setting('statement_timeout') AS timeout")).toEqual([null, [{ timeout: '15s' }]]);
  });

  it('does not wait for a lock for long', async () => {
    const { query } = await givenStudio(fleet, { limits: { statementMs: 2_000, requestMs: 60_000 } });
    await query('SELECT 1');
    const other = await openClient(fleet.target('people').admin);
    await other.query('BEGIN; LOCK TABLE notes');

    const reply = await query('SELECT * FROM notes');
    await other.end();

    expect(faultOf(reply)).toBe(QUERY_CANCELED);
  });
});

describe('a request that nobody waits for any more', () => {
  it('is ended on the server, with its session, and no other is hit', async () => {
    const studio = await givenStudio(fleet, { limits: { statementMs: 600_000, requestMs: 600_000 } });
    const { server, cookie } = studio;
    const sent = post(
      server.port,
      'people',
      JSON.stringify({ procedure: 'query', query: { sql: 'SELECT pg_sleep(300)' } }),
    );
    const request = httpRequest({
      ...{ host: '127.0.0.1', port: server.port, path: sent.path, method: 'POST', agent: false },
      headers: { host: `127.0.0.1:${server.port}`, ...sent.headers, cookie },
    });
    request.on('error', () => undefined);
    request.end(sent.body);
    await until(async () => (await sessionsOf('SELECT pg_sleep'))[0] === 1);

    request.destroy();
    const others = Array.from({ length: 20 }, (_, n) => studio.query('SELECT $1::int AS n', [n]));

    expect((await Promise.all(others)).map(([, rows]) => rows?.[0]?.['n'])).toEqual(
      Array.from({ length: 20 }, (_, n) => n),
    );
    await until(async () => (await sessionsOf('SELECT pg_sleep'))[0] === 0);
  });
});

describe('a database whose sessions all ended', () => {
  it('is asked again by new ones', async () => {
    const { query } = await givenStudio(fleet);
    await Promise.all(Array.from({ length: 4 }, () => query('SELECT pg_sleep(0.05)')));
    const role = studioRole(fleet.target('people'));
    const running = query('SELECT pg_sleep(300)');
    await until(async () => (await sessionsOf('SELECT pg_sleep(300)'))[0] === 1);

    await rowsOf(
      fleet.target('people').admin,
      `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = '${role}'`,
    );

    expect(faultOf(await running)).toBe('57P01');
    expect(await query('SELECT 1 AS one')).toEqual([null, [{ one: 1 }]]);
  });
});

describe('several statements at once', () => {
  const edits = (...sqls: string[]) => ({
    procedure: 'transaction',
    queries: sqls.map((sql) => ({ sql, parameters: [] })),
  });

  it('are refused without --write', async () => {
    const { answer } = await ask(await givenStudio(fleet), edits('SELECT 1', 'SELECT 2'));

    expect(answer[0].code).toBe('STUDIO.READ_ONLY');
  });

  it('take effect together or not at all', async () => {
    const studio = await givenStudio(fleet, { write: true });

    const good = await ask(
      studio,
      edits("UPDATE notes SET body = 'a' RETURNING body", "UPDATE notes SET body = 'b' RETURNING body"),
    );
    const bad = await ask(studio, edits("UPDATE notes SET body = 'c'", 'UPDATE notes SET user_id = NULL'));
    const ended = await ask(studio, edits("UPDATE notes SET body = 'd'", 'COMMIT', 'SELECT 1'));
    const chained = await ask(
      studio,
      edits("UPDATE notes SET body = 'e'", 'DO $$ BEGIN NULL; END $$', '--\n/**/COMMIT AND CHAIN', 'SELECT 1'),
    );

    expect(good.answer).toEqual([null, [[{ body: 'a' }], [{ body: 'b' }]]]);
    expect([bad, ended, chained].map(({ answer }) => answer[0].code)).toEqual([
      '23502',
      'STUDIO.TRANSACTION_CONTROL',
      'STUDIO.TRANSACTION_CONTROL',
    ]);
    expect(await studio.query('SELECT body FROM notes')).toEqual([null, [{ body: 'b' }]]);
  });

  it('tell no value of a row that a constraint refuses', async () => {
    const studio = await givenStudio(fleet, { write: true });

    const { answer } = await ask(studio, edits("UPDATE users SET id = 'u1' WHERE id = 'u2'", 'SELECT 1'));

    expect(answer[0]).toEqual({
      name: 'DatabaseError',
      message: 'duplicate key value violates unique constraint "users_pkey"',
      code: '23505',
    });
  });
});

describe('a lint', () => {
  const lint = (sql: string) => ({ procedure: 'sql-lint', sql, schemaVersion: 'v1' });

  it('tells what is wrong, and where', async () => {
    const { answer } = await ask(await givenStudio(fleet), lint('SELECT nothing FROM notes'));

    const message = 'column "nothing" does not exist';
    const found = { from: 7, to: 8, severity: 'error', message, code: '42703', source: 'postgresql' };
    expect(answer).toEqual([null, { diagnostics: [found], schemaVersion: 'v1' }]);
  });

  it('never runs what it looks at', async () => {
    const studio = await givenStudio(fleet, { write: true });
    const before = await studio.query('SELECT count(*) FROM notes');

    const answers = [];
    for (const sql of [
      'DELETE FROM notes',
      'EXPLAIN ANALYZE DELETE FROM notes',
      'ANALYZE DELETE FROM notes',
      '; DELETE FROM notes',
      'COMMIT',
    ])
      answers.push((await ask(studio, lint(sql))).answer[1].diagnostics.length);

    expect(answers).toEqual([0, 0, 1, 0, 0]);
    expect(await studio.query('SELECT count(*) FROM notes')).toEqual(before);
  });
});

describe('what is no answer of the database', () => {
  it.each([
    ['DATABASE.CONNECTION_LOST', Object.assign(new Error('write ECONNRESET'), { code: 'ECONNRESET' })],
    ['INTERNAL', new TypeError('undefined is not a function')],
  ])('is told as %s', async (code, error) => {
    const { studio } = await givenStudio(fleet);
    const { context } = studio;
    const people = context.access.get('people');
    if (people === undefined) throw new Error('the studio shows people');
    const access = new Map([['people', { ...people, open: () => Promise.reject(error) }]]);
    const request = { procedure: 'query' as const, query: { sql: 'SELECT 1', parameters: [] } };
    const caller = { address: undefined, agent: undefined };
    const options = { signal: new AbortController().signal, limits: TIME_LIMITS, caller };

    const { answer } = await answerQuery({ ...context, access }, 'people', request, options);

    expect(answer).toMatchObject([{ name: 'SuiteError', code }]);
  });
});
