import { type Inside, openStore, type Store, type StoreOptions } from '@azora/db-core';
import { type GatheredEnrollments, gatherEnrollments } from './enrollments-gathered';
import { CONSTRAINT_ERRORS } from './errors';
import { type Prisma, PrismaClient } from './generated/client';

export interface Education extends Store<PrismaClient, Prisma.TransactionClient> {
  /** Batches the concurrent enrollments of this store. */
  readonly gathered: GatheredEnrollments;
}
export type EducationTransaction = Inside<Prisma.TransactionClient>;

/** Opens the education database; nothing connects before the first query. */
export function openEducation(options: StoreOptions = {}): Education {
  const store = openStore<Prisma.TransactionClient, PrismaClient>(
    'education',
    (prismaOptions) => new PrismaClient(prismaOptions),
    options,
    process.env,
    CONSTRAINT_ERRORS,
  );
  return Object.assign(store, { gathered: gatherEnrollments(store) });
}
