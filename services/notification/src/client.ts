import { type Inside, openStore, type Store, type StoreOptions } from '@azora/db-core';
import { CONSTRAINT_ERRORS } from './errors';
import { LiveFeed } from './feed';
import { type Prisma, PrismaClient } from './generated/client';

export interface NotificationsOptions extends StoreOptions {
  /** Milliseconds between two looks of the live feed for changes; 500 when absent. */
  readonly feedPollMs?: number;
}

export interface Notifications extends Store<PrismaClient, Prisma.TransactionClient> {
  /** Looks for changes of all recipients that are watched, in one statement. */
  readonly feed: LiveFeed;
}
export type NotificationsTransaction = Inside<Prisma.TransactionClient>;

const DEFAULT_FEED_POLL_MS = 500;

/** Opens the notification database; nothing connects before the first query. */
export function openNotifications(options: NotificationsOptions = {}): Notifications {
  const { feedPollMs = DEFAULT_FEED_POLL_MS, ...storeOptions } = options;
  const store = openStore<Prisma.TransactionClient, PrismaClient>(
    'notification',
    (prismaOptions) => new PrismaClient(prismaOptions),
    storeOptions,
    process.env,
    CONSTRAINT_ERRORS,
  );
  return Object.assign(store, { feed: new LiveFeed(store, feedPollMs) });
}
