/** @server any */
import { useDatabase, useTestClock } from '@azora/db-testkit';
import { createOrganization, invite, regenerateRecoveryCodes, sendCode } from '../src/index';
import { givenUser, MINUTE_MS, outcomes, START, useAuth } from './given';
import { givenSender, givenSms, givenVerifiedUser, KEY } from './given-factors';

describe('one account', () => {
  const db = useDatabase('auth');
  const clock = useTestClock(db, START);
  const open = useAuth(db);

  it('cannot flood an address with invitations of many organizations', async () => {
    const auth = open();
    const { userId: actorId } = await givenUser(auth);
    const calls: Promise<unknown>[] = [];
    for (let n = 0; n < 10; n += 1) {
      const { orgId } = await createOrganization(auth, { ownerId: actorId, name: 'Org', slug: `flood-${n}` });
      calls.push(invite(auth, { orgId, actorId, email: 'victim@azora.world' }));
    }

    expect(await outcomes(calls)).toEqual({ ok: 1, 'AUTH.MESSAGE_TOO_SOON': 9 });
  });

  it('cannot cause any number of codes by answering each', async () => {
    const auth = open({ encryptionKeys: KEY });
    const { userId } = await givenVerifiedUser(auth);
    await givenSms(auth, clock, userId);
    const send = givenSender();
    for (let n = 0; n < 40; n += 1) {
      await outcomes([sendCode(auth, { purpose: 'confirm', channel: 'sms', userId, send })]);
      await outcomes([regenerateRecoveryCodes(auth, { userId, proof: { factor: 'sms', code: send.last() } })]);
    }

    // The first one enabled the channel, through another sender.
    expect(send.sent).toHaveLength(29);
    await clock.move(30 * MINUTE_MS);
    expect(await outcomes([sendCode(auth, { purpose: 'confirm', channel: 'sms', userId, send })])).toEqual({ ok: 1 });
  });
});
