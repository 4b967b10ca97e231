import { useDatabase, useTestClock } from '@azora/db-testkit';
import { Client } from 'pg';
import { type Auth, register, requestEmailVerification } from '../src/index';
import { DAY_MS, givenUser, MINUTE_MS, outcomes, PASSWORD, START, useAuth } from './given';

const EVERY_ID = "encode(sha256(n::text::bytea), 'hex')";

describe('the rows of message limits', () => {
  const db = useDatabase('auth');
  const clock = useTestClock(db, START);
  const open = useAuth(db);
  const write = (auth: Auth, hours: number) =>
    auth.query({
      text: `INSERT INTO message_limits (id, kind, expires_at)
        SELECT ${EVERY_ID}, 'code_sms', database_time() + $1 * interval '1 hour' FROM generate_series(1, 1) AS n
        ON CONFLICT (id) DO UPDATE SET expires_at = excluded.expires_at`,
      values: [hours],
    });

  it('end within 15 hours, also when the app role writes them', async () => {
    const auth = open();
    await write(auth, 15);

    for (const hours of [16, 24 * 365]) {
      await expect(write(auth, hours)).rejects.toMatchObject({ code: 'DATABASE.FAILED' });
    }
    const later = "UPDATE message_limits SET expires_at = expires_at + interval '1 hour'";
    await expect(auth.query({ text: later, values: [] })).rejects.toMatchObject({ code: 'DATABASE.FAILED' });
  });

  it.each(['sent', 'withdrawn'])('of a %s message limit nothing after the clock was set back', async (state) => {
    const auth = open();
    const { userId } = await givenUser(auth);
    await clock.move(30 * DAY_MS);
    await requestEmailVerification(auth, { userId });
    if (state === 'withdrawn') await db().admin('UPDATE message_limits SET sent_at = NULL');
    await clock.move(-29 * DAY_MS);

    for (let n = 0; n < 5; n += 1) {
      expect(await outcomes([requestEmailVerification(auth, { userId })])).toEqual({ ok: 1 });
      await clock.move(MINUTE_MS);
    }
    await clock.move(DAY_MS);
    expect(await outcomes([requestEmailVerification(auth, { userId })])).toEqual({ ok: 1 });
  });

  it.each(['withdraw_message', 'forget_messages'])('are locked in the order of their ids by %s', async (name) => {
    const auth = open();
    const recipients = Array.from({ length: 10 }, (_, n) => `+2711555020${n}`);
    await auth.query({ text: "SELECT take_message('code_sms', $1, '{}', NULL)", values: [recipients] });
    const other = new Client(db().url);
    await other.connect();
    try {
      // Another call that has locked the first row, and wants the others next.
      await other.query('BEGIN; SELECT id FROM message_limits ORDER BY id LIMIT 1 FOR UPDATE');
      const { rows: own } = await other.query('SELECT pg_backend_pid() AS pid');
      const call = auth.query({ text: `SELECT ${name}('code_sms', $1)`, values: [recipients] });
      const isWaiting = async () =>
        (await db().admin('SELECT FROM pg_stat_activity WHERE $1 = ANY (pg_blocking_pids(pid))', [own[0].pid])).length >
        0;
      while (!(await isWaiting())) await new Promise((resolve) => setTimeout(resolve, 10));
      const { rows } = await other.query('SELECT id FROM message_limits FOR UPDATE SKIP LOCKED');
      await other.query('COMMIT');
      await call;

      expect(rows).toHaveLength(recipients.length);
    } finally {
      await other.end();
    }
  });
});

describe('registrations without an address of the network', () => {
  const db = useDatabase('auth');
  const clock = useTestClock(db, START);
  const open = useAuth(db);
  const take = (auth: Auth, count: number) =>
    auth.query<{ granted: number }>({
      text: `SELECT count(*) FILTER (WHERE (take_message('registration', '{}', '{}', NULL)).granted)::int AS granted
        FROM generate_series(1, $1)`,
      values: [count],
    });
  const registration = (auth: Auth, n: number, device = {}) =>
    register(auth, { email: `unknown${n}@azora.world`, password: PASSWORD, device });

  it('share one limit in all processes: 1,000 at once, and then one a second', async () => {
    const [one, other] = [open(), open()];
    await registration(one, 1);
    const counted = [...(await take(one, 499)), ...(await take(other, 600))].map(({ granted }) => granted);

    expect(counted[0]).toBe(499);
    expect(counted[1]).toBe(500);
    await expect(registration(other, 2)).rejects.toMatchObject({
      code: 'AUTH.MESSAGE_TOO_SOON',
      meta: { resendAt: new Date(clock.now().getTime() + 1_000) },
    });
    expect(await outcomes([registration(other, 3, { ipAddress: '203.0.113.40' })])).toEqual({ ok: 1 });
    await clock.move(1_000);
    expect(await outcomes([registration(one, 4), registration(other, 5)])).toEqual({
      ok: 1,
      'AUTH.MESSAGE_TOO_SOON': 1,
    });
  });
});
