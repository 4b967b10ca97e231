import { defineConsumer } from '@azora/db-core/events';
import { Pool } from 'pg';
import { type BusFixture, COUNTED, freshKey, upTo } from './bus-fixture';

const WRITERS = 32;
const KEYS = 200;

/** Locks the row of each key in the order of the keys, and publishes its next number. */
const PUBLISH_FIVE = `
  WITH locked AS MATERIALIZED (SELECT key FROM counters WHERE key = ANY ($1) ORDER BY key FOR UPDATE),
    counted AS (UPDATE counters SET n = n + 1 FROM locked WHERE counters.key = locked.key RETURNING counters.key, n)
  SELECT publish_event('${COUNTED}', key, jsonb_build_object('n', n), NULL) FROM counted`;

/**
 * Lets 32 writers publish events of many keys, and commit after random delays, while a relay and a consumer run. Asserts that the
 * consumer handles every event once, in the order of the locks of its key.
 */
export async function expectOrder(bus: BusFixture, events: number): Promise<void> {
  const transactions = Math.ceil(events / WRITERS / 5);
  const keys = Array.from({ length: KEYS }, freshKey);
  await bus.source().admin('INSERT INTO counters (key) SELECT unnest($1::text[])', [keys]);
  const handled: Record<string, number[]> = Object.fromEntries(keys.map((key) => [key, []]));
  const record = defineConsumer({
    name: 'family.record',
    types: [COUNTED],
    handle: async (_tx, { subject, data }) => {
      handled[subject]?.push((data as { readonly n: number }).n);
    },
  });
  bus.startRelay();
  bus.startConsumer(record);
  const pool = new Pool({ connectionString: bus.source().url, max: WRITERS });

  await Promise.all(upTo(WRITERS).map((writer) => write(pool, keys, writer, transactions)));
  await pool.end();

  await bus.consumed(WRITERS * transactions * 5, record.name);
  const counters = await bus.source().admin('SELECT key, n FROM counters');
  expect(handled).toEqual(Object.fromEntries(counters.map(({ key, n }) => [key, upTo(Number(n))])));
  expect(bus.log.entries).toEqual([]);
}

/** Publishes events of five keys in each transaction, which commits after a random delay. */
async function write(pool: Pool, keys: readonly string[], writer: number, transactions: number): Promise<void> {
  const client = await pool.connect();
  for (let n = 0; n < transactions; n += 1) {
    const five = upTo(5).map((index) => keys[(writer * 31 + n * 17 + index * 7) % keys.length]);
    await client.query('BEGIN');
    await client.query(PUBLISH_FIVE, [five]);
    await client.query('SELECT pg_sleep(random() * 0.004)');
    await client.query('COMMIT');
  }
  client.release();
}
