import { createCipheriv, createHash } from 'node:crypto';
import { defineSeed, type SeedContext, type SeedPerson, seedId } from '@azora/db-core';
import { hash } from 'bcrypt';
import { volume } from './seed/volume';
import { type Auth, openAuth } from './src/index';

/** Cost 12 with a fixed, public salt, so that every run produces the same hash. */
const PASSWORD_SALT = '$2b$12$AzoraSeedSaltOfAllUse.';
const RECOVERY_CODE_COUNT = 8;
const DAY_MS = 86_400_000;
const TOTP_STEP_MS = 30_000;
const CODE_LIFE_MS = 600_000;
const ORGANIZATION = seedId('auth.Organization.azora');
const SESSION = seedId('auth.Session.student');
const STUDENT_ADDRESS = '196.25.1.10';
const FIREFOX = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0';

type People = SeedContext['people'];
type Slug = keyof People;

interface Facts {
  readonly people: People;
  /** The time a number of days ago; a negative number is in the future. */
  readonly ago: (days: number) => Date;
}

const PROFILES = {
  student: { language: 'en-ZA', timeZone: 'Africa/Johannesburg' },
  educator: { language: 'en-ZA', timeZone: 'Africa/Johannesburg' },
  employer: { language: 'en-NG', timeZone: 'Africa/Lagos' },
} as const;

export const seed = defineSeed({
  open: openAuth,
  async base(auth, { now, people, password }) {
    const facts: Facts = { people, ago: (days) => new Date(now.getTime() - days * DAY_MS) };
    await seedUsersAndOrganization(auth, facts, await hash(password, PASSWORD_SALT));
    await seedMembers(auth, facts);
    await seedProfiles(auth, facts);
    await seedSessions(auth, facts);
    await seedSecondFactor(auth, facts);
    await seedLimits(auth, facts);
    await seedAudit(auth, facts);
  },
  volume,
});

/** The employer owns the organization and is a user of it, so one transaction inserts both. */
async function seedUsersAndOrganization(auth: Auth, { people, ago }: Facts, passwordHash: string): Promise<void> {
  const user = (slug: Slug, { id, email, name, role }: SeedPerson) => ({
    id,
    username: slug,
    email,
    passwordHash,
    name,
    role,
    orgId: slug === 'employer' ? ORGANIZATION : null,
    emailVerified: true,
    preferences: { theme: 'dark', newsletter: slug !== 'student' },
    lastLoginAt: ago(1),
    lastActivityAt: ago(1),
    ...written(ago(60), ago(1)),
  });
  const organization = {
    id: ORGANIZATION,
    name: 'Azora World',
    slug: 'azora-world',
    ownerId: people.employer.id,
    settings: { defaultRole: 'member' },
    ...written(ago(59)),
  };
  const users = [user('student', people.student), user('educator', people.educator), user('employer', people.employer)];
  await auth.transaction(async (tx) => {
    await tx.$executeRaw`SET CONSTRAINTS "users_org_id_fkey" DEFERRED`;
    await tx.user.createMany({ data: users, skipDuplicates: true });
    await tx.organization.createMany({ data: [organization], skipDuplicates: true });
  });
}

async function seedMembers({ prisma }: Auth, { people, ago }: Facts): Promise<void> {
  const member = (slug: Slug, role: string, days: number) => ({
    id: seedId(`auth.OrganizationMember.${slug}`),
    orgId: ORGANIZATION,
    userId: people[slug].id,
    role,
    ...written(ago(days)),
  });
  const invitation = {
    id: seedId('auth.OrgInvitation.mentor'),
    orgId: ORGANIZATION,
    email: 'mentor@azora.world',
    tokenHash: sha256('auth.OrgInvitation.mentor'),
    invitedBy: people.employer.id,
    expiresAt: ago(-5),
    ...written(ago(2)),
  };
  await prisma.organizationMember.createMany({
    data: [member('employer', 'owner', 59), member('educator', 'member', 40)],
    skipDuplicates: true,
  });
  await prisma.orgInvitation.createMany({ data: [invitation], skipDuplicates: true });
}

async function seedProfiles({ prisma }: Auth, { people, ago }: Facts): Promise<void> {
  const profile = (slug: Slug) => {
    const { id: userId, bio, city, country } = people[slug];
    const id = seedId(`auth.UserProfile.${slug}`);
    return { id, userId, bio, city, country, ...PROFILES[slug], ...written(ago(60)) };
  };
  const githubAccount = {
    id: seedId('auth.OAuthProvider.student'),
    userId: people.student.id,
    provider: 'github',
    providerUserId: '1000001',
    email: people.student.email,
    ...written(ago(50)),
  };
  await prisma.userProfile.createMany({
    data: [profile('student'), profile('educator'), profile('employer')],
    skipDuplicates: true,
  });
  await prisma.oAuthProvider.createMany({ data: [githubAccount], skipDuplicates: true });
}

