/** @server any */
import { useDatabase } from '@azora/db-testkit';
import { capture, mint as issue, type Mint, openMint, release, transfer } from '../src';
import { fresh, givenHold, givenWallet } from './ledger-given';

describe('a session that planned when the ledger was almost empty', () => {
  const db = useDatabase('mint');
  let mint: Mint;
  let [payer, receiver] = ['', ''];
  beforeAll(async () => {
    // One connection, so that all calls use the plans of one session.
    mint = openMint({ url: db().url, pool: { max: 1 } });
    [payer, receiver] = [await givenWallet(mint, '1000'), await givenWallet(mint, '1000')];
    await db().admin('ANALYZE requests, transactions, holds, wallets');
  });
  afterAll(() => mint.close());

  const moved = { amount: '1', description: 'a plan' };
  const OPERATIONS: Readonly<Record<string, () => Promise<unknown>>> = {
    transfer: () => transfer(mint, { ...moved, from: payer, to: receiver, idempotencyKey: fresh('key') }),
    'hold and capture': async () =>
      capture(mint, { holdId: await givenHold(mint, payer, '1', receiver), idempotencyKey: fresh('key') }),
    'hold and release': async () =>
      release(mint, { holdId: await givenHold(mint, payer, '1'), idempotencyKey: fresh('key') }),
    issue: () => issue(mint, { ...moved, to: payer, idempotencyKey: fresh('key') }),
  };

  /** The rows that sequential scans have read so far. */
  async function rowsScanned(): Promise<unknown> {
    // A session reports its counters late, unless it is asked.
    await mint.pool.query('SELECT pg_stat_force_next_flush()');
    const tables = ['requests', 'transactions', 'holds', 'wallets', 'outbox'];
    return db().admin(
      'SELECT relname, seq_tup_read FROM pg_stat_user_tables WHERE relname = ANY ($1) ORDER BY relname',
      [tables],
    );
  }

  it.each(Object.keys(OPERATIONS))('reads no table as a whole later: %s', async (name) => {
    const operation = OPERATIONS[name] as () => Promise<unknown>;
    // PostgreSQL keeps a plan for any parameters after five calls.
    for (let n = 0; n < 30; n += 1) await operation();
    const before = await rowsScanned();
    for (let n = 0; n < 5; n += 1) await operation();

    expect(await rowsScanned()).toEqual(before);
  });

  it('reads the hold that it captures, however many the wallet has', async () => {
    const CAPTURES = 40;
    const open: string[] = [];
    for (let n = 0; n <= 2 * CAPTURES; n += 1) open.push(await givenHold(mint, payer, '1', receiver));
    for (const holdId of open.slice(0, CAPTURES)) await capture(mint, { holdId, idempotencyKey: fresh('key') });
    const session = await mint.pool.connect();
    const holdsRead = async () => {
      const { rows } = await session.query<{ read: number }>(
        `SELECT idx_tup_fetch::integer AS read FROM pg_stat_xact_user_tables WHERE relname = 'holds'`,
      );
      return rows[0]?.read ?? 0;
    };
    await session.query('BEGIN');
    const before = await holdsRead();
    await session.query('SELECT * FROM capture_hold($1, $2, $3, $4, NULL, NULL, NULL)', [
      ...[fresh('key'), 'a'.repeat(64), fresh('id')],
      open.at(-1),
    ]);
    const read = (await holdsRead()) - before;
    await session.query('ROLLBACK');
    session.release();

    expect(read).toBeGreaterThan(0);
    expect(read).toBeLessThan(CAPTURES / 2);
  });
});
