import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { type TestDatabase, useDatabase, useTestClock } from '@azora/db-testkit';
import { Client } from 'pg';

const NO_RIGHT = '42501';
const PUBLISH = "SELECT publish_event('family.item-moved.v1', 'item-1', '{\"count\": 1}', NULL)";
const PRUNE = "SELECT prune_outbox(pg_current_snapshot(), '1 day', 100) AS deleted";

// One service stands for all: tests/house.test.ts proves that the tables are alike.
describe('the tables of events', () => {
  const db = useDatabase('family');
  const clients: Client[] = [];
  beforeEach(async () => {
    await db().admin('TRUNCATE outbox, outbox_relay, inbox RESTART IDENTITY');
    await db().admin('INSERT INTO outbox_relay DEFAULT VALUES');
  });
  afterEach(() => Promise.all(clients.splice(0).map((client) => client.end())));

  /** A session of the app role. */
  async function session(): Promise<Client> {
    const client = new Client({ connectionString: db().url });
    clients.push(client);
    await client.connect();
    return client;
  }

  describe('with SQL of the app role', () => {
    it.each([
      ["INSERT INTO outbox (type, key, payload) VALUES ('a.b.v1', 'k', '{}')", NO_RIGHT],
      [
        "INSERT INTO outbox (position, type, key, payload) OVERRIDING SYSTEM VALUE VALUES (1, 'a.b.v1', 'k', '{}')",
        NO_RIGHT,
      ],
      ["UPDATE outbox SET payload = '{}'", NO_RIGHT],
      ['UPDATE outbox SET transaction_id = 1', NO_RIGHT],
      ['DELETE FROM outbox', NO_RIGHT],
      ['TRUNCATE outbox', NO_RIGHT],
      ['SELECT * FROM outbox FOR UPDATE', NO_RIGHT],
      ['DO $$ BEGIN LOCK TABLE outbox IN EXCLUSIVE MODE; END $$', NO_RIGHT],
      ["SELECT setval('outbox_position_seq', 1)", NO_RIGHT],
      ["SELECT nextval('outbox_position_seq')", NO_RIGHT],
      ['UPDATE inbox SET handled_at = now()', NO_RIGHT],
      ['DELETE FROM inbox', NO_RIGHT],
      ['TRUNCATE inbox', NO_RIGHT],
      ['DELETE FROM outbox_relay', NO_RIGHT],
      ["UPDATE outbox_relay SET identity = 'elsewhere'", NO_RIGHT],
      ['UPDATE outbox_relay SET pruned_transaction_id = 9, pruned_position = 9', NO_RIGHT],
      ["UPDATE outbox_relay SET inbox_pruned_until = 'infinity'", NO_RIGHT],
      [
        "INSERT INTO outbox_relay (identity) VALUES ('elsewhere') ON CONFLICT (id) DO UPDATE SET asleep = true",
        NO_RIGHT,
      ],
      ['INSERT INTO outbox_relay (id) VALUES (false)', '23514'],
      ['SELECT mark_asleep()', NO_RIGHT],
      ["SELECT setval('outbox_asleep', 1, true)", NO_RIGHT],
      ["UPDATE outbox_relay SET bookmark_times = '{2000-01-01}', bookmark_transaction_ids = '{9000000000}'", NO_RIGHT],
      ["INSERT INTO outbox_relay (bookmark_times) VALUES ('{2000-01-01}')", NO_RIGHT],
      ["SELECT publish_event('Shop.ItemMoved', 'k', '{}', NULL)", '23514'],
      ["SELECT publish_event('family.item-moved', 'k', '{}', NULL)", '23514'],
      ["SELECT publish_event('mint.transaction-posted.v1', 'k', '{}', NULL)", '23514'],
      ["SELECT publish_event('familyhood.item-moved.v1', 'k', '{}', NULL)", '23514'],
      ["SELECT publish_event('family.item-moved.v0', 'k', '{}', NULL)", '23514'],
      [`SELECT publish_event('family.${'x'.repeat(100)}.v1', 'k', '{}', NULL)`, '22001'],
      ["SELECT publish_event('family.b.v1', ' ', '{}', NULL)", '23514'],
      ["SELECT publish_event('family.b.v1', NULL, '{}', NULL)", '23502'],
      ["SELECT publish_event('family.b.v1', 'k', '[]', NULL)", '23514'],
      ["SELECT publish_event('family.b.v1', 'k', NULL, NULL)", '23502'],
      ["SELECT publish_event('family.b.v1', 'k', jsonb_build_object('x', repeat('x', 131072)), NULL)", '23514'],
      ["SELECT publish_event('family.b.v1', 'k', '{}', 'trace')", '23514'],
      ["INSERT INTO inbox (consumer, event_id) VALUES ('Count', gen_random_uuid())", '23514'],
    ])('rejects %s', async (sql, code) => {
      await db().app(PUBLISH);
      const before = await rows(db());

      await expect(db().app(sql)).rejects.toMatchObject({ code });
      expect(await rows(db())).toEqual(before);
    });

    it('lets a relay say that it sleeps, also when its row is missing', async () => {
      await db().admin('TRUNCATE outbox_relay');
      const sleep = `INSERT INTO outbox_relay (asleep, seen_at) VALUES (true, now())
        ON CONFLICT (id) DO UPDATE SET asleep = true, seen_at = now()`;
      await db().app(sleep);
      await db().app(sleep);

      expect(await db().app('SELECT asleep, seen_at IS NULL AS never FROM outbox_relay')).toEqual([
        { asleep: true, never: false },
      ]);
    });

    it('cannot date what it has handled', async () => {
      const dated = await db().app(`INSERT INTO inbox (consumer, event_id, handled_at)
        SELECT 'family.count', gen_random_uuid(), date FROM unnest('{2000-01-01, 2999-01-01, infinity, -infinity}'::timestamptz[]) AS date
        RETURNING handled_at > now() - interval '1 minute' AND handled_at < now() + interval '1 minute' AS now`);

      expect(dated.map(({ now }) => now)).toEqual([true, true, true, true]);
      await expect(
        db().app(`INSERT INTO inbox (consumer, event_id, handled_at) VALUES ('family.count', gen_random_uuid(), NULL)
          RETURNING handled_at IS NULL AS missing`),
      ).resolves.toEqual([{ missing: false }]);
    });
  });

  it('wakes the relay only if it sleeps, and only when the event is committed', async () => {
    const relay = await session();
    await relay.query('LISTEN outbox');
    let wakeUps = 0;
    relay.on('notification', () => (wakeUps += 1));
    await db().app(PUBLISH);
    await db().app('UPDATE outbox_relay SET asleep = true');
    const publisher = await session();
    await publisher.query(`BEGIN; ${PUBLISH}; ROLLBACK; BEGIN; ${PUBLISH}; ${PUBLISH}`);
    await relay.query('SELECT 1');
    expect(wakeUps).toBe(0);

    const woken = once(relay, 'notification');
    await publisher.query('COMMIT');
    await woken;
    expect(wakeUps).toBe(1);
  });

  describe('prune_outbox', () => {
    const deleted = async (sql = PRUNE) => {
      await untilOthersEnd(db());
      return Number((await db().app(sql))[0]?.['deleted']);
    };
    /** Adds the bookmark of the day if it is missing, then lets the time pass, without the events, whose times prove nothing. */
    const age = async (interval: string) => {
      await untilOthersEnd(db());
      await db().app("SELECT prune_outbox('1:1:', '1 day', 1)");
      await pass(interval);
    };
    const pass = (interval: string) =>
      db().admin(`UPDATE outbox_relay SET bookmark_times = ARRAY(
        SELECT time - interval '${interval}' FROM unnest(bookmark_times) WITH ORDINALITY AS b (time, n) ORDER BY n)`);
    const left = async () =>
      (await db().admin('SELECT position::int FROM outbox ORDER BY 1')).map((row) => row['position']);
    const bookmarks = async () =>
      (await db().admin('SELECT cardinality(bookmark_transaction_ids) AS n FROM outbox_relay'))[0]?.['n'];

    it('keeps events for a day after their commit, whatever their time and whatever the app role asks', async () => {
      await db().app(PUBLISH);
      await db().admin("UPDATE outbox SET created_at = '2000-01-01'");
      await age('23 hours 59 minutes');

      for (const keep of ["'0'", "'-100 days'", 'NULL'])
        for (const relayed of ['pg_current_snapshot()', "'9000000000:9000000000:'"])
          expect(await deleted(`SELECT prune_outbox(${relayed}, ${keep}, 100) AS deleted`)).toBe(0);
      await pass('1 minute');
      expect(await deleted("SELECT prune_outbox(pg_current_snapshot(), '2 days', 100) AS deleted")).toBe(0);
      expect(await deleted("SELECT prune_outbox(pg_current_snapshot(), '0', 100) AS deleted")).toBe(1);
    });

    it('keeps no event for more than 30 days, and adds a bookmark a day', async () => {
      for (let day = 0; day < 40; day += 1) {
        await db().app(PUBLISH);
        await age('1 day');
      }

      expect(await bookmarks()).toBe(32);
      expect(await deleted("SELECT prune_outbox(pg_current_snapshot(), '100 years', 100) AS deleted")).toBe(11);
    });

    it('keeps events that were not relayed', async () => {
      await db().app(PUBLISH);
      await untilOthersEnd(db());
      const [{ relayed } = {}] = await db().app('SELECT pg_current_snapshot()::text AS relayed');
      await db().app(PUBLISH);
      await age('30 days');

      expect(await deleted("SELECT prune_outbox(NULL, '1 day', 100) AS deleted")).toBe(0);
      expect(await deleted("SELECT prune_outbox('1:1:', '1 day', 100) AS deleted")).toBe(0);
      expect(await deleted(`SELECT prune_outbox('${relayed}', '1 day', 100) AS deleted`)).toBe(1);
      expect(await left()).toEqual([2]);
    });

    it('comes back for an event of a transaction that was open when the bookmark was set', async () => {
      const open = await session();
      await open.query(`BEGIN; ${PUBLISH}`);
      await db().app(PUBLISH);
      await db().app(PRUNE);
      await pass('2 days');
      const claimed = "SELECT prune_outbox('9000000000:9000000000:', '1 day', 100) AS deleted";
      expect(await db().app(claimed)).toEqual([{ deleted: 0 }]);

      await open.query('COMMIT');
      expect(await deleted()).toBe(0);
      await pass('2 days');
      // This call adds the first bookmark that has seen the end of the transaction.
      expect(await deleted()).toBe(0);
      await pass('2 days');
      expect(await deleted()).toBe(2);
    });

    it('stops at the first event that is kept, and continues there', async () => {
      for (let count = 0; count < 2; count += 1) await db().app(PUBLISH);
      await age('2 days');
      for (let count = 0; count < 2; count += 1) await db().app(PUBLISH);

      expect([await deleted(), await left()]).toEqual([2, [3, 4]]);
      expect([await deleted(), await left()]).toEqual([0, [3, 4]]);
      await pass('2 days');
      expect([await deleted(), await left()]).toEqual([2, []]);
    });

    it('deletes as many as asked, at least one', async () => {
      for (let count = 0; count < 4; count += 1) await db().app(PUBLISH);
      await age('2 days');

      expect(await deleted("SELECT prune_outbox(pg_current_snapshot(), '1 day', 2) AS deleted")).toBe(2);
      expect(await deleted("SELECT prune_outbox(pg_current_snapshot(), '1 day', -5) AS deleted")).toBe(1);
      expect(await deleted("SELECT prune_outbox(pg_current_snapshot(), '1 day', NULL) AS deleted")).toBe(1);
    });

    it('leaves the work to another call that prunes', async () => {
      await db().app(PUBLISH);
      await age('2 days');
      const other = await session();
      await other.query(`BEGIN; ${PRUNE}`);

      expect(await deleted()).toBe(0);
      await other.query('ROLLBACK');
      expect(await deleted()).toBe(1);
    });

    it('does not read what it has deleted, although a snapshot that is held open keeps it in the table', async () => {
      await db().admin(`INSERT INTO outbox (type, key, payload)
        SELECT 'family.b.v1', 'k', jsonb_build_object('text', repeat('x', 200)) FROM generate_series(1, 20000)`);
      await age('2 days');
      const reader = await session();
      await reader.query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM outbox');
      expect(await deleted("SELECT prune_outbox(pg_current_snapshot(), '1 day', 20000) AS deleted")).toBe(20_000);
      await db().app(PUBLISH);
      await pass('1 day');
      await age('2 days');
      const [row] = await db().app(`EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ${PRUNE}`);
      const plans = row?.['QUERY PLAN'] as readonly { readonly Plan: Readonly<Record<string, number>> }[];

      expect(await left()).toEqual([]);
      // The deleted rows fill more than 600 pages.
      const pages = ['Shared Hit Blocks', 'Shared Read Blocks'].map((name) => plans[0]?.Plan[name] ?? Number.NaN);
      expect(pages.reduce((sum, count) => sum + count, 0)).toBeLessThan(200);
    });
  });

  describe('prune_inbox', () => {
    const handle = (at: string) =>
      db().admin(
        "INSERT INTO inbox (consumer, event_id, handled_at) VALUES ('family.count', $1, now() - $2::interval)",
        [randomUUID(), at],
      );
    const deleted = async (keep: string, most = 100) =>
      Number((await db().app('SELECT prune_inbox($1, $2) AS deleted', [keep, most]))[0]?.['deleted']);

    it('forgets after 30 days at the earliest, whatever the app role asks', async () => {
      for (const at of ['29 days', '31 days', '61 days']) await handle(at);

      expect([await deleted('60 days'), await deleted('0'), await deleted('-1 day')]).toEqual([1, 1, 0]);
    });

    it('forgets as many as asked, the oldest first', async () => {
      for (const at of ['40 days', '50 days', '60 days']) await handle(at);

      expect(await deleted('30 days', 2)).toBe(2);
      const [row] = await db().admin("SELECT handled_at < now() - interval '39 days' AS oldest FROM inbox");
      expect(row).toEqual({ oldest: true });
      expect([await deleted('30 days', 2), await deleted('30 days', 2)]).toEqual([1, 0]);
    });
  });

  describe('adopt_outbox', () => {
    const adopt = async () => String((await db().app('SELECT adopt_outbox() AS identity'))[0]?.['identity']);
    const outbox = () => db().admin('SELECT position::int, transaction_id::text AS id FROM outbox ORDER BY position');
    const ids = async () => new Set((await outbox()).map(({ id }) => id));

    it('names server, database and timeline, and changes nothing while they stay', async () => {
      const identity = await adopt();
      await db().app(PUBLISH);
      const before = await outbox();

      expect(identity).toMatch(/^\d+\/\d+\/[0-9A-F]{8}$/);
      expect(await adopt()).toBe(identity);
      expect(await outbox()).toEqual(before);
    });

    it('gives the events of another server one transaction of this one, so that a relay reads them again in order', async () => {
      const identity = await adopt();
      for (let count = 0; count < 3; count += 1) await db().app(PUBLISH);
      await db().admin(`UPDATE outbox SET transaction_id = 1000000000000 - position;
        UPDATE outbox_relay SET identity = '1/2/00000001', pruned_transaction_id = 999999999990, pruned_position = 9,
          bookmark_times = '{2000-01-01}', bookmark_transaction_ids = '{999999999990}'`);
      const [{ seen } = {}] = await db().app('SELECT pg_current_snapshot()::text AS seen');

      expect(await adopt()).toBe(identity);
      expect((await outbox()).map(({ position }) => position)).toEqual([1, 2, 3]);
      expect((await ids()).size).toBe(1);
      expect(
        await db().admin(
          `SELECT bool_and(transaction_id >= pg_snapshot_xmax($1)::text::bigint
          AND transaction_id < pg_snapshot_xmax(pg_current_snapshot())::text::bigint) AS next FROM outbox`,
          [seen],
        ),
      ).toEqual([{ next: true }]);
      await untilOthersEnd(db());
      expect(await db().app(PRUNE)).toEqual([{ deleted: 0 }]);
      await db().admin("UPDATE outbox_relay SET bookmark_times = ARRAY[bookmark_times[1] - interval '2 days']");
      expect(await db().app(PRUNE)).toEqual([{ deleted: 3 }]);
    });

    it('adopts once when two relays ask at the same time, makes the row that is missing, and rewrites no event without need', async () => {
      for (let count = 0; count < 3; count += 1) await db().app(PUBLISH);
      await db().admin('TRUNCATE outbox_relay');
      const before = await outbox();

      const [first, second] = await Promise.all([adopt(), adopt()]);

      expect(second).toBe(first);
      expect(await outbox()).toEqual(before);
      expect(await db().admin('SELECT identity FROM outbox_relay')).toEqual([{ identity: first }]);
    });
  });
});

