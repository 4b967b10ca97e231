/** @server any */
import { request as httpRequest } from 'node:http';
import { studioRole } from '../src/operations/targets';
import { answerQuery } from '../src/studio/query';
import { startServer } from '../src/studio/server';
import { TIME_LIMITS } from '../src/studio/transaction';
import type { GivenFleet } from './fleet-fixture';
import { openClient, rowsOf } from './migrations-fixture';
import {
  closeStudios,
  errorCodeOf,
  type GivenStudio,
  givenAssets,
  givenPeople,
  givenStudio,
  post,
  removeStudios,
  send,
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

/** Asks again until the condition holds; jest's timeout ends it. */
async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 20));
}

describe('values', () => {
  it('are the text that PostgreSQL prints, except booleans and short integers', async () => {
    const { query } = await givenStudio(fleet);

    const [, rows] =
      await query(`SELECT 9007199254740993::bigint AS big, 1.10::numeric AS exact, 7 AS whole, true AS yes,
      'NaN'::float8 AS odd, '-0'::float8 AS half, '{"a": 1e400, "b": 9007199254740993}'::jsonb AS json,
      '"true"'::json AS quoted, '{1,NULL}'::int[] AS list, NULL AS none,
      '2026-01-02 03:04:05.123456+00'::timestamptz AT TIME ZONE 'UTC' AS at, '\\xff'::bytea AS bytes, '1 day'::interval AS day`);

    expect(rows).toEqual([
      {
        big: '9007199254740993',
        exact: '1.10',
        whole: 7,
        yes: true,
        odd: 'NaN',
        half: '-0',
        json: `{"a": 1${'0'.repeat(400)}, "b": 9007199254740993}`,
        quoted: '"true"',
        list: '{1,NULL}',
        none: null,
        at: '2026-01-02 03:04:05.123456',
        bytes: '\\xff',
        day: '1 day',
      },
    ]);
  });

  it('are sent as parameters of the types that the statement needs', async () => {
    const { query } = await givenStudio(fleet);

    const [, rows] = await query(
      'SELECT $1::int + 1 AS a, $2::text[] AS b, $3::jsonb AS c, $4::bool AS d, $5::text AS e, $6::int[] AS f',
      [41, ['a,"b\\', null], { x: "'" }, false, null, [[1], [2]]],
    );

    expect(rows).toEqual([{ a: 42, b: '{"a,\\"b\\\\",NULL}', c: `{"x": "'"}`, d: false, e: null, f: '{{1},{2}}' }]);
  });

  it('keep columns of one name apart', async () => {
    const { query } = await givenStudio(fleet);

    expect(await query('SELECT 1 AS id, 2 AS id, 3 AS "id (2)", 4 AS id')).toEqual([
      null,
      [{ id: 1, 'id (3)': 2, 'id (2)': 3, 'id (4)': 4 }],
    ]);
  });

  it.each([
    ['the SQL', { sql: "SELECT 'é\ud800' AS a" }],
    ['the SQL, as NUL', { sql: 'SELECT 1\0' }],
    ['a parameter', { sql: 'SELECT $1::text AS a', parameters: ['\udc00'] }],
  ])('are rejected when the server would read others: an unpaired surrogate in %s', async (_where, query) => {
    const { send, server } = await givenStudio(fleet);

    const { status, text } = await send(post(server.port, 'people', JSON.stringify({ procedure: 'query', query })));

    expect([status, JSON.parse(text).error.code]).toEqual([400, 'STUDIO.BAD_REQUEST']);
  });

  it('come from tables in the schema that the page names', async () => {
    const studio = await givenStudio(fleet);
    const sql = 'SELECT current_schemas(false)::text[] AS path, count(*)::int FROM tables WHERE false';

    const { answer } = await ask(studio, { procedure: 'query', query: { sql }, schema: 'information_schema' });

    expect(answer).toEqual([null, [{ path: '{information_schema,public}', count: 0 }]]);
  });

  it('come from the same transaction when the schema name contains SQL', async () => {
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
  it('has at most a thousand rows, and says that it is incomplete', async () => {
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

  it('is complete with exactly a thousand rows', async () => {
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
  ])('is rejected above 8 MB without reading it whole: %s', async (_what, sql) => {
    const studio = await givenStudio(fleet, { limits: { statementMs: 120_000, requestMs: 120_000 } });
    await studio.query('SELECT 1');
    const before = process.memoryUsage.rss();

    const reply = await studio.query(sql);

    expect(errorCodeOf(reply)).toBe('STUDIO.RESULT_TOO_LARGE');
    expect(process.memoryUsage.rss() - before).toBeLessThan(100 * 1024 * 1024);
    expect(await studio.query('SELECT 1 AS one')).toEqual([null, [{ one: 1 }]]);
  });

  it('is empty for statements that return no rows', async () => {
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
  it('is canceled by the server', async () => {
    const { query } = await givenStudio(fleet, { limits: { statementMs: 2_000, requestMs: 60_000 } });

    const reply = await query('SELECT pg_sleep(60)');

    expect(errorCodeOf(reply)).toBe(QUERY_CANCELED);
    expect(await query('SELECT 1 AS one')).toEqual([null, [{ one: 1 }]]);
  });

  it('is cut off by the studio when it lifted its own limit', async () => {
    const { query } = await givenStudio(fleet, { limits: { statementMs: 120_000, requestMs: 4_000 } });
    const endless = "SELECT set_config('statement_timeout', '0', false), pg_sleep(30) FROM generate_series(1, 1000)";

    const reply = await query(endless);
    await until(async () => (await sessionsOf('SELECT set_config'))[0] === 0);

    expect(errorCodeOf(reply)).toBe('STUDIO.TOO_LONG');
    expect(await query("SELECT current_setting('statement_timeout') AS timeout")).toEqual([
      null,
      [{ timeout: '2min' }],
    ]);
  });

  it('is canceled while it waits for a lock', async () => {
    const { query } = await givenStudio(fleet, { limits: { statementMs: 2_000, requestMs: 60_000 } });
    await query('SELECT 1');
    const other = await openClient(fleet.target('people').admin);
    await other.query('BEGIN; LOCK TABLE notes');

    const reply = await query('SELECT * FROM notes');
    await other.end();

    expect(errorCodeOf(reply)).toBe(QUERY_CANCELED);
  });
});

describe('a request whose client disconnects', () => {
  it('has its session ended on the server, and no other session', async () => {
    const studio = await givenStudio(fleet, { limits: { statementMs: 600_000, requestMs: 600_000 } });
    const { server, entered } = studio;
    const sent = post(
      server.port,
      'people',
      JSON.stringify({ procedure: 'query', query: { sql: 'SELECT pg_sleep(300)' } }),
    );
    const request = httpRequest({
      ...{ host: '127.0.0.1', port: server.port, path: sent.path, method: 'POST', agent: false },
      headers: { host: `127.0.0.1:${server.port}`, ...sent.headers, ...entered },
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

describe('a database that ended all sessions', () => {
  it('gets new ones', async () => {
    const { query } = await givenStudio(fleet);
    await Promise.all(Array.from({ length: 4 }, () => query('SELECT pg_sleep(0.05)')));
    const role = studioRole(fleet.target('people'));
    const running = query('SELECT pg_sleep(300)');
    await until(async () => (await sessionsOf('SELECT pg_sleep(300)'))[0] === 1);

    await rowsOf(
      fleet.target('people').admin,
      `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = '${role}'`,
    );

    expect(errorCodeOf(await running)).toBe('57P01');
    expect(await query('SELECT 1 AS one')).toEqual([null, [{ one: 1 }]]);
  });
});

describe('several statements at once', () => {
  const edits = (...sqls: string[]) => ({
    procedure: 'transaction',
    queries: sqls.map((sql) => ({ sql, parameters: [] })),
  });

  it('are rejected without --write', async () => {
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

    // PostgreSQL also ends a comment at a carriage return.
    const hidden = await ask(studio, edits("UPDATE notes SET body = 'f'", '-- a comment\rCOMMIT'));

    expect(good.answer).toEqual([null, [[{ body: 'a' }], [{ body: 'b' }]]]);
    expect([bad, ended, chained, hidden].map(({ answer }) => answer[0].code)).toEqual([
      '23502',
      'STUDIO.TRANSACTION_CONTROL',
      'STUDIO.TRANSACTION_CONTROL',
      'STUDIO.TRANSACTION_CONTROL',
    ]);
    expect(await studio.query('SELECT body FROM notes')).toEqual([null, [{ body: 'b' }]]);
  });

  it('do not reveal the values of a row that violates a constraint', async () => {
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

  it('reports the error and its position', async () => {
    const { answer } = await ask(await givenStudio(fleet), lint('SELECT nothing FROM notes'));

    const message = 'column "nothing" does not exist';
    const found = { from: 7, to: 8, severity: 'error', message, code: '42703', source: 'postgresql' };
    expect(answer).toEqual([null, { diagnostics: [found], schemaVersion: 'v1' }]);
  });

  it('counts the position in UTF-16 units, as the editor does', async () => {
    const { answer } = await ask(await givenStudio(fleet), lint("SELECT '🐘🐘', nothing FROM notes"));

    expect(answer[1].diagnostics).toMatchObject([{ from: 15, to: 16, code: '42703' }]);
  });

  it('is rejected, and finds no error in the SQL, when another studio has taken over the role', async () => {
    const first = await givenStudio(fleet);
    await first.query('SELECT 1');
    const second = await givenStudio(fleet);
    await second.query('SELECT 1');

    const { answer } = await ask(first, lint('SELECT 1'));

    expect(answer).toMatchObject([{ code: 'STUDIO.TAKEN_OVER' }]);
  });

  it('never runs the statement', async () => {
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

describe('an error that is not an answer of the database', () => {
  const SELECT_1 = { procedure: 'query' as const, query: { sql: 'SELECT 1', parameters: [] } };

  async function givenBroken(error: Error) {
    const { studio } = await givenStudio(fleet);
    const people = studio.context.access.get('people');
    if (people === undefined) throw new Error('the studio does not show people');
    return { ...studio.context, access: new Map([['people', { ...people, open: () => Promise.reject(error) }]]) };
  }

  it('is reported with its code when the connection is lost', async () => {
    const context = await givenBroken(Object.assign(new Error('write ECONNRESET'), { code: 'ECONNRESET' }));
    const caller = { address: undefined, agent: undefined };
    const options = { signal: new AbortController().signal, limits: TIME_LIMITS, caller };

    const { answer } = await answerQuery(context, 'people', SELECT_1, options);

    expect(answer).toMatchObject([{ name: 'SuiteError', code: 'DATABASE.CONNECTION_LOST' }]);
  });

  it('is logged, and not shown, when it is a bug', async () => {
    const context = await givenBroken(new TypeError('undefined is not a function'));
    const logged: string[] = [];
    const server = await startServer({
      ...{ context, assets: await givenAssets(), host: '127.0.0.1', port: 0, secretOf: () => 'the-secret' },
      onFleetRead: () => undefined,
      log: (line) => logged.push(line),
    });
    const sent = post(server.port, 'people', JSON.stringify(SELECT_1));

    const entered = { cookie: `azora_studio_${server.port}=the-secret`, 'x-studio-key': 'the-secret' };
    const { status, text } = await send(server.port, { ...sent, headers: { ...sent.headers, ...entered } });
    await server.close();

    expect([status, JSON.parse(text)]).toEqual([
      500,
      { error: { code: 'INTERNAL', message: 'The studio failed to handle the request' } },
    ]);
    expect(logged).toEqual(['POST /api/services/people/query failed: undefined is not a function']);
  });
});
