export { type Notification, type NotificationTransaction, openNotification } from './client';
export { $Enums, Prisma } from './generated/client';
