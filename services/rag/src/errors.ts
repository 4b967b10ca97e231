import { inputReader } from '@azora/db-core/input';

/** Every error code of this store, besides the codes of `@azora/db-core` that all stores share. */
export const RAG_ERROR_CODES = ['RAG.INVALID_INPUT'] as const;
export type RagErrorCode = (typeof RAG_ERROR_CODES)[number];

/** RAG.INVALID_INPUT: an argument breaks the contract of the function. The error names fields, never values. */
export const readInput = inputReader('RAG.INVALID_INPUT');
