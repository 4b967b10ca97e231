import { hash } from 'node:crypto';
import path from 'node:path';
import type { CodeEdge, Definition, FileFacts, NodeKind, SemanticOptions } from '@azora/code';
import type { EdgeType, GraphEdgeInput, GraphNodeInput, NodeType } from '../graph.store';
import { shortened } from './file-chunks';
import type { CodeReader } from './reader';

const MAX_KEY = 2_000;
const MAX_NAME = 500;
const MAX_QUALIFIED_NAME = 1_000;
const MAX_QUALIFIED_NAME_BYTES = 2_600;
const MAX_SIGNATURE = 10_000;
const MAX_DOCUMENTATION = 100_000;

const NODE_TYPE: Readonly<Record<NodeKind, NodeType>> = {
  file: 'Module',
  namespace: 'Namespace',
  class: 'Class',
  interface: 'Interface',
  struct: 'Struct',
  record: 'Record',
  enum: 'Enum',
  // The data model has no type for aliases; the metadata says the kind.
  type: 'Interface',
  function: 'Function',
  method: 'Method',
  constructor: 'Constructor',
  property: 'Property',
  field: 'Field',
  variable: 'Field',
};

const EDGE_TYPE: Readonly<Record<CodeEdge['kind'], EdgeType>> = {
  contains: 'Contains',
  implements: 'Implements',
  inherits: 'Inherits',
  calls: 'Calls',
  references: 'References',
  returns: 'Returns',
  overrides: 'Overrides',
};

/** The languages whose edges the types of the compiler decide. */
const SEMANTIC: ReadonlySet<string | undefined> = new Set(['typescript', 'tsx', 'javascript']);

/** Whether a file is in the graph: code, or what says where the packages of Go are. */
export function isInGraph(code: CodeReader, file: string): boolean {
  return code.languageOf(file) !== undefined || path.posix.basename(file) === 'go.mod';
}

/** The edges of a file, and their hash. */
export interface FileEdges {
  readonly edges: readonly GraphEdgeInput[];
  readonly edgesHash: string;
}

/** The graph of all files of a tree, resolved in memory. */
export interface TreeGraph {
  /** Reads the nodes of a file. After the last file, `resolve` finds the edges. */
  add(file: string, text: string): Promise<readonly GraphNodeInput[]>;
  resolve(options?: SemanticOptions): Promise<void>;
  edgesOf(file: string): FileEdges;
}

/** @param root the absolute path of the tree, below which the compiler finds the types of packages */
export function openTreeGraph(code: CodeReader, root: string): TreeGraph {
  const semantic = code.openSemanticGraph(root);
  const syntactic = code.openCodeGraph();
  const scripts: { readonly facts: FileFacts; readonly text: string }[] = [];
  const others: FileFacts[] = [];
  const isScript = new Set<string>();
  return {
    add: async (file, text) => {
      const facts = await code.readSymbols(file, text);
      if (SEMANTIC.has(facts.language)) {
        scripts.push({ facts, text });
        isScript.add(file);
      } else others.push(facts);
      return facts.definitions.map((definition) => nodeOf(definition, facts));
    },
    resolve: async (options) => {
      await semantic.update({ changed: scripts, removed: [] }, options);
      syntactic.update({ changed: others, removed: [] });
    },
    edgesOf: (file) => {
      const edges = (isScript.has(file) ? semantic : syntactic).edgesOf(file).map(edgeOf);
      return { edges, edgesHash: hash('sha256', JSON.stringify(edges)) };
    },
  };
}

function nodeOf(definition: Definition, { language }: FileFacts): GraphNodeInput {
  const { id, kind, name, scopedName, startLine, endLine, signature, documentation } = definition;
  const qualifiedName = definition.qualifiedName.trim() === '' ? id : definition.qualifiedName;
  return {
    key: keyOf(id),
    name: shortened([name, scopedName, id].find((it) => it.trim() !== '') ?? id, MAX_NAME),
    qualifiedName: shortened(
      qualifiedName,
      Buffer.byteLength(qualifiedName) > MAX_QUALIFIED_NAME_BYTES ? MAX_QUALIFIED_NAME_BYTES / 4 : MAX_QUALIFIED_NAME,
    ),
    type: NODE_TYPE[kind],
    startLine,
    endLine: Math.max(startLine, endLine),
    ...textField('signature', signature, MAX_SIGNATURE),
    ...textField('documentation', documentation, MAX_DOCUMENTATION),
    metadata: { kind, ...(language !== undefined && { language }) },
  };
}

function edgeOf({ kind, from, to, line }: CodeEdge): GraphEdgeInput {
  return { from: keyOf(from), to: keyOf(to), type: EDGE_TYPE[kind], metadata: { line } };
}

/** The id of a definition, or its hash behind its path when it is too long. */
function keyOf(id: string): string {
  return id.length <= MAX_KEY ? id : `${id.slice(0, id.indexOf('#') + 1)}${hash('sha256', id)}`;
}

/** An optional text field, left out when it is blank. */
function textField<Name extends string>(name: Name, text: string | undefined, max: number) {
  if (text === undefined || text.trim() === '') return {};
  return { [name]: shortened(text.toWellFormed(), max) } as Readonly<Record<Name, string>>;
}
