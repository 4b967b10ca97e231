import { textInput } from '@azora/db-core/input';
import { z } from 'zod';
import type { Rag } from './client';
import { nodeNotFound, readInput } from './errors';
import { filePathInput, hashInput, metadataInput, uuidInput, workspaceIdInput } from './input';
import { type CodeNode, onlyRow, rowsFor } from './rows';

const MAX_FILES = 1_000;
const MAX_PER_FILE = 100_000;
const MAX_LINE = 2_147_483_647;
const MAX_NODES = 10_000;
const DEFAULT_NODES = 1_000;
const MAX_DEPTH = 50;

export const NODE_TYPES = [
  ...['Project', 'Namespace', 'Class', 'Interface', 'Struct', 'Record', 'Enum', 'Method', 'Property', 'Field'],
  ...['Event', 'Delegate', 'Constructor', 'Function', 'Module'],
] as const;
export type NodeType = (typeof NODE_TYPES)[number];

export const EDGE_TYPES = [
  'Contains',
  'Implements',
  'Inherits',
  'Calls',
  'References',
  'Returns',
  'Overrides',
] as const;
export type EdgeType = (typeof EDGE_TYPES)[number];

/** A change of a node can change the nodes that these edges come from. */
const DEPENDENCIES: readonly EdgeType[] = ['Calls', 'References', 'Inherits', 'Implements', 'Overrides', 'Returns'];

export interface GraphNodeInput {
  /** Names the node in its workspace, at most 2,000 characters, such as `src/ledger.ts#Ledger.post(2)`. The same key has the same id. */
  readonly key: string;
  readonly name: string;
  readonly qualifiedName: string;
  readonly type: NodeType;
  readonly startLine?: number;
  readonly endLine?: number;
  readonly signature?: string;
  readonly documentation?: string;
  readonly metadata?: Readonly<Record<string, unknown>>;
}

/** An edge between the nodes with two keys. It begins in the file that it is written with. */
export interface GraphEdgeInput {
  readonly from: string;
  readonly to: string;
  readonly type: EdgeType;
  readonly metadata?: Readonly<Record<string, unknown>>;
}

export interface GraphFileInput {
  /** Relative to the workspace, with forward slashes. */
  readonly path: string;
  /** SHA-256 hash of the file, in lower-case hex. */
  readonly contentHash: string;
  /** Those that are there stay when absent. */
  readonly nodes?: readonly GraphNodeInput[];
  /** Those that are there stay when absent, and the file does not count as indexed until it is written with its edges. */
  readonly edges?: readonly GraphEdgeInput[];
  /** SHA-256 hash of the edges, kept with the entry of the file for as long as all of them are there. */
  readonly edgesHash?: string;
}

export interface PutGraphInput {
  readonly workspaceId: string;
  /** At most 1,000. */
  readonly files: readonly GraphFileInput[];
}

export interface PutGraphResult {
  /** New and changed nodes. */
  readonly nodesWritten: number;
  readonly nodesDeleted: number;
  readonly edgesWritten: number;
  readonly edgesDeleted: number;
  /** Edges that were left out, because a key names no node, or they begin in another file. */
  readonly edgesUnresolved: number;
}

const keyInput = textInput(2_000);
const lineInput = z.int().min(1).max(MAX_LINE);
const nodeInput = z
  .strictObject({
    key: keyInput,
    name: textInput(500),
    qualifiedName: textInput(1_000).refine((name) => Buffer.byteLength(name) <= 2_600, 'is longer than 2600 bytes'),
    type: z.enum(NODE_TYPES),
    startLine: lineInput.optional(),
    endLine: lineInput.optional(),
    signature: textInput(100_000).optional(),
    documentation: textInput(1_000_000).optional(),
    metadata: metadataInput.optional(),
  })
  .refine(
    ({ startLine, endLine }) => startLine === undefined || endLine === undefined || startLine <= endLine,
    'has lines that end before they start',
  );
const edgeInput = z
  .strictObject({ from: keyInput, to: keyInput, type: z.enum(EDGE_TYPES), metadata: metadataInput.optional() })
  .refine(
    ({ from, to, type }) => from !== to || ['Calls', 'References', 'Returns'].includes(type),
    'leads from a node to itself, which only calls, references and returns may',
  );
