/** @server none */
import { isRetryable, retryConnect, retryTransaction } from '../src/retry';

const deadlock = Object.assign(new Error('deadlock detected'), { code: '40P01' });

describe('retryTransaction', () => {
  it('retries after a deadlock', async () => {
    let tries = 0;

    const result = await retryTransaction(async () => {
      tries += 1;
      if (tries < 4) throw deadlock;
      return 'done';
    });

    expect({ result, tries }).toEqual({ result: 'done', tries: 4 });
  });

  it('throws the error itself after the fifth attempt', async () => {
    let tries = 0;
    const work = async () => {
      tries += 1;
      throw deadlock;
    };

    await expect(retryTransaction(work)).rejects.toBe(deadlock);
    expect(tries).toBe(5);
  });

  it('does not retry after another error', async () => {
    const unique = Object.assign(new Error('duplicate'), { code: '23505' });
    let tries = 0;
    const work = async () => {
      tries += 1;
      throw unique;
    };

    await expect(retryTransaction(work)).rejects.toBe(unique);
    expect(tries).toBe(1);
  });
});

describe('retryConnect', () => {
  it('waits for a server that starts, but not for one that rejects the password', async () => {
    const answers = ['ECONNREFUSED', '57P03', '28P01'];
    const connect = async () => {
      throw Object.assign(new Error('no'), { code: answers.shift() });
    };

    await expect(retryConnect(connect)).rejects.toMatchObject({ code: '28P01' });
    expect(answers).toEqual([]);
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
