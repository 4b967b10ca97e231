import { countOf } from '../operations/count';
import type { LintFinding, LintReport } from '../operations/lint';

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

/** A paragraph per finding, and how many there are. */
export function lintText({ files, migrations, findings }: LintReport): string {
  const looked = `linted ${countOf(files, 'file')} of ${countOf(migrations, 'migration')}`;
  if (findings.length === 0) return `${looked}: nothing found`;
  return [
    ...findings.map(findingText),
    'What is meant stays with a line above the statement: -- lint-ignore <rule>: <reason>',
    `${looked}: ${findings.length} found`,
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
