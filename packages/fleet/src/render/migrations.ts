import type { MigrationState } from '@azora/db-migrate';
import { countOf, type ServiceRow } from '../operations/fleet';
import type { MigratedService } from '../operations/migrate';
import type { WrittenMigration } from '../operations/new-migration';
import { countsText, failuresText } from './fleet';

/** The migrations that a run applied or reverted, one line per changed service, then the failures and a summary. */
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

/** The state of each history: applied, pending, failed, edited and missing migrations. */
export function historyText(rows: readonly ServiceRow<MigrationState>[]): string {
  const lines = rows.flatMap((row) => {
    if (row.state !== 'done') return [];
    const head = row.data.applied.at(-1) ?? 'no migration';
    return [`${row.service}: ${row.data.applied.length} applied, at ${head}`, ...problemLines(row.data)];
  });
  return [...lines, failuresText(rows)].filter((line) => line !== '').join('\n');
}

function problemLines(state: MigrationState): readonly string[] {
  return [
    ...state.pending.map((name) => `  pending  ${name}`),
    ...state.failed.map(({ name, error }) => `  failed   ${name}  ${error}`),
    ...state.edited.map((name) => `  edited   ${name}`),
    ...state.missing.map((name) => `  missing  ${name}`),
  ];
}

/** The new migrations, and the points that their author must check. */
export function newText(service: string, migrations: readonly WrittenMigration[]): string {
  if (migrations.length === 0) return `${service}: the migrations match schema.prisma; nothing to write`;
  const lines = migrations.flatMap(({ directory, losses, unproven }) => [
    `wrote ${directory}`,
    ...losses.map((loss) => `  data loss: ${loss}`),
    ...unproven.map((what) => `  not restored by down.sql: ${what}`),
  ]);
  return [...lines, 'Review both files, then run "azora-db migrate plan" and "azora-db migrate up"'].join('\n');
}
