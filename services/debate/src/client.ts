import { type Inside, openStore, type Store, type StoreOptions } from '@azora/db-core';
import { type Prisma, PrismaClient } from './generated/client';

export type Debate = Store<PrismaClient, Prisma.TransactionClient>;
export type DebateTransaction = Inside<Prisma.TransactionClient>;

/** Opens the debate database; nothing connects before the first query. */
export function openDebate(options: StoreOptions = {}): Debate {
  return openStore('debate', (prismaOptions) => new PrismaClient(prismaOptions), options, process.env);
}
