import { isRetryable, retryTransaction } from '../src/transaction';

const deadlock = Object.assign(new Error('deadlock detected'), { code: '40P01' });

describe('retryTransaction', () => {
  function timing(attempts: number) {
    const pauses: number[] = [];
    return { pauses, attempts, random: () => 1, sleep: async (ms: number) => void pauses.push(ms) };
  }

  it('runs again after a deadlock, waiting longer each time', async () => {
    const time = timing(5);
    let tries = 0;

    const result = await retryTransaction(async () => {
      tries += 1;
      if (tries < 4) throw deadlock;
      return 'done';
    }, time);

    expect(result).toBe('done');
    expect(time.pauses).toEqual([20, 40, 80]);
  });

  it('gives up after the last attempt with the error itself', async () => {
    const time = timing(3);

    await expect(retryTransaction(() => Promise.reject(deadlock), time)).rejects.toBe(deadlock);
    expect(time.pauses).toHaveLength(2);
  });

  it('does not run again what failed for good', async () => {
    const time = timing(5);
    const unique = Object.assign(new Error('duplicate'), { code: '23505' });

    await expect(retryTransaction(() => Promise.reject(unique), time)).rejects.toBe(unique);
    expect(time.pauses).toEqual([]);
  });
});

describe('isRetryable', () => {
  it.each([
    ['40001', true],
    ['40P01', true],
    ['P2034', true],
    ['23505', false],
    ['57P01', false],
  ])('%s: %s', (code, expected) => {
    expect(isRetryable(Object.assign(new Error('x'), { code }))).toBe(expected);
  });
});
