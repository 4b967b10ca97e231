import { type Inside, openStore, type Store, type StoreOptions } from '@azora/db-core';
import { CONSTRAINT_ERRORS } from './errors';
import { type Prisma, PrismaClient } from './generated/client';

export type Workflows = Store<PrismaClient, Prisma.TransactionClient>;
export type WorkflowTransaction = Inside<Prisma.TransactionClient>;

/** Opens the workflow database; nothing connects before the first query. */
export function openWorkflow(options: StoreOptions = {}): Workflows {
  return openStore<Prisma.TransactionClient, PrismaClient>(
    'workflow',
    (prismaOptions) => new PrismaClient(prismaOptions),
    options,
    process.env,
    CONSTRAINT_ERRORS,
  );
}
