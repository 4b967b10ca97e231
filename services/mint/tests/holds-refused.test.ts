/** @server any */
import { useDatabase, useTestClock } from '@azora/db-testkit';
import { capture, hold, type Mint, openMint, release } from '../src';
import { dump, fresh, givenHold, givenWallet } from './ledger-given';

describe('the store rejects these operations on holds without writing anything:', () => {
  const db = useDatabase('mint');
  useTestClock(db, '2026-03-01T12:00:00Z');
  let mint: Mint;
  beforeAll(() => {
    mint = openMint({ url: db().url });
  });
  afterAll(() => mint.close());

  it.each([
    [
      'a capture of more than the held amount',
      'MINT.CAPTURE_TOO_LARGE',
      ({ holdId }: Given) => ({ holdId, amount: '4.00000001' }),
    ],
    [
      'a capture for a receiver that the hold does not name',
      'MINT.HOLD_RECEIVER',
      ({ holdId, other }: Given) => ({ holdId, to: other }),
    ],
    ['a capture without a receiver', 'MINT.HOLD_RECEIVER', ({ open }: Given) => ({ holdId: open })],
    ['a capture for the payer', 'MINT.SAME_WALLET', ({ open, from }: Given) => ({ holdId: open, to: from })],
    ['a capture for the treasury', 'MINT.SYSTEM_WALLET', ({ open }: Given) => ({ holdId: open, to: 'treasury-AZR' })],
    ['a capture for an unknown wallet', 'MINT.WALLET_NOT_FOUND', ({ open }: Given) => ({ holdId: open, to: 'nobody' })],
    ['a capture in another currency', 'MINT.CURRENCY_MISMATCH', ({ open, btc }: Given) => ({ holdId: open, to: btc })],
    ['a capture of an unknown hold', 'MINT.HOLD_NOT_FOUND', () => ({ holdId: 'nothing' })],
    ['a capture of the amount 0', 'MINT.INVALID_INPUT', ({ holdId }: Given) => ({ holdId, amount: '0' })],
  ])('%s', async (_what, code, inputOf) => {
    const given = await givenOpen();
    const before = await dump(db());

    const call = capture(mint, { ...inputOf(given), idempotencyKey: fresh('key') });

    await expect(call).rejects.toMatchObject({ code });
    expect(await dump(db())).toBe(before);
  });

  it('a release of an unknown hold, and a hold that expires at once', async () => {
    const from = await givenWallet(mint, '1');
    const before = await dump(db());

    await expect(release(mint, { holdId: 'nothing', idempotencyKey: fresh('key') })).rejects.toMatchObject({
      code: 'MINT.HOLD_NOT_FOUND',
    });
    const late = hold(mint, { from, amount: '1', expiresIn: 0, idempotencyKey: fresh('key') });
    await expect(late).rejects.toMatchObject({ code: 'MINT.INVALID_INPUT', meta: { fields: ['expiresIn'] } });
    expect(await dump(db())).toBe(before);
  });

  interface Given {
    readonly from: string;
    readonly other: string;
    readonly btc: string;
    /** A hold with a receiver. */
    readonly holdId: string;
    /** A hold without a receiver. */
    readonly open: string;
  }

  async function givenOpen(): Promise<Given> {
    const [from, to, other] = [
      await givenWallet(mint, '8'),
      await givenWallet(mint, '0'),
      await givenWallet(mint, '0'),
    ];
    const [holdId, open] = [await givenHold(mint, from, '4', to), await givenHold(mint, from, '4')];
    return { from, other, btc: await givenWallet(mint, '0', 'BTC'), holdId, open };
  }
});
