import { setTimeout as wait } from 'node:timers/promises';
import { useDatabase, useTestClock } from '@azora/db-testkit';
import { requestPasswordReset } from '../src/index';
import { DAY_MS, givenUser, START, useAuth } from './given';

describe('the order of locks', () => {
  const db = useDatabase('auth');
  const clock = useTestClock(db, START);
  const open = useAuth(db);

  it('is the same for a password reset and another message to the account', async () => {
    const auth = open();
    const { userId, email } = await givenUser(auth);
    const message = (tx: { $queryRaw: (sql: TemplateStringsArray, ...values: unknown[]) => Promise<unknown> }) =>
      tx.$queryRaw`SELECT granted FROM take_message('code_sms', ${[userId]}::text[], '{}', NULL)`;
    await auth.transaction(message);
    await clock.move(DAY_MS);
    const deadlocks = async () =>
      (await db().admin('SELECT deadlocks::int AS n FROM pg_stat_database WHERE datname = current_database()'))[0]?.[
        'n'
      ];
    const before = await deadlocks();

    let runs = 0;
    let reset: Promise<unknown> = Promise.resolve();
    await auth.transaction(async (tx) => {
      runs += 1;
      await tx.$queryRaw`SELECT id FROM users WHERE id = ${userId} FOR NO KEY UPDATE`;
      if (runs === 1) reset = requestPasswordReset(auth, { email, send: () => undefined }).catch((error) => error);
      await wait(500);
      await message(tx);
    });

    expect(await reset).toBeUndefined();
    expect(runs).toBe(1);
    await wait(1_500);
    expect(await deadlocks()).toBe(before);
  });
});
