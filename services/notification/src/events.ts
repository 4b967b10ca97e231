import { defineEvent } from '@azora/db-core/events';
import { z } from 'zod';

/** An id of this or another service, as `newId` and the seed make them. */
const id = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9:._|-]{0,254}$/);
const notificationType = z.enum(['info', 'warning', 'success', 'error']);

const notification = { service: 'notification', version: 1 } as const;
/** The user orders the events: each is written while the recipient is locked. */
const byUser = ({ userId }: { readonly userId: string }) => userId;

const ofOne = z.strictObject({ notificationId: id, userId: id });
const changed = (name: string, about: string) =>
  defineEvent({ ...notification, name, about, data: ofOne, key: byUser });

export const notificationSent = defineEvent({
  ...notification,
  name: 'notification-sent',
  about: 'A notification was sent to one user.',
  data: z.strictObject({ notificationId: id, userId: id, notificationType }),
  key: byUser,
});

export const batchSent = defineEvent({
  ...notification,
  name: 'batch-sent',
  about: 'A notification was sent to many users at once; the event stands for all of them.',
  data: z.strictObject({ batchId: id, notifications: z.int().min(1), notificationType }),
  key: ({ batchId }) => batchId,
});

export const notificationRead = changed('notification-read', 'A user read a notification.');
export const notificationUnread = changed('notification-unread', 'A user marked a notification as unread.');
export const notificationDeleted = changed('notification-deleted', 'A user deleted a notification.');
export const notificationRestored = changed('notification-restored', 'A user restored a deleted notification.');

export const allRead = defineEvent({
  ...notification,
  name: 'all-read',
  about: 'A user marked all notifications as read; marked is their number.',
  data: z.strictObject({ userId: id, marked: z.int().min(0) }),
  key: byUser,
});

const ofDelivery = z.strictObject({
  notificationId: id,
  userId: id,
  channel: z.enum(['email', 'push', 'sms']),
  attempts: z.int().min(0).max(5),
});

export const deliverySent = defineEvent({
  ...notification,
  name: 'delivery-sent',
  about: 'A sender took a notification to a channel beyond the app.',
  data: ofDelivery,
  key: byUser,
});

export const deliveryFailed = defineEvent({
  ...notification,
  name: 'delivery-failed',
  about: 'A notification could not be taken to a channel and is given up.',
  data: ofDelivery,
  key: byUser,
});

/** The events that notification publishes; the functions of prisma/migrations write them. */
export const EVENTS = [
  notificationSent,
  batchSent,
  notificationRead,
  notificationUnread,
  notificationDeleted,
  notificationRestored,
  allRead,
  deliverySent,
  deliveryFailed,
] as const;
