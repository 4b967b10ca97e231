import { type Inside, openStore, type Store, type StoreOptions } from '@azora/db-core';
import { type Prisma, PrismaClient } from './generated/client';

export type Notification = Store<PrismaClient, Prisma.TransactionClient>;
export type NotificationTransaction = Inside<Prisma.TransactionClient>;

/** Opens the notification database; nothing connects before the first query. */
export function openNotification(options: StoreOptions = {}): Notification {
  return openStore('notification', (prismaOptions) => new PrismaClient(prismaOptions), options, process.env);
}
