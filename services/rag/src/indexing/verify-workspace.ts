import { createHash } from 'node:crypto';
import path from 'node:path';
import { z } from 'zod';
import type { Rag } from '../client';
import { type FileInput, fileContentId, providerInput, signalInput } from '../contents.store';
import { type EmbeddingProvider, embedTexts } from '../embeddings/provider';
import { readInput } from '../errors';
import type { GraphNodeInput } from '../graph.store';
import { pathInput } from '../input';
import type { Row, Workspace } from '../rows';
import { workspaceId } from '../workspaces';
import { getWorkspace } from '../workspaces.store';
import { readChunks } from './file-chunks';
import { type CodeReader, loadReader } from './reader';
import { readText, readTree, type WorkspaceTree } from './tree';
import { isInGraph, openTreeGraph } from './tree-graph';

/** More differences say no more than that the index is of another tree. */
const MAX_DIFFERENCES = 1_000;
const TEXTS_PER_CALL = 256;
/** The type vector stores single precision. */
const SAME_NUMBER = 1e-5;

export interface VerifyWorkspaceInput {
  readonly path: string;
  /** Compares the embeddings too, which it makes again for all texts. */
  readonly provider?: EmbeddingProvider;
  readonly signal?: AbortSignal;
}

export interface IndexDifference {
  readonly table: 'rag_chunks' | 'code_nodes' | 'code_edges' | 'index_metadata';
  /** `missing` is not in the table, `extra` should not be there. */
  readonly kind: 'missing' | 'extra' | 'different';
  /** Names the row: a content and the number of its chunk, the key of a node, the keys of an edge, or a file. */
  readonly row: string;
  /** The columns that differ. */
  readonly columns: readonly string[];
}

export interface Verification {
  readonly workspaceId: string;
  readonly isEqual: boolean;
  /** At most 1,000, in the order of the tables and rows. */
  readonly differences: readonly IndexDifference[];
  /** All rows that differ. */
  readonly differing: number;
  /** The rows that an index from scratch has. */
  readonly rows: Readonly<Record<IndexDifference['table'], number>>;
}

const verifyInput = z.strictObject({ path: pathInput, provider: providerInput.optional(), signal: signalInput });

type Rows = ReadonlyMap<string, Row>;

/**
 * Compares the indexes of a workspace, row for row, with an index of its tree that is made from scratch in memory. Changes nothing.
 * @throws {SuiteError} `RAG.INVALID_INPUT`, `RAG.WORKSPACE_NOT_FOUND`, `RAG.READER_MISSING`, `CODE.ROOT_INVALID`, `CODE.GIT_FAILED`,
 *   `CODE.GRAMMAR_MISSING`, and what the provider throws
 */
export async function verifyWorkspace(rag: Rag, input: VerifyWorkspaceInput): Promise<Verification> {
  const { path: root, provider, signal } = readInput(verifyInput, input);
  const code = await loadReader();
  const tree = await readTree(code, path.resolve(root));
  const workspace = await getWorkspace(rag, { workspaceId: workspaceId(tree.root) });
  const expected = await expectedRows(code, tree, workspace, signal);
  const actual = await actualRows(rag, workspace);
  const differences = TABLES.flatMap((table) => differencesOf(table, expected[table], actual[table]));
  if (provider !== undefined) differences.push(...(await embeddingDifferences(rag, workspace, provider, signal)));
  return {
    workspaceId: workspace.id,
    isEqual: differences.length === 0,
    differences: differences.slice(0, MAX_DIFFERENCES),
    differing: differences.length,
    rows: {
      rag_chunks: expected.rag_chunks.size,
      code_nodes: expected.code_nodes.size,
      code_edges: expected.code_edges.size,
      index_metadata: expected.index_metadata.size,
    },
  };
}

const TABLES = ['rag_chunks', 'code_nodes', 'code_edges', 'index_metadata'] as const;
type Tables = Readonly<Record<(typeof TABLES)[number], Rows>>;

/** The rows that an index from scratch would write, without ids and times. */
async function expectedRows(
  code: CodeReader,
  tree: WorkspaceTree,
  workspace: Workspace,
  signal: AbortSignal | undefined,
): Promise<Tables> {
  const chunks = new Map<string, Row>();
  const nodes = new Map<string, Row>();
  const entries = new Map<string, Row>();
  const graph = openTreeGraph(code, tree.root);
  const inGraph: string[] = [];
  for (const file of tree.files) {
    signal?.throwIfAborted();
    const text = await readText(tree, file);
    // A file that changes meanwhile is reported as a difference.
    if (text === undefined) continue;
    for (const [key, row] of chunkRows(await readChunks(code, file, text), workspace)) chunks.set(key, row);
    entries.set(`rag ${file.path}`, { content_hash: file.contentHash });
    if (!isInGraph(code, file.path)) continue;
    inGraph.push(file.path);
    entries.set(`graph ${file.path}`, { content_hash: file.contentHash });
    for (const node of await graph.add(file.path, text))
      nodes.set(nodeId(workspace.id, node.key), nodeRow(node, file.path));
  }
  await graph.resolve({ signal });
  const edges = inGraph
    .flatMap((file) => graph.edgesOf(file).edges)
    .flatMap(({ from, to, type, metadata }) => {
      const ends = [nodeId(workspace.id, from), nodeId(workspace.id, to)];
      return ends.every((end) => nodes.has(end)) ? [[`${ends.join(' ')} ${type}`, { metadata }] as const] : [];
    });
  return { rag_chunks: chunks, code_nodes: nodes, code_edges: new Map(edges), index_metadata: entries };
}

