import { type Inside, openStore, type Store, type StoreOptions } from '@azora/db-core';
import { type Prisma, PrismaClient } from './generated/client';

export type Auth = Store<PrismaClient, Prisma.TransactionClient>;
export type AuthTransaction = Inside<Prisma.TransactionClient>;

/** Opens the auth database; nothing connects before the first query. */
export function openAuth(options: StoreOptions = {}): Auth {
  return openStore('auth', (prismaOptions) => new PrismaClient(prismaOptions), options);
}
