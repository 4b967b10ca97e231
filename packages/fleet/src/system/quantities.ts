const SIZE_UNITS = ['B', 'kB', 'MB', 'GB', 'TB'];
const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** A size in PostgreSQL's units, where 1 kB is 1,024 bytes: `8.0 MB`, `512 kB`. */
export function sizeText(bytes: number): string {
  let [value, unit] = [bytes, 0];
  // The limit is below 1024, so that no value is rounded up to 1024.
  while (value >= 1023.5 && unit < SIZE_UNITS.length - 1) [value, unit] = [value / 1024, unit + 1];
  return `${value.toFixed(unit === 0 || value >= 99.95 ? 0 : 1)} ${SIZE_UNITS[unit]}`;
}

/** A duration in the largest unit that fits: `840 ms`, `4.2 s`, `75 s`, `3 min`, `5 h`, `2 days`. */
export function durationText(milliseconds: number): string {
  if (milliseconds < SECOND_MS - 0.5) return `${Math.round(milliseconds)} ms`;
  if (milliseconds < 10 * SECOND_MS) return `${Number((milliseconds / SECOND_MS).toFixed(1))} s`;
  if (milliseconds < 90 * SECOND_MS) return `${Math.round(milliseconds / SECOND_MS)} s`;
  if (milliseconds < 90 * MINUTE_MS) return `${Math.round(milliseconds / MINUTE_MS)} min`;
  if (milliseconds < 2 * DAY_MS) return `${Math.round(milliseconds / HOUR_MS)} h`;
  return `${Math.round(milliseconds / DAY_MS)} days`;
}
