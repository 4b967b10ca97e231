/** A place in a file, as compilers print it: line and column begin at 1, columns count characters. */
export interface Place {
  readonly line: number;
  readonly column: number;
  /** The line, with a caret under the place. */
  readonly excerpt: string;
}

/** Wide enough for a statement that was written by hand, and for a line of a terminal. */
const EXCERPT_CHARACTERS = 100;
const ELLIPSIS = '…';
/** Characters that take two columns of a terminal, and characters that take none. */
const WIDE = /\p{Emoji_Presentation}|\p{Script=Han}|\p{Script=Hiragana}|\p{Script=Katakana}|\p{Script=Hangul}/u;
const WITHOUT_WIDTH = /\p{M}|\u200d/u;

/**
 * Converts PostgreSQL's position, counted in characters from 1, to an offset in a JavaScript string, counted in UTF-16
 * units: a character such as an emoji is two units.
 */
export function offsetOfCharacter(text: string, position: number): number {
  let offset = 0;
  for (let left = position - 1; left > 0 && offset < text.length; left -= 1) {
    offset += (text.codePointAt(offset) ?? 0) > 0xffff ? 2 : 1;
  }
  return offset;
}

/** The place of an offset in UTF-16 units. */
export function placeOf(text: string, offset: number): Place {
  const start = text.lastIndexOf('\n', offset - 1) + 1;
  return placeInLine(text, offset, start, text.slice(0, start).split('\n').length);
}

/** Finds the places of many offsets in one text, without counting its lines each time. */
export function placeFinder(text: string): (offset: number) => Place {
  const starts = lineStarts(text);
  return (offset) => {
    const line = countBelow(starts, offset);
    return placeInLine(text, offset, starts[line - 1] ?? 0, line);
  };
}

/** The offsets at which the lines of a text begin. */
export function lineStarts(text: string): readonly number[] {
  const starts = [0];
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
  return starts;
}

/** How many of the numbers, which ascend, are not above the limit. */
export function countBelow(ascending: readonly number[], limit: number): number {
  let [low, high] = [0, ascending.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((ascending[middle] ?? 0) <= limit) low = middle + 1;
    else high = middle;
  }
  return low;
}

function placeInLine(text: string, offset: number, start: number, line: number): Place {
  const end = text.indexOf('\n', offset);
  const before = [...text.slice(start, offset)];
  const after = [...text.slice(offset, end === -1 ? undefined : end).trimEnd()];
  return { line, column: before.length + 1, excerpt: excerptOf(line, before, after) };
}

function excerptOf(line: number, before: readonly string[], after: readonly string[]): string {
  const half = EXCERPT_CHARACTERS / 2;
  const shown = before.length > half ? [ELLIPSIS, ...before.slice(-half)] : before;
  const rest = after.length > half ? [...after.slice(0, half), ELLIPSIS] : after;
  const gutter = `${line} | `;
  return `${gutter}${[...shown, ...rest].join('')}\n${' '.repeat(gutter.length)}${shown.map(blankOf).join('')}^`;
}

function blankOf(character: string): string {
  if (character === '\t') return '\t';
  if (WITHOUT_WIDTH.test(character)) return '';
  return WIDE.test(character) ? '  ' : ' ';
}
