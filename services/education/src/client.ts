import { type Inside, openStore, type Store, type StoreOptions } from '@azora/db-core';
import { CONSTRAINT_ERRORS } from './errors';
import { type Prisma, PrismaClient } from './generated/client';

export type Education = Store<PrismaClient, Prisma.TransactionClient>;
export type EducationTransaction = Inside<Prisma.TransactionClient>;

/** Opens the education database; nothing connects before the first query. */
export function openEducation(options: StoreOptions = {}): Education {
  return openStore<Prisma.TransactionClient, PrismaClient>(
    'education',
    (prismaOptions) => new PrismaClient(prismaOptions),
    options,
    process.env,
    CONSTRAINT_ERRORS,
  );
}
