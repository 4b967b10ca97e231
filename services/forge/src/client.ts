import { type Inside, openStore, type Store, type StoreOptions } from '@azora/db-core';
import { type Prisma, PrismaClient } from './generated/client';

export type Forge = Store<PrismaClient, Prisma.TransactionClient>;
export type ForgeTransaction = Inside<Prisma.TransactionClient>;

/** Opens the forge database; nothing connects before the first query. */
export function openForge(options: StoreOptions = {}): Forge {
  return openStore('forge', (prismaOptions) => new PrismaClient(prismaOptions), options, process.env);
}
