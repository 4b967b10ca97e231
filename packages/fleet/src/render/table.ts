import Table from 'cli-table3';

const GAP = 2;

/**
 * A table of columns aligned with spaces, without frames, so that a pipe can cut and search its lines. On a terminal that is
 * too narrow, long cells wrap between words. If even that does not fit, each row is a block of lines under its first cell.
 */
export function table(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  width: number = terminalWidth(),
): string {
  const columns = head.map((title, index) => [title, ...rows.map((row) => row[index] ?? '')]);
  const widths = widthsWithin(columns, width);
  return widths === undefined ? blocks(head, rows, width) : aligned(head, rows, widths);
}

/** Infinity where no terminal shows the output: a pipe gets every row on one line. */
function terminalWidth(): number {
  const { isTTY, columns } = process.stdout;
  return isTTY && columns > 0 ? columns : Number.POSITIVE_INFINITY;
}

/** The widths of the columns; undefined if they are too narrow for the longest words. */
function widthsWithin(columns: readonly (readonly string[])[], width: number): readonly number[] | undefined {
  const longest = (cells: readonly string[]) => Math.max(...cells.map((cell) => cell.length));
  const widths = columns.map(longest);
  const least = columns.map((cells) => longest(cells.flatMap((cell) => cell.split(' '))));
  for (let excess = sum(widths) + GAP * (columns.length - 1) - width; excess > 0; excess -= 1) {
    // One character at a time from the column with most room, so that the wide columns become about equal.
    const room = widths.map((it, index) => it - (least[index] ?? it));
    const widest = room.indexOf(Math.max(...room));
    if ((room[widest] ?? 0) <= 0) return undefined;
    widths[widest] = (widths[widest] ?? 0) - 1;
  }
  return widths;
}

function aligned(head: readonly string[], rows: readonly (readonly string[])[], widths: readonly number[]): string {
  const blank = '';
  const chars = {
    top: blank,
    'top-mid': blank,
    'top-left': blank,
    'top-right': blank,
    bottom: blank,
    'bottom-mid': blank,
    'bottom-left': blank,
    'bottom-right': blank,
    left: blank,
    'left-mid': blank,
    mid: blank,
    'mid-mid': blank,
    right: blank,
    'right-mid': blank,
    middle: ' '.repeat(GAP),
  };
  const drawn = new Table({
    head: [...head],
    chars,
    // A width of 0 would mean that the library chooses one.
    colWidths: widths.map((it) => Math.max(1, it)),
    wordWrap: true,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
  });
  drawn.push(...rows.map((row) => [...row]));
  return withoutTrailingSpaces(drawn.toString());
}

/** Each row as its first cell, and below it the other cells with their titles, as many on a line as fit. */
function blocks(head: readonly string[], rows: readonly (readonly string[])[], width: number): string {
  return rows
    .map(([first = '', ...cells]) => {
      const pairs = cells.flatMap((cell, index) => (cell === '' ? [] : [`${head[index + 1]}: ${cell}`]));
      const lines: string[] = [];
      for (const pair of pairs) {
        const line = lines.at(-1);
        const joined = `${line}${' '.repeat(GAP)}${pair}`;
        if (line !== undefined && joined.length + GAP <= width) lines[lines.length - 1] = joined;
        else lines.push(pair);
      }
      return [first, ...lines.map((line) => `${' '.repeat(GAP)}${line}`)].join('\n');
    })
    .join('\n');
}

function withoutTrailingSpaces(text: string): string {
  return text
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