const putGraphInput = z.strictObject({
  workspaceId: workspaceIdInput,
  files: z
    .array(
      z
        .strictObject({
          path: filePathInput,
          contentHash: hashInput,
          nodes: z.array(nodeInput).max(MAX_PER_FILE).optional(),
          edges: z.array(edgeInput).max(MAX_PER_FILE).optional(),
          edgesHash: hashInput.optional(),
        })
        .transform(({ contentHash: hash, ...file }) => ({ ...file, hash })),
    )
    .max(MAX_FILES)
    .refine((files) => isUnique(files.map(({ path }) => path)), 'names one file twice')
    .refine((files) => isUnique(files.flatMap(({ nodes = [] }) => nodes.map(({ key }) => key))), 'uses one key twice'),
});

function isUnique(values: readonly string[]): boolean {
  return new Set(values).size === values.length;
}

const PUT = `
  SELECT nodes_written AS "nodesWritten", nodes_deleted AS "nodesDeleted", edges_written AS "edgesWritten",
    edges_deleted AS "edgesDeleted", edges_unresolved AS "edgesUnresolved" FROM put_graph($1, $2)`;

/**
 * Makes the nodes of files of a workspace, and the edges that begin in them, equal to the given ones, in one transaction. Nodes and
 * edges that have not changed are not written. An edge needs both of its nodes, so write the files with their nodes first, then with
 * their edges.
 * @throws {SuiteError} `RAG.INVALID_INPUT`, `RAG.WORKSPACE_NOT_FOUND`
 */
export async function putGraph(rag: Rag, input: PutGraphInput): Promise<PutGraphResult> {
  const { workspaceId, files } = readInput(putGraphInput, input);
  const values = [workspaceId, JSON.stringify(files)];
  return onlyRow(await rag.queryLong<PutGraphResult & { readonly [column: string]: unknown }>({ text: PUT, values }));
}

export interface FindNodesInput {
  readonly workspaceId?: string;
  /** A name, or a part of it; equal names come first, then similar ones. */
  readonly name?: string;
  readonly qualifiedName?: string;
  readonly type?: NodeType;
  readonly filePath?: string;
  /** 1 to 1,000; 50 when absent. */
  readonly limit?: number;
}

const findInput = z.strictObject({
  workspaceId: workspaceIdInput.optional(),
  name: textInput(500).optional(),
  qualifiedName: textInput(1_000).optional(),
  type: z.enum(NODE_TYPES).optional(),
  filePath: filePathInput.optional(),
  limit: z.int().min(1).max(1_000).default(50),
});

/**
 * Finds nodes of the code graph.
 * @throws {SuiteError} `RAG.INVALID_INPUT`
 */
