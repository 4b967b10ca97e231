import { badTarget } from './errors';
import { type Lsn, lsnText, parseLsn } from './wal';

/** The point that a restore is to come to. */
export type Target =
  | { readonly kind: 'latest' }
  | { readonly kind: 'lsn'; readonly lsn: Lsn }
  /** To the microsecond and in UTC, so that times compare as texts. */
  | { readonly kind: 'time'; readonly time: string };

const LSN = /^[0-9a-f]{1,8}\/[0-9a-f]{1,8}$/i;
const TIME = /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d)(?::(\d\d)(?:\.(\d{1,6}))?)?\s*(Z|[+-]\d\d(?::?\d\d)?)$/i;

/**
 * Reads `--to`. A time without a zone is refused: hours off, it would restore to a point that nobody meant.
 * @throws {SuiteError} `PITR.BAD_TARGET`
 */
export function parseTarget(text: string): Target {
  const trimmed = text.trim();
  if (trimmed === 'latest') return { kind: 'latest' };
  if (LSN.test(trimmed)) return { kind: 'lsn', lsn: parseLsn(trimmed) };
  const [, day, minute, second = '00', fraction = '', zone] = TIME.exec(trimmed) ?? [];
  if (day === undefined || zone === undefined) throw badTarget(text);
  const at = new Date(`${day}T${minute}:${second}${offsetOf(zone)}`);
  // JavaScript takes the 31st of February for the 3rd of March.
  const isDay = new Date(`${day}T00:00Z`).getUTCDate() === Number(day.slice(8));
  if (Number.isNaN(at.getTime()) || !isDay) throw badTarget(text);
  return { kind: 'time', time: `${at.toISOString().slice(0, 19)}.${fraction.padEnd(6, '0')}Z` };
}

export function targetText(target: Target): string {
  if (target.kind === 'latest') return 'the end of the archive';
  return target.kind === 'lsn' ? lsnText(target.lsn) : target.time;
}

/** A time of ours as those of PostgreSQL are read here. */
export function microseconds(date: Date): string {
  return date.toISOString().replace('Z', '000Z');
}

/** ISO 8601 as JavaScript wants it: +01:00 for +01 and +0100. */
function offsetOf(zone: string): string {
  const [, hours, minutes = '00'] = /^([+-]\d\d):?(\d\d)?$/.exec(zone) ?? [];
  return hours === undefined ? 'Z' : `${hours}:${minutes}`;
}
