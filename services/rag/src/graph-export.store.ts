import { z } from 'zod';
import type { Rag } from './client';
import { invalidField, readInput } from './errors';
import { EDGE_TYPES, type EdgeType } from './graph.store';
import { filePathInput, workspaceIdInput } from './input';
import { type CodeEdge, type CodeNode, rowsFor } from './rows';
import { getWorkspace } from './workspaces.store';

const MAX_NODES = 100_000;
/** Mermaid draws no more than 500 edges by default, and nobody reads more. */
const MAX_MERMAID_NODES = 500;

export interface ExportGraphInput {
  readonly workspaceId: string;
  readonly format: 'json' | 'mermaid';
  /** Only edges of these types. */
  readonly types?: readonly EdgeType[];
  /** Only nodes of files below this folder, and edges between them. */
  readonly folder?: string;
}

const exportInput = z.strictObject({
  workspaceId: workspaceIdInput,
  format: z.enum(['json', 'mermaid']),
  types: z.array(z.enum(EDGE_TYPES)).min(1).optional(),
  folder: filePathInput.optional(),
});

const NODES = `
  SELECT id, name, fully_qualified_name, node_type, file_path, start_line, end_line, signature, documentation FROM code_nodes
  WHERE repository_path = $1 AND ($2::text IS NULL OR starts_with(file_path, $2)) ORDER BY fully_qualified_name, id LIMIT $3`;
const EDGES = `
  SELECT source_node_id, target_node_id, edge_type FROM code_edges
  WHERE source_node_id = ANY ($1::uuid[]) AND target_node_id = ANY ($1::uuid[]) AND ($2::text[] IS NULL OR edge_type = ANY ($2))
  ORDER BY source_node_id, target_node_id, edge_type`;

/**
 * The code graph of a workspace, or of a folder in it, as JSON (`{ nodes, edges }`, with ids) or as a Mermaid flowchart. Its order is
 * always the same.
 * @throws {SuiteError} `RAG.INVALID_INPUT`, also for more than 100,000 nodes or 500 for Mermaid; `RAG.WORKSPACE_NOT_FOUND`
 */
export async function exportGraph(rag: Rag, input: ExportGraphInput): Promise<string> {
  const { workspaceId, format, types, folder } = readInput(exportInput, input);
  const { path } = await getWorkspace(rag, { workspaceId });
  const most = format === 'mermaid' ? MAX_MERMAID_NODES : MAX_NODES;
  const nodes = await rowsFor<CodeNode>(rag, NODES, [path, folder === undefined ? null : `${folder}/`, most + 1]);
  if (nodes.length > most) throw invalidField('folder', `has more than ${most} nodes; pass a folder with fewer`);
  const edges = await rowsFor<CodeEdge>(rag, EDGES, [nodes.map(({ id }) => id), types ?? null]);
  return format === 'json' ? `${JSON.stringify({ nodes, edges }, null, 2)}\n` : mermaidOf(nodes, edges);
}

function mermaidOf(nodes: readonly CodeNode[], edges: readonly CodeEdge[]): string {
  const names = new Map(nodes.map(({ id }, index) => [id, `n${index}`]));
  const lines = [
    'flowchart LR',
    ...nodes.map(({ id, name, nodeType }) => `  ${names.get(id)}["${labelOf(`${nodeType} ${name}`)}"]`),
    ...edges.map(
      ({ sourceNodeId, targetNodeId, edgeType }) =>
        `  ${names.get(sourceNodeId)} -->|${edgeType.toLowerCase()}| ${names.get(targetNodeId)}`,
    ),
  ];
  return `${lines.join('\n')}\n`;
}

/** Mermaid reads entity codes in labels; everything but letters, digits and a few harmless characters becomes one. */
function labelOf(text: string): string {
  return text.replace(/[^\p{L}\p{N} ._-]/gu, (character) => `#${character.codePointAt(0)};`);
}
