import { type Inside, openStore, type Store, type StoreOptions } from '@azora/db-core';
import { CONSTRAINT_ERRORS } from './errors';
import { type Prisma, PrismaClient } from './generated/client';

export type Agent = Store<PrismaClient, Prisma.TransactionClient>;
export type AgentTransaction = Inside<Prisma.TransactionClient>;

/** Opens the agent database; nothing connects before the first query. */
export function openAgent(options: StoreOptions = {}): Agent {
  return openStore<Prisma.TransactionClient, PrismaClient>(
    'agent',
    (prismaOptions) => new PrismaClient(prismaOptions),
    options,
    process.env,
    CONSTRAINT_ERRORS,
  );
}