function chunkRows({ path: file, chunks, contentType }: FileInput, workspace: Workspace): (readonly [string, Row])[] {
  const contentId = fileContentId(workspace.id, file);
  return chunks.map(({ text, title = null, metadata, lines }, index) => {
    const row = {
      content: text,
      title,
      content_type: contentType,
      source_path: file,
      metadata: { ...metadata, startLine: lines?.start, endLine: lines?.end },
      embedding_model: workspace.embeddingModel,
      embedding_dimension: workspace.embeddingDimension,
    };
    return [`${contentId} ${index}`, row];
  });
}

function nodeRow(node: GraphNodeInput, file: string): Row {
  const { startLine = null, endLine = null, signature = null, documentation = null, metadata } = node;
  return {
    name: node.name,
    fully_qualified_name: node.qualifiedName,
    node_type: node.type,
    file_path: file,
    start_line: startLine,
    end_line: endLine,
    signature,
    documentation,
    metadata,
  };
}

/** The id that the function code_node_id derives from a key. */
function nodeId(workspace: string, key: string): string {
  const bytes = createHash('sha256').update(`${workspace} ${key}`).digest().subarray(0, 16);
  bytes[6] = ((bytes[6] ?? 0) & 15) | 128;
  bytes[8] = ((bytes[8] ?? 0) & 63) | 128;
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

/** Only chunks of files: a workspace can have other contents, and the rows of a re-embedding. */
const CHUNKS = `
  SELECT content_id || ' ' || chunk_index AS key, content, title, content_type, source_path, metadata, embedding_model, embedding_dimension
  FROM rag_chunks WHERE workspace_path = $1 AND embedding_model = $2 AND content_id ~ ('^' || $3 || '[:#]')`;
const NODES = `
  SELECT id::text AS key, name, fully_qualified_name, node_type, file_path, start_line, end_line, signature, documentation, metadata
  FROM code_nodes WHERE repository_path = $1`;
const EDGES = `
  SELECT source_node_id || ' ' || target_node_id || ' ' || edge_type AS key, e.metadata
  FROM code_edges AS e JOIN code_nodes AS s ON s.id = source_node_id WHERE s.repository_path = $1`;
const ENTRIES = `
  SELECT index_type || ' ' || file_path AS key, content_hash FROM index_metadata WHERE workspace_path = $1`;

async function actualRows(rag: Rag, { id, path: place, embeddingModel }: Workspace): Promise<Tables> {
  const read = async (text: string, ...values: readonly unknown[]): Promise<Rows> => {
    const rows = await rag.queryLong<Row & { readonly key: string }>({ text, values });
    return new Map(rows.map(({ key, ...row }) => [key, row]));
  };
  return {
    rag_chunks: await read(CHUNKS, place, embeddingModel, id),
    code_nodes: await read(NODES, place),
    code_edges: await read(EDGES, place),
    index_metadata: await read(ENTRIES, place),
  };
}

function differencesOf(table: IndexDifference['table'], expected: Rows, actual: Rows): IndexDifference[] {
  const found: IndexDifference[] = [];
  for (const row of [...new Set([...expected.keys(), ...actual.keys()])].sort()) {
    const [wanted, there] = [expected.get(row), actual.get(row)];
    if (wanted === undefined) found.push({ table, kind: 'extra', row, columns: [] });
    else if (there === undefined) found.push({ table, kind: 'missing', row, columns: [] });
    else {
      const columns = Object.keys(wanted).filter((column) => canonical(wanted[column]) !== canonical(there[column]));
      if (columns.length > 0) found.push({ table, kind: 'different', row, columns });
    }
  }
  return found;
}

/** JSON with the fields of each object in one order. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, part) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([one], [other]) => (one < other ? -1 : 1)))
      : part,
  );
}

const EMBEDDINGS = `
  SELECT content_id || ' ' || chunk_index AS key, content, embedding::text AS embedding FROM rag_chunks
  WHERE workspace_path = $1 AND embedding_model = $2 AND (content_id, chunk_index) > ($3, $4)
  ORDER BY content_id, chunk_index LIMIT $5`;

/** The chunks whose embedding is not the one that the provider makes of their text. */
async function embeddingDifferences(
  rag: Rag,
  { path: place }: Workspace,
  provider: EmbeddingProvider,
  signal: AbortSignal | undefined,
): Promise<readonly IndexDifference[]> {
  const found: IndexDifference[] = [];
  let last = { content: '', index: -1 };
  for (;;) {
    signal?.throwIfAborted();
    const rows = await rag.queryLong<{ readonly key: string; readonly content: string; readonly embedding: string }>({
      text: EMBEDDINGS,
      values: [place, provider.model, last.content, last.index, TEXTS_PER_CALL],
    });
    const vectors = await embedTexts(
      provider,
      rows.map(({ content }) => content),
      signal,
    );
    for (const [at, { key, embedding }] of rows.entries()) {
      const stored = JSON.parse(embedding) as readonly number[];
      const isSame = vectors[at]?.every((number, n) => Math.abs(number - (stored[n] ?? 0)) <= SAME_NUMBER);
      if (!isSame) found.push({ table: 'rag_chunks', kind: 'different', row: key, columns: ['embedding'] });
    }
    const key = rows.at(-1)?.key;
    if (key === undefined) return found;
    const space = key.lastIndexOf(' ');
    last = { content: key.slice(0, space), index: Number(key.slice(space + 1)) };
  }
}
