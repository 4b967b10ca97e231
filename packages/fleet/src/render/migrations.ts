import { countOf, type ServiceRow } from '../operations/fleet';
import type { WrittenDown } from '../operations/migrations/down-draft';
import { type DriftedService, hasDrift } from '../operations/migrations/drift';
import type { LintFinding, LintReport } from '../operations/migrations/lint';
import type { DatabaseState, MigratedService } from '../operations/migrations/migrate';
import type { WrittenMigration } from '../operations/migrations/new-migration';
import type { PlannedLock, PlannedService, PlannedStep } from '../operations/migrations/plan';
import type { VerifiedService } from '../operations/migrations/verify';
import { describeLoss } from '../postgres/analysis/losses';
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

/** The state of each database: applied, pending, failed, edited and missing migrations, and invalid indexes. */
export function historyText(rows: readonly ServiceRow<DatabaseState>[]): string {
  const lines = rows.flatMap((row) => {
    if (row.state !== 'done') return [];
    const head = row.data.applied.at(-1) ?? 'no migration';
    return [`${row.service}: ${row.data.applied.length} applied, at ${head}`, ...problemLines(row.data)];
  });
  return [...lines, failuresText(rows)].filter((line) => line !== '').join('\n');
}

function problemLines(state: DatabaseState): readonly string[] {
  return [
    ...state.pending.map((name) => `  pending  ${name}`),
    ...state.failed.map(({ name, error }) => `  failed   ${name}  ${error}`),
    ...state.edited.map((name) => `  edited   ${name}`),
    ...state.missing.map((name) => {
      const renamed = state.renamed.find(({ from }) => from === name);
      if (renamed !== undefined) return `  renamed  ${name} is now ${renamed.to}`;
      return state.newer.includes(name) ? `  newer    ${name}, applied by newer code` : `  missing  ${name}`;
    }),
    ...state.invalidIndexes.map((name) => `  invalid  the index ${name}, whose build failed`),
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
  return [...lines, 'Review both files, then run "npx azora-db migrate plan" and "npx azora-db migrate up"'].join('\n');
}

/** The file that was written for a migration without down.sql, and what it does not revert. */
export function downDraftText({ file, unproven }: WrittenDown): string {
  return [
    `wrote ${file}`,
    ...unproven.map((what) => `  not restored by down.sql: ${what}`),
    'Review the file; "npx azora-db migrate verify" tries it with rows',
  ].join('\n');
}

/** The plan: one block per migration, then the failures and a summary. */
export function planText(rows: readonly ServiceRow<PlannedService>[], { sql }: { readonly sql?: boolean }): string {
  const steps = rows.flatMap((row) =>
    row.state === 'done' ? row.data.steps.map((step) => stepText(row.service, step, sql === true)) : [],
  );
  const count = steps.length;
  const services = rows.filter((row) => row.state === 'done' && row.data.steps.length > 0).length;
  const summary =
    count === 0
      ? rows.every(({ state }) => state === 'done')
        ? 'nothing to run'
        : countsText(rows)
      : `${countOf(count, 'migration')} to run on ${services} of ${countOf(rows.length, 'database')}`;
  return [...steps, failuresText(rows), summary].filter((text) => text !== '').join('\n');
}

function stepText(service: string, step: PlannedStep, withSql: boolean): string {
  const lost = step.losses.filter(({ hit }) => hit).map((loss) => `  loses   ${describeLoss(loss)}`);
  return [
    `${service}: ${step.name}${step.transactional ? '' : ' (outside of a transaction)'}`,
    ...step.locks.map(lockText),
    ...lost,
    ...step.needsNoRows.map((why) => `  fails   on a table with rows: ${why}`),
    ...(withSql ? [step.sql.trim().replaceAll(/^/gm, '  | ')] : []),
  ].join('\n');
}

const WORK = { scan: ', reads every row', rewrite: ', rewrites every row' };

function lockText({ table, lock, work, rows }: PlannedLock): string {
  const size = rows === undefined ? '' : ` (about ${countOf(rows, 'row')})`;
  return `  locks   ${table}${size} ${lock}${work === undefined ? '' : WORK[work]}`;
}

/** The differences, with both definitions of each object, the schemas without a migration, and a summary. */
export function driftText(rows: readonly ServiceRow<DriftedService>[]): string {
  const lines = rows.flatMap((row) => {
    if (row.state !== 'done') return [];
    const { changes, unwritten } = row.data;
    return [
      ...changes.flatMap(({ kind, object, change, expected, actual }) => [
        `${row.service}: ${kind} ${object} is ${change}`,
        ...(expected === undefined ? [] : [`  migrations  ${expected}`]),
        ...(actual === undefined ? [] : [`  database    ${actual}`]),
      ]),
      ...(unwritten === ''
        ? []
        : [
            `${row.service}: schema.prisma has changes without a migration; run "npx azora-db migrate new ${row.service} <slug>"`,
          ]),
    ];
  });
  const compared = rows.filter(({ state }) => state === 'done').length;
  const drifted = rows.filter(hasDrift).length;
  const databases = `${compared < rows.length ? `${compared} of ` : ''}${countOf(rows.length, 'database')} compared`;
  const verdict = drifted === 0 ? 'no drift' : `drift in ${drifted}`;
  const summary = compared === 0 && rows.length > 0 ? 'nothing compared' : `${databases}, ${verdict}`;
  return [...lines, failuresText(rows), summary].filter((text) => text !== '').join('\n');
}

/** One line per problem and per migration that was skipped, then the failures and a summary. */
export function verifyText(rows: readonly ServiceRow<VerifiedService>[]): string {
  const done = rows.flatMap((row) => (row.state === 'done' ? [row] : []));
  const sum = (count: (data: VerifiedService) => number) => done.reduce((total, { data }) => total + count(data), 0);
  const lines = done.flatMap(({ service, data }) => [
    ...data.problems.map(({ migration, what }) => `${service}: ${migration}: ${what}`),
    ...data.irreversible.map((name) => `${service}: ${name}: irreversible; not reverted`),
    ...data.tablesWithoutRows.map((table) => `${service}: the seed has no rows for ${table}; verified without rows`),
  ]);
  const problems = sum((data) => data.problems.length);
  const failed = rows.length - done.length;
  const verdict = problems === 0 ? 'no problems' : countOf(problems, 'problem');
  if (done.length === 0 && failed > 0) return [failuresText(rows), 'nothing verified'].filter(Boolean).join('\n');
  const of = failed === 0 ? '' : `${done.length} of ${countOf(rows.length, 'service')}: `;
  const [applied, reverted] = [sum((data) => data.migrations), sum((data) => data.reverted)];
  const some = reverted === applied ? '' : ` ${reverted.toLocaleString('en')} of them`;
  const rowsText = countOf(
    sum((data) => data.rows),
    'row',
  );
  const summary = `${of}${countOf(applied, 'migration')} applied,${some} reverted and applied again, ${rowsText}: ${verdict}`;
  return [...lines, failuresText(rows), summary].filter((text) => text !== '').join('\n');
}

/** The report as data for `--json`. */
export function lintData({ findings }: LintReport) {
  const data = findings.map(({ service, migration, file, line, column, rule, level, message, help }) => ({
    service,
    migration,
    file,
    line,
    column,
    rule,
    level,
    message,
    help,
  }));
  return { ok: findings.length === 0, findings: data };
}

/** One paragraph per finding, and a summary. */
export function lintText({ files, migrations, findings }: LintReport): string {
  const summary = `linted ${countOf(files, 'file')} of ${countOf(migrations, 'migration')}`;
  if (findings.length === 0) return `${summary}: no findings`;
  return [
    ...findings.map(findingText),
    'To accept a finding, add a line above the statement: -- lint-ignore <rule>: <reason>',
    `${summary}: ${countOf(findings.length, 'finding')}`,
  ].join('\n');
}

function findingText({ service, file, line, column, rule, level, message, help, excerpt }: LintFinding): string {
  return [
    `${service}: ${file}:${line}:${column} ${level} ${rule}`,
    `  ${message}`,
    ...excerpt.split('\n').map((text) => `  ${text}`),
    `  → ${help}`,
    '',
  ].join('\n');
}