export async function findNodes(rag: Rag, input: FindNodesInput): Promise<readonly CodeNode[]> {
  const { workspaceId, name, qualifiedName, type, filePath, limit } = readInput(findInput, input);
  const values: unknown[] = [];
  const bind = (value: unknown) => `$${values.push(value)}`;
  const conditions = ['true'];
  let order = 'fully_qualified_name, id';
  if (workspaceId !== undefined) {
    conditions.push(`repository_path = (SELECT path FROM workspaces WHERE id = ${bind(workspaceId)})`);
  }
  if (qualifiedName !== undefined) conditions.push(`fully_qualified_name = ${bind(qualifiedName)}`);
  if (type !== undefined) conditions.push(`node_type = ${bind(type)}`);
  if (filePath !== undefined) conditions.push(`file_path = ${bind(filePath)}`);
  if (name !== undefined) {
    const asked = bind(name);
    const part = bind(name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
    conditions.push(`(name = ${asked} OR name ~* ${part} OR name % ${asked})`);
    order = `name = ${asked} DESC, lower(name) = lower(${asked}) DESC, similarity(name, ${asked}) DESC, ${order}`;
  }
  const text = `SELECT * FROM code_nodes WHERE ${conditions.join(' AND ')} ORDER BY ${order} LIMIT ${bind(limit)}`;
  return rowsFor<CodeNode>(rag, text, values);
}

/** @throws {SuiteError} `RAG.INVALID_INPUT`, `RAG.NODE_NOT_FOUND` */
export async function getNode(rag: Rag, input: { readonly nodeId: string }): Promise<CodeNode> {
  const { nodeId } = readInput(z.strictObject({ nodeId: uuidInput }), input);
  const [node] = await rowsFor<CodeNode>(rag, 'SELECT * FROM code_nodes WHERE id = $1', [nodeId]);
  if (node === undefined) throw nodeNotFound(nodeId);
  return node;
}

export interface ReachInput {
  readonly nodeId: string;
  /** How many edges away, 1 to 50. */
  readonly depth?: number;
  /** 1 to 10,000; 1,000 when absent. */
  readonly limit?: number;
}

/** A node, and how many edges away it is at least. */
export type ReachedNode = CodeNode & { readonly depth: number };

export interface Reach {
  /** The nearest first. */
  readonly nodes: readonly ReachedNode[];
  /** Whether these are all nodes within the depth; false when the limit left some out. */
  readonly isComplete: boolean;
}

const reachInput = z.strictObject({
  nodeId: uuidInput,
  depth: z.int().min(1).max(MAX_DEPTH).optional(),
  limit: z.int().min(1).max(MAX_NODES).default(DEFAULT_NODES),
});

const REACH = `
  SELECT n.*, r.depth FROM reachable_nodes($1, $2, $3, $4, $5) AS r JOIN code_nodes AS n ON n.id = r.node_id
  ORDER BY r.depth, n.fully_qualified_name, n.id`;

interface Direction {
  readonly types: readonly EdgeType[];
  /** Against the direction of the edges. */
  readonly back: boolean;
  readonly depth: number;
}

async function reach(rag: Rag, input: ReachInput, { types, back, depth: usual }: Direction): Promise<Reach> {
  const { nodeId, depth = usual, limit } = readInput(reachInput, input);
  const nodes = await rowsFor<ReachedNode>(rag, REACH, [nodeId, types, back, depth, limit + 1]);
  if (nodes.length === 0) await getNode(rag, { nodeId });
  return { nodes: nodes.slice(0, limit), isComplete: nodes.length <= limit };
}

/**
 * The nodes that call a node; with `depth`, also those that call it through others. A depth of 1 when absent.
 * @throws {SuiteError} `RAG.INVALID_INPUT`, `RAG.NODE_NOT_FOUND`
 */
export function callers(rag: Rag, input: ReachInput): Promise<Reach> {
  return reach(rag, input, { types: ['Calls'], back: true, depth: 1 });
}

/**
 * The nodes that a node calls; with `depth`, also those that it calls through others. A depth of 1 when absent.
 * @throws {SuiteError} `RAG.INVALID_INPUT`, `RAG.NODE_NOT_FOUND`
 */
export function callees(rag: Rag, input: ReachInput): Promise<Reach> {
  return reach(rag, input, { types: ['Calls'], back: false, depth: 1 });
}

/**
 * The nodes that implement, inherit or override a node, directly or through others. A depth of 50 when absent.
 * @throws {SuiteError} `RAG.INVALID_INPUT`, `RAG.NODE_NOT_FOUND`
 */
export function implementations(rag: Rag, input: ReachInput): Promise<Reach> {
  return reach(rag, input, { types: ['Implements', 'Inherits', 'Overrides'], back: true, depth: MAX_DEPTH });
}

/**
 * The nodes that a change of a node can change: those that depend on it over edges of any type but Contains, directly or through
 * others. A depth of 5 when absent.
 * @throws {SuiteError} `RAG.INVALID_INPUT`, `RAG.NODE_NOT_FOUND`
 */
export function impact(rag: Rag, input: ReachInput): Promise<Reach> {
  return reach(rag, input, { types: DEPENDENCIES, back: true, depth: 5 });
}

export interface PathInput {
  readonly fromId: string;
  readonly toId: string;
  /** All but Contains when absent. */
  readonly types?: readonly EdgeType[];
  /** The most edges, 1 to 50; 20 when absent. */
  readonly depth?: number;
}

const pathInput = z.strictObject({
  fromId: uuidInput,
  toId: uuidInput,
  types: z
    .array(z.enum(EDGE_TYPES))
    .min(1)
    .default([...DEPENDENCIES]),
  depth: z.int().min(1).max(MAX_DEPTH).default(20),
});

/**
 * The nodes of a shortest path along the edges, with both ends; empty when there is none.
 * @throws {SuiteError} `RAG.INVALID_INPUT`, `RAG.NODE_NOT_FOUND`
 */
export async function findPath(rag: Rag, input: PathInput): Promise<readonly ReachedNode[]> {
  const { fromId, toId, types, depth } = readInput(pathInput, input);
  const text = `SELECT n.*, p.depth FROM graph_path($1, $2, $3, $4) AS p JOIN code_nodes AS n ON n.id = p.node_id ORDER BY p.depth`;
  const nodes = await rowsFor<ReachedNode>(rag, text, [fromId, toId, types, depth]);
  if (nodes.length === 0) for (const nodeId of [fromId, toId]) await getNode(rag, { nodeId });
  return nodes;
}