/** The student is signed in: the first refresh token was exchanged for a second one, which is live. */
async function seedSessions({ prisma }: Auth, { people, ago }: Facts): Promise<void> {
  const userId = people.student.id;
  const session = {
    id: SESSION,
    userId,
    tokenHash: sha256('auth.Session.student'),
    ipAddress: STUDENT_ADDRESS,
    userAgent: FIREFOX,
    lastActivityAt: ago(1),
    expiresAt: ago(-28),
    ...written(ago(2), ago(1)),
  };
  const token = (slug: string) => ({
    id: seedId(`auth.Token.${slug}`),
    userId,
    tokenHash: sha256(`auth.Token.${slug}`),
  });
  const family = {
    kind: 'refresh',
    familyId: seedId('auth.Token.refresh-used'),
    sessionId: SESSION,
    familyExpiresAt: ago(-28),
  } as const;
  await prisma.session.createMany({ data: [session], skipDuplicates: true });
  await prisma.token.createMany({
    data: [
      {
        ...token('verification'),
        kind: 'email_verification',
        email: people.student.email,
        expiresAt: ago(59),
        usedAt: ago(60),
        ...written(ago(60)),
      },
      { ...token('refresh-used'), ...family, expiresAt: ago(-28), usedAt: ago(1), ...written(ago(2), ago(1)) },
      { ...token('refresh-live'), ...family, expiresAt: ago(-28), ...written(ago(1)) },
    ],
    skipDuplicates: true,
  });
  await prisma.revokedToken.createMany({
    data: [{ jti: seedId('auth.RevokedToken.first'), expiresAt: ago(-1), revokedAt: ago(1), createdAt: ago(1) }],
    skipDuplicates: true,
  });
}

async function seedSecondFactor({ prisma }: Auth, { people, ago }: Facts): Promise<void> {
  const userId = people.educator.id;
  const settings = {
    id: seedId('auth.MFASettings.educator'),
    userId,
    totpEnabled: true,
    totpSecret: encryptForDevelopment(userId, 'JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP'),
    totpLastStep: BigInt(Math.floor(ago(1).getTime() / TOTP_STEP_MS)),
    emailEnabled: true,
    ...written(ago(55), ago(1)),
  };
  const codes = Array.from({ length: RECOVERY_CODE_COUNT }, (_, n) => ({
    id: seedId(`auth.RecoveryCode.educator-${n}`),
    userId,
    codeHash: sha256(`auth.RecoveryCode.educator-${n}`),
    usedAt: n === 0 ? ago(20) : null,
    ...written(ago(55), n === 0 ? ago(20) : ago(55)),
  }));
  const mailed = {
    id: seedId('auth.OneTimeCode.educator'),
    userId,
    channel: 'email',
    purpose: 'sign_in',
    sentTo: people.educator.email,
    codeHash: sha256('auth.OneTimeCode.educator'),
    attempts: 1,
    expiresAt: new Date(ago(3).getTime() + CODE_LIFE_MS),
    usedAt: ago(3),
    ...written(ago(3)),
  };
  await prisma.mFASettings.createMany({ data: [settings], skipDuplicates: true });
  await prisma.oneTimeCode.createMany({ data: [mailed], skipDuplicates: true });
  await prisma.recoveryCode.createMany({ data: codes, skipDuplicates: true });
}

/** The student mistyped the password once, and the educator got a code by email. Both are over, so they limit nobody. */
async function seedLimits({ prisma }: Auth, { people, ago }: Facts): Promise<void> {
  const userId = people.student.id;
  const source = {
    id: `${STUDENT_ADDRESS}|${userId}`,
    userId,
    network: STUDENT_ADDRESS,
    failedCount: 1,
    firstFailedAt: ago(2),
    expiresAt: ago(1),
    ...written(ago(2)),
  };
  const limit = {
    id: sha256('auth.MessageLimit.educator'),
    kind: 'code_email',
    sentAt: ago(3),
    expiresAt: ago(2),
    ...written(ago(3)),
  };
  await prisma.signInSource.createMany({ data: [source], skipDuplicates: true });
  await prisma.messageLimit.createMany({ data: [limit], skipDuplicates: true });
}

async function seedAudit({ prisma }: Auth, { people, ago }: Facts): Promise<void> {
  const entry = (slug: Slug, action: string, days: number, resource: readonly [type: string, id: string]) => ({
    id: seedId(`auth.AuditLog.${slug}-${action}`),
    timestamp: ago(days),
    userId: people[slug].id,
    action,
    resourceType: resource[0],
    resourceId: resource[1],
    ipAddress: STUDENT_ADDRESS,
    userAgent: FIREFOX,
    createdAt: ago(days),
  });
  const { student, educator, employer } = people;
  await prisma.auditLog.createMany({
    data: [
      entry('student', 'USER_REGISTERED', 60, ['user', student.id]),
      entry('educator', 'USER_REGISTERED', 60, ['user', educator.id]),
      entry('employer', 'USER_REGISTERED', 60, ['user', employer.id]),
      { ...entry('employer', 'ORGANIZATION_CREATED', 59, ['organization', ORGANIZATION]), orgId: ORGANIZATION },
      { ...entry('educator', 'MFA_ENABLED', 55, ['user', educator.id]), details: { method: 'totp' } },
      { ...entry('student', 'USER_LOGIN', 2, ['session', SESSION]), metadata: { method: 'password' } },
    ],
    skipDuplicates: true,
  });
}

function written(createdAt: Date, updatedAt = createdAt) {
  return { createdAt, updatedAt };
}

/** The hash of a name in place of a token. No token with this hash exists. */
function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** AES-256-GCM under a public key and nonce. Only seed data may be encrypted like this. */
function encryptForDevelopment(userId: string, secret: string): string {
  const nonce = Buffer.alloc(12);
  const key = createHash('sha256').update('azora development').digest();
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(JSON.stringify([userId, 'totp'])));
  const encrypted = Buffer.concat([cipher.update(secret, 'utf8'), cipher.final(), cipher.getAuthTag()]);
  return `v1.${nonce.toString('base64url')}.${encrypted.toString('base64url')}`;
}
