import type { Drill } from '../operations/backup/drill';
import { countOf } from '../operations/fleet';
import { durationText } from '../system/quantities';

/** The result of a drill in one line. */
export function drillText({ set, ok, rtoSeconds, rpoSeconds, databases, rows, problems, error }: Drill): string {
  if (error !== null) return `the drill failed: ${error.message} (${error.code})`;
  const compared = `${countOf(databases, 'database')} with ${countOf(rows, 'row')} restored in ${secondsText(rtoSeconds)}`;
  const verdict = ok ? '' : `, with ${countOf(problems, 'problem')}`;
  return `drill with ${set}: ${compared} and compared${verdict}; the data was ${secondsText(rpoSeconds)} old`;
}

/** The same for `status`, with the age of the drill. */
export function lastDrillText(drill: Drill, now: Date): string {
  const age = durationText(Math.max(0, now.getTime() - Date.parse(drill.at)));
  return `backups: ${age} ago, ${drillText(drill)}`;
}

function secondsText(seconds: number | null): string {
  return durationText((seconds ?? 0) * 1_000);
}
