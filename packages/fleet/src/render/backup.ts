import type { Service } from '../config/registry';
import type { BackupReport } from '../operations/backup/create';
import type { LiveDatabase } from '../operations/backup/live-databases';
import type { RestoreReport } from '../operations/backup/restore';
import type { ListedSet, PrunedSets } from '../operations/backup/sets';
import type { NotKept, VerifyReport } from '../operations/backup/verify';
import { countOf, doneRows } from '../operations/fleet';
import { durationText, sizeText } from '../system/quantities';
import { countsText, failuresText, rowsData } from './fleet';
import { expiredText } from './leftovers';
import { table } from './table';

export function backupData({ set, location, rows, manifest }: BackupReport) {
  const { skewMs = null, fence = null, missing = [], references = [] } = manifest ?? {};
  const orphans = references.filter((reference) => reference.orphans > 0);
  return { ...rowsData(rows), set: manifest === undefined ? null : set, location, skewMs, fence, missing, orphans };
}

/** @param argument how a command names the set, for the hint to prove it; undefined when it is being proven */
export function backupText({ set, location, rows, manifest }: BackupReport, argument?: string): string {
  if (manifest === undefined) return lines(failuresText(rows), `${countsText(rows)}; no set was stored`);
  const shown = doneRows(rows).map(({ service, data }) => [
    service,
    data.unchanged === 0 ? String(data.tables) : `${data.tables} (${data.unchanged} unchanged)`,
    data.rows.toLocaleString('en'),
    sizeText(data.bytes),
    sizeText(data.storedBytes),
  ]);
  const fence = manifest.fence === null ? '' : `; writers waited ${durationText(manifest.fence.heldMs)}`;
  const { missing } = manifest;
  const all = countOf(shown.length + missing.length, 'database');
  const lacks = missing.length === 0 ? '' : `, without ${missing.map(({ service }) => service).join(', ')}`;
  return lines(
    table(['service', 'tables', 'rows', 'data', 'stored'], shown),
    failuresText(rows),
    `set ${set} in ${location}: ${missing.length === 0 ? '' : `${shown.length} of `}${all}${lacks}, snapshots within ${durationText(manifest.skewMs)}${fence}`,
    dataWarning(manifest),
    argument === undefined ? '' : `Next: prove that it can be restored with npx azora-db backup verify ${argument}`,
  );
}

/** A warning about problems in the data. The set stores the data as it is. */
function dataWarning({ references, databases }: NonNullable<BackupReport['manifest']>): string {
  const ids = references.reduce((sum, { orphans }) => sum + orphans, 0);
  const problems = databases.reduce((sum, { checks }) => sum + (checks?.problems ?? 0), 0);
  if (ids + problems === 0) return '';
  const found = [
    ...(ids === 0 ? [] : [`${countOf(ids, 'id')} of other services that did not exist`]),
    ...(problems === 0 ? [] : [`${countOf(problems, 'problem')} found by prisma/checks.sql`]),
  ];
  return `warning: the data had ${found.join(', and ')}; run "npx azora-db check" to see them`;
}

export interface ListContext {
  readonly services: readonly Service[];
  readonly now: Date;
}

export function listText(sets: readonly ListedSet[], location: string, { services, now }: ListContext): string {
  if (sets.length === 0) return `there are no backup sets in ${location}`;
  const rows = sets.map((set) => [
    set.id,
    set.isFuture ? 'in the future' : durationText(Math.max(0, now.getTime() - Date.parse(set.startedAt))),
    databasesText(set, services),
    set.rows.toLocaleString('en'),
    sizeText(set.storedBytes),
    set.encrypted ? 'yes' : 'no',
    set.masked ? 'yes' : 'no',
    set.problem ?? verifiedText(set),
  ]);
  return table(['set', 'age', 'databases', 'rows', 'stored', 'encrypted', 'masked', 'verified'], rows);
}

/** `14`, or `3 of 14` when the set lacks services of the checkout. */
function databasesText(set: ListedSet, services: readonly Service[]): string {
  const held = services.filter(({ name }) => set.services.includes(name)).length;
  if (set.services.length === 0) return '';
  return held === services.length ? String(set.services.length) : `${held} of ${services.length}`;
}

