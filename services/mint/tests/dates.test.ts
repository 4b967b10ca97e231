/** @server any */
import { useDatabase } from '@azora/db-testkit';
import { accrueRewards, balanceAt, type Mint, openMint, snapshotMetrics } from '../src';

/** Every input with a date. */
const INPUTS: readonly (readonly [string, (mint: Mint, at: Date) => Promise<unknown>])[] = [
  ['at of balanceAt', (mint, at) => balanceAt(mint, { walletId: 'treasury-AZR', at })],
  ['until of accrueRewards', (mint, at) => accrueRewards(mint, { until: at })],
  ['capturedAt of snapshotMetrics', (mint, at) => snapshotMetrics(mint, { capturedAt: at })],
];

describe('a date of mint', () => {
  const db = useDatabase('mint');

  it.each(INPUTS)('is rejected outside of the years 1 to 9999: %s', async (_what, call) => {
    const mint = openMint({ url: db().url });
    try {
      const times = [-8.64e15, -62_135_596_800_001, 253_402_300_800_000, 8.64e15, Number.NaN];
      const ends = await Promise.allSettled(times.map((at) => call(mint, new Date(at))));

      expect(ends.map((end) => end.status === 'rejected' && end.reason.code)).toEqual(
        times.map(() => 'MINT.INVALID_INPUT'),
      );
    } finally {
      await mint.close();
    }
  });
});
