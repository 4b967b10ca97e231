import { type Inside, openStore, type Store, type StoreOptions } from '@azora/db-core';
import { type Prisma, PrismaClient } from './generated/client';

export type Story = Store<PrismaClient, Prisma.TransactionClient>;
export type StoryTransaction = Inside<Prisma.TransactionClient>;

/** Opens the story database; nothing connects before the first query. */
export function openStory(options: StoreOptions = {}): Story {
  return openStore('story', (prismaOptions) => new PrismaClient(prismaOptions), options, process.env);
}
