import { countOf } from '../operations/fleet';
import type { LintFinding, LintReport } from '../operations/lint';

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