describe('the clock of mint', () => {
  const db = useDatabase('mint');
  const publish = PUBLISH.replace('family', 'mint');
  const clock = useTestClock(db, '2026-06-01T12:00:00Z');

  it('dates events and what was handled, and decides what is pruned', async () => {
    await db().app(publish);
    await db().app(
      "INSERT INTO inbox (consumer, event_id, handled_at) VALUES ('family.count', gen_random_uuid(), '2000-01-01')",
    );
    const dates = await db().admin('SELECT created_at AS at FROM outbox UNION SELECT handled_at FROM inbox');
    expect(dates).toEqual([{ at: clock.now() }]);

    await untilOthersEnd(db());
    expect(await db().app(PRUNE)).toEqual([{ deleted: 0 }]);
    await clock.move(25 * 3_600_000);
    expect(await db().app(PRUNE)).toEqual([{ deleted: 1 }]);
    await clock.move(30 * 24 * 3_600_000);
    expect(await db().app("SELECT prune_inbox('0', 10) AS deleted")).toEqual([{ deleted: 1 }]);
  });
});

/** Everything that the app role could have changed. */
function rows(db: TestDatabase) {
  return db.admin(`SELECT to_jsonb(outbox) AS row FROM outbox UNION ALL SELECT to_jsonb(outbox_relay) FROM outbox_relay
    UNION ALL SELECT to_jsonb(inbox) FROM inbox`);
}

/**
 * Waits until every transaction has ended that began before the events of the outbox were committed: other tests write to other
 * databases of the server, and no event is pruned before it is certain that no earlier one can follow.
 */
async function untilOthersEnd(db: TestDatabase): Promise<void> {
  for (;;) {
    const [row] =
      await db.admin(`SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint > coalesce(max(transaction_id), 0) AS ended
      FROM outbox`);
    if (row?.['ended'] === true) return;
  }
}
