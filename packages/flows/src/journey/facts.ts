import { readAudit } from '@azora/auth';
import { type Certificate, findWallet, getEnrollment, verifyCertificate } from '@azora/education';
import { listAffinities, listMessages } from '@azora/family';
import { findSkillProfile, getContract } from '@azora/forge';
import { listLogs } from '@azora/health';
import { getWallet, reconcile } from '@azora/mint';
import { listRecommendations } from '@azora/nexus';
import { listNotifications, unreadCount } from '@azora/notification';
import { findProfile, getAssessment } from '@azora/sapiens';
import type { Journey } from './context';
import type { JourneyEnrollment } from './learning';
import type { People } from './sign-up';
import type { JourneyJob } from './working';

/** What the parts of the journey have made. */
export interface Story {
  readonly people: People;
  readonly enrollment: JourneyEnrollment;
  readonly certificate: Certificate;
  readonly assessmentId: string;
  readonly job: JourneyJob;
  readonly conversationId: string;
}

export type Facts = Readonly<Record<string, string | number>>;

/** What happened in each database, by the name of its service: numbers of rows of this journey, and states. */
export type JourneyReport = Readonly<Record<string, Facts>>;

const MAX_PAGE = 500;

/** Reads what happened from each database. */
export async function readFacts(journey: Journey, story: Story): Promise<JourneyReport> {
  return {
    auth: await authFacts(journey, story),
    education: await educationFacts(journey, story),
    family: await familyFacts(journey, story),
    forge: await forgeFacts(journey, story),
    health: await healthFacts(journey, story),
    mint: await mintFacts(journey, story),
    nexus: await nexusFacts(journey, story),
    notification: await notificationFacts(journey, story),
    sapiens: await sapiensFacts(journey, story),
  };
}

async function authFacts({ stores: { auth } }: Journey, { people }: Story): Promise<Facts> {
  const userIds = Object.values(people).map(({ userId }) => userId);
  let entries = 0;
  for (const userId of userIds) entries += (await readAudit(auth, { userId, limit: MAX_PAGE })).entries.length;
  return { accounts: userIds.length, 'audit entries': entries };
}

async function educationFacts(
  { stores: { education } }: Journey,
  { enrollment: { enrollmentId, studentId }, certificate: { verificationCode } }: Story,
): Promise<Facts> {
  const { status, progress } = await getEnrollment(education, { enrollmentId });
  const verified = await verifyCertificate(education, { verificationCode });
  const wallet = await findWallet(education, { studentId });
  return {
    enrollment: `${status}, ${progress.toFixed()} %`,
    certificate: `${verified?.number}, ${verified?.isValid ? 'valid' : 'not valid'}`,
    'study wallet': `${wallet?.balance.toFixed()} AZR`,
  };
}

async function forgeFacts({ stores: { forge } }: Journey, { people: { ada }, job }: Story): Promise<Facts> {
  const { status, milestones } = await getContract(forge, { contractId: job.contractId });
  const profile = await findSkillProfile(forge, { userId: ada.userId });
  const escrows = milestones.flatMap((milestone) => milestone.escrows);
  const shares = escrows.map(({ payoutAmount, amount }) => `${payoutAmount?.toFixed()} of ${amount.toFixed()} AZR`);
  return {
    contract: status,
    'escrows paid': shares.join(', '),
    'profile of Ada': `${profile?.completedJobs} job, rating ${profile?.rating?.toFixed()}`,
  };
}

async function healthFacts({ stores: { health } }: Journey, { people, enrollment, job }: Story): Promise<Facts> {
  const ids = Object.values(people).flatMap(({ userId, walletId }) => [userId, walletId]);
  const keys = [...ids, enrollment.studentId, enrollment.courseId, job.jobId, job.contractId];
  const text = keys.map((key) => `"${key}"`).join(' or ');
  const { lines } = await listLogs(health, { text, limit: 1_000 });
  const services = [...new Set(lines.map(({ service }) => service))].toSorted();
  return { 'log lines': lines.length, 'of the services': services.join(', ') };
}

async function mintFacts({ stores: { mint } }: Journey, { people }: Story): Promise<Facts> {
  const walletIds = Object.values(people).map(({ walletId }) => walletId);
  const among = { in: walletIds };
  const transactions = await mint.prisma.transaction.count({ where: { OR: [{ fromId: among }, { toId: among }] } });
  const holds = await mint.prisma.hold.count({ where: { walletId: among, status: 'captured' } });
  const balances: Record<string, string> = {};
  for (const { name, walletId } of Object.values(people)) {
    const { balance, held } = await getWallet(mint, { walletId });
    balances[name] = `${balance.toFixed()} AZR${held.isZero() ? '' : `, ${held.toFixed()} held`}`;
  }
  return { ...balances, transactions, 'captured holds': holds, differences: (await reconcile(mint)).length };
}

async function nexusFacts({ stores: { nexus } }: Journey, { people: { ada }, enrollment, job }: Story): Promise<Facts> {
  const rows = await nexus.query<{ readonly state: string; readonly sagas: number }>({
    text: 'SELECT state::text, count(*)::int AS sagas FROM sagas WHERE key = ANY ($1) GROUP BY 1 ORDER BY 1',
    values: [[enrollment.key, ...job.escrowIds]],
  });
  const states = Object.fromEntries(rows.map(({ state, sagas }) => [`sagas ${state}`, sagas]));
  const { items: offers } = await listRecommendations(nexus, { userId: ada.userId });
  return { ...states, recommendations: offers.length };
}

async function familyFacts(
  { stores: { family } }: Journey,
  { people: { ada }, conversationId }: Story,
): Promise<Facts> {
  const { items } = await listMessages(family, { conversationId, userId: ada.userId });
  return { messages: items.length, affinities: (await listAffinities(family, { userId: ada.userId })).length };
}

async function sapiensFacts(
  { stores: { sapiens } }: Journey,
  { people: { ada }, assessmentId }: Story,
): Promise<Facts> {
  const { status, ability } = await getAssessment(sapiens, { assessmentId });
  const profile = await findProfile(sapiens, { studentId: ada.userId });
  return { assessment: `${status}, ability ${ability.toFixed(2)}`, level: profile?.level ?? 'none' };
}

async function notificationFacts({ stores: { notification } }: Journey, { people: { ada } }: Story): Promise<Facts> {
  const { notifications } = await listNotifications(notification, { userId: ada.userId });
  const unread = await unreadCount(notification, { userId: ada.userId });
  return { notifications: notifications.length, unread, newest: notifications[0]?.title ?? 'none' };
}
