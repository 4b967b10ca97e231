import { type Inside, openStore, type Store, type StoreOptions } from '@azora/db-core';
import { CONSTRAINT_ERRORS } from './errors';
import { type Prisma, PrismaClient } from './generated/client';

export type Sapiens = Store<PrismaClient, Prisma.TransactionClient>;
export type SapiensTransaction = Inside<Prisma.TransactionClient>;

/** Opens the sapiens database; nothing connects before the first query. */
export function openSapiens(options: StoreOptions = {}): Sapiens {
  return openStore<Prisma.TransactionClient, PrismaClient>(
    'sapiens',
    (prismaOptions) => new PrismaClient(prismaOptions),
    options,
    process.env,
    CONSTRAINT_ERRORS,
  );
}
