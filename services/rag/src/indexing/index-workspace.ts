import path from 'node:path';
import { z } from 'zod';
import type { Rag } from '../client';
import { type PutResult, providerInput, putFiles, removeFiles, signalInput } from '../contents.store';
import type { EmbeddingProvider } from '../embeddings/provider';
import { modelMismatch, readInput } from '../errors';
import { type GraphFileInput, type GraphNodeInput, type PutGraphResult, putGraph } from '../graph.store';
import { pathInput } from '../input';
import { callFor, type Workspace } from '../rows';
import { compareFiles, type FileState, registerWorkspace } from '../workspaces.store';
import { readChunks } from './file-chunks';
import { type Lease, withLease } from './lease';
import { type CodeReader, loadReader, READER_VERSION } from './reader';
import { readText, readTree, type SkippedFile, type WorkspaceTree } from './tree';
import { isInGraph, openTreeGraph, type TreeGraph } from './tree-graph';

/** Files whose chunks are in memory at the same time; the statements are cut smaller. */
const CHUNKS_PER_CALL = 1_000;
const FILES_PER_CALL = 500;
const FILES_PER_PROGRESS = 100;
const ROWS_PER_CALL = 10_000;

export interface IndexWorkspaceInput {
  /** The folder; a relative path begins at the working directory. */
  readonly path: string;
  /** The first index decides which model the workspace answers with. */
  readonly provider: EmbeddingProvider;
  /** Ends the call before its next file or statement; what was written stays, and the next call continues. */
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: IndexProgress) => void;
}

/** `chunks` cuts and embeds changed files, `graph` reads the definitions, `edges` resolves the names between them. */
export interface IndexProgress {
  readonly phase: 'chunks' | 'graph' | 'edges';
  /** Files. */
  readonly done: number;
  readonly total: number;
}

export interface IndexResult {
  readonly workspaceId: string;
  /** Files in the index. */
  readonly files: number;
  readonly skipped: readonly SkippedFile[];
  /** Files whose chunks were made again because they are new or have changed. */
  readonly indexed: number;
  /** Files that the index had and the tree has no more. */
  readonly removed: number;
  /** False when files changed while they were read; the next call reads them. */
  readonly isComplete: boolean;
  readonly chunks: PutResult;
  readonly graph: PutGraphResult;
}

const indexInput = z.strictObject({
  path: pathInput,
  provider: providerInput,
  signal: signalInput,
  onProgress: z
    .custom<(progress: IndexProgress) => void>((value) => typeof value === 'function', 'is not a function')
    .optional(),
});

/**
 * Makes both indexes of a workspace equal to the tree at a path, and registers the workspace if it is new: the chunks with their
 * embeddings, and the code graph. Only files that have changed are cut and embedded, only texts without an embedding cost one, and an
 * unchanged tree writes nothing. A call that was interrupted or killed is continued by the next one. One process at a time indexes a
 * workspace. Without the package `@azora/code` nothing can be indexed.
 * @throws {SuiteError} `RAG.INVALID_INPUT`, `RAG.READER_MISSING`, `RAG.MODEL_MISMATCH`, `RAG.INDEX_CLAIMED`, `RAG.INDEX_LOST`,
 *   `CODE.ROOT_INVALID`, `CODE.GIT_FAILED`, `CODE.GRAMMAR_MISSING`, and what the provider throws
 */
export async function indexWorkspace(rag: Rag, input: IndexWorkspaceInput): Promise<IndexResult> {
  const { path: root, ...options } = readInput(indexInput, input);
  const code = await loadReader();
  const tree = await readTree(code, path.resolve(root));
  const { isGitRepository, commitSha } = tree;
  const workspace = await registerWorkspace(rag, {
    path: tree.root,
    isGitRepository,
    ...(commitSha !== undefined && { currentCommitSha: commitSha }),
  });
  requireModel(workspace, options.provider);
  const resultOf = (done: Partial<IndexResult>): IndexResult => ({
    workspaceId: workspace.id,
    files: tree.files.length,
    skipped: tree.skipped,
    indexed: 0,
    removed: 0,
    isComplete: true,
    chunks: { added: 0, updated: 0, deleted: 0, unchanged: 0, embedded: 0 },
    graph: { nodesWritten: 0, nodesDeleted: 0, edgesWritten: 0, edgesDeleted: 0, edgesUnresolved: 0 },
    ...done,
  });
  if (isIndexed(workspace, tree)) return resultOf({});
  return withLease(rag, workspace.id, async (lease) => resultOf(await indexTree({ code, tree, lease, ...options })));
}

