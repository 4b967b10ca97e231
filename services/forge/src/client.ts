import { type Inside, openStore, type Store, type StoreOptions } from '@azora/db-core';
import { CONSTRAINT_ERRORS } from './errors';
import { type Prisma, PrismaClient } from './generated/client';

export type Forge = Store<PrismaClient, Prisma.TransactionClient>;
export type ForgeTransaction = Inside<Prisma.TransactionClient>;

/** Opens the forge database; nothing connects before the first query. */
export function openForge(options: StoreOptions = {}): Forge {
  return openStore<Prisma.TransactionClient, PrismaClient>(
    'forge',
    (prismaOptions) => new PrismaClient(prismaOptions),
    options,
    process.env,
    CONSTRAINT_ERRORS,
  );
}
