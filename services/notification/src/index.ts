export { type Notification, type NotificationTransaction, openNotification } from './client';
export { Prisma, $Enums } from './generated/client';