function requireModel({ id, embeddingModel, embeddingDimension }: Workspace, provider: EmbeddingProvider): void {
  if (embeddingModel === null) return;
  if (embeddingModel === provider.model && embeddingDimension === provider.dimension) return;
  throw modelMismatch({ workspaceId: id, model: embeddingModel, dimension: embeddingDimension });
}

function isIndexed(workspace: Workspace, { hash, commitSha }: WorkspaceTree): boolean {
  const commits = [workspace.ragIndexedCommitSha, workspace.graphIndexedCommitSha];
  return workspace.indexTree === hash && commits.every((commit) => commit === (commitSha ?? null));
}

interface Run extends Omit<z.infer<typeof indexInput>, 'path'> {
  readonly code: CodeReader;
  readonly tree: WorkspaceTree;
  readonly lease: Lease;
}

/** What both phases know about the files of the tree. */
interface Work {
  readonly graph: TreeGraph;
  /** The nodes of the files of the graph that were read. */
  readonly nodes: Map<string, readonly GraphNodeInput[]>;
  /** Files that are not what the tree has listed, because they have changed since. */
  readonly changing: Set<string>;
}

async function indexTree(run: Run): Promise<Partial<IndexResult>> {
  const { code, tree, lease } = run;
  const { workspace, held } = lease;
  const inGraph = tree.files.filter((file) => isInGraph(code, file.path));
  const [rag, graph] = await Promise.all([
    compareFiles(held, { workspaceId: workspace.id, index: 'rag', files: tree.files }),
    compareFiles(held, { workspaceId: workspace.id, index: 'graph', files: inGraph }),
  ]);
  const isOther = workspace.indexReader !== READER_VERSION;
  const staleOf = ({ added, changed }: typeof rag, files: readonly FileState[]) => {
    const isAdded = new Set(added);
    const isChanged = new Set(changed);
    // New files first: a text that moves out of a changed file still has its embedding there.
    const others = files.filter((file) => (isOther ? !isAdded.has(file.path) : isChanged.has(file.path)));
    return [...files.filter((file) => isAdded.has(file.path)), ...others];
  };
  const stale = staleOf(rag, tree.files);
  const staleInGraph = staleOf(graph, inGraph);
  const gone = [...new Set([...rag.gone, ...graph.gone])];
  const isResolved = workspace.indexTree !== null && !isOther && staleInGraph.length === 0 && graph.gone.length === 0;
  const decides = [...stale.map((file) => file.path), ...gone].some((file) => DECIDES_IMPORTS.test(file));
  const work: Work = { graph: openTreeGraph(code, tree.root), nodes: new Map(), changing: new Set() };

  const chunks = await putChunks(run, work, stale, isResolved && !decides);
  const total = { nodesWritten: 0, nodesDeleted: 0, edgesWritten: 0, edgesDeleted: 0, edgesUnresolved: 0 };
  const put = async (files: readonly GraphFileInput[]) => {
    run.signal?.throwIfAborted();
    const written = await putGraph(held, { workspaceId: workspace.id, files });
    for (const name of Object.keys(total) as (keyof PutGraphResult)[]) total[name] += written[name];
  };
  if (!isResolved || decides) {
    await readGraph(run, work, inGraph);
    for (const files of batchesOf(nodesToPut(work, staleInGraph))) await put(files);
  }
  for (let at = 0; at < gone.length; at += FILES_PER_CALL) {
    run.signal?.throwIfAborted();
    await removeFiles(held, { workspaceId: workspace.id, paths: gone.slice(at, at + FILES_PER_CALL) });
  }
  if (!isResolved || decides) {
    await lease.renew();
    await work.graph.resolve({ signal: run.signal, onProgress: edgesProgress(run) });
    for (const files of batchesOf(await edgesToPut(run, work, inGraph))) await put(files);
    run.onProgress?.({ phase: 'edges', done: inGraph.length, total: inGraph.length });
  }
  const isComplete = work.changing.size === 0;
  await finish(lease, tree, isComplete);
  const indexed = stale.filter((file) => !work.changing.has(file.path)).length;
  return { indexed, removed: gone.length, isComplete, chunks, graph: total };
}

/** Tells about every hundredth file whose edges are found. */
function edgesProgress({ onProgress }: Run): (done: number, total: number) => void {
  return (done, total) => {
    if (done % FILES_PER_PROGRESS === 0 || done === total) onProgress?.({ phase: 'edges', done, total });
  };
}

