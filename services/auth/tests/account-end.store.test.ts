/** @server any */
import { useDatabase, useTestClock } from '@azora/db-testkit';
import {
  acceptInvitation,
  authenticate,
  closeOrganization,
  createOrganization,
  deactivate,
  invite,
  login,
  refresh,
  register,
  requestPasswordReset,
  resetPassword,
  sendCode,
  softDelete,
  transferOwnership,
} from '../src/index';
import { actionsOf, givenSession, outcomes, PASSWORD, START, useAuth } from './given';
import { givenSender, givenSms, givenVerifiedUser, KEY } from './given-factors';

describe('the end of an account', () => {
  const db = useDatabase('auth');
  const clock = useTestClock(db, START);
  const openAuth = useAuth(db);
  const open = () => openAuth({ encryptionKeys: KEY });
  const live = async (userId: string) => {
    const of = 'WHERE user_id = $1 AND revoked_at IS NULL';
    const sql = `SELECT (SELECT count(*) FROM sessions ${of})::int AS sessions,
      (SELECT count(*) FROM tokens ${of} AND used_at IS NULL)::int AS tokens,
      (SELECT count(*) FROM one_time_codes ${of} AND used_at IS NULL)::int AS codes`;
    return (await db().admin(sql, [userId]))[0];
  };

  describe.each([
    ['deactivate', deactivate, 'USER_DEACTIVATED', 'AUTH.ACCOUNT_INACTIVE'],
    ['softDelete', softDelete, 'USER_DELETED', 'AUTH.INVALID_CREDENTIALS'],
  ] as const)('%s', (_name, end, action, refusal) => {
    it('ends sessions, tokens and codes, and prevents further sign-ins', async () => {
      const auth = open();
      const { userId, email, sessionToken, refreshToken } = await givenSession(auth);
      await login(auth, { email, password: PASSWORD });
      await givenSms(auth, clock, userId);
      await sendCode(auth, { purpose: 'confirm', userId, channel: 'sms', send: givenSender() });

      await end(auth, { userId, actorId: 'admin', reason: 'asked for it' });

      expect(await live(userId)).toEqual({ sessions: 0, tokens: 0, codes: 0 });
      expect(await outcomes([login(auth, { email, password: PASSWORD })])).toEqual({ [refusal]: 1 });
      expect(await outcomes([authenticate(auth, { sessionToken })])).toEqual({ 'AUTH.SESSION_ENDED': 1 });
      expect(await outcomes([refresh(auth, { refreshToken })])).toEqual({ 'AUTH.SESSION_ENDED': 1 });
      const [entry] = await db().admin('SELECT details FROM audit_log WHERE user_id = $1 AND action = $2', [
        userId,
        action,
      ]);
      expect(entry).toEqual({ details: { sessions: 2, by: 'admin', reason: 'asked for it' } });
    });

    it('leaves no open session when sign-ins, refreshes and password resets run at the same time', async () => {
      const [one, other] = [open(), open()];
      const { userId, email, refreshToken } = await givenSession(one);
      const token = await new Promise<string>((resolve) => {
        void requestPasswordReset(one, { email, send: async (message) => resolve(message.token) });
      });

      await outcomes([
        end(one, { userId }),
        ...Array.from({ length: 3 }, () => login(other, { email, password: PASSWORD })),
        refresh(other, { refreshToken }),
        resetPassword(other, { token, newPassword: 'other unrelated words' }),
      ]);

      const { sessions } = (await live(userId)) as { sessions: number };
      expect(sessions).toBe(0);
      expect(await outcomes([login(one, { email, password: PASSWORD })])).not.toHaveProperty('ok');
    });

    it('takes effect once when it runs concurrently', async () => {
      const [one, other] = [open(), open()];
      const { userId } = await givenSession(one);

      await outcomes([end(one, { userId }), end(other, { userId }), end(one, { userId })]);

      expect((await actionsOf(db(), userId)).filter((found) => found === action)).toHaveLength(1);
    });

    it.each([
      ['an unknown user', { userId: 'nobody' }, 'AUTH.USER_NOT_FOUND'],
      ['a missing user', {}, 'AUTH.INVALID_INPUT'],
      ['a reason of ten megabytes', { userId: 'x', reason: 'a'.repeat(10_000_000) }, 'AUTH.INVALID_INPUT'],
      ['a reason that contains NUL', { userId: 'x', reason: '\0' }, 'AUTH.INVALID_INPUT'],
    ])('rejects %s', async (_what, input, code) => {
      await expect(end(open(), input as never)).rejects.toMatchObject({ code });
    });
  });

  describe('softDelete', () => {
    it('keeps the row and the address, so that nobody else can register with it', async () => {
      const auth = open();
      const { userId, email } = await givenSession(auth);

      await softDelete(auth, { userId });

      expect(await db().admin('SELECT email, is_active, deleted_at FROM users WHERE id = $1', [userId])).toEqual([
        { email, is_active: false, deleted_at: clock.now() },
      ]);
      expect(await outcomes([register(auth, { email: email.toUpperCase(), password: PASSWORD })])).toEqual({
        'AUTH.EMAIL_TAKEN': 1,
      });
      expect(await outcomes([softDelete(auth, { userId })])).toEqual({ 'AUTH.USER_NOT_FOUND': 1 });
    });

    it('rejects an owner until the organization is transferred or closed', async () => {
      const auth = open();
      const owner = await givenVerifiedUser(auth);
      const heir = await givenVerifiedUser(auth);
      const { orgId } = await createOrganization(auth, { ownerId: owner.userId, name: 'Kept', slug: 'kept' });
      const { orgId: closing } = await createOrganization(auth, { ownerId: owner.userId, name: 'Shut', slug: 'shut' });
      const { token } = await invite(auth, { orgId, actorId: owner.userId, email: heir.email });
      await acceptInvitation(auth, { token, userId: heir.userId });

      await expect(softDelete(auth, { userId: owner.userId })).rejects.toMatchObject({
        code: 'AUTH.OWNS_ORGANIZATION',
        meta: { orgIds: [orgId, closing].sort() },
      });
      expect(await db().admin('SELECT is_active FROM users WHERE id = $1', [owner.userId])).toEqual([
        { is_active: true },
      ]);
      await transferOwnership(auth, { orgId, actorId: owner.userId, userId: heir.userId });
      await closeOrganization(auth, { orgId: closing, actorId: owner.userId });
      await softDelete(auth, { userId: owner.userId });

      expect(await db().admin('SELECT user_id, role FROM organization_members WHERE org_id = $1', [orgId])).toEqual([
        { user_id: heir.userId, role: 'owner' },
      ]);
    });

    it('never leaves an open organization to a deleted owner when it races with transfers', async () => {
      const [one, other] = [open(), open()];
      for (let n = 0; n < 5; n += 1) {
        const owner = await givenVerifiedUser(one);
        const heir = await givenVerifiedUser(one);
        const { orgId } = await createOrganization(one, { ownerId: owner.userId, name: 'Race', slug: `race-${n}` });
        const { token } = await invite(one, { orgId, actorId: owner.userId, email: heir.email });
        await acceptInvitation(one, { token, userId: heir.userId });

        await outcomes([
          softDelete(one, { userId: heir.userId }),
          transferOwnership(other, { orgId, actorId: owner.userId, userId: heir.userId }),
          createOrganization(other, { ownerId: heir.userId, name: 'New', slug: `new-${n}` }),
        ]);
      }

      expect(
        await db().admin(
          `SELECT organizations.id FROM organizations JOIN users ON users.id = owner_id
           WHERE users.deleted_at IS NOT NULL AND organizations.deleted_at IS NULL`,
        ),
      ).toEqual([]);
    });
  });
});
