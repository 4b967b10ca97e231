import { type Inside, openStore, type Store, type StoreOptions } from '@azora/db-core';
import { CONSTRAINT_ERRORS } from './errors';
import { type Prisma, PrismaClient } from './generated/client';

export type Stories = Store<PrismaClient, Prisma.TransactionClient>;
export type StoriesTransaction = Inside<Prisma.TransactionClient>;

/** Opens the story database; nothing connects before the first query. */
export function openStory(options: StoreOptions = {}): Stories {
  return openStore<Prisma.TransactionClient, PrismaClient>(
    'story',
    (prismaOptions) => new PrismaClient(prismaOptions),
    options,
    process.env,
    CONSTRAINT_ERRORS,
  );
}
