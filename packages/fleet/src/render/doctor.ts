import { countOf } from '../operations/fleet';
import { type DoctorReport, type FleetFinding, needsAction } from '../operations/migrations/doctor';
import { failuresText, rowsData } from './fleet';

/** The report as data for `--json`. */
export function doctorData(report: DoctorReport) {
  const { servers, findings, rows } = report;
  const run = rowsData(rows.map((row) => (row.state === 'done' ? { ...row, data: {} } : row)));
  return { ok: run.ok && !needsAction(report), servers, findings, services: run.services };
}

/** The servers with their findings, the services with their findings, and a summary. */
export function doctorText({ servers, findings, rows }: DoctorReport): string {
  const serverLines = servers.flatMap(({ server, version, services }) => [
    `${server}: PostgreSQL ${version ?? 'of unknown version'}, ${countOf(services.length, 'database')}`,
    ...findings.filter((it) => it.service === null && it.server === server).flatMap(findingLines),
  ]);
  const serviceLines = rows.flatMap(({ service }) => {
    const own = findings.filter((it) => it.service === service);
    return own.length === 0 ? [] : [service, ...own.flatMap(findingLines)];
  });
  const examined = rows.filter((row) => row.state === 'done').length;
  const databases = `${examined < rows.length ? `${examined} of ` : ''}${countOf(rows.length, 'database')}`;
  const summary = `${databases}, ${summaryText(findings)}`;
  return [...serverLines, ...serviceLines, failuresText(rows), summary].filter((line) => line !== '').join('\n');
}

const LEVEL_WIDTH = 'warning'.length;

function findingLines({ level, object, message, next }: FleetFinding): readonly string[] {
  return [`  ${level.padEnd(LEVEL_WIDTH)}  ${object} ${message}`, `  ${''.padEnd(LEVEL_WIDTH)}  → ${next}`];
}

function summaryText(findings: readonly FleetFinding[]): string {
  const [errors, warnings, notes] = (['error', 'warning', 'note'] as const).map(
    (level) => findings.filter((finding) => finding.level === level).length,
  );
  const parts = [...(errors ? [countOf(errors, 'error')] : []), ...(warnings ? [countOf(warnings, 'warning')] : [])];
  const problems = parts.length === 0 ? 'no problems' : parts.join(', ');
  return notes ? `${problems} (${countOf(notes, 'note')})` : problems;
}
