import type { BackupReport } from '../operations/backup/create';
import type { DrillReport } from '../operations/backup/drill';
import type { ListedSet } from '../operations/backup/list';
import type { PrunedSets } from '../operations/backup/prune';
import type { RestoredService } from '../operations/backup/restore';
import { countOf } from '../operations/count';
import { doneRows, type ServiceRow } from '../operations/fleet';
import { countsText, failuresText, rowsData } from './fleet';
import { sizeText, table } from './table';

export function backupData({ set, location, rows, manifest }: BackupReport) {
  const { skewMs = null, fence = null } = manifest ?? {};
  return { ...rowsData(rows), set: manifest === undefined ? null : set, location, skewMs, fence };
}

export function backupText({ set, location, rows, manifest }: BackupReport): string {
  if (manifest === undefined) return lines(failuresText(rows), `${countsText(rows)}: no set was kept`);
  const shown = doneRows(rows).map(({ service, data }) => [
    service,
    String(data.tables),
    data.rows.toLocaleString('en'),
    sizeText(data.bytes),
    sizeText(data.storedBytes),
  ]);
  const fence = manifest.fence === null ? '' : `; all writers waited ${manifest.fence.heldMs} ms`;
  return lines(
    table(['service', 'tables', 'rows', 'data', 'stored'], shown),
    `set ${set} in ${location}: ${countOf(rows.length, 'database')}, snapshots within ${manifest.skewMs} ms${fence}`,
    `It counts once it was restored: azora-db backup verify ${set}`,
  );
}

export function listText(sets: readonly ListedSet[], location: string, now: Date): string {
  if (sets.length === 0) return `no sets in ${location}`;
  const rows = sets.map((set) => [
    set.id,
    ageText(now.getTime() - Date.parse(set.startedAt)),
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
  return verified.ok ? `yes, restored in ${verified.restoreSeconds} s` : 'it does not hold';
}

export function pruneText({ kept, removed }: PrunedSets, done: boolean): string {
  if (removed.length === 0) return `nothing to remove; ${countOf(kept.length, 'set')} kept`;
  const verb = done ? 'removed' : 'would be removed';
  const next = done ? [] : ['Add --yes to remove them'];
  return lines(...removed.map((set) => `${set} ${verb}`), `${countOf(kept.length, 'set')} kept`, ...next);
}

export function drillData(set: string, { rows, verification }: DrillReport) {
  return { ...rowsData(rows), set, ...verification };
}

export function drillText(set: string, { rows, verification }: DrillReport): string {
  const { ok, problems, restoreSeconds, isKept } = verification;
  const verdict = ok ? 'holds' : `does not hold: ${countOf(problems.length, 'problem')}`;
  const count = doneRows(rows).reduce((sum, { data }) => sum + data.rows, 0);
  return lines(
    ...problems,
    `set ${set} ${verdict}; ${countOf(count, 'row')} restored and compared, a restore takes ${restoreSeconds} s`,
    isKept ? '' : 'The result is not kept: not all of the set was tried',
  );
}

export function restoreData(set: string, rows: readonly ServiceRow<RestoredService>[]) {
  return { ...rowsData(rows), set };
}

export function restoreText(set: string, rows: readonly ServiceRow<RestoredService>[]): string {
  const done = doneRows(rows);
  if (done.length === 0) return lines(failuresText(rows), 'nothing was restored: the live databases are as they were');
  const shown = done.map(({ service, data }) => [
    service,
    data.rows.toLocaleString('en'),
    data.migrated.length === 0 ? '' : countOf(data.migrated.length, 'migration'),
    data.kept ?? '',
  ]);
  return lines(
    table(['service', 'rows', 'migrated on', 'the old one'], shown),
    failuresText(rows),
    `restored from ${set}: ${countsText(rows)}`,
  );
}

function ageText(milliseconds: number): string {
  const hours = milliseconds / 3_600_000;
  if (hours < 1) return countOf(Math.max(0, Math.floor(hours * 60)), 'minute');
  return hours < 48 ? countOf(Math.floor(hours), 'hour') : countOf(Math.floor(hours / 24), 'day');
}

function lines(...texts: readonly string[]): string {
  return texts.filter((text) => text !== '').join('\n');
}
