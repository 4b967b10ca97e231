/** @server any */
import { useDatabase, useTestClock } from '@azora/db-testkit';
import { type Auth, login, unlockAccount } from '../src/index';
import { DAY_MS, givenUser, MINUTE_MS, outcomes, PASSWORD, START, useAuth } from './given';

const WRONG = 'not the password';
const NETWORKS = ['203.0.113.1', '203.0.113.2', '203.0.113.3'];

/** An answer as a caller sees it: the code, and the times that it names. */
async function answerOf(call: Promise<unknown>): Promise<unknown> {
  return call.then(
    () => 'ok',
    ({ code, message, why, next, meta }) => ({ code, message, why, next, meta }),
  );
}

describe('a sign-in answers for an unknown address as for an account', () => {
  const db = useDatabase('auth');
  const clock = useTestClock(db, START);
  const openAuth = useAuth(db);
  // A busy machine makes calls wait for a connection for longer than by default.
  const open = (options = {}) => openAuth({ pool: { connectTimeoutMs: 120_000 }, ...options });
  let addresses = 0;

  const attempt = (auth: Auth, email: string, ipAddress?: string) =>
    login(auth, { email, password: WRONG, ...(ipAddress === undefined ? {} : { device: { ipAddress } }) });

  /** Runs the same calls against an account and an unknown address, and returns both sequences of answers. */
  const both = async (auth: Auth, run: (email: string) => Promise<unknown>) => {
    addresses += 1;
    const { email } = await givenUser(auth);
    const answers: unknown[] = [];
    for (const address of [email, `nobody${addresses}@azora.world`]) {
      await db().admin('DELETE FROM sign_in_sources');
      await clock.set(START);
      answers.push(await run(address));
    }
    return answers;
  };

  it('from a source that is locked, again and again', async () => {
    const auth = open();
    const [account, nobody] = await both(auth, async (email) => {
      const answers: unknown[] = [];
      for (let turn = 0; turn < 4; turn += 1) {
        for (let n = 0; n < 7; n += 1) answers.push(await answerOf(attempt(auth, email, NETWORKS[0])));
        await clock.move(16 * MINUTE_MS);
      }
      return answers;
    });

    expect(JSON.stringify(account)).toContain('AUTH.SOURCE_LOCKED');
    expect(nobody).toEqual(account);
  });

  it.each([
    ['from networks that stay below the limit of a source', NETWORKS],
    ['without a network', [undefined, undefined, undefined]],
  ])('%s', async (_how, networks) => {
    const auth = open();
    const [account, nobody] = await both(auth, async (email) => {
      const answers: unknown[] = [];
      for (const network of networks) {
        for (let n = 0; n < 4; n += 1) answers.push(await answerOf(attempt(auth, email, network)));
      }
      return answers;
    });

    expect(JSON.stringify(account)).toContain('AUTH.LOCKED');
    expect(nobody).toEqual(account);
  });

  it('when guesses race', async () => {
    const auths = [open(), open()] as const;
    const [account, nobody] = await both(auths[0], (email) =>
      outcomes(Array.from({ length: 30 }, (_, n) => attempt(auths[n % 2 === 0 ? 0 : 1], email, NETWORKS[1]))),
    );

    expect(account).toEqual({ 'AUTH.INVALID_CREDENTIALS': 5, 'AUTH.SOURCE_LOCKED': 25 });
    expect(nobody).toEqual(account);
  });

  it('after a hundred wrong passwords in a row', async () => {
    const auth = open({ lockout: { attempts: 1_000 } });
    const [account, nobody] = await both(auth, async (email) => {
      const counts = await outcomes(Array.from({ length: 105 }, () => attempt(auth, email)));
      return [counts, await answerOf(attempt(auth, email))];
    });

    expect(account).toMatchObject([{ 'AUTH.INVALID_CREDENTIALS': 100, 'AUTH.PASSWORD_BLOCKED': 5 }, {}]);
    expect(nobody).toEqual(account);
  });

  it('when it is locked again days after', async () => {
    const auth = open();
    const [account, nobody] = await both(auth, async (email) => {
      const answers: unknown[] = [];
      for (let turn = 0; turn < 3; turn += 1) {
        for (let n = 0; n < 11; n += 1) answers.push(await answerOf(attempt(auth, email)));
        await clock.move(2 * DAY_MS);
        // Each failure deletes expired rows.
        await answerOf(attempt(auth, 'another@azora.world', NETWORKS[2]));
      }
      return answers;
    });

    expect(JSON.stringify(account)).toContain('AUTH.LOCKED');
    expect(nobody).toEqual(account);
  });

  it('after a hundred wrong passwords in a row, a few on each of many days', async () => {
    const auth = open();
    const [account, nobody] = await both(auth, async (email) => {
      const answers: unknown[] = [];
      for (let day = 0; day < 12; day += 1) {
        answers.push(await outcomes(Array.from({ length: 9 }, () => attempt(auth, email))));
        await clock.move(2 * DAY_MS);
        await answerOf(attempt(auth, 'another@azora.world', NETWORKS[2]));
      }
      return answers;
    });

    expect(JSON.stringify(account)).toContain('AUTH.PASSWORD_BLOCKED');
    expect(nobody).toEqual(account);
  });

  it('and keeps no address', async () => {
    await outcomes([attempt(open(), 'ada.lovelace@azora.world', NETWORKS[0])]);

    const rows = await db().admin('SELECT to_jsonb(it)::text AS row FROM sign_in_sources AS it');
    expect(rows).toHaveLength(3);
    expect(JSON.stringify(rows)).not.toContain('lovelace');
  });

  it('and the rows of an unknown address belong to nobody', async () => {
    const auth = open();
    const { userId, email } = await givenUser(auth);
    await outcomes([attempt(auth, 'nobody@azora.world', NETWORKS[0])]);

    expect(await unlockAccount(auth, { userId, actorId: 'support-7' })).toEqual({ unlocked: false });
    expect(await outcomes([login(auth, { email, password: PASSWORD, device: { ipAddress: '203.0.113.1' } })])).toEqual({
      ok: 1,
    });
  });
});
