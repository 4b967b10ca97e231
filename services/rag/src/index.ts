export { openRag, type Rag, type RagTransaction } from './client';
export { $Enums, Prisma } from './generated/client';
export { type FoundChunk, type SearchChunksInput, searchChunks } from './search';
export { normalizePath, workspaceId } from './workspaces';
