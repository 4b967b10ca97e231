import { countOf } from '../operations/fleet';
import type { Coverage, enablePitr, PitrStatus, restorePitr, TakenBase, verifyPitr } from '../operations/pitr';
import { durationText, sizeText } from '../system/quantities';
import { expiredText } from './leftovers';
import { table } from './table';

type Archive = NonNullable<PitrStatus['archive']>;

export function enabledText(enabled: Awaited<ReturnType<typeof enablePitr>>): string {
  const { directory, changed, restarted, segment } = enabled;
  const restart = restarted ? '; the server was restarted' : '';
  return lines(
    changed
      ? `the write-ahead log is now archived in ${directory}${restart}`
      : `the write-ahead log is already archived in ${directory}`,
    `archived ${segment}`,
    'Next: npx azora-db pitr base',
    uncoveredText(enabled),
  );
}

export function baseText(base: TakenBase & Coverage): string {
  const { id, bytes, tookMs, stoppedAt, stopLsn, pruned } = base;
  const removed = `${countOf(pruned?.bases.length ?? 0, 'older base backup')} and ${countOf(pruned?.segments ?? 0, 'segment')}`;
  return lines(
    `base backup ${id}: ${sizeText(bytes)} in ${durationText(tookMs)}`,
    `Any moment since ${stoppedAt} (${stopLsn}) can be restored`,
    pruned === null ? '' : `removed ${removed}`,
    uncoveredText(base),
  );
}

export function restoredText(restored: Awaited<ReturnType<typeof restorePitr>>, expired: readonly string[]): string {
  const { target, base, lastCommitAt, lsn, timeline, databases, kept, tookMs } = restored;
  const commit = lastCommitAt === null ? 'no commit since the base backup' : `last commit ${lastCommitAt}`;
  return lines(
    `restored to ${target} from base backup ${base} in ${durationText(tookMs)}: ${countOf(databases, 'database')}`,
    `${commit}, end of the log ${lsn}, new timeline ${timeline}`,
    kept === null ? '' : `The replaced data is in ${kept}; "npx azora-db cleanup --yes" removes it`,
    expiredText(expired),
    uncoveredText(restored),
  );
}

export function pitrStatusText(status: PitrStatus): string {
  const { archive } = status;
  if (archive === null) return 'there is no embedded server yet; create it with npm start';
  const next = archive.bases.length === 0 ? 'Next: npx azora-db pitr base' : '';
  return lines(
    `archiving      ${archive.isEnabled ? 'on' : 'off'}${archive.isRunning ? '' : ' (the server is stopped)'}`,
    `last segment   ${lastSegmentText(archive)}`,
    `failures       ${failuresText(archive)}`,
    `disk usage     ${sizeText(archive.bytes.segments)} of log, ${sizeText(archive.bytes.bases)} of base backups`,
    `timeline       ${archive.timeline ?? 'none'}${archive.timelines.length > 1 ? ` of ${archive.timelines.join(', ')}` : ''}`,
    windowText(archive),
    gapText(archive),
    ...archive.kept.map((name) => `replaced data  ${name}`),
    archive.bases.length === 0 ? '' : `\n${basesTable(archive)}`,
    archive.isEnabled ? next : 'Next: npx azora-db pitr enable',
    uncoveredText(status),
  );
}

export function verifiedText(verified: Awaited<ReturnType<typeof verifyPitr>>): string {
  const { directory, base, segments, withoutChecksum, flaws } = verified;
  const read = `${countOf(segments, 'segment')} since base backup ${base}`;
  const next = 'Next: put the segments back, or make the later moments safe with "npx azora-db pitr base"';
  return lines(
    flaws.length === 0
      ? `the archive in ${directory} is whole: ${read}`
      : `the archive in ${directory} is not whole: ${read}`,
    ...flaws.map(({ segment, flaw }) => `${segment}: ${flaw}`),
    withoutChecksum === 0
      ? ''
      : `${countOf(withoutChecksum, 'segment')} without a checksum, archived by an earlier version`,
    flaws.length === 0 ? '' : next,
    uncoveredText(verified),
  );
}

function basesTable({ bases }: Archive): string {
  const rows = bases.map((base) => [
    base.id,
    base.stoppedAt,
    base.stopLsn,
    String(base.timeline),
    sizeText(base.bytes),
    durationText(base.tookMs),
  ]);
  return table(['base backup', 'usable since', 'LSN', 'timeline', 'size', 'took'], rows);
}

function lastSegmentText({ lastSegment }: Archive): string {
  return lastSegment === null ? 'none' : `${lastSegment.name}, ${durationText(lastSegment.ageSeconds * 1_000)} ago`;
}

function failuresText({ archiver }: Archive): string {
  if (archiver === null) return 'unknown while the server is stopped';
  if (archiver.failedCount === 0) return '0';
  const now = archiver.isFailing ? 'the newest attempt failed' : 'the newest attempt succeeded';
  return `${archiver.failedCount}, last ${archiver.lastFailed} at ${archiver.lastFailedAt?.toISOString()}; ${now}`;
}

function windowText({ window, isRunning, gap }: Archive): string {
  if (window === null) return 'can restore    nothing yet, because this timeline has no base backup';
  const { from, to } = window;
  // A restore archives the newest transactions first.
  const end =
    isRunning && (gap === null || gap === undefined)
      ? `now (archived up to ${to.time}, ${to.lsn})`
      : `${to.time} (${to.lsn})`;
  return `can restore    ${from.time} (${from.lsn}) to ${end}`;
}

function gapText({ gap }: Archive): string {
  if (gap === null || gap === undefined) return '';
  return `GAP            ${gap.missing} is missing, but newer segments up to ${gap.newest} are there; a new base backup ("npx azora-db pitr base") makes later moments safe`;
}

function uncoveredText({ uncovered }: Coverage): string {
  if (uncovered.length === 0) return '';
  const named = uncovered.map(({ service, reason }) =>
    reason === 'companion' ? `${service} (on a companion, which does not archive its log)` : `${service} (${reason})`,
  );
  return `Not covered: ${named.join(', ')}. Use "npx azora-db backup" for ${uncovered.length === 1 ? 'it' : 'them'}`;
}

function lines(...all: readonly string[]): string {
  return all.filter((line) => line !== '').join('\n');
}
