/** @server any */
import { defineConsumer } from '@azora/db-core/events';
import { useDatabase } from '@azora/db-testkit';
import { openFamily } from '../../../services/family/src';
import {
  capture,
  hold,
  mint as issue,
  type Mint,
  openMint,
  openWallet,
  reconcile,
  release,
  transfer,
  transferMany,
} from '../../../services/mint/src';
import { openBus } from '../src';
import { until, upTo } from './bus-fixture';

const WALLETS = 8;
const ROUNDS = 30;

interface Posted {
  readonly fromWalletId: string;
  readonly toWalletId: string;
  readonly amount: string;
  readonly seq: string;
}

describe("a service that follows mint's events", () => {
  const ledger = useDatabase('mint');
  const follower = useDatabase('family');
  const nexus = useDatabase('nexus');

  it('has the balances of the ledger, and learns of the changes of a wallet in their order', async () => {
    await follower().admin(`
      CREATE TABLE changes (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, key text NOT NULL, seq bigint NOT NULL,
        wallet_id text NOT NULL, amount numeric NOT NULL, holds int NOT NULL);
      GRANT SELECT, INSERT ON changes TO ${follower().target.role}`);
    const stores = upTo(3).map(() => openMint({ url: ledger().url, slowQueryMs: 60_000 }));
    const family = openFamily({ url: follower().url, slowQueryMs: 60_000 });
    const bus = openBus({ url: nexus().url, pollMs: 50 });
    const ending = new AbortController();
    const { signal } = ending;
    const change = `INSERT INTO changes (key, seq, wallet_id, amount, holds)
      SELECT $1, $2::bigint, it.wallet, it.amount::numeric, $5::int FROM unnest($3::text[], $4::text[]) AS it (wallet, amount)
      RETURNING id::text`;
    const consumer = defineConsumer({
      name: 'family.follow-ledger',
      types: ['mint.transaction-posted.v1', 'mint.hold-placed.v1', 'mint.hold-captured.v1', 'mint.hold-released.v1'],
      handle: async (tx, { type, subject, data }) => {
        const { fromWalletId, toWalletId, amount, seq } = data as Posted;
        const isMovement = type === 'mint.transaction-posted.v1';
        const wallets = isMovement ? [fromWalletId, toWalletId] : [subject];
        const amounts = isMovement ? [`-${amount}`, amount] : ['0'];
        const holds = isMovement ? 0 : type === 'mint.hold-placed.v1' ? 1 : -1;
        await tx.$queryRawUnsafe(change, subject, seq, wallets, amounts, holds);
      },
    });
    const [mint] = stores as [Mint];
    const running = [
      bus.relay(mint, { service: 'mint', signal }),
      ...upTo(2).map(() => bus.subscribe(family, consumer, { signal, from: 'start' })),
    ];
    try {
      const ids = await Promise.all(
        upTo(WALLETS).map(async (n) => (await openWallet(mint, { userId: `user-${n}`, currency: 'AZR' })).id),
      );
      await Promise.all(ids.map((to) => issue(mint, { to, amount: '1000', idempotencyKey: `welcome ${to}` })));
      await Promise.all(
        stores.flatMap((store, n) => upTo(ROUNDS).map((round) => move(store, ids, n * ROUNDS + round))),
      );

      const [{ count } = { count: 0 }] = await ledger().admin(
        'SELECT count(*)::int AS count FROM outbox WHERE type = ANY ($1)',
        [consumer.types],
      );
      const handled = async () => (await follower().admin('SELECT DISTINCT key, seq FROM changes')).length;
      await until(async () => (await handled()) >= Number(count));

      const [{ events } = { events: 0 }] = await follower().admin('SELECT count(*)::int AS events FROM inbox');
      expect(events).toBe(count);
      const sums =
        'SELECT wallet_id AS id, sum(amount)::numeric(18,8)::text AS balance FROM changes GROUP BY 1 ORDER BY 1';
      expect(await follower().admin(sums)).toEqual(
        await ledger().admin('SELECT id, balance::text FROM wallets WHERE balance <> 0 ORDER BY id COLLATE "default"'),
      );
      expect(await follower().admin('SELECT key FROM changes GROUP BY key HAVING sum(holds) <> 0')).toEqual([]);
      const disordered = await follower().admin(
        'SELECT FROM (SELECT seq, lag(seq) OVER (PARTITION BY key ORDER BY id) AS before FROM changes) AS n WHERE seq < before',
      );
      expect(disordered).toEqual([]);
      expect(await reconcile(mint)).toEqual([]);
    } finally {
      ending.abort();
      await Promise.all(running);
      await bus.close();
      await Promise.all([family, ...stores].map((store) => store.close()));
    }
  });
});

/** One of the ways in which the ledger changes; every hold is captured or released. */
async function move(mint: Mint, ids: readonly string[], n: number): Promise<void> {
  const [from, to, other] = [0, 1, 3].map((step) => ids[(n + step) % ids.length]) as [string, string, string];
  const idempotencyKey = `move ${n}`;
  if (n % 3 === 0) await transfer(mint, { from, to, amount: '0.5', idempotencyKey });
  else if (n % 3 === 1) {
    const transfers = [to, other].map((receiver) => ({ from, to: receiver, amount: '0.25' }));
    await transferMany(mint, { transfers, idempotencyKey });
  } else {
    const { id: holdId } = await hold(mint, { from, to, amount: '1', expiresIn: 60_000, idempotencyKey });
    const end = { holdId, idempotencyKey: `${idempotencyKey} ended` };
    await (n % 2 === 0 ? capture(mint, { ...end, amount: '0.75' }) : release(mint, end));
  }
}
