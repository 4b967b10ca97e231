import type { Definition } from '../syntax/facts';
import { languageOf } from '../syntax/parse';
import { readSymbols } from '../syntax/read-symbols';
import type { Chunk } from './chunk';
import { markdownUnits } from './markdown-units';
import { type Lines, linesOf, pack, type Unit } from './pack';

/**
 * Cuts a file into chunks of at most MAX_CHUNK_CHARACTERS characters, for embeddings. A definition that fits is never cut, and has
 * its comments with it; one that does not fit is cut between the definitions inside it, else at empty lines. Markdown is cut at its
 * headings, other text at empty lines. The result depends on the path's extension and the text only.
 * @throws {SuiteError} CODE.GRAMMAR_MISSING
 */
export async function chunkFile(path: string, text: string): Promise<readonly Chunk[]> {
  if (text === '') return [];
  const lines = linesOf(text);
  if (/\.(md|markdown)$/i.test(path)) return pack(lines, markdownUnits(lines), 'text');
  if (languageOf(path) === undefined) return pack(lines, [], 'text');
  const { definitions } = await readSymbols(path, text);
  return pack(lines, unitsOf(lines, definitions), 'code');
}

/** The definitions as nested units; definitions that share a line are one unit. */
function unitsOf(lines: Lines, definitions: readonly Definition[]): readonly Unit[] {
  const sorted = definitions
    .filter(({ kind }) => kind !== 'file')
    .map(({ startLine, endLine, kind, scopedName }) => ({
      startLine,
      endLine: Math.min(endLine, lines.count),
      kind,
      name: scopedName,
    }))
    .sort((one, other) => one.startLine - other.startLine || other.endLine - one.endLine);
  const nest = (from: number, end: number): { readonly units: Unit[]; readonly next: number } => {
    const units: Unit[] = [];
    let at = from;
    for (let next = sorted[at]; next !== undefined && next.startLine <= end; next = sorted[at]) {
      const before = units.at(-1);
      if (before !== undefined && next.startLine <= before.endLine) {
        units[units.length - 1] = { ...before, endLine: Math.max(before.endLine, Math.min(next.endLine, end)) };
        at += 1;
        continue;
      }
      const own = { ...next, endLine: Math.min(next.endLine, end) };
      const inner = nest(at + 1, own.endLine);
      units.push({ ...own, units: inner.units });
      at = inner.next;
    }
    return { units, next: at };
  };
  return nest(0, lines.count).units;
}
