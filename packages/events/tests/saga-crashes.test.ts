/** @server any */
import { once } from 'node:events';
import { useDatabase, useTestClock } from '@azora/db-testkit';
import { getWallet, mint as issue, type Mint, openMint, openWallet, reconcile } from '@azora/mint';
import { Pool } from 'pg';
import { type Nexus, openNexus } from '../../../services/nexus/src';
import { listSagas } from '../src/saga/inspect-sagas';
import { startSaga } from '../src/saga/start-saga';
import { type Point, type Purchase, purchaseSaga, SHOP } from './purchase-saga';
import { startWorker } from './saga-fixture';
import type { SagaJob } from './saga-process';
import { startProgram } from './saga-processes';

/** What each saga does before it is killed, and what must be true in the end. */
const PAID: readonly Point[] = [
  'before reserve',
  'after reserve',
  'before confirm',
  'after confirm',
  'before pay',
  'after pay',
];
const REFUSED: readonly Point[] = [
  'before undo-confirm',
  'after undo-confirm',
  'before undo-reserve',
  'after undo-reserve',
];
const LEASE_MS = 30_000;

describe('a worker that is killed', () => {
  let nexus: Nexus;
  let mint: Mint;
  let shop: Pool;
  // Runs before the databases are dropped.
  afterAll(() => Promise.all([nexus.close(), mint.close(), shop.end()]));
  const nexusDb = useDatabase('nexus');
  const mintDb = useDatabase('mint');
  const clock = useTestClock(nexusDb, '2026-03-01T00:00:00Z');

  beforeAll(async () => {
    nexus = openNexus({ url: nexusDb().url, slowQueryMs: 60_000 });
    mint = openMint({ url: mintDb().url, slowQueryMs: 60_000 });
    // The administrator of nexus keeps the shop, because no role of a store may create tables.
    await nexusDb().admin(SHOP);
    shop = new Pool({ connectionString: nexusDb().target.admin.href });
  });

  it('before or after the effect of any step loses nothing, and doubles nothing', async () => {
    const ada = await openWallet(mint, { userId: 'user-ada', currency: 'AZR' });
    const ben = await openWallet(mint, { userId: 'user-ben', currency: 'AZR' });
    await issue(mint, { to: ada.id, amount: '100', idempotencyKey: 'welcome' });
    const input: Purchase = { from: ada.id, to: ben.id, amount: '1', refusedAt: 'never' };
    const saga = purchaseSaga(mint, shop);
    for (const point of [...PAID, ...REFUSED]) {
      const refusedAt = REFUSED.includes(point) ? 'pay' : 'never';
      await nexus.transaction((tx) => startSaga(tx, saga, { key: point, input: { ...input, refusedAt } }));
    }
    const job: SagaJob = {
      nexus: nexusDb().url,
      mint: mintDb().url,
      shop: nexusDb().target.admin.href,
      leaseMs: LEASE_MS,
      concurrency: 20,
      stops: Object.fromEntries([...PAID, ...REFUSED].map((point) => [point, point])),
    };
    const doomed = startProgram('saga-process.ts', job);
    await doomed.printed([...PAID, ...REFUSED]);
    const killed = once(doomed.process, 'close');
    doomed.process.kill('SIGKILL');
    expect(await killed).toEqual([null, 'SIGKILL']);

    const before = await nexusDb().app('SELECT key, state, step, attempts FROM sagas ORDER BY key');
    await clock.move(LEASE_MS);
    const rescuer = startWorker(nexus, [saga], {});
    for (let open = 1; open > 0; ) {
      const running = await nexusDb().app('SELECT FROM sagas WHERE finished_at IS NULL');
      open = running.length;
    }
    await rescuer.stop();

    // The row says as much before the effect of a step as after it; only the next record changes it.
    expect(before.map(({ key, state, step, attempts }) => `${key}: ${state} ${step} ${attempts}`)).toEqual(
      [
        ...PAID.map((point, n) => `${point}: running ${Math.floor(n / 2)} 1`),
        ...REFUSED.map((point, n) => `${point}: compensating ${2 - Math.floor(n / 2)} 1`),
      ].toSorted(),
    );
    const done = (await listSagas(nexus, { state: 'done' })).sagas;
    const compensated = (await listSagas(nexus, { state: 'compensated' })).sagas;
    expect(done.map(({ key }) => key).toSorted()).toEqual(PAID.toSorted());
    expect(compensated.map(({ key }) => key).toSorted()).toEqual(REFUSED.toSorted());
    expect(rescuer.warnings).toEqual([]);
    // Every hold was placed once, and paid or released.
    expect(await mintDb().app('SELECT status, count(*)::int FROM holds GROUP BY 1 ORDER BY 1')).toEqual([
      { status: 'captured', count: PAID.length },
      { status: 'released', count: REFUSED.length },
    ]);
    const { balance, held } = await getWallet(mint, { walletId: ada.id });
    expect([`${balance}`, `${held}`]).toEqual([`${100 - PAID.length}`, '0']);
    expect(await reconcile(mint)).toEqual([]);
    const { rows } = await shop.query('SELECT count, split_part(key, $1, 1) AS saga FROM confirmations', [':']);
    expect(rows.map((row) => row.saga).toSorted()).toEqual(done.map(({ id }) => id).toSorted());
  });
});
