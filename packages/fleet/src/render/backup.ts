import type { BackupReport } from '../operations/backup/create';
import type { RestoredService } from '../operations/backup/restore';
import type { ListedSet, PrunedSets } from '../operations/backup/sets';
import type { VerifyReport } from '../operations/backup/verify';
import { countOf, doneRows, type ServiceRow } from '../operations/fleet';
import { durationText, sizeText } from '../system/quantities';
import { countsText, failuresText, rowsData } from './fleet';
import { expiredText } from './leftovers';
import { table } from './table';

export function backupData({ set, location, rows, manifest }: BackupReport) {
  const { skewMs = null, fence = null } = manifest ?? {};
  return { ...rowsData(rows), set: manifest === undefined ? null : set, location, skewMs, fence };
}

export function backupText({ set, location, rows, manifest }: BackupReport): string {
  if (manifest === undefined) return lines(failuresText(rows), `${countsText(rows)}; no set was stored`);
  const shown = doneRows(rows).map(({ service, data }) => [
    service,
    String(data.tables),
    data.rows.toLocaleString('en'),
    sizeText(data.bytes),
    sizeText(data.storedBytes),
  ]);
  const fence = manifest.fence === null ? '' : `; writers waited ${durationText(manifest.fence.heldMs)}`;
  return lines(
    table(['service', 'tables', 'rows', 'data', 'stored'], shown),
    `set ${set} in ${location}: ${countOf(rows.length, 'database')}, snapshots within ${durationText(manifest.skewMs)}${fence}`,
    `Next: prove that it can be restored with npx azora-db backup verify ${set}`,
  );
}

export function listText(sets: readonly ListedSet[], location: string, now: Date): string {
  if (sets.length === 0) return `there are no backup sets in ${location}`;
  const rows = sets.map((set) => [
    set.id,
    durationText(Math.max(0, now.getTime() - Date.parse(set.startedAt))),
    String(set.services.length),
    set.rows.toLocaleString('en'),
    sizeText(set.storedBytes),
    set.encrypted ? 'yes' : 'no',
    set.masked ? 'yes' : 'no',
    set.problem ?? verifiedText(set),
  ]);
  return table(['set', 'age', 'databases', 'rows', 'stored', 'encrypted', 'masked', 'verified'], rows);
}

function verifiedText({ verified }: ListedSet): string {
  if (verified === null) return 'no';
  return verified.ok ? `yes, restored in ${durationText(verified.restoreSeconds * 1_000)}` : 'failed';
}

export function pruneText({ kept, removed }: PrunedSets, done: boolean): string {
  if (removed.length === 0) return `nothing to remove; ${countOf(kept.length, 'set')} kept`;
  const verb = done ? 'removed' : 'would be removed';
  const next = done ? [] : ['Add --yes to remove them'];
  return lines(...removed.map((set) => `${set} ${verb}`), `${countOf(kept.length, 'set')} kept`, ...next);
}

export function verifyData(set: string, { rows, verification }: VerifyReport) {
  return { ...rowsData(rows), set, ...verification };
}

export function verifyText(set: string, { rows, verification }: VerifyReport): string {
  const { ok, problems, restoreSeconds, isKept } = verification;
  const verdict = ok ? 'verified' : `failed verification with ${countOf(problems.length, 'problem')}`;
  const count = doneRows(rows).reduce((sum, { data }) => sum + data.rows, 0);
  return lines(
    ...problems,
    `set ${set} ${verdict}; restored and compared ${countOf(count, 'row')}, a restore takes ${durationText(restoreSeconds * 1_000)}`,
    isKept ? '' : 'The result was not stored: the set was verified only in part, or the server or the storage failed',
  );
}

export function restoreData(set: string, rows: readonly ServiceRow<RestoredService>[], expired: readonly string[]) {
  return { ...rowsData(rows), set, removedCopies: expired };
}

export function restoreText(
  set: string,
  rows: readonly ServiceRow<RestoredService>[],
  expired: readonly string[],
): string {
  const done = doneRows(rows);
  if (done.length === 0) return lines(failuresText(rows), 'nothing was restored; the live databases are unchanged');
  const shown = done.map(({ service, data }) => [
    service,
    data.rows.toLocaleString('en'),
    data.migrated.length === 0 ? '' : countOf(data.migrated.length, 'migration'),
    data.kept ?? '',
  ]);
  return lines(
    table(['service', 'rows', 'migrated', 'replaced database'], shown),
    failuresText(rows),
    `restored from ${set}: ${countsText(rows)}`,
    done.some(({ data }) => data.kept !== null) ? 'Remove the replaced databases with npx azora-db cleanup --yes' : '',
    expiredText(expired),
  );
}

function lines(...texts: readonly string[]): string {
  return texts.filter((text) => text !== '').join('\n');
}
