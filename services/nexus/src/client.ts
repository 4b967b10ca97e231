import { type Inside, openStore, type Store, type StoreOptions } from '@azora/db-core';
import { CONSTRAINT_ERRORS } from './errors';
import { type Prisma, PrismaClient } from './generated/client';

export type Nexus = Store<PrismaClient, Prisma.TransactionClient>;
export type NexusTransaction = Inside<Prisma.TransactionClient>;

/** Opens the nexus database; nothing connects before the first query. */
export function openNexus(options: StoreOptions = {}): Nexus {
  return openStore<Prisma.TransactionClient, PrismaClient>(
    'nexus',
    (prismaOptions) => new PrismaClient(prismaOptions),
    options,
    process.env,
    CONSTRAINT_ERRORS,
  );
}
