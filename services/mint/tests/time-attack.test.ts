import { setTimeout as sleep } from 'node:timers/promises';
import { useDatabase, useTestClock } from '@azora/db-testkit';
import { Client } from 'pg';
import {
  accrueRewards,
  capture,
  getStake,
  hold,
  type Mint,
  openMint,
  reconcile,
  releaseExpired,
  snapshotMetrics,
  stake,
  submitKnowledge,
} from '../src';
import { balanceOf, fresh, givenHold, givenWallet, HOUR_MS } from './ledger-given';
import { claim, givenStake, withdraw } from './stakes-given';

const START = new Date('2026-03-01T23:30:00Z');
const DAY_MS = 86_400_000;

describe("a process whose clock is wrong, on the database's time,", () => {
  const db = useDatabase('mint');
  const clock = useTestClock(db, START.toISOString());
  let mint: Mint;
  beforeAll(() => {
    mint = openMint({ url: db().url });
  });
  afterEach(async () => {
    jest.useRealTimers();
    await clock.set('2050-01-01T00:00:00Z');
    expect(await reconcile(mint)).toEqual([]);
  });
  afterAll(() => mint.close());

  /** Sets the clock of this process: Date only, because the connections need their timers. */
  function setProcessClock(now: Date): void {
    jest.useFakeTimers({
      now,
      doNotFake: [
        ...(['hrtime', 'nextTick', 'performance', 'queueMicrotask', 'setImmediate', 'clearImmediate'] as const),
        ...(['setInterval', 'clearInterval', 'setTimeout', 'clearTimeout'] as const),
      ],
    });
  }

  it('in 2099 accrues and pays only what is earned, and frees no lock', async () => {
    const { id: stakeId, walletId } = await givenStake(mint, { lockDays: 3_650, annualRate: '0.365' });
    await clock.move(DAY_MS);
    setProcessClock(new Date('2099-01-01T00:00:00Z'));

    const accrued = await accrueRewards(mint, { stakeId });
    const paid = await claim(mint, stakeId);

    expect([accrued.rewards.toFixed(), paid.amount.toFixed()]).toEqual(['1', '1']);
    expect(await balanceOf(mint, walletId)).toBe('501');
    await expect(withdraw(mint, stakeId)).rejects.toMatchObject({ code: 'MINT.STAKE_LOCKED' });
    await expect(accrueRewards(mint, { stakeId, until: new Date() })).rejects.toMatchObject({
      code: 'MINT.INVALID_INPUT',
      meta: { fields: ['until'] },
    });
    await expect(snapshotMetrics(mint, { capturedAt: new Date() })).rejects.toMatchObject({
      code: 'MINT.INVALID_INPUT',
      meta: { fields: ['capturedAt'] },
    });
  });

  it.each(['1999-01-01T00:00:00Z', '2099-01-01T00:00:00Z'])(
    'at %s locks a stake for its days from now',
    async (time) => {
      const walletId = await givenWallet(mint, '1');
      setProcessClock(new Date(time));

      const made = await stake(mint, { walletId, amount: '1', lockDays: 2, idempotencyKey: fresh('stake') });

      expect([made.startedAt, made.lockedUntil]).toEqual([START, new Date(START.getTime() + 2 * DAY_MS)]);
      expect(await getStake(mint, { stakeId: made.id })).toEqual(made);
    },
  );

  it('an hour behind captures no expired hold', async () => {
    const [from, to] = [await givenWallet(mint, '1'), await givenWallet(mint, '0')];
    const holdId = await givenHold(mint, from, '1', to);
    await clock.move(HOUR_MS);
    setProcessClock(START);

    await expect(capture(mint, { holdId, idempotencyKey: fresh('key') })).rejects.toMatchObject({
      code: 'MINT.HOLD_EXPIRED',
    });
    expect((await releaseExpired(mint)).map(({ id }) => id)).toContain(holdId);
  });

  it('an hour ahead releases no live hold, and its own hold expires in time', async () => {
    const from = await givenWallet(mint, '2');
    const holdId = await givenHold(mint, from, '1');
    setProcessClock(new Date(START.getTime() + HOUR_MS));

    const other = await hold(mint, { from, amount: '1', expiresIn: HOUR_MS, idempotencyKey: fresh('key') });

    expect((await releaseExpired(mint)).filter(({ walletId }) => walletId === from)).toEqual([]);
    expect(other.expiresAt).toEqual(new Date(START.getTime() + HOUR_MS));
    expect(holdId).not.toBe(other.id);
  });

  it('a day ahead mines no second daily cap', async () => {
    const walletId = await givenWallet(mint, '0');
    const learn = () =>
      submitKnowledge(mint, {
        ...({ walletId, activity: 'course', knowledgeScore: '1' } as const),
        ...{ proof: fresh('proof'), idempotencyKey: fresh('key') },
      });
    await learn();
    await learn();
    setProcessClock(new Date(START.getTime() + DAY_MS));

    expect(await learn()).toMatchObject({ status: 'rejected', rejection: 'daily_cap' });

    await clock.move(HOUR_MS);
    expect(await learn()).toMatchObject({ status: 'rewarded' });
  });

  it('repeats a hold under its key, although its own time has moved on', async () => {
    const from = await givenWallet(mint, '1');
    const request = { from, amount: '1', expiresIn: HOUR_MS, idempotencyKey: fresh('key') };
    const made = await hold(mint, request);
    await clock.move(60_000);
    setProcessClock(new Date(Date.now() + 60_000));

    expect(await hold(mint, request)).toEqual(made);
    await expect(hold(mint, { ...request, expiresIn: HOUR_MS + 1 })).rejects.toMatchObject({ code: 'MINT.KEY_REUSED' });
  });

  it('judges a hold by the time at which it holds the locks, not at which it asked for them', async () => {
    const [from, to] = [await givenWallet(mint, '1'), await givenWallet(mint, '0')];
    const holdId = await givenHold(mint, from, '1', to);
    const blocker = new Client(db().target.admin.href);
    await blocker.connect();
    await blocker.query('BEGIN');
    await blocker.query('SELECT FROM wallets WHERE id = $1 FOR UPDATE', [to]);

    const captured = capture(mint, { holdId, idempotencyKey: fresh('key') }).then(
      () => 'captured',
      ({ code }) => code,
    );
    const waiting = `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`;
    while ((await db().admin(waiting)).length === 0) await sleep(10);
    await clock.move(HOUR_MS);
    await blocker.query('COMMIT');
    await blocker.end();

    expect(await captured).toBe('MINT.HOLD_EXPIRED');
  });
});
