/** @server any */
import { useDatabase } from '@azora/db-testkit';
import { capture, mint as issue, type Mint, openMint, release, stake, transfer } from '../src';
import { fresh, givenHold, givenWallet } from './ledger-given';

const ROWS = 150;

describe('a session that planned when the ledger was almost empty', () => {
  const db = useDatabase('mint');
  let mint: Mint;
  let [payer, receiver] = ['', ''];
  beforeAll(async () => {
    // One connection, so that all calls use the plans of one session.
    mint = openMint({ url: db().url, pool: { max: 1 } });
    // One request only: then a walk through the whole index costs as much as a lookup.
    [payer, receiver] = [await givenWallet(mint, '10000'), await givenWallet(mint, '0')];
    const tables = ['requests', 'transactions', 'holds', 'stakes', 'wallets'];
    // Nothing but this test decides when a plan is made again.
    for (const table of tables) await db().admin(`ALTER TABLE ${table} SET (autovacuum_enabled = off)`);
    await db().admin(`ANALYZE ${tables.join(', ')}`);
  });
  afterAll(() => mint.close());

  const moved = { amount: '1', description: 'a plan' };
  const OPERATIONS: Readonly<Record<string, () => Promise<unknown>>> = {
    hold: () => givenHold(mint, payer, '1'),
    stake: () =>
      stake(mint, { walletId: payer, amount: '1', annualRate: '0.08', lockDays: 30, idempotencyKey: fresh('key') }),
    transfer: () => transfer(mint, { ...moved, from: payer, to: receiver, idempotencyKey: fresh('key') }),
    'hold and capture': async () =>
      capture(mint, { holdId: await givenHold(mint, payer, '1', receiver), idempotencyKey: fresh('key') }),
    'hold and release': async () =>
      release(mint, { holdId: await givenHold(mint, payer, '1'), idempotencyKey: fresh('key') }),
    issue: () => issue(mint, { ...moved, to: payer, idempotencyKey: fresh('key') }),
  };

  /** What the scans of the tables and of their indexes have read so far. */
  async function entriesRead(): Promise<number> {
    // A session reports its counters late, unless it is asked.
    await mint.pool.query('SELECT pg_stat_force_next_flush()');
    const [row] = await db().admin(
      `SELECT (SELECT sum(seq_tup_read) FROM pg_stat_user_tables) + (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes) AS read`,
    );
    return Number(row?.['read']);
  }

  it.each(Object.keys(OPERATIONS))('reads no table or index as a whole later: %s', async (name) => {
    const operation = OPERATIONS[name] as () => Promise<unknown>;
    // PostgreSQL keeps a plan for any parameters after five calls.
    for (let n = 0; n < ROWS; n += 1) await operation();
    const before = await entriesRead();
    for (let n = 0; n < 5; n += 1) await operation();

    // One of them reads about 20 rows and entries. A scan of a whole index would read one for each operation before.
    expect((await entriesRead()) - before).toBeLessThan(5 * ROWS);
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
