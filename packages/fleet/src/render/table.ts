import Table from 'cli-table3';

/** Columns aligned by spaces, without frames, so that lines can be cut and searched in a pipe. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
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
    middle: '  ',
  };
  const drawn = new Table({
    head: [...head],
    chars,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
  });
  drawn.push(...rows.map((row) => [...row]));
  return drawn
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}
