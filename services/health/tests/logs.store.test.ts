import { useDatabase, useTestClock } from '@azora/db-testkit';
import { Client } from 'pg';
import { appendLogs, type Health, listLogs, openHealth } from '../src';
import { line, monthsOf } from './given';

describe('the log', () => {
  const db = useDatabase('health');
  const clock = useTestClock(db, '2027-03-10T12:00:00.000Z');
  let health: Health;
  beforeAll(() => {
    health = openHealth({ url: db().url });
  });
  beforeEach(() => db().admin('TRUNCATE logs, log_batches'));
  afterAll(() => health.close());

  const messages = async (input: Parameters<typeof listLogs>[1] = {}) =>
    (await listLogs(health, input)).lines.map(({ message }) => message);

  it('appends lines in their order, and dates them by the clock of the database', async () => {
    const metadata = { queue: 'mail', tries: [1, 2], text: 'quote " and \\u0000 as text' };
    const lines = [
      line('first', { level: 'ERROR', userId: 'u1', requestId: 'r1', metadata }),
      line('second'),
      line('third'),
    ];

    expect(await appendLogs(health, { lines })).toBe(3);

    const found = await listLogs(health);
    expect(found).toEqual({
      lines: [
        expect.objectContaining({ message: 'third', level: 'INFO', userId: null, requestId: null, metadata: {} }),
        expect.objectContaining({ message: 'second' }),
        {
          id: expect.stringMatching(/^c/),
          service: 'mint',
          message: 'first',
          level: 'ERROR',
          userId: 'u1',
          requestId: 'r1',
          metadata,
          createdAt: clock.now(),
        },
      ],
      nextCursor: null,
    });
    expect(await db().admin('SELECT max(created_at) - min(created_at) AS span FROM logs')).toEqual([
      { span: expect.objectContaining({ milliseconds: 0.002 }) },
    ]);
  });

  it('makes a missing month when the first line arrives, and the next one for a batch that passes midnight', async () => {
    await clock.set('2031-07-31T23:59:59.999Z');
    await db().admin(`UPDATE test_clock.moment SET now = '2031-07-31T23:59:59.999999Z'`);

    await appendLogs(health, { lines: [line('in July'), line('in August')] });

    expect(await messages()).toEqual(['in August', 'in July']);
    expect(await monthsOf(db())).toEqual(expect.arrayContaining(['2031-07', '2031-08']));
  });

  it('makes a month once when many processes write its first lines', async () => {
    await clock.set('2032-02-01T00:00:00Z');
    const holder = new Client({ connectionString: db().target.admin.href });
    await holder.connect();
    await holder.query('BEGIN; LOCK TABLE logs IN SHARE UPDATE EXCLUSIVE MODE');

    const appended = Promise.all(
      Array.from({ length: 6 }, (_, n) => appendLogs(health, { lines: [line(`line ${n}`)] })),
    );
    // All of them have seen that the month is missing.
    for (let waiting = 0; waiting < 6; ) {
      const [row] = await db().admin(`SELECT count(*)::int AS sessions FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock'`);
      waiting = Number(row?.['sessions']);
    }
    await holder.query('COMMIT');
    await holder.end();

    expect(await appended).toEqual(Array(6).fill(1));
    expect(await messages()).toHaveLength(6);
    expect((await monthsOf(db())).filter((month) => month === '2032-02')).toHaveLength(1);
  });

  it('appends a batch once per key, and returns the same number to a repeat', async () => {
    const batch = { lines: [line('a', { metadata: { x: 1, y: 2 } }), line('b')], idempotencyKey: 'batch-1' };
    const same = { ...batch, lines: [line('a', { metadata: { y: 2, x: 1 } }), line('b')] };

    const appended = await Promise.all(Array.from({ length: 6 }, () => appendLogs(health, batch)));

    expect(appended).toEqual(Array(6).fill(2));
    expect(await appendLogs(health, same)).toBe(2);
    expect(await messages()).toEqual(['b', 'a']);
    await expect(appendLogs(health, { ...batch, lines: [line('other')] })).rejects.toMatchObject({
      code: 'HEALTH.KEY_REUSED',
      kind: 'usage',
    });
  });

  it('finds lines by level, service, person, request, words and time, and by all of them together', async () => {
    await appendLogs(health, { lines: [line('Mail server rejected a message', { level: 'ERROR', service: 'mail' })] });
    await clock.move(60_000);
    await appendLogs(health, {
      lines: [
        line('Signed in', { service: 'auth', userId: 'u1' }),
        line('Out of memory', { level: 'FATAL', requestId: 'r9' }),
      ],
    });
    const [first, second] = [new Date('2027-03-10T12:00:00Z'), new Date('2027-03-10T12:01:00Z')];

    expect(await messages({ levels: ['ERROR', 'FATAL'] })).toEqual(['Out of memory', 'Mail server rejected a message']);
    expect(await messages({ service: 'auth' })).toEqual(['Signed in']);
    expect(await messages({ userId: 'u1' })).toEqual(['Signed in']);
    expect(await messages({ requestId: 'r9' })).toEqual(['Out of memory']);
    expect(await messages({ text: 'MESSAGE -memory "server rejected"' })).toEqual(['Mail server rejected a message']);
    expect(await messages({ since: first, until: second })).toEqual(['Mail server rejected a message']);
    expect(await messages({ since: second })).toEqual(['Out of memory', 'Signed in']);
    expect(await messages({ levels: ['ERROR'], service: 'mail', text: 'mail', since: first })).toHaveLength(1);
    expect(await messages({ levels: ['ERROR'], service: 'auth' })).toEqual([]);
  });

  it('pages through lines of one time without a gap or a repeat', async () => {
    const lines = Array.from({ length: 25 }, (_, n) => line(`line ${n}`));
    await appendLogs(health, { lines });
    await db().admin('UPDATE logs SET created_at = $1', [clock.now()]);
    const seen: string[] = [];

    for (let cursor: string | null | undefined; cursor !== null; ) {
      const page = await listLogs(health, { limit: 4, ...(cursor === undefined ? {} : { cursor }) });
      seen.push(...page.lines.map(({ message }) => message));
      cursor = page.nextCursor;
    }

    expect(seen).toHaveLength(25);
    expect(new Set(seen)).toEqual(new Set(lines.map(({ message }) => message)));
  });

  it('reads only the months that a search asks for, and finds words by their index', async () => {
    const explain = async (condition: string) =>
      JSON.stringify(
        await db().admin(`EXPLAIN SELECT * FROM logs WHERE ${condition} ORDER BY created_at DESC, id DESC LIMIT 5`),
      );
    await db().admin('SET enable_seqscan = off');

    const ofMarch = await explain(`created_at >= '2027-03-01Z' AND created_at < '2027-04-01Z'`);

    expect(ofMarch).toContain('logs_2027_03');
    expect(ofMarch).not.toContain('logs_2027_02');
    expect(await explain(`to_tsvector('simple', message) @@ websearch_to_tsquery('simple', 'mail')`)).toMatch(
      /logs_\d{4}_\d{2}_to_tsvector_idx/,
    );
    expect(
      await db().admin(`SELECT count(*)::int AS indexes FROM pg_indexes WHERE tablename = 'logs_2027_03'`),
    ).toEqual([{ indexes: 6 }]);
  });

  it.each([
    ['no lines', { lines: [] }, 'lines'],
    ['too many lines', { lines: Array(10_001).fill(line('x')) }, 'lines'],
    ['an empty message', { lines: [line(' ')] }, 'lines'],
    ['a message with NUL', { lines: [line('a\0')] }, 'lines'],
    ['a long message', { lines: [line('x'.repeat(32_769))] }, 'lines'],
    ['an unknown level', { lines: [{ ...line('x'), level: 'TRACE' }] }, 'lines'],
    ['NUL in the metadata', { lines: [line('x', { metadata: { deep: ['\0'] } })] }, 'lines'],
    ['an unpaired surrogate', { lines: [line('x', { metadata: { key: '\ud800' } })] }, 'lines'],
    ['large metadata', { lines: [line('x', { metadata: { text: 'x'.repeat(65_536) } })] }, 'lines'],
    ['metadata without JSON', { lines: [line('x', { metadata: { big: 1n } })] }, 'lines'],
    ['an own time', { lines: [{ ...line('x'), createdAt: new Date(0) }] }, 'lines'],
    ['an empty key', { lines: [line('x')], idempotencyKey: '' }, 'idempotencyKey'],
  ])('rejects %s', async (_, input, field) => {
    await expect(appendLogs(health, input as Parameters<typeof appendLogs>[1])).rejects.toMatchObject({
      code: 'HEALTH.INVALID_INPUT',
      meta: { fields: [field] },
    });
    expect(await messages()).toEqual([]);
  });

  it.each([{ limit: 0 }, { limit: 1_001 }, { cursor: 'x' }, { levels: [] }, { text: ' ' }, { other: 1 }])(
    'rejects a search with %j',
    async (input) => {
      await expect(listLogs(health, input as Parameters<typeof listLogs>[1])).rejects.toMatchObject({
        code: 'HEALTH.INVALID_INPUT',
      });
    },
  );
});
