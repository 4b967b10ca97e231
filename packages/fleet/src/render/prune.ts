import { countOf, doneRows, type ServiceRow } from '../operations/fleet';
import { isBusy, isDamaged, type PrunedService, type PrunedTable } from '../operations/prune';
import type { AuditFault } from '../postgres/prune/audit-log';
import { countsText, failuresText, rowsData } from './fleet';
import { table } from './table';

const SHOWN_FAULTS = 5;

/** The result of `prune` as data for `--json`. */
export function pruneData(rows: readonly ServiceRow<PrunedService>[], done: boolean) {
  const data = rowsData(rows);
  return { ...data, ok: data.ok && !rows.some(isDamaged) && !rows.some(isBusy), done };
}

/** A table of the old rows, then the damage of audit logs, the failures and a summary. */
export function pruneText(rows: readonly ServiceRow<PrunedService>[], done: boolean): string {
  const services = doneRows(rows);
  const found = services.flatMap(({ service, data }) => data.tables.map((it) => ({ service, ...it })));
  const listed = found.filter((it) => it.rows > 0 && it.why === null);
  const shown = listed.map((it) => [
    it.service,
    it.table,
    countOf(it.days, 'day'),
    it.rows.toLocaleString('en'),
    dayOf(it.oldest),
    dayOf(it.newest),
    ...(done ? [(it.deleted ?? 0).toLocaleString('en')] : []),
  ]);
  const headings = ['service', 'table', 'kept for', 'older rows', 'oldest', 'newest', ...(done ? ['deleted'] : [])];
  const lines = [
    shown.length === 0 ? '' : table(headings, shown),
    ...others(found),
    ...found
      .filter((it) => it.isBusy)
      .map((it) => `${it.service}.${it.table}: rows were left, because others held their locks; run the command again`),
    ...services.flatMap(({ service, data }) => (data.audit === null ? [] : faultLines(service, data.audit))),
    failuresText(rows),
    `${countsText(rows)}; ${summary(listed, done)}`,
    done || listed.length === 0
      ? ''
      : 'Add --yes to delete them; on a server that is not embedded, the command then asks first',
  ];
  return lines.filter((line) => line !== '').join('\n');
}

/** Old rows that this command leaves to others: one line for each reason. */
function others(found: readonly (PrunedTable & { readonly service: string })[]): readonly string[] {
  const left = found.filter(({ rows, why }) => rows > 0 && why !== null);
  return [...new Set(left.map(({ why }) => why))].map((why) => {
    const names = left
      .filter((it) => it.why === why)
      .map((it) => `${it.service}.${it.table} (${countOf(it.rows, 'row')})`);
    return `not pruned, because ${why}: ${names.join(', ')}`;
  });
}

function faultLines(service: string, { count, faults }: NonNullable<PrunedService['audit']>): readonly string[] {
  if (count === 0) return [];
  const rest = count > SHOWN_FAULTS ? [`${service}: ${countOf(count - SHOWN_FAULTS, 'more damaged chain')}`] : [];
  return [
    ...faults.slice(0, SHOWN_FAULTS).map((fault) => `${service}: ${faultText(fault)}`),
    ...rest,
    `${service}: the audit log is damaged, so none of its entries was pruned. Restore a backup beside it and compare`,
  ];
}

const FAULTS: Readonly<Record<AuditFault['fault'], string>> = {
  changed: 'was changed at entry',
  cut: 'lost its newest entries; it begins at entry',
  missing: 'lost its record, or was removed; its entry was',
  pruned: 'lost entries that no pruning was allowed to delete; it begins at entry',
  rewritten: 'is not the chain that was anchored; it begins at entry',
};

function faultText({ account, seq, fault }: AuditFault): string {
  return `the audit chain ${account === '' ? 'without a user' : `of ${account}`} ${FAULTS[fault]} ${seq}`;
}

function summary(listed: readonly PrunedTable[], done: boolean): string {
  const rows = listed.reduce((sum, it) => sum + (done ? (it.deleted ?? 0) : it.rows), 0);
  if (listed.length === 0) return 'no row is older than its retention';
  return done ? `${countOf(rows, 'row')} deleted` : `${countOf(rows, 'row')} would be deleted`;
}

function dayOf(time: string | null): string {
  return time?.slice(0, 10) ?? '';
}
