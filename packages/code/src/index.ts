export type { Chunk } from './chunk/chunk';
export { chunkFile } from './chunk/chunk-file';
export { MAX_CHUNK_CHARACTERS } from './chunk/pack';
export { type CodeGraph, type CodeGraphChange, openCodeGraph } from './graph/code-graph';
export { resolveEdges } from './graph/resolve-edges';
export {
  openSemanticGraph,
  readSemanticEdges,
  type SemanticChange,
  type SemanticGraph,
  type SemanticOptions,
  type SemanticSource,
} from './semantic/semantic-graph';
export type {
  CodeEdge,
  CodeNode,
  Definition,
  EdgeKind,
  Expr,
  FileFacts,
  Language,
  NodeKind,
  RawEdge,
} from './syntax/facts';
export { languageOf } from './syntax/parse';
export { readSymbols } from './syntax/read-symbols';
export { headCommit } from './tree/git-files';
export type { SkippedFile, SkipReason, Tree, TreeFile } from './tree/tree';
export { MAX_FILE_BYTES, walkTree } from './tree/walk-tree';