function verifiedText({ verified }: ListedSet): string {
  if (verified === null) return 'no';
  if (!verified.ok) return 'failed';
  const { restoreSeconds, warnings } = verified;
  const count = warnings.length === 0 ? '' : `, with ${countOf(warnings.length, 'warning')}`;
  return `yes${count}, restored in ${durationText(restoreSeconds * 1_000)}`;
}

export function pruneText({ kept, removed }: PrunedSets, done: boolean): string {
  if (removed.length === 0) return `nothing to remove; ${countOf(kept.length, 'set')} kept`;
  const verb = done ? 'removed' : 'would be removed';
  const next = done ? [] : ['Add --yes to remove them'];
  return lines(...removed.map((set) => `${set} ${verb}`), `${countOf(kept.length, 'set')} kept`, ...next);
}

export function verifyData(set: string, { rows, verification }: VerifyReport) {
  const ok = verification.ok && verification.notKeptBecause !== 'interrupted';
  return { ...rowsData(rows), set, ...verification, ok };
}

export function verifyText(set: string, { rows, verification }: VerifyReport): string {
  const { ok, problems, warnings, restoreSeconds, notKeptBecause } = verification;
  const verdict = ok ? 'verified' : `failed verification with ${countOf(problems.length, 'problem')}`;
  const count = doneRows(rows).reduce((sum, { data }) => sum + data.rows, 0);
  return lines(
    ...problems,
    ...warnings.map((warning) => `warning: ${warning}`),
    `set ${set} ${verdict}; restored and compared ${countOf(count, 'row')}, a restore takes ${durationText(restoreSeconds * 1_000)}`,
    notKeptBecause === null ? '' : `The result was not stored with the set, because ${NOT_KEPT[notKeptBecause]}`,
  );
}

const NOT_KEPT: Readonly<Record<NotKept, string>> = {
  part: 'only a part of the set was verified; leave out --service to verify all of it',
  interrupted: 'the verification was interrupted; run it again',
  failed: 'a server or the storage failed; correct the error above and run the command again',
  'not-stored': 'the storage did not accept it; correct the error above and run the command again',
};

export function restoreData(set: string, { rows, live }: RestoreReport, expired: readonly string[]) {
  return { ...rowsData(rows), set, databases: live, removedCopies: expired };
}

export function restoreText(set: string, { rows, live }: RestoreReport, expired: readonly string[]): string {
  const done = doneRows(rows);
  if (done.length === 0 && live.every(({ state }) => state === 'unchanged' || state === 'absent')) {
    return lines(failuresText(rows), 'nothing was restored; the live databases are unchanged');
  }
  const unfinished = live.filter(({ service }) => !done.some((row) => row.service === service));
  const shown = done.map(({ service, data }) => [
    service,
    data.rows.toLocaleString('en'),
    data.migrated.length === 0 ? '' : countOf(data.migrated.length, 'migration'),
    data.kept ?? '',
  ]);
  return lines(
    done.length === 0 ? '' : table(['service', 'rows', 'migrated', 'replaced database'], shown),
    failuresText(rows),
    ...unfinished.map(liveText),
    `restored from ${set}: ${countsText(rows)}`,
    done.some(({ data }) => data.kept !== null) ? 'Remove the replaced databases with npx azora-db cleanup --yes' : '',
    expiredText(expired),
  );
}

function liveText({ service, database, state, kept }: LiveDatabase): string {
  const former = kept === null ? '' : `; the former one is ${kept}`;
  if (state === 'replaced') return `${service}: the database ${database} is the restored one${former}`;
  if (state === 'unchanged') return `${service}: the database ${database} is unchanged`;
  if (state === 'absent') return `${service}: there is no database ${database}${former}`;
  return `${service}: the server of ${database} does not answer; whether it was replaced is unknown`;
}

function lines(...texts: readonly string[]): string {
  return texts.filter((text) => text !== '').join('\n');
}
