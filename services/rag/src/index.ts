export { openRag, type Rag, type RagTransaction } from './client';
export {
  type ChunkInput,
  type ContentInput,
  type FileInput,
  fileContentId,
  type PutContentsInput,
  type PutFilesInput,
  type PutResult,
  putContents,
  putFiles,
  type RemoveContentsInput,
  type RemoveFilesInput,
  removeContents,
  removeFiles,
} from './contents.store';
export {
  type BestCorpusInput,
  bestCorpusEntries,
  type ListCorpusInput,
  listCorpus,
  type SaveCorpusEntryInput,
  type SearchCorpusInput,
  saveCorpusEntry,
  searchCorpus,
} from './corpus.store';
export type { HttpProviderOptions } from './embeddings/http';
export { ollamaProvider } from './embeddings/ollama';
export { type OpenAiProviderOptions, openAiProvider } from './embeddings/openai';
export type { EmbeddingProvider } from './embeddings/provider';
export { RAG_ERROR_CODES, type RagErrorCode } from './errors';
export { EVENTS } from './events';
export { $Enums, Prisma } from './generated/client';
export {
  callees,
  callers,
  type EdgeType,
  type FindNodesInput,
  findNodes,
  findPath,
  type GraphEdgeInput,
  type GraphFileInput,
  type GraphNodeInput,
  getNode,
  impact,
  implementations,
  type NodeType,
  type PathInput,
  type PutGraphInput,
  type PutGraphResult,
  putGraph,
  type Reach,
  type ReachedNode,
  type ReachInput,
} from './graph.store';
export { type ExportGraphInput, exportGraph } from './graph-export.store';
export {
  type CreateVectorIndexInput,
  createVectorIndex,
  type MeasureRecallInput,
  measureRecall,
  type Recall,
} from './indexes.store';
export {
  type IndexProgress,
  type IndexResult,
  type IndexWorkspaceInput,
  indexWorkspace,
} from './indexing/index-workspace';
export type { SkippedFile } from './indexing/tree';
export {
  type IndexDifference,
  type Verification,
  type VerifyWorkspaceInput,
  verifyWorkspace,
} from './indexing/verify-workspace';
export { type LearnModelInput, learnHashingModel, openHashingModel, plainHashingProvider } from './models.store';
export { exportPerson, type PersonExport } from './person.store';
export { type ReembedInput, reembedWorkspace } from './reembedding.store';
export type { CodeEdge, CodeNode, CorpusEntry, IndexEntry, Workspace } from './rows';
export type { VectorIndex, VectorIndexes, VectorType } from './search/vector-indexes';
export {
  type Chunk,
  type ChunkFilters,
  type ChunkNeighboursInput,
  chunkNeighbours,
  type FoundChunk,
  type SearchInput,
  type SimilarChunksInput,
  search,
  similarChunks,
} from './search.store';
export { normalizePath, workspaceId } from './workspaces';
export {
  type CompareFilesInput,
  compareFiles,
  type FileComparison,
  type FileState,
  type FinishIndexInput,
  type Freshness,
  findWorkspace,
  finishIndex,
  getWorkspace,
  type IndexType,
  type ListFilesInput,
  listIndexedFiles,
  listWorkspaces,
  type RegisterWorkspaceInput,
  registerWorkspace,
  removeWorkspace,
  type WorkspaceInput,
  workspaceFreshness,
} from './workspaces.store';
