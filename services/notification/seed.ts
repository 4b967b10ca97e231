import { defineSeed, type SeedContext, seedId } from '@azora/db-core';
import { volume } from './seed/volume';
import { type Notifications, openNotifications } from './src/index';

const HOUR_MS = 3_600_000;

/** The time in hours ago, the recipient, the type, and whether the recipient read it an hour later. */
const NOTIFICATIONS = [
  [72, 'student', 'success', true, 'Welcome to Azora', 'Your wallet holds 500 AZR to begin with.', '/wallet'],
  [48, 'student', 'info', true, 'Module unlocked', 'Control Flow is open now.', '/courses/python'],
  [30, 'student', 'warning', false, 'Your streak ends today', 'Ten minutes keep it.', '/learn'],
  [6, 'student', 'info', false, 'Your application was accepted', 'Build React Dashboard starts on Monday.', '/jobs'],
  [
    26,
    'educator',
    'success',
    false,
    'New student',
    'Themba Ndlovu joined Introduction to Python Programming.',
    '/courses',
  ],
  [
    20,
    'educator',
    'error',
    true,
    'A video could not be processed',
    'Lesson Loops: the file is not a video.',
    '/courses',
  ],
  [12, 'employer', 'error', false, 'A payment was declined', 'The card of the last top-up has expired.', '/wallet'],
  [5, 'employer', 'warning', true, 'A milestone is due', 'Layout and navigation is due in two days.', '/contracts'],
] as const;

const TEMPLATES = [
  {
    name: 'course-completed',
    type: 'success',
    title: '{{course}} is complete',
    message: 'You have completed {{course}} and earned {{reward}} AZR.',
    actionUrl: '/courses',
  },
  {
    name: 'milestone-due',
    type: 'warning',
    title: 'A milestone is due',
    message: '{{milestone}} is due on {{day}}.',
    actionUrl: '/contracts',
  },
] as const;

export const seed = defineSeed({ open: openNotifications, base, volume });

async function base({ prisma }: Notifications, { now, people }: SeedContext): Promise<void> {
  const since = new Date(now.getTime() - 90 * 24 * HOUR_MS);
  const times = { createdAt: since, updatedAt: since };
  await prisma.template.createMany({ data: TEMPLATES.map((it) => ({ ...it, ...times })), skipDuplicates: true });
  await prisma.preference.createMany({
    data: [
      { userId: people.student.id, channel: 'email', mode: 'digest', ...times },
      { userId: people.employer.id, source: 'education', channel: 'in_app', mode: 'off', ...times },
    ],
    skipDuplicates: true,
  });
  await prisma.deliverySettings.createMany({
    data: [
      {
        userId: people.student.id,
        timeZone: 'Africa/Johannesburg',
        quietFrom: new Date('1970-01-01T22:00:00Z'),
        quietUntil: new Date('1970-01-01T07:00:00Z'),
        digestAt: new Date('1970-01-01T18:00:00Z'),
        ...times,
      },
    ],
    skipDuplicates: true,
  });
  await prisma.notification.createMany({
    data: NOTIFICATIONS.map(([hoursAgo, person, type, isRead, title, message, actionUrl], index) => {
      const createdAt = new Date(now.getTime() - hoursAgo * HOUR_MS);
      const readAt = isRead ? new Date(createdAt.getTime() + HOUR_MS) : null;
      return {
        id: seedId(`notification.Notification.${index}`),
        userId: people[person].id,
        type,
        title,
        message,
        actionUrl,
        isRead,
        readAt,
        createdAt,
        updatedAt: readAt ?? createdAt,
      };
    }),
    skipDuplicates: true,
  });
  await prisma.delivery.createMany({
    data: [
      {
        notificationId: seedId('notification.Notification.0'),
        userId: people.student.id,
        channel: 'email',
        mode: 'instant',
        status: 'sent',
        attempts: 1,
        messageId: `${seedId('notification.Notification.0')}:email`,
        nextAt: new Date(now.getTime() - 72 * HOUR_MS),
        sentAt: new Date(now.getTime() - 72 * HOUR_MS),
        createdAt: new Date(now.getTime() - 72 * HOUR_MS),
        updatedAt: new Date(now.getTime() - 72 * HOUR_MS),
      },
    ],
    skipDuplicates: true,
  });
}
