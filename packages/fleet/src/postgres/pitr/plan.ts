import { stat } from 'node:fs/promises';
import path from 'node:path';
import { SuiteError } from '@azora/db-core';
import { type ArchiveLayout, type ArchiveRecord, archivedNames } from './archive-layout';
import { type BaseBackup, listBases } from './base-backup';
import {
  isInPast,
  type Lsn,
  lsnText,
  parseLsn,
  reachFrom,
  readLineage,
  type Stretch,
  segmentIndex,
  segmentName,
  segmentsBehind,
  timelinesIn,
} from './wal';

/** The point to which the server is restored. */
export type Target =
  | { readonly kind: 'latest' }
  | { readonly kind: 'lsn'; readonly lsn: Lsn }
  /** With microseconds and in UTC, so that times compare as texts. */
  | { readonly kind: 'time'; readonly time: string };

const LSN = /^[0-9a-f]{1,8}\/[0-9a-f]{1,8}$/i;
const TIME = /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d)(?::(\d\d)(?:\.(\d{1,6}))?)?\s*(Z|[+-]\d\d(?::?\d\d)?)$/i;

/**
 * Parses `--to`. A time without a zone is rejected, because the restore could go to a moment that is hours off.
 * @throws {SuiteError} `PITR.BAD_TARGET`
 */
export function parseTarget(text: string): Target {
  const trimmed = text.trim();
  if (trimmed === 'latest') return { kind: 'latest' };
  if (LSN.test(trimmed)) return { kind: 'lsn', lsn: parseLsn(trimmed) };
  const [, day, minute, second = '00', fraction = '', zone] = TIME.exec(trimmed) ?? [];
  if (day === undefined || zone === undefined) throw badTarget(text);
  const at = new Date(`${day}T${minute}:${second}${offsetOf(zone)}`);
  // JavaScript takes February 31 for March 3.
  const isDay = new Date(`${day}T00:00Z`).getUTCDate() === Number(day.slice(8));
  if (Number.isNaN(at.getTime()) || !isDay) throw badTarget(text);
  return { kind: 'time', time: `${at.toISOString().slice(0, 19)}.${fraction.padEnd(6, '0')}Z` };
}

export function targetText(target: Target): string {
  if (target.kind === 'latest') return 'the end of the archive';
  return target.kind === 'lsn' ? lsnText(target.lsn) : target.time;
}

/** A time in the format of {@link Target}. */
export function microseconds(date: Date): string {
  return date.toISOString().replace('Z', '000Z');
}

/** The zone in the only form that JavaScript accepts: +01:00 for +01 and +0100. */
function offsetOf(zone: string): string {
  const [, hours, minutes = '00'] = /^([+-]\d\d):?(\d\d)?$/.exec(zone) ?? [];
  return hours === undefined ? 'Z' : `${hours}:${minutes}`;
}

/** A base backup, and the end of the gapless log that follows it along a timeline. */
export interface Reach {
  readonly base: BaseBackup;
  readonly end: Lsn;
  /** The time at which the last segment was archived. Nothing in the archive was committed later. */
  readonly endTime: string | undefined;
  /** The first segment that the archive lacks and the newest one behind it; undefined when the archive has no gap. */
  readonly gap: { readonly missing: string; readonly newest: string } | undefined;
}

/** The base backups from which the timeline can be reached, oldest first. */
export async function readReaches(
  layout: ArchiveLayout,
  record: ArchiveRecord,
  timeline: number,
): Promise<readonly Reach[]> {
  const names = await archivedNames(layout);
  const lineage = await lineageOf(layout, names, timeline, record);
  const bases = (await listBases(layout)).filter(
    ({ systemId, timeline: own, stopLsn }) => systemId === record.systemId && isInPast(lineage, own, parseLsn(stopLsn)),
  );
  return Promise.all(
    bases.map(async (base) => {
      const from = segmentIndex(base.startSegment, record.segmentBytes);
      const { end, last } = reachFrom(names, lineage, from, record.segmentBytes);
      const archivedAt = last === undefined ? undefined : (await stat(path.join(layout.wal, last))).mtime;
      const newest = segmentsBehind(names, lineage, end, record.segmentBytes).at(-1);
      const missing = segmentName(timeline, end / BigInt(record.segmentBytes), record.segmentBytes);
      return {
        ...{ base, end, endTime: archivedAt === undefined ? undefined : microseconds(archivedAt) },
        gap: newest === undefined ? undefined : { missing, newest },
      };
    }),
  );
}

