import type { Reach } from '../graph.store';
import type { IndexResult } from '../indexing/index-workspace';
import type { Verification } from '../indexing/verify-workspace';
import type { CodeNode } from '../rows';
import type { FoundChunk } from '../search.store';

const MAX_LISTED = 20;

/** What an index has changed. */
export function indexedText(path: string, result: IndexResult): string {
  const { files, indexed, removed, skipped, isComplete, chunks, graph } = result;
  const written = graph.nodesWritten + graph.edgesWritten + graph.nodesDeleted + graph.edgesDeleted;
  const isSame = indexed === 0 && removed === 0 && written === 0;
  const lines = [
    isSame
      ? `${path}: nothing has changed, ${counted(files, 'file')} indexed`
      : `${path}: read ${counted(indexed, 'file')} of ${counted(files, 'file')}, removed ${removed}`,
    ...(isSame
      ? []
      : [
          `  chunks: ${chunks.added} added, ${chunks.updated} updated, ${chunks.deleted} deleted, ${counted(chunks.embedded, 'text')} embedded`,
          `  graph: ${counted(graph.nodesWritten, 'node')} and ${counted(graph.edgesWritten, 'edge')} written, ${graph.nodesDeleted} and ${graph.edgesDeleted} deleted`,
        ]),
    ...listed(skipped.map((file) => `  skipped ${file.path}: ${file.reason}`)),
    ...(isComplete ? [] : ['  some files changed while they were read; run the command again']),
  ];
  return lines.join('\n');
}

/** Chunks with their scores and places, the best first. */
export function foundText(chunks: readonly FoundChunk[]): string {
  if (chunks.length === 0) return 'Nothing was found';
  return chunks
    .map(({ score, sourcePath, contentId, metadata, title, content }) => {
      const [start, end] = [metadata?.['startLine'], metadata?.['endLine']];
      const place = `${sourcePath ?? contentId}${start === undefined ? '' : `:${start}-${end}`}`;
      const first = content.split('\n').find((line) => line.trim() !== '') ?? '';
      return `${score.toFixed(2)}  ${place}${title === null ? '' : `  ${title}`}\n      ${first.trim().slice(0, 100)}`;
    })
    .join('\n');
}

/** For each definition of a name, those that the relation reaches. */
export function graphText(
  name: string,
  relation: string,
  found: readonly (Reach & { readonly node: CodeNode })[],
  similar: readonly CodeNode[],
): string {
  if (found.length === 0) {
    const names = [...new Set(similar.map((node) => node.name))].slice(0, MAX_LISTED);
    return [
      `No definition is named ${name}`,
      ...(names.length === 0 ? [] : [`Similar names: ${names.join(', ')}`]),
    ].join('\n');
  }
  return found
    .map(({ node, nodes, isComplete }) => {
      const lines = nodes.map((reached) => `  ${reached.depth}  ${placeOf(reached)}`);
      const more = isComplete ? [] : ['  … and more'];
      return [`${relation} of ${placeOf(node)}: ${nodes.length}`, ...lines, ...more].join('\n');
    })
    .join('\n');
}

/** Whether the tables equal an index from scratch, and where not. */
export function verifiedText(path: string, { isEqual, differences, differing, rows }: Verification): string {
  const counts = Object.entries(rows).map(([table, count]) => `${count.toLocaleString('en')} in ${table}`);
  if (isEqual) return `${path}: the index equals one from scratch (${counts.join(', ')})`;
  const lines = differences.map(({ table, kind, row, columns }) => {
    return `  ${table}: ${kind} ${row}${columns.length === 0 ? '' : ` (${columns.join(', ')})`}`;
  });
  return [`${path}: ${counted(differing, 'row')} differ from an index from scratch`, ...listed(lines)].join('\n');
}

function placeOf({ fullyQualifiedName, filePath, startLine }: CodeNode): string {
  return `${fullyQualifiedName}  ${filePath ?? ''}${startLine === null ? '' : `:${startLine}`}`;
}

function listed(lines: readonly string[]): readonly string[] {
  if (lines.length <= MAX_LISTED) return lines;
  return [...lines.slice(0, MAX_LISTED), `  … and ${lines.length - MAX_LISTED} more; --json lists all`];
}

function counted(number: number, noun: string): string {
  return `${number.toLocaleString('en')} ${noun}${number === 1 ? '' : 's'}`;
}
