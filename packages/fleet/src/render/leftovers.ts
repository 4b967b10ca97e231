import { countOf } from '../operations/fleet';
import type { CleanupReport, LeftoverCount, LeftoverSummary, ListedLeftover } from '../operations/leftovers';
import { sizeText } from '../system/quantities';
import { errorData, errorText } from './fleet';
import { table } from './table';

const LIST = 'npx azora-db cleanup';
const REMOVE = `${LIST} --yes`;
const HOUR_MS = 3_600_000;

/** A line for the copies and one for the remnants, if there are any, with the command that removes them. */
export function leftoverLines(summary: LeftoverSummary, now: Date): readonly string[] {
  const { copies, remnants, unknown } = summary;
  return [
    ...(copies.count === 0
      ? []
      : [
          `kept after restores: ${countText(copies, 'copy', 'copies', now)}; list with "${LIST}", remove with "${REMOVE}", which asks first on a server that is not embedded`,
        ]),
    ...(remnants.count === 0
      ? []
      : [`left by killed runs: ${countText(remnants, 'remnant', 'remnants', now)}; remove with "${REMOVE}"`]),
    ...(unknown.count === 0
      ? []
      : [
          `unfinished work of another machine or container: ${countText(unknown, 'remnant', 'remnants', now)}; list with "${LIST}"`,
        ]),
  ];
}

function countText({ count, bytes, oldest }: LeftoverCount, one: string, many: string, now: Date): string {
  const size = bytes === 0 ? [] : [sizeText(bytes)];
  const age = oldest === null ? [] : [`oldest ${ageText(oldest, now)}`];
  return [`${count.toLocaleString('en')} ${count === 1 ? one : many}`, ...size, ...age].join(', ');
}

export function cleanupData({ removed, kept, problems, done }: CleanupReport) {
  return { ok: problems.length === 0, done, bytes: sumOf(removed), removed, kept, problems: problems.map(errorData) };
}

/** A table of the removals with sizes, then the leftovers that stay and why, and the failures. */
export function cleanupText({ removed, kept, problems, done }: CleanupReport, now: Date): string {
  const nothing = `nothing to remove${kept.length === 0 ? '' : '; see above what stays'}`;
  const verb = done ? 'removed' : 'would be removed';
  const total = `${countOf(removed.length, 'item')} ${verb}, ${sizeText(sumOf(removed))}`;
  return [
    removed.length === 0 ? '' : listText(removed, now),
    ...kept.map((it) => `kept: ${it.name} (${it.what}, ${reasonOf(it)})`),
    ...problems.map(errorText),
    removed.length === 0 ? nothing : total,
    done || removed.length === 0 ? '' : removeText(removed),
  ]
    .filter((line) => line !== '')
    .join('\n');
}

function removeText(listed: readonly ListedLeftover[]): string {
  const isAsked = listed.some(({ kind, server }) => kind === 'copy' && server !== null);
  return `Add --yes to remove them${isAsked ? '; on a server that is not embedded, the command then asks first' : ''}`;
}

function listText(listed: readonly ListedLeftover[], now: Date): string {
  const rows = listed.map(({ service, what, since, bytes, name, server }) => [
    service ?? '',
    what,
    since === null ? '' : ageText(since, now),
    bytes === null ? '' : sizeText(bytes),
    server === null ? name : `${name} on ${server}`,
  ]);
  return table(['service', 'kind', 'age', 'size', 'name'], rows);
}

function reasonOf({ kind, state, since }: ListedLeftover): string {
  if (state === 'in-use') return 'in use';
  if (state === 'unknown') return 'a run on another machine or in another container may still use it';
  return kind === 'copy' && since === null ? 'its age is unknown' : 'younger than asked';
}

/** What the restore did with older copies. */
export function expiredText(removed: readonly string[]): string {
  if (removed.length === 0) return '';
  const copies = `${removed.length} older ${removed.length === 1 ? 'copy' : 'copies'} of replaced data`;
  return `removed ${copies} (AZORA_KEEP_REPLACED): ${removed.join(', ')}`;
}

function sumOf(listed: readonly ListedLeftover[]): number {
  return listed.reduce((sum, { bytes }) => sum + (bytes ?? 0), 0);
}

function ageText(since: string, now: Date): string {
  const hours = Math.max(0, now.getTime() - Date.parse(since)) / HOUR_MS;
  if (hours < 1) return countOf(Math.floor(hours * 60), 'minute');
  return hours < 48 ? countOf(Math.floor(hours), 'hour') : countOf(Math.floor(hours / 24), 'day');
}
