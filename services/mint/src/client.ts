import { type Inside, openStore, type Store, type StoreOptions } from '@azora/db-core';
import { FAULTS } from './faults';
import { type Prisma, PrismaClient } from './generated/client';

export type Mint = Store<PrismaClient, Prisma.TransactionClient>;
export type MintTransaction = Inside<Prisma.TransactionClient>;

/** Opens the mint database; nothing connects before the first query. */
export function openMint(options: StoreOptions = {}): Mint {
  return openStore('mint', (prismaOptions) => new PrismaClient(prismaOptions), options, process.env, FAULTS);
}
