export { type Chunk, chunkFile } from './chunk/chunk-file';
export { MAX_CHUNK_CHARACTERS } from './chunk/pack';
export { type CodeGraph, type CodeGraphChange, openCodeGraph } from './graph/code-graph';
export { resolveEdges } from './graph/resolve-edges';
export {
  openSemanticGraph,
  readSemanticEdges,
  type SemanticGraph,
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
export {
  MAX_FILE_BYTES,
  type SkippedFile,
  type SkipReason,
  type Tree,
  type TreeFile,
  walkTree,
} from './tree/walk-tree';
