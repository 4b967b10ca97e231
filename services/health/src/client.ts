import { type Inside, openStore, type Store, type StoreOptions } from '@azora/db-core';
import { CONSTRAINT_ERRORS } from './errors';
import { type Prisma, PrismaClient } from './generated/client';

export type Health = Store<PrismaClient, Prisma.TransactionClient>;
export type HealthTransaction = Inside<Prisma.TransactionClient>;

/** Opens the health database; nothing connects before the first query. */
export function openHealth(options: StoreOptions = {}): Health {
  return openStore<Prisma.TransactionClient, PrismaClient>(
    'health',
    (prismaOptions) => new PrismaClient(prismaOptions),
    options,
    process.env,
    CONSTRAINT_ERRORS,
  );
}
