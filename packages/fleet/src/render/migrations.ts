import type { MigrationState } from '@azora/db-migrate';
import type { WrittenMigration } from '../operations/author';
import { countOf } from '../operations/count';
import type { ServiceRow } from '../operations/fleet';
import type { MigratedService } from '../operations/migrate';
import { countsText, failuresText, rowsData } from './fleet';

/** What a run up or down did, a line per service that changed, then the failures. */
export function migratedText(rows: readonly ServiceRow<MigratedService>[], verb: string): string {
  const changed = rows.flatMap((row) =>
    row.state === 'done' && row.data.migrations.length > 0
      ? [`${row.service}: ${verb} ${row.data.migrations.join(', ')}`]
      : [],
  );
  const total = rows.reduce((sum, row) => sum + (row.state === 'done' ? row.data.migrations.length : 0), 0);
  const summary = `${countsText(rows)}; ${total === 0 ? `nothing ${verb}` : `${countOf(total, 'migration')} ${verb}`}`;
  return [...changed, failuresText(rows), summary].filter((line) => line !== '').join('\n');
}

/** True when a service is not exactly at the head of its migrations. */
export function isBehind(row: ServiceRow<MigrationState>): boolean {
  return row.state === 'done' && findings(row.data).length > 0;
}

export function historyData(rows: readonly ServiceRow<MigrationState>[]) {
  return rowsData(rows);
}

export function historyText(rows: readonly ServiceRow<MigrationState>[]): string {
  const lines = rows.flatMap((row) => {
    if (row.state !== 'done') return [];
    const head = row.data.applied.at(-1) ?? 'nothing applied';
    return [`${row.service}: ${row.data.applied.length} applied, at ${head}`, ...findings(row.data)];
  });
  return [...lines, failuresText(rows)].filter((line) => line !== '').join('\n');
}

function findings(state: MigrationState): readonly string[] {
  return [
    ...state.pending.map((name) => `  pending  ${name}`),
    ...state.failed.map(({ name, error }) => `  failed   ${name}  ${error}`),
    ...state.edited.map((name) => `  edited   ${name}`),
    ...state.missing.map((name) => `  missing  ${name}`),
  ];
}

/** The migrations that were written, and what their author has to look at. */
export function newText(service: string, migrations: readonly WrittenMigration[]): string {
  if (migrations.length === 0) return `${service}: the migrations lead to schema.prisma; nothing to write`;
  const lines = migrations.flatMap(({ directory, losses, unproven }) => [
    `wrote ${directory}`,
    ...losses.map((loss) => `  loses ${loss}`),
    ...unproven.map((what) => `  down.sql does not restore it: ${what}`),
  ]);
  return [...lines, 'Read both files, then run "azora-db migrate plan" and "azora-db migrate up"'].join('\n');
}
