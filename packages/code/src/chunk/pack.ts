import type { Chunk } from './chunk';

/** About 500 tokens of code: embedding models of 512 tokens see a chunk whole. */
export const MAX_CHUNK_CHARACTERS = 2_000;
/** Smaller parts are joined with their neighbors: alone they say too little. */
const MIN_CHUNK_CHARACTERS = 200;

/** The lines of a text, by number from 1; each has its line break. */
export interface Lines {
  readonly count: number;
  text(startLine: number, endLine: number): string;
  size(startLine: number, endLine: number): number;
  isBlank(line: number): boolean;
}

/** A part that stays together when it fits, and the parts inside it. */
export interface Unit {
  readonly startLine: number;
  readonly endLine: number;
  readonly kind: Chunk['kind'];
  readonly name: string | undefined;
  readonly units: readonly Unit[];
}

type Part = Omit<Unit, 'units'>;

export function linesOf(text: string): Lines {
  const starts = [0];
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
  // The line break at the end does not start another line.
  if (starts.at(-1) === text.length) starts.pop();
  const start = (line: number) => starts[line - 1] ?? text.length;
  return {
    count: starts.length,
    text: (first, last) => text.slice(start(first), start(last + 1)),
    size: (first, last) => start(last + 1) - start(first),
    isBlank: (line) => text.slice(start(line), start(line + 1)).trim() === '',
  };
}

/** Covers all lines with chunks: the units, and the lines between them as parts of kind `rest`. */
export function pack(lines: Lines, units: readonly Unit[], rest: 'code' | 'text'): readonly Chunk[] {
  const parts = cover(lines, units, 1, lines.count, rest);
  return join(lines, parts, rest).flatMap((part) => cutLongLine(lines, part));
}

/** Parts that cover the lines from `first` to `last`; each fits, unless it is a single line. */
function cover(
  lines: Lines,
  units: readonly Unit[],
  first: number,
  last: number,
  rest: 'code' | 'text',
  name?: string,
): Part[] {
  const parts: Part[] = [];
  let line = first;
  for (const unit of units) {
    if (unit.startLine > line)
      parts.push(...split(lines, { startLine: line, endLine: unit.startLine - 1, kind: rest, name }));
    const fits = lines.size(unit.startLine, unit.endLine) <= MAX_CHUNK_CHARACTERS;
    if (fits || unit.units.length === 0) parts.push(...split(lines, unit));
    else parts.push(...cover(lines, unit.units, unit.startLine, unit.endLine, rest, unit.name));
    line = unit.endLine + 1;
  }
  if (line <= last) parts.push(...split(lines, { startLine: line, endLine: last, kind: rest, name }));
  return parts;
}

/** Cuts a part that does not fit: at the last empty line that does, else at the last line. */
function split(lines: Lines, { startLine, endLine, kind, name }: Part): readonly Part[] {
  const parts: Part[] = [];
  for (let from = startLine; from <= endLine; ) {
    let to = from;
    let blank: number | undefined;
    while (to < endLine && lines.size(from, to + 1) <= MAX_CHUNK_CHARACTERS) {
      to += 1;
      if (lines.isBlank(to)) blank = to;
    }
    const end = to < endLine && blank !== undefined && lines.size(from, blank) >= MIN_CHUNK_CHARACTERS ? blank : to;
    parts.push({ startLine: from, endLine: end, kind, name });
    from = end + 1;
  }
  return parts;
}

/** Joins small parts with the part after them, else with the one before, as long as the result fits. */
function join(lines: Lines, parts: readonly Part[], rest: 'code' | 'text'): readonly Part[] {
  const joined: Part[] = [];
  for (const part of parts) {
    const before = joined.at(-1);
    const isSmall = (it: Part) => lines.size(it.startLine, it.endLine) < MIN_CHUNK_CHARACTERS;
    const fits = before !== undefined && lines.size(before.startLine, part.endLine) <= MAX_CHUNK_CHARACTERS;
    if (before !== undefined && fits && (isSmall(before) || isSmall(part)))
      joined[joined.length - 1] = merge(before, part, rest);
    else joined.push(part);
  }
  return joined;
}

/** A part is about its definition; of two definitions it is about neither. */
function merge(one: Part, other: Part, rest: 'code' | 'text'): Part {
  const lines = { startLine: one.startLine, endLine: other.endLine };
  if (one.kind === rest && other.kind === rest) return { ...lines, kind: rest, name: one.name ?? other.name };
  if (one.kind === rest) return { ...other, ...lines };
  if (other.kind === rest) return { ...one, ...lines };
  return { ...lines, kind: one.kind === other.kind ? one.kind : rest, name: one.name };
}

/** Cuts a single line that does not fit, never inside a surrogate pair. */
function cutLongLine(lines: Lines, { startLine, endLine, kind, name }: Part): readonly Chunk[] {
  const text = lines.text(startLine, endLine);
  const chunks: Chunk[] = [];
  for (let from = 0; from < text.length; ) {
    let to = Math.min(text.length, from + MAX_CHUNK_CHARACTERS);
    const last = text.charCodeAt(to - 1);
    if (to < text.length && last >= 0xd800 && last < 0xdc00) to -= 1;
    chunks.push({ text: text.slice(from, to), startLine, endLine, kind, name });
    from = to;
  }
  return chunks;
}
