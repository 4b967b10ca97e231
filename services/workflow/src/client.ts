import { type Inside, openStore, type Store, type StoreOptions } from '@azora/db-core';
import { type Prisma, PrismaClient } from './generated/client';

export type Workflow = Store<PrismaClient, Prisma.TransactionClient>;
export type WorkflowTransaction = Inside<Prisma.TransactionClient>;

/** Opens the workflow database; nothing connects before the first query. */
export function openWorkflow(options: StoreOptions = {}): Workflow {
  return openStore('workflow', (prismaOptions) => new PrismaClient(prismaOptions), options, process.env);
}
