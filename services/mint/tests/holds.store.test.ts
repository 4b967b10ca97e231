/** @server any */
import { useDatabase, useTestClock } from '@azora/db-testkit';
import {
  capture,
  getHold,
  getWallet,
  hold,
  type Mint,
  openMint,
  reconcile,
  release,
  releaseExpired,
  transfer,
} from '../src';
import {
  balanceOf,
  countDeadlocks,
  fresh,
  givenHold,
  givenStores,
  givenWallet,
  HOUR_MS,
  outcomes,
} from './ledger-given';

describe('holds', () => {
  const db = useDatabase('mint');
  const start = new Date('2026-03-01T12:00:00Z');
  const clock = useTestClock(db, start.toISOString());
  let mint: Mint;
  let stores: readonly Mint[];
  beforeAll(() => {
    mint = openMint({ url: db().url });
    stores = givenStores(db(), 4);
  });
  afterEach(async () => {
    // No row of an earlier test lies in the future.
    await clock.set(new Date(start.getTime() + 2 * HOUR_MS));
    expect(await reconcile(mint)).toEqual([]);
  });
  afterAll(async () => {
    await Promise.all([mint, ...stores].map((store) => store.close()));
  });

  const heldOf = async (walletId: string) => (await getWallet(mint, { walletId })).held.toFixed();

  it('set money aside until they are captured, and move it then', async () => {
    const [from, to] = [await givenWallet(mint, '10'), await givenWallet(mint, '0')];
    const idempotencyKey = fresh('key');

    const held = await hold(mint, {
      from,
      to,
      amount: '4',
      expiresIn: HOUR_MS,
      description: 'Milestone',
      idempotencyKey,
    });
    expect([await balanceOf(mint, from), await heldOf(from), await balanceOf(mint, to)]).toEqual(['10', '4', '0']);
    await clock.move(1_000);
    const paid = await capture(mint, { holdId: held.id, idempotencyKey: fresh('key') });

    expect(JSON.parse(JSON.stringify(held))).toEqual({
      id: held.id,
      walletId: from,
      toId: to,
      currency: 'AZR',
      amount: '4',
      capturedAmount: '0',
      status: 'held',
      description: 'Milestone',
      requestKey: idempotencyKey,
      expiresAt: new Date(start.getTime() + HOUR_MS).toISOString(),
      resolvedAt: null,
      createdAt: start.toISOString(),
    });
    expect(paid).toMatchObject({ type: 'transfer', fromId: from, toId: to, holdId: held.id, description: 'Milestone' });
    expect([await balanceOf(mint, from), await heldOf(from), await balanceOf(mint, to)]).toEqual(['6', '0', '4']);
    const after = await getHold(mint, { holdId: held.id });
    expect(after).toMatchObject({ status: 'captured', resolvedAt: clock.now() });
    expect(after.capturedAmount.toFixed()).toBe('4');
    // A repeated call returns the hold as it was created.
    expect(
      await hold(mint, { from, to, amount: '4', expiresIn: HOUR_MS, description: 'Milestone', idempotencyKey }),
    ).toEqual(held);
  });

  it('can be captured in part, which releases the rest', async () => {
    const [from, to] = [await givenWallet(mint, '10'), await givenWallet(mint, '0')];
    const holdId = await givenHold(mint, from, '10');

    await capture(mint, { holdId, to, amount: '0.00000001', idempotencyKey: fresh('key') });

    expect([await balanceOf(mint, from), await heldOf(from), await balanceOf(mint, to)]).toEqual([
      '9.99999999',
      '0',
      '0.00000001',
    ]);
  });

  it('cannot be captured after they are released', async () => {
    const [from, to] = [await givenWallet(mint, '10'), await givenWallet(mint, '0')];
    const holdId = await givenHold(mint, from, '10', to);
    const idempotencyKey = fresh('key');

    const released = await release(mint, { holdId, idempotencyKey });

    expect(released).toMatchObject({ status: 'released', resolvedAt: start });
    expect(await release(mint, { holdId, idempotencyKey })).toEqual(released);
    await expect(capture(mint, { holdId, idempotencyKey: fresh('key') })).rejects.toMatchObject({
      code: 'MINT.HOLD_RESOLVED',
      message: 'A hold cannot go from released to captured',
      meta: { holdId, from: 'released', to: 'captured' },
    });
    await transfer(mint, { from, to, amount: '10', idempotencyKey: fresh('key') });
  });

  it('never set aside more than the available amount when many are created at once', async () => {
    const from = await givenWallet(mint, '10');

    const results = await outcomes(
      Array.from({ length: 20 }, (_, n) =>
        hold(stores[n % 4] as Mint, { from, amount: '3', expiresIn: HOUR_MS, idempotencyKey: fresh('key') }),
      ),
    );

    expect(results.filter((result) => result === 'done')).toHaveLength(3);
    expect(results.filter((result) => result === 'MINT.INSUFFICIENT_FUNDS')).toHaveLength(17);
    expect(await heldOf(from)).toBe('9');
  });

  it('are created, captured and released once per key when calls race', async () => {
    const [from, to] = [await givenWallet(mint, '10'), await givenWallet(mint, '0')];
    const request = { from, to, amount: '4', expiresIn: HOUR_MS, idempotencyKey: fresh('key') };

    const holds = await Promise.all(Array.from({ length: 16 }, (_, n) => hold(stores[n % 4] as Mint, request)));
    for (const it of holds) expect(it).toEqual(holds[0]);
    expect(await heldOf(from)).toBe('4');

    const paying = { holdId: holds[0]?.id ?? '', idempotencyKey: fresh('key') };
    const payments = await Promise.all(Array.from({ length: 16 }, (_, n) => capture(stores[n % 4] as Mint, paying)));
    for (const it of payments) expect(it).toEqual(payments[0]);
    expect(await balanceOf(mint, to)).toBe('4');

    const freeing = { holdId: await givenHold(mint, from, '1'), idempotencyKey: fresh('key') };
    const released = await Promise.all(Array.from({ length: 16 }, (_, n) => release(stores[n % 4] as Mint, freeing)));
    for (const it of released) expect(it).toEqual(released[0]);
  });

  it('are either captured or released when both race', async () => {
    const [from, to] = [await givenWallet(mint, '20'), await givenWallet(mint, '0')];
    let captured = 0;
    for (let round = 0; round < 20; round += 1) {
      const holdId = await givenHold(stores[0] as Mint, from, '1', to);
      const calls = [
        () => capture(stores[1] as Mint, { holdId, idempotencyKey: fresh('key') }),
        () => release(stores[2] as Mint, { holdId, idempotencyKey: fresh('key') }),
      ];
      const results = await outcomes((round % 2 === 0 ? calls : [...calls].reverse()).map((call) => call()));
      expect([...results].sort()).toEqual(['MINT.HOLD_RESOLVED', 'done']);
      const { status } = await getHold(mint, { holdId });
      expect(['captured', 'released']).toContain(status);
      if (status === 'captured') captured += 1;
    }
    expect([await balanceOf(mint, to), await heldOf(from)]).toEqual([String(captured), '0']);
  });

  it('are captured once when many captures race', async () => {
    const [from, to] = [await givenWallet(mint, '10'), await givenWallet(mint, '0')];
    const holdId = await givenHold(stores[0] as Mint, from, '2', to);

    const results = await outcomes(
      Array.from({ length: 12 }, (_, n) => capture(stores[n % 4] as Mint, { holdId, idempotencyKey: fresh('key') })),
    );

    expect(results.filter((result) => result === 'done')).toHaveLength(1);
    expect(results.filter((result) => result === 'MINT.HOLD_RESOLVED')).toHaveLength(11);
    expect(await balanceOf(mint, to)).toBe('2');
  });

  it('never deadlock with transfers in the other direction', async () => {
    const pair = [await givenWallet(mint, '200'), await givenWallet(mint, '200')] as const;
    const before = await countDeadlocks(db(), [mint, ...stores]);
    for (let round = 0; round < 10; round += 1) {
      const ids = await Promise.all(
        Array.from({ length: 8 }, (_, n) =>
          givenHold(stores[n % 4] as Mint, pair[n % 2] ?? '', '1', pair[(n + 1) % 2] ?? ''),
        ),
      );
      const captures = ids.map((holdId, n) => capture(stores[n % 4] as Mint, { holdId, idempotencyKey: fresh('key') }));
      const transfers = ids.map((_, n) =>
        transfer(stores[(n + 1) % 4] as Mint, {
          from: pair[n % 2] ?? '',
          to: pair[(n + 1) % 2] ?? '',
          amount: '1',
          idempotencyKey: fresh('key'),
        }),
      );
      expect(new Set(await outcomes([...captures, ...transfers]))).toEqual(new Set(['done']));
    }
    expect(await countDeadlocks(db(), [mint, ...stores])).toBe(before);
  });

  it('cannot be captured from their expiry on, and can be released', async () => {
    const [from, to] = [await givenWallet(mint, '10'), await givenWallet(mint, '0')];
    const early = await givenHold(mint, from, '1', to);
    const late = await givenHold(mint, from, '2', to);
    const byHand = await givenHold(mint, from, '3', to);

    await clock.move(HOUR_MS - 1);
    expect(await releaseExpired(mint)).toEqual([]);
    await capture(mint, { holdId: early, idempotencyKey: fresh('key') });
    await clock.move(1);
    await expect(capture(mint, { holdId: late, idempotencyKey: fresh('key') })).rejects.toMatchObject({
      code: 'MINT.HOLD_EXPIRED',
      meta: { holdId: late, expiredAt: clock.now().toISOString() },
    });
    await release(mint, { holdId: byHand, idempotencyKey: fresh('key') });

    // Earlier tests left holds that expire at this time too.
    const expired = (await releaseExpired(mint)).filter(({ walletId }) => walletId === from);
    expect(expired).toMatchObject([{ id: late, status: 'expired', resolvedAt: clock.now() }]);
    expect(await releaseExpired(mint)).toEqual([]);
    await expect(release(mint, { holdId: late, idempotencyKey: fresh('key') })).rejects.toMatchObject({
      message: 'A hold cannot go from expired to released',
    });
    expect([await heldOf(from), await balanceOf(mint, to)]).toEqual(['0', '1']);
  });

  it('are released once by concurrent sweeps, each up to its limit', async () => {
    const from = await givenWallet(mint, '60');
    const ids = await Promise.all(Array.from({ length: 60 }, () => givenHold(mint, from, '1')));
    await clock.move(2 * HOUR_MS);
    const sweepers = Array.from({ length: 6 }, () => openMint({ url: db().url }));

    const first = await Promise.all(sweepers.map((store) => releaseExpired(store, { limit: 7 })));
    for (const swept of first) expect(swept.length).toBeLessThanOrEqual(7);
    const rest = await releaseExpired(mint);
    await Promise.all(sweepers.map((store) => store.close()));

    expect([...first.flat(), ...rest].map(({ id }) => id).sort()).toEqual([...ids].sort());
    expect(await heldOf(from)).toBe('0');
  });

  it('can be resolved when the clock has gone back', async () => {
    const [from, to] = [await givenWallet(mint, '10'), await givenWallet(mint, '0')];
    const holdId = await givenHold(mint, from, '1', to);
    await clock.move(-HOUR_MS);

    await capture(mint, { holdId, idempotencyKey: fresh('key') });

    expect((await getWallet(mint, { walletId: to })).updatedAt.getTime()).toBeGreaterThanOrEqual(start.getTime());
    expect(await getHold(mint, { holdId })).toMatchObject({ status: 'captured', resolvedAt: clock.now() });
  });
});
