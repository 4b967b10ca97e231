export { openRag, type Rag, type RagTransaction } from './client';
export { RAG_ERROR_CODES, type RagErrorCode } from './errors';
export { $Enums, Prisma } from './generated/client';
export { type FoundChunk, type SearchChunksInput, searchChunks } from './search.store';
export { normalizePath, workspaceId } from './workspaces';
