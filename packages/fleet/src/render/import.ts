import type { Reject, RollbackReport, ServiceReport, SkippedFile, StageComparison } from '@azora/db-import';
import { countOf, doneRows, type ServiceRow } from '../operations/fleet';
import type { ImportReport, ListedImport } from '../operations/import';
import { countsText, failuresText, rowsData } from './fleet';
import { table } from './table';

/** The rejects and files that a text shows; the data for `--json` and the file with the rejects hold more. */
const SHOWN = 20;

type Compared = readonly ServiceRow<readonly StageComparison[]>[];

function comparisonsData(rows: Compared) {
  const named = rows.map((row) => (row.state === 'done' ? { ...row, data: { stages: row.data } } : row));
  return rowsData(named);
}

/** The plan of an import as data for `--json`. */
export function planData(rows: Compared, skipped: readonly SkippedFile[]) {
  return { ...comparisonsData(rows), skipped };
}

/** What a run would do: rows for each table, records that cannot be read, conflicts, and files that no import reads. */
export function planText(rows: Compared, skipped: readonly SkippedFile[]): string {
  const stages = doneRows(rows).flatMap(({ service, data }) => data.map((stage) => ({ service, ...stage })));
  const cells = stages.map((it) => [
    `${it.service}.${it.table}`,
    it.stage,
    ...[it.missing, it.different, it.same, it.repeated, it.colliding, it.rejected].map((count) =>
      count.toLocaleString('en'),
    ),
  ]);
  return joined([
    table(['table', 'records', 'insert', 'update', 'same', 'repeated', 'conflicts', 'rejected'], cells),
    rejectsText(stages.flatMap(({ rejects }) => rejects)),
    skippedText(skipped),
    failuresText(rows),
    `${countsText(rows)}; nothing was changed. Add "run" to import`,
  ]);
}

/** The result of a run as data for `--json`. */
export function runData({ id, isContinued, rows, skipped, rejectsFile }: ImportReport) {
  return { ...rowsData(rows), import: id, continued: isContinued, skipped, rejectsFile };
}

/** What a run wrote, and the records that it rejected. */
export function runText({ id, isContinued, rows, skipped, rejectsFile }: ImportReport): string {
  const done = doneRows<ServiceReport>(rows);
  const cells = done.flatMap(({ service, data }) =>
    data.stages.map((it) => [
      `${service}.${it.table.replace(/^public\./, '')}`,
      it.stage,
      ...[it.inserted, it.updated, it.unchanged, it.duplicates, it.rejected].map((count) => count.toLocaleString('en')),
    ]),
  );
  const rejects = done.flatMap(({ data }) => data.rejects);
  return joined([
    table(['table', 'records', 'inserted', 'updated', 'same', 'repeated', 'rejected'], cells),
    rejectsText(rejects),
    rejectsFile === null ? '' : `All ${countOf(rejects.length, 'reject')}: ${rejectsFile}`,
    skippedText(skipped),
    failuresText(rows),
    `${countsText(rows)}; import ${id}${isContinued ? ' (continued)' : ''}. "npx azora-db import rollback ${id}" takes it out again`,
  ]);
}

/** Whether a verification found rows that the target lacks or has with other values. */
export function differs(rows: Compared): boolean {
  return doneRows(rows).some(({ data }) => data.some(({ missing, different }) => missing + different > 0));
}

/** The verification of an import as data for `--json`. */
export function verifyData(rows: Compared) {
  const data = comparisonsData(rows);
  return { ...data, ok: data.ok && !differs(rows) };
}

/** Counts and hashes of the source and of the target. */
export function verifyText(rows: Compared): string {
  const cells = doneRows(rows).flatMap(({ service, data }) =>
    data.map((it) => [
      `${service}.${it.table}`,
      it.stage,
      ...[it.rows, it.same, it.different, it.missing].map((count) => count.toLocaleString('en')),
      it.sourceHash,
      it.targetHash,
    ]),
  );
  const verdict = differs(rows)
    ? 'The target lacks rows of the source, or has other values; rows that the database rejected are in the file of the import'
    : 'The target has every row of the source with the same values';
  return joined([
    table(['table', 'records', 'source', 'same', 'different', 'missing', 'source hash', 'target hash'], cells),
    failuresText(rows),
    `${countsText(rows)}. ${verdict}`,
  ]);
}

/** The result of a rollback as data for `--json`. */
export function rollbackData(id: string, rows: readonly ServiceRow<RollbackReport>[]) {
  return { ...rowsData(rows), import: id };
}

/** What a rollback took out, and the rows that it kept with the reason. */
export function rollbackText(id: string, rows: readonly ServiceRow<RollbackReport>[]): string {
  const done = doneRows(rows);
  const lines = done.map(({ service, data: { deleted, restored, gone, kept } }) => {
    const parts = [`${countOf(deleted, 'row')} deleted`, `${countOf(restored, 'row')} restored`];
    if (gone > 0) parts.push(`${countOf(gone, 'row')} deleted before by somebody else`);
    if (kept > 0) parts.push(`${countOf(kept, 'row')} kept`);
    return `${service}: ${parts.join(', ')}`;
  });
  const kept = done.flatMap(({ service, data }) =>
    data.keptRows.slice(0, SHOWN).map((it) => `${service}: kept ${it.table} ${JSON.stringify(it.key)}: ${it.reason}`),
  );
  return joined([...lines, ...kept, failuresText(rows), `${countsText(rows)}; import ${id} rolled back`]);
}

/** A line for each import. */
export function listText(imports: readonly ListedImport[]): string {
  if (imports.length === 0) return 'Nothing was imported yet';
  const cells = imports.map(({ id, kind, origin, states }) => [
    id,
    kind,
    Object.entries(states)
      .map(([service, state]) => `${service} ${state}`)
      .join(', '),
    origin,
  ]);
  return table(['import', 'kind', 'state', 'source'], cells);
}

function rejectsText(rejects: readonly Reject[]): string {
  const lines = rejects.slice(0, SHOWN).map(({ position: { file, table: name, record, line, byte }, code, reason }) => {
    const place = [
      ...(name === undefined ? [] : [`table ${name}`]),
      line === undefined ? `record ${record}` : `line ${line}`,
      ...(byte === undefined ? [] : [`byte ${byte}`]),
    ];
    return `rejected ${file}, ${place.join(', ')}: ${reason} (${code})`;
  });
  const more = rejects.length - lines.length;
  return joined([...lines, more > 0 ? `… and ${more.toLocaleString('en')} more` : '']);
}

function skippedText(skipped: readonly SkippedFile[]): string {
  const lines = skipped.slice(0, SHOWN).map(({ file, reason }) => `not imported ${file}: ${reason}`);
  return joined([...lines, skipped.length > SHOWN ? `… and ${skipped.length - SHOWN} more files` : '']);
}

function joined(lines: readonly string[]): string {
  return lines.filter((line) => line !== '').join('\n');
}
