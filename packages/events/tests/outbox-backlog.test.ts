/** @server any */
import { useDatabase } from '@azora/db-testkit';
import { Client, Pool } from 'pg';
import { readBacklog } from '../src/outbox/read';
import { type Cursor, partOf } from '../src/outbox/snapshot';

const PUBLISH = `SELECT publish_event('family.counted.v1', 'key', jsonb_build_object('n', n), NULL) FROM generate_series($1::int, $2::int) AS n`;

describe('a backlog that is deeper than one sort', () => {
  const source = useDatabase('family');

  /** Relays the part of the backlog that one call reads. Returns the numbers of its events and the cursor behind them. */
  async function readPart(pool: Pool, cursor: Cursor, sorted: number) {
    const numbers: number[] = [];
    let next = cursor;
    let isLast = false;
    for await (const batch of readBacklog(pool, cursor, 10, sorted)) {
      numbers.push(...batch.events.map(({ payload }) => JSON.parse(payload).n as number));
      isLast = batch.isLast;
      next = isLast
        ? { seen: batch.snapshot, tick: null, tickPosition: null }
        : partOf(next, batch.snapshot, batch.events.at(-1)?.position ?? '0');
    }
    return { numbers, cursor: next, isLast };
  }

  it('is read in parts, each of the next positions, without a gap, and with what commits in between', async () => {
    const pool = new Pool({ connectionString: source().url });
    const late = new Client({ connectionString: source().url });
    await late.connect();
    await source().app(PUBLISH, [1, 12]);
    await late.query('BEGIN');
    await late.query(PUBLISH, [13, 14]);
    await source().app(PUBLISH, [15, 60]);

    let part = await readPart(pool, { seen: null, tick: null, tickPosition: null }, 25);
    expect(part.numbers).toEqual([...upTo(12), ...upTo(25).slice(14)]);
    await late.query('COMMIT');
    await late.end();
    const parts: (readonly number[])[] = [];
    while (!part.isLast) {
      part = await readPart(pool, part.cursor, 25);
      parts.push(part.numbers);
    }

    const rest = [13, 14, ...upTo(60).slice(25)];
    expect(parts.flat()).toEqual(rest);
    expect(parts.every((numbers) => numbers.length <= 25)).toBe(true);
    expect(parts.length).toBeGreaterThan(1);
    // Nothing is left.
    expect((await readPart(pool, part.cursor, 25)).numbers).toEqual([]);
    await pool.end();
  });
});

function upTo(count: number): readonly number[] {
  return Array.from({ length: count }, (_, index) => index + 1);
}
