import Table from 'cli-table3';

/** A table of columns aligned with spaces, without frames, so that a pipe can cut and search its lines. */
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

/** A size in binary units, as PostgreSQL shows it. */
export function sizeText(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  const step = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(bytes, 1)) / 10));
  return `${(bytes / 1024 ** step).toFixed(step === 0 ? 0 : 1)} ${units[step]}`;
}
