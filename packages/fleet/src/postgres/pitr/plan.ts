import { stat } from 'node:fs/promises';
import path from 'node:path';
import { type ArchiveRecord, type Area, archivedNames } from './area';
import { type BaseBackup, listBases } from './bases';
import { afterEnd, beforeFirstBase, unknownTimeline } from './errors';
import { microseconds, type Target, targetText } from './target';
import {
  isInPast,
  type Lsn,
  lsnText,
  parseLsn,
  reachFrom,
  readLineage,
  type Stretch,
  segmentIndex,
  timelinesIn,
} from './wal';

/** A base backup, and how far the archive leads on from it along a timeline. */
export interface Reach {
  readonly base: BaseBackup;
  readonly end: Lsn;
  /** When the last segment was archived: nothing in the archive was committed later. */
  readonly endTime: string | undefined;
}

/** The base backups that lead to the timeline, oldest first. */
export async function readReaches(area: Area, record: ArchiveRecord, timeline: number): Promise<readonly Reach[]> {
  const names = await archivedNames(area);
  const lineage = await lineageOf(area, names, timeline, record);
  const bases = (await listBases(area)).filter(
    ({ systemId, timeline: own, stopLsn }) => systemId === record.systemId && isInPast(lineage, own, parseLsn(stopLsn)),
  );
  return Promise.all(
    bases.map(async (base) => {
      const from = segmentIndex(base.startSegment, record.segmentBytes);
      const { end, last } = reachFrom(names, lineage, from, record.segmentBytes);
      const archivedAt = last === undefined ? undefined : (await stat(path.join(area.wal, last))).mtime;
      return { base, end, endTime: archivedAt === undefined ? undefined : microseconds(archivedAt) };
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
  throw beforeFirstBase(targetText(target), target.kind === 'lsn' ? first?.stopLsn : first?.stoppedAt);
}

/**
 * Refuses what is still to come.
 * @throws {SuiteError} `PITR.TARGET_AFTER_END`
 */
export function refuseFuture(target: Target, now: { readonly time: string; readonly lsn: Lsn | undefined }): void {
  const text = targetText(target);
  if (target.kind === 'time' && target.time > now.time) throw afterEnd(text, `${now.time}, which is now`);
  if (target.kind === 'lsn' && now.lsn !== undefined && target.lsn > now.lsn) {
    throw afterEnd(text, `${lsnText(now.lsn)}, which is now`);
  }
}

/**
 * Refuses what the archive does not lead to without a gap.
 * @throws {SuiteError} `PITR.TARGET_AFTER_END`
 */
export function refuseBeyond(target: Target, { base, end, endTime }: Reach): void {
  const isShort = end < parseLsn(base.stopLsn);
  if (isShort || (target.kind === 'lsn' && target.lsn >= end)) throw afterEnd(targetText(target), lsnText(end));
  if (target.kind === 'time' && target.time > (endTime ?? '')) throw afterEnd(targetText(target), endTime ?? 'nowhere');
}

function isAfter(target: Target, { stopLsn, stoppedAt }: BaseBackup): boolean {
  if (target.kind === 'latest') return true;
  return target.kind === 'lsn' ? parseLsn(stopLsn) <= target.lsn : stoppedAt <= target.time;
}

async function lineageOf(
  area: Area,
  names: ReadonlySet<string>,
  timeline: number,
  record: ArchiveRecord,
): Promise<readonly Stretch[]> {
  const known = [...new Set([...timelinesIn(names), record.timeline])];
  if (!known.includes(timeline)) throw unknownTimeline(timeline, known);
  return readLineage(area.wal, timeline);
}
