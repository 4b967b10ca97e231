/** @server any */
import { setTimeout as sleep } from 'node:timers/promises';
import { useDatabase } from '@azora/db-testkit';
import { Client } from 'pg';
import { capture, hold, type Mint, reconcile, release, releaseExpired, transfer, transferMany } from '../src';
import { countPublished, namesOf, publishedAfter } from './events-given';
import { fresh, givenHold, givenStores, givenWallet, outcomes } from './ledger-given';

const APP_MAY_NOT = { code: '42501' };

describe('the events of mint under concurrent calls', () => {
  const db = useDatabase('mint');
  let stores: readonly Mint[] = [];
  let mint: Mint;
  beforeAll(() => {
    stores = givenStores(db(), 4);
    mint = stores[0] as Mint;
  });
  afterEach(async () => {
    expect(await reconcile(mint)).toEqual([]);
  });
  afterAll(() => Promise.all(stores.map((it) => it.close())));

  const eachStore = <Result>(count: number, call: (it: Mint, n: number) => Promise<Result>) =>
    Array.from({ length: count }, (_, n) => call(stores[n % stores.length] as Mint, n));

  it('are published once for a request that many send at the same time', async () => {
    const [from, to] = [await givenWallet(mint, '10'), await givenWallet(mint, '0')];
    const request = { from, to, amount: '1', idempotencyKey: fresh('same') };
    const before = await countPublished(db());

    await Promise.all(eachStore(16, (it) => transfer(it, request)));
    await Promise.all(
      eachStore(16, (it) => hold(it, { from, amount: '1', expiresIn: 60_000, idempotencyKey: 'held' })),
    );

    expect(namesOf(await publishedAfter(db(), before))).toEqual(['transaction-posted', 'hold-placed']);
  });

  it('say of a hold that captures and releases race for what became of it, once', async () => {
    for (let turn = 0; turn < 10; turn += 1) {
      const [from, to] = [await givenWallet(mint, '10'), await givenWallet(mint, '0')];
      const holdId = await givenHold(mint, from, '2', to);
      const before = await countPublished(db());

      const ends = await outcomes(
        eachStore<unknown>(8, (it, n) => {
          const request = { holdId, idempotencyKey: fresh('end') };
          return n % 2 === 0 ? capture(it, request) : release(it, request);
        }),
      );

      expect(ends.filter((end) => end === 'done')).toHaveLength(1);
      const isCaptured = ends.indexOf('done') % 2 === 0;
      expect(namesOf(await publishedAfter(db(), before))).toEqual(
        isCaptured ? ['hold-captured', 'transaction-posted'] : ['hold-released'],
      );
    }
  });

  it('name each expired hold once, although many release them', async () => {
    const from = await givenWallet(mint, '50');
    for (let n = 0; n < 20; n += 1)
      await hold(mint, { from, amount: '1', expiresIn: 1, idempotencyKey: fresh('short') });
    const before = await countPublished(db());

    let released = 0;
    while (released < 20) {
      const found = await Promise.all(eachStore(8, (it) => releaseExpired(it, { limit: 7 })));
      released += found.flat().length;
    }

    const events = await publishedAfter(db(), before);
    expect(new Set(events.map(({ payload }) => payload['holdId'])).size).toBe(20);
    expect(events).toHaveLength(20);
  });

  it('of one wallet have the order of its changes, and none is missing', async () => {
    const wallets = await Promise.all(Array.from({ length: 6 }, () => givenWallet(mint, '1000')));
    const before = await countPublished(db());
    const sides = (n: number) => {
      const from = wallets[n % 6] as string;
      return { from, to: wallets[(n + 1 + (n % 5)) % 6] as string, amount: '0.01' };
    };

    await Promise.all(
      eachStore(240, async (it, n) => {
        const idempotencyKey = fresh('ordered');
        const { from, to, amount } = sides(n);
        if (n % 4 === 0) return transferMany(it, { transfers: [sides(n), sides(n + 1), sides(n + 2)], idempotencyKey });
        if (n % 4 === 1) return release(it, { holdId: await givenHold(it, from, amount), idempotencyKey });
        return transfer(it, { from, to, amount, idempotencyKey });
      }),
    );

    const events = await publishedAfter(db(), before);
    expect(events).toHaveLength(60 * 3 + 60 * 2 + 120);
    for (const wallet of wallets) {
      const numbers = events.filter(({ key }) => key === wallet).map(({ payload }) => Number(payload['seq']));
      expect(numbers).toEqual([...numbers].sort((left, right) => left - right));
    }
    const stored = await db().admin('SELECT id, seq::text FROM transactions');
    const seqs = new Map(stored.map(({ id, seq }) => [id, seq]));
    for (const { type, payload } of events)
      if (type === 'mint.transaction-posted.v1') expect(payload['seq']).toBe(seqs.get(payload['transactionId']));
  });

  it('have the number of a row that waited for its wallet and was numbered again', async () => {
    const [from, to] = [await givenWallet(mint, '10'), await givenWallet(mint, '0')];
    const before = await countPublished(db());
    const first = new Client(db().target.admin.href);
    await first.connect();
    const move = (id: string) => `INSERT INTO requests (key, operation, body_hash, answer)
        VALUES ('${id}', 'test', repeat('a', 64), '{"transactionIds": ["${id}"]}');
      INSERT INTO transactions (id, type, from_id, to_id, amount, request_key)
        VALUES ('${id}', 'transfer', '${from}', '${to}', 1, '${id}')`;
    await first.query('BEGIN');
    await first.query('SELECT FROM wallets WHERE id = $1 FOR UPDATE', [from]);
    const late = db().admin(move('numbered-again'));
    const waiting = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    while ((await db().admin(waiting)).length === 0) await sleep(10);
    await first.query(move('overtook'));
    await first.query('COMMIT');
    await first.end();
    await late;

    const events = await publishedAfter(db(), before);
    const stored = await db().admin('SELECT id, seq::text FROM transactions WHERE from_id = $1 ORDER BY seq', [from]);
    expect(events.map(({ payload }) => [payload['transactionId'], payload['seq']])).toEqual(
      stored.map(({ id, seq }) => [id, seq]),
    );
    expect(stored.map(({ id }) => id)).toEqual(['overtook', 'numbered-again']);
  });

  it('are published for rows that an administrator inserts, and cannot be forged or removed by the app role', async () => {
    const [from, to] = [await givenWallet(mint, '10'), await givenWallet(mint, '0')];
    const before = await countPublished(db());
    await db().admin(`
      INSERT INTO requests (key, operation, body_hash, answer)
        VALUES ('by hand', 'test', repeat('a', 64), '{"transactionIds": ["hand-1", "hand-2"]}');
      INSERT INTO transactions (id, type, from_id, to_id, amount, request_key)
        VALUES ('hand-1', 'transfer', '${from}', '${to}', 1, 'by hand'), ('hand-2', 'transfer', '${to}', '${from}', 1, 'by hand')`);

    const events = await publishedAfter(db(), before);
    expect(events.map(({ payload }) => payload['transactionId'])).toEqual(['hand-1', 'hand-2']);

    for (const sql of [
      "INSERT INTO outbox (type, key, payload) VALUES ('mint.transaction-posted.v1', 'thief', '{}')",
      "UPDATE outbox SET payload = '{}'",
      'DELETE FROM outbox',
      'TRUNCATE outbox',
      'ALTER TABLE transactions DISABLE TRIGGER zz_transactions_publish',
      'DROP TRIGGER zz_holds_publish_placed ON holds',
      'DROP FUNCTION publish_transactions() CASCADE',
      "SET session_replication_role = 'replica'",
    ])
      await expect(db().app(sql)).rejects.toMatchObject(APP_MAY_NOT);
    expect(await countPublished(db())).toBe(before + 2);
  });
});
