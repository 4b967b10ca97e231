import { inputReader } from '@azora/db-core/input';

/** RAG.INVALID_INPUT: what a function of this store was given breaks its contract. Values are not shown. */
export const readInput = inputReader('RAG.INVALID_INPUT');
