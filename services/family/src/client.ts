import { type Inside, openStore, type Store, type StoreOptions } from '@azora/db-core';
import { CONSTRAINT_ERRORS } from './errors';
import { type Prisma, PrismaClient } from './generated/client';

export type Family = Store<PrismaClient, Prisma.TransactionClient>;
export type FamilyTransaction = Inside<Prisma.TransactionClient>;

/** Opens the family database; nothing connects before the first query. */
export function openFamily(options: StoreOptions = {}): Family {
  return openStore<Prisma.TransactionClient, PrismaClient>(
    'family',
    (prismaOptions) => new PrismaClient(prismaOptions),
    options,
    process.env,
    CONSTRAINT_ERRORS,
  );
}
