/** @server any */
import { inspect } from 'node:util';
import { type TestDatabase, useDatabase, useTestClock } from '@azora/db-testkit';
import {
  acceptInvitation,
  confirmChannel,
  createOrganization,
  disableMfa,
  invite,
  regenerateRecoveryCodes,
  rotateEncryption,
  sendCode,
  verifyMfa,
} from '../src/index';
import { MINUTE_MS, PASSWORD, START, useAuth } from './given';
import {
  codeOf,
  givenChallenge,
  givenSender,
  givenTotp,
  givenVerifiedUser,
  KEY,
  OLDER_KEY,
  PHONE,
} from './given-factors';

/** Every row of every table as one text, like a dump of the database. */
async function everyRow(db: TestDatabase): Promise<string> {
  const tables = await db.admin("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename");
  const rows: unknown[] = [];
  for (const { tablename } of tables) rows.push(await db.admin(`SELECT to_jsonb(it) AS row FROM "${tablename}" it`));
  return JSON.stringify(rows);
}

describe('secrets', () => {
  const db = useDatabase('auth');
  const clock = useTestClock(db, START);
  const open = useAuth(db);

  it('never appear in rows, errors or printed handles', async () => {
    const auth = open({ encryptionKeys: `v2:${KEY},v1:${OLDER_KEY}` });
    const { userId, email } = await givenVerifiedUser(auth);
    const guest = await givenVerifiedUser(auth);
    const errors: unknown[] = [];
    const keep = (error: unknown) => errors.push(error);

    const { secret, recoveryCodes } = await givenTotp(auth, clock, userId);
    await clock.move(MINUTE_MS);
    const proof = { factor: 'recovery', code: recoveryCodes[0] ?? '' } as const;
    const send = givenSender();
    await sendCode(auth, { purpose: 'enable', userId, channel: 'sms', phoneNumber: PHONE, proof, send });
    const another = { factor: 'recovery', code: recoveryCodes[1] ?? '' } as const;
    await confirmChannel(auth, { userId, channel: 'sms', code: send.last(), proof: another });
    const challengeToken = await givenChallenge(auth, email);
    const code = codeOf(clock, secret);
    await verifyMfa(auth, { challengeToken, factor: 'totp', code: '000000' }).catch(keep);
    const session = await verifyMfa(auth, { challengeToken, factor: 'totp', code });
    await verifyMfa(auth, { challengeToken, factor: 'totp', code }).catch(keep);
    await regenerateRecoveryCodes(auth, { userId, proof: { factor: 'password', password: PASSWORD } }).catch(keep);
    const last = { factor: 'recovery', code: recoveryCodes[2] ?? '' } as const;
    const replaced = await regenerateRecoveryCodes(auth, { userId, proof: last });
    await disableMfa(auth, { userId, proof }).catch(keep);
    const { orgId } = await createOrganization(auth, { ownerId: userId, name: 'Azora', slug: 'azora' });
    const { token } = await invite(auth, { orgId, actorId: userId, email: guest.email });
    await acceptInvitation(auth, { token, userId }).catch(keep);
    await rotateEncryption(open({ encryptionKeys: `v3:${OLDER_KEY}` })).catch(keep);

    const secrets = {
      secret,
      challengeToken,
      token,
      ...session,
      userId: undefined,
      sessionId: undefined,
      kind: undefined,
      expiresAt: undefined,
      absoluteExpiresAt: undefined,
      password: PASSWORD,
      key: KEY,
      olderKey: OLDER_KEY,
      ...Object.fromEntries([...recoveryCodes, ...replaced.recoveryCodes].map((text, n) => [`recovery${n}`, text])),
    };
    const shown = (await everyRow(db())) + inspect(errors, { depth: 9 }) + inspect(auth, { depth: 4 });
    const found = Object.entries(secrets).filter(([, text]) => text !== undefined && shown.includes(text));
    const plainForms = recoveryCodes.filter((text) => shown.includes(text.replaceAll('-', '')));
    expect(errors).toHaveLength(5);
    expect([found, plainForms]).toEqual([[], []]);
    // Six digits may be part of a time or an id, but not a value of their own.
    expect(
      [send.last(), code].filter((digits) => shown.includes(`"${digits}"`) || shown.includes(`'${digits}'`)),
    ).toEqual([]);
  });

  it('are omitted by findMany', async () => {
    const auth = open({ encryptionKeys: KEY });
    const { userId } = await givenVerifiedUser(auth);
    await givenTotp(auth, clock, userId);
    const rows = [
      await auth.prisma.mFASettings.findMany(),
      await auth.prisma.recoveryCode.findMany(),
      await auth.prisma.oneTimeCode.findMany(),
      await auth.prisma.orgInvitation.findMany(),
    ].flat();

    expect(rows.flatMap((row) => Object.keys(row)).filter((key) => /hash|secret$/i.test(key))).toEqual([]);
  });
});
