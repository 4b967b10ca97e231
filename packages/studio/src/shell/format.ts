const UNITS = ['B', 'kB', 'MB', 'GB', 'TB'];
const UNKNOWN = '-';

/** `8.0 MB`, where 1 kB is 1,024 bytes; like `sizeText` of the toolkit, which a page cannot import. */
export function formatBytes(count: number | null | undefined): string {
  if (count === null || count === undefined) return UNKNOWN;
  let [value, unit] = [count, 0];
  while (value >= 1023.5 && unit < UNITS.length - 1) [value, unit] = [value / 1024, unit + 1];
  return `${value.toFixed(unit === 0 || value >= 99.95 ? 0 : 1)} ${UNITS[unit]}`;
}

/** `2,000,000`. */
export function formatCount(value: number | null | undefined): string {
  return value === null || value === undefined ? UNKNOWN : Math.round(value).toLocaleString('en');
}

/** `1 row`, `2,000,000 rows`. */
export function formatRows(value: number | null | undefined): string {
  return `${formatCount(value)} ${value === 1 ? 'row' : 'rows'}`;
}

/** `99.3 %`, of a ratio between 0 and 1. */
export function formatPercent(ratio: number | null | undefined): string {
  return ratio === null || ratio === undefined ? UNKNOWN : `${(ratio * 100).toFixed(1)} %`;
}

/** `3 h`: the largest unit that fits; like `durationText` of the toolkit. */
export function formatDuration(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined) return UNKNOWN;
  if (seconds < 0.9995) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 10) return `${Number(seconds.toFixed(1))} s`;
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} days`;
}

/** `3 h ago`. */
export function formatAge(moment: string): string {
  return `${formatDuration(Math.max(0, (Date.now() - Date.parse(moment)) / 1000))} ago`;
}
