import { type Inside, openStore, type Store, type StoreOptions } from '@azora/db-core';
import { CONSTRAINT_ERRORS } from './errors';
import { type Prisma, PrismaClient } from './generated/client';
import { type GatheredHolds, gatherHolds } from './holds-gathered';
import { openGatherer, type TransferGatherer } from './transfers-gathered';

export interface Mint extends Store<PrismaClient, Prisma.TransactionClient> {
  /** Batches the concurrent transfers of this store. */
  readonly gatherer: TransferGatherer;
  /** Batches the concurrent holds and captures of this store. */
  readonly gatheredHolds: GatheredHolds;
}
export type MintTransaction = Inside<Prisma.TransactionClient>;

/** Opens the mint database; nothing connects before the first query. */
export function openMint(options: StoreOptions = {}): Mint {
  const store = openStore<Prisma.TransactionClient, PrismaClient>(
    'mint',
    (prismaOptions) => new PrismaClient(prismaOptions),
    options,
    process.env,
    CONSTRAINT_ERRORS,
  );
  return Object.assign(store, { gatherer: openGatherer(store), gatheredHolds: gatherHolds(store) });
}