/** Files without code that decide what an import of TypeScript or JavaScript means. */
const DECIDES_IMPORTS = /(^|\/)(package|package-lock|tsconfig)\.json$/;

/** Writes the chunks of stale files. Those in the graph are read at the same time, while their syntax trees are there. */
async function putChunks(run: Run, work: Work, stale: readonly FileState[], isGraphFresh: boolean): Promise<PutResult> {
  const { code, tree, lease, provider, signal, onProgress } = run;
  const total = { added: 0, updated: 0, deleted: 0, unchanged: 0, embedded: 0 };
  let files: Awaited<ReturnType<typeof readChunks>>[] = [];
  let count = 0;
  let done = 0;
  const flush = async () => {
    const workspaceId = lease.workspace.id;
    const put = await putFiles(lease.held, { workspaceId, provider, files, ...(signal && { signal }) });
    for (const name of Object.keys(total) as (keyof PutResult)[]) total[name] += put[name];
    done += files.length;
    onProgress?.({ phase: 'chunks', done, total: stale.length });
    files = [];
    count = 0;
  };
  onProgress?.({ phase: 'chunks', done, total: stale.length });
  for (const file of stale) {
    signal?.throwIfAborted();
    const text = await readText(tree, file);
    if (text === undefined) {
      work.changing.add(file.path);
      continue;
    }
    const read = await readChunks(code, file, text);
    if (!isGraphFresh && isInGraph(code, file.path)) work.nodes.set(file.path, await work.graph.add(file.path, text));
    files.push(read);
    count += read.chunks.length;
    if (count >= CHUNKS_PER_CALL || files.length >= FILES_PER_CALL) await flush();
  }
  if (files.length > 0) await flush();
  return total;
}

/** Reads the files of the graph that were not read for their chunks: edges can lead from and to each of them. */
async function readGraph({ tree, signal, onProgress }: Run, work: Work, inGraph: readonly FileState[]): Promise<void> {
  for (const [done, file] of inGraph.entries()) {
    if (done % FILES_PER_CALL === 0) onProgress?.({ phase: 'graph', done, total: inGraph.length });
    if (work.nodes.has(file.path)) continue;
    signal?.throwIfAborted();
    const text = await readText(tree, file);
    if (text === undefined) work.changing.add(file.path);
    else work.nodes.set(file.path, await work.graph.add(file.path, text));
  }
  onProgress?.({ phase: 'graph', done: inGraph.length, total: inGraph.length });
}

function nodesToPut({ nodes, changing }: Work, stale: readonly FileState[]): readonly GraphFileInput[] {
  const readable = stale.filter((file) => !changing.has(file.path));
  return readable.map((file) => ({ ...file, nodes: nodes.get(file.path) ?? [] }));
}

const ENTRIES = `
  SELECT file_path AS path, content_hash AS "contentHash", edges_hash AS "edgesHash" FROM index_metadata
  WHERE workspace_path = $1 AND index_type = 'graph'`;

/** The files whose edges are not known to be in the table. */
async function edgesToPut({ lease }: Run, { graph, changing }: Work, inGraph: readonly FileState[]) {
  const values = [lease.workspace.path];
  const rows = await lease.held.query<FileState & { readonly edgesHash: string | null }>({ text: ENTRIES, values });
  const entries = new Map(rows.map((row) => [row.path, row]));
  return inGraph.flatMap((file): readonly GraphFileInput[] => {
    if (changing.has(file.path)) return [];
    const found = graph.edgesOf(file.path);
    const entry = entries.get(file.path);
    const isThere = entry?.contentHash === file.contentHash && entry.edgesHash === found.edgesHash;
    return isThere ? [] : [{ ...file, ...found }];
  });
}

function* batchesOf(files: readonly GraphFileInput[]): Generator<readonly GraphFileInput[]> {
  let batch: GraphFileInput[] = [];
  let rows = 0;
  for (const file of files) {
    batch.push(file);
    rows += (file.nodes?.length ?? 0) + (file.edges?.length ?? 0);
    if (rows < ROWS_PER_CALL && batch.length < FILES_PER_CALL) continue;
    yield batch;
    batch = [];
    rows = 0;
  }
  if (batch.length > 0) yield batch;
}

async function finish({ held, owner, workspace }: Lease, { hash, commitSha }: WorkspaceTree, isComplete: boolean) {
  const text = 'SELECT * FROM finish_indexing($1, $2, $3, $4, $5)';
  await callFor<Workspace>(held, text, [
    workspace.id,
    owner,
    READER_VERSION,
    isComplete ? hash : null,
    commitSha ?? null,
  ]);
}
