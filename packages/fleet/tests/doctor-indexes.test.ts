/** @server any */
import { DEFAULT_LIMITS, type Limits } from '../src/postgres/doctor/check';
import { usePatient } from './doctor-fixture';

const { plant, examine } = usePatient();

describe('foreign keys', () => {
  it.each([
    ['none', ''],
    ['one that begins otherwise', 'CREATE INDEX ON children (code, parent_id)'],
    ['a partial one', 'CREATE INDEX ON children (parent_id) WHERE id > 10'],
    ['one of a method that finds no single row', 'CREATE INDEX ON children USING brin (parent_id)'],
    ['one on an expression', 'CREATE INDEX ON children ((parent_id + 0))'],
  ])('with %s', async (_, index) => {
    await plant(`DROP INDEX children_parent_id; ALTER TABLE children DROP CONSTRAINT children_parent_id_code_fkey`);
    if (index !== '') await plant(index);

    expect(await examine()).toEqual([
      {
        check: 'foreign-key-index',
        level: 'warning',
        object: 'children.children_parent_id_fkey',
        message: expect.stringMatching(/^has no index on parent_id, so each delete /),
        next: expect.stringMatching(
          /: CREATE INDEX CONCURRENTLY "children_parent_id_idx" ON "children" \("parent_id"\)$/,
        ),
      },
    ]);
  });

  it.each(['(parent_id, code)', '(code, parent_id, id)', 'USING hash (parent_id)'])(
    'are covered by %s',
    async (index) => {
      await plant(`DROP INDEX children_parent_id; CREATE INDEX ON children ${index}`);
      if (index.startsWith('(code')) await plant('ALTER TABLE children DROP CONSTRAINT children_parent_id_fkey');

      expect(await examine()).toEqual([]);
    },
  );

  it('of several columns are not covered by one column that is not a key', async () => {
    await plant(`CREATE TABLE seats (room int, seat int, PRIMARY KEY (room, seat));
      CREATE TABLE bookings (id int PRIMARY KEY, room int, seat int, FOREIGN KEY (room, seat) REFERENCES seats);
      CREATE INDEX ON bookings (room, id)`);

    expect((await examine()).map(({ next }) => next)).toEqual([
      expect.stringContaining('"bookings_room_seat_idx" ON "bookings" ("room", "seat")'),
    ]);
  });

  it('of a partitioned table are reported once, with a statement that works', async () => {
    await plant(`CREATE TABLE days (id int PRIMARY KEY);
      CREATE TABLE events (id int, day int REFERENCES days, PRIMARY KEY (id)) PARTITION BY HASH (id);
      CREATE TABLE events_0 PARTITION OF events FOR VALUES WITH (MODULUS 1, REMAINDER 0)`);
    const [finding, ...others] = await examine();

    expect(others).toEqual([]);
    await plant(finding?.next.split(': ')[1] ?? '');
    expect(await examine()).toEqual([]);
  });
});

describe('the check of indexes', () => {
  const base = 'CREATE INDEX one ON parents (code, id)';
  const objects = async () => (await examine()).map(({ level, object, message }) => `${level} ${object} ${message}`);

  it.each([
    ['an equal one', 'CREATE INDEX two ON parents (code, id)', ['warning parents.two is the same as one']],
    ['a unique one', 'CREATE UNIQUE INDEX two ON parents (code, id)', ['warning parents.one is the same as two']],
    ['its beginning', 'CREATE INDEX two ON parents (id)', ['warning parents.two is the same as parents_pkey']],
    ['another order', 'CREATE INDEX two ON parents (code DESC, id)', []],
    ['another class', 'CREATE INDEX two ON parents (code text_pattern_ops, id)', []],
    ['a predicate', 'CREATE INDEX two ON parents (code, id) WHERE id > 3', []],
    ['another method', 'CREATE INDEX two ON parents USING brin (code, id)', []],
    ['more columns inside', 'CREATE INDEX two ON parents (code) INCLUDE (id)', []],
    ['another rule for NULL', 'CREATE UNIQUE INDEX two ON parents (code) NULLS NOT DISTINCT', []],
    ['another collation', 'CREATE INDEX two ON parents (code COLLATE "C", id)', []],
  ])('compares an index and %s', async (_, sql, found) => {
    await plant(`${base}; ${sql}`);

    expect(await objects()).toEqual(found.map((line) => `${line}, so every write maintains both`));
  });

  it('reports indexes with equal expressions and conditions as duplicates', async () => {
    const rest = 'ON children (lower(code), id) WHERE parent_id > 3';
    await plant(`CREATE INDEX one ${rest}; CREATE INDEX two ${rest}; CREATE INDEX three ON children (upper(code), id)`);

    expect(await objects()).toEqual(['warning children.two is the same as one, so every write maintains both']);
  });

  it('reports an index on the first columns of a wider index', async () => {
    await plant(`CREATE INDEX wide ON children (code, parent_id); CREATE INDEX narrow ON children (code);
      CREATE INDEX hashed ON children USING hash (code)`);

    expect(await objects()).toEqual([
      'note children.narrow has the first columns of wide, so every write maintains both',
    ]);
  });

  it('drops an index together with its constraint', async () => {
    await plant('ALTER TABLE parents ADD CONSTRAINT again UNIQUE (code)');
    const [finding, ...others] = await examine();

    expect(others).toEqual([]);
    expect(finding).toMatchObject({
      object: 'parents.parents_code_key',
      message: expect.stringContaining('as again'),
    });
    await plant(finding?.next.slice(finding.next.indexOf('ALTER TABLE')) ?? '');
    expect(await examine()).toEqual([]);
  });

  it('reports invalid indexes', async () => {
    await plant("INSERT INTO children (code) VALUES ('same'), ('same')");
    await expect(plant('CREATE UNIQUE INDEX CONCURRENTLY broken ON children (code)')).rejects.toThrow('broken');

    const [finding, ...others] = await examine();

    expect(others).toEqual([]);
    expect(finding).toMatchObject({ check: 'invalid-index', level: 'error', object: 'children.broken' });
    expect(finding?.next).toMatch(/^DROP INDEX CONCURRENTLY "broken", /);
  });

  it('reports unused indexes', async () => {
    await plant(`INSERT INTO children (code) SELECT n FROM generate_series(1, 50000) n;
      CREATE INDEX unused ON children (code, id); CREATE UNIQUE INDEX needed ON children (id, code)`);
    await plant('SELECT pg_stat_reset()');
    const found = async (limits: Partial<Limits>) =>
      (await examine({ statisticsAgeMs: 0, ...limits })).map(({ check, level, object }) => [check, level, object]);
    expect(await found({})).toEqual([]);
    await plant(
      `DO $$ BEGIN FOR n IN 1..1001 LOOP PERFORM FROM children LIMIT 1; END LOOP; END $$;
       SELECT pg_stat_force_next_flush()`,
    );

    expect(await found({})).toEqual([['unused-index', 'note', 'children.unused']]);
    expect(await found({ statisticsAgeMs: DEFAULT_LIMITS.statisticsAgeMs })).toEqual([]);
    expect(await found({ unusedIndexBytes: 100 * 1024 ** 2 })).toEqual([]);
    await plant("SET enable_seqscan = off; SELECT FROM children WHERE code = '7'; SELECT pg_stat_force_next_flush()");
    expect(await found({})).toEqual([]);
  });
});
