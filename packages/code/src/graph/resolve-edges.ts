import type { CodeEdge, FileFacts } from '../syntax/facts';
import { openCodeGraph } from './code-graph';

/**
 * Looks up the names in the facts of all files of a tree and returns the edges between their definitions, in the order of their
 * ids. A name whose target is not clear is left out.
 */
export function resolveEdges(files: readonly FileFacts[]): readonly CodeEdge[] {
  const graph = openCodeGraph();
  graph.update({ changed: files, removed: [] });
  return graph.edges();
}
