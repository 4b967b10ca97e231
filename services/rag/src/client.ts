import { type Inside, openStore, type Store, type StoreOptions } from '@azora/db-core';
import { type Prisma, PrismaClient } from './generated/client';

export type Rag = Store<PrismaClient, Prisma.TransactionClient>;
export type RagTransaction = Inside<Prisma.TransactionClient>;

/** Opens the rag database; nothing connects before the first query. */
export function openRag(options: StoreOptions = {}): Rag {
  return openStore('rag', (prismaOptions) => new PrismaClient(prismaOptions), options, process.env);
}
