import { type Inside, openStore, type Store, type StoreOptions } from '@azora/db-core';
import { CONSTRAINT_ERRORS } from './errors';
import { type Prisma, PrismaClient } from './generated/client';
import { VectorIndexes } from './search/vector-indexes';

export interface Rag extends Store<PrismaClient, Prisma.TransactionClient> {
  /** Knows which dimensions have an HNSW index. */
  readonly vectorIndexes: VectorIndexes;
}
export type RagTransaction = Inside<Prisma.TransactionClient>;

/** Opens the rag database; nothing connects before the first query. */
export function openRag(options: StoreOptions = {}): Rag {
  const store = openStore<Prisma.TransactionClient, PrismaClient>(
    'rag',
    (prismaOptions) => new PrismaClient(prismaOptions),
    options,
    process.env,
    CONSTRAINT_ERRORS,
  );
  return Object.assign(store, { vectorIndexes: new VectorIndexes(store) });
}