/**
 * The newest base backup that is older than the target.
 * @throws {SuiteError} `PITR.TARGET_BEFORE_BASE`
 */
export function chooseBase(target: Target, reaches: readonly Reach[]): Reach {
  const chosen = reaches.filter(({ base }) => isAfter(target, base)).at(-1);
  if (chosen !== undefined) return chosen;
  const first = reaches[0]?.base;
  const earliest = target.kind === 'lsn' ? first?.stopLsn : first?.stoppedAt;
  throw new SuiteError('PITR.TARGET_BEFORE_BASE', `No base backup is older than ${targetText(target)}`, {
    kind: 'usage',
    why: earliest === undefined ? 'This timeline has no base backup.' : `The earliest possible point is ${earliest}.`,
    next: 'Choose a later point; "npx azora-db pitr base" makes a base backup for later restores',
    meta: { target: targetText(target), first: earliest ?? null },
  });
}

/**
 * Rejects a point in the future.
 * @throws {SuiteError} `PITR.TARGET_AFTER_END`
 */
export function refuseFuture(target: Target, now: { readonly time: string; readonly lsn: Lsn | undefined }): void {
  const text = targetText(target);
  if (target.kind === 'time' && target.time > now.time) throw afterEnd(text, `${now.time}, the current time`);
  if (target.kind === 'lsn' && now.lsn !== undefined && target.lsn > now.lsn) {
    throw afterEnd(text, `${lsnText(now.lsn)}, the current end of the log`);
  }
}

/**
 * Rejects a point that the archive does not reach without a gap.
 * @throws {SuiteError} `PITR.TARGET_AFTER_END`, `PITR.ARCHIVE_GAP`
 */
export function refuseBeyond(target: Target, { base, end, endTime, gap }: Reach): void {
  const isShort = end < parseLsn(base.stopLsn);
  if (isShort || (target.kind === 'lsn' && target.lsn > end)) throw afterEnd(targetText(target), lsnText(end));
  if (target.kind === 'latest' && gap !== undefined) throw archiveGap(gap, end);
  if (target.kind === 'time' && target.time > (endTime ?? ''))
    throw afterEnd(targetText(target), endTime ?? 'the base backup only');
}

function isAfter(target: Target, { stopLsn, stoppedAt }: BaseBackup): boolean {
  if (target.kind === 'latest') return true;
  return target.kind === 'lsn' ? parseLsn(stopLsn) <= target.lsn : stoppedAt <= target.time;
}

async function lineageOf(
  layout: ArchiveLayout,
  names: ReadonlySet<string>,
  timeline: number,
  record: ArchiveRecord,
): Promise<readonly Stretch[]> {
  const known = [...new Set([...timelinesIn(names), record.timeline])];
  if (!known.includes(timeline)) {
    throw new SuiteError('PITR.UNKNOWN_TIMELINE', `The archive has no timeline ${timeline}`, {
      kind: 'usage',
      why: `The archive contains timelines ${known.join(', ')}.`,
      next: 'Leave --timeline out to follow the current timeline',
      meta: { timeline, known },
    });
  }
  return readLineage(layout.wal, timeline);
}

function badTarget(text: string): SuiteError {
  return new SuiteError('PITR.BAD_TARGET', `${JSON.stringify(text)} is not a valid point to restore to`, {
    kind: 'usage',
    why: 'It must be a time with a time zone (2026-01-31T12:00:00Z, 2026-01-31T12:00:00.5+01:00), an LSN (0/1A2B3C8) or latest.',
    next: 'Run "npx azora-db pitr status" to see which points can be restored',
    meta: { target: text },
  });
}

/** `PITR.ARCHIVE_GAP`: recovery would stop at the gap and lose what was archived behind it. */
function archiveGap({ missing, newest }: NonNullable<Reach['gap']>, end: Lsn): SuiteError {
  return new SuiteError('PITR.ARCHIVE_GAP', `The archive lacks ${missing}, but has newer segments up to ${newest}`, {
    kind: 'finding',
    why: 'A recovery ends at the gap. Nothing was changed.',
    next: `Put the missing segments back, or restore what was committed before the gap with --to ${lsnText(end)}`,
    meta: { missing, newest, end: lsnText(end) },
  });
}

function afterEnd(target: string, end: string): SuiteError {
  return new SuiteError('PITR.TARGET_AFTER_END', `${target} is after the end of the archive`, {
    kind: 'usage',
    why: `The archive ends at ${end}.`,
    next: 'Choose an earlier point, or --to latest',
    meta: { target, end },
  });
}
