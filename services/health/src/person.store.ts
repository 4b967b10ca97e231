import { idInput } from '@azora/db-core/input';
import { type Alert, alertOf } from './alerts.store';
import type { Health } from './client';
import { type ConstitutionalCheck, checkOf } from './compliance.store';
import { readInput } from './errors';
import { type LogLine, lineOf } from './logs.store';
import { onlyRow, type Row } from './rows';

/** Everything that this service holds about a person, oldest first. */
export interface PersonExport {
  readonly lines: readonly LogLine[];
  readonly checks: readonly ConstitutionalCheck[];
  /** Alerts that the person acknowledged. */
  readonly alerts: readonly Alert[];
  /** Entries of the audit log, with the names of columns. They stay. */
  readonly auditLogs: readonly Readonly<Record<string, unknown>>[];
}

export interface ErasedPerson {
  /** Log lines whose message, metadata and person were removed. */
  readonly lines: number;
  /** Alerts that forgot who acknowledged them. */
  readonly alerts: number;
}

/**
 * Everything that this service holds about a person, in one snapshot.
 * @throws {SuiteError} `HEALTH.INVALID_INPUT`
 */
export async function exportPerson(health: Health, userId: string): Promise<PersonExport> {
  const id = readInput(idInput, userId);
  const rows = await health.queryLong<ExportRow>({
    text: `SELECT
        ARRAY(SELECT to_jsonb(l) FROM logs AS l WHERE l.user_id = $1 ORDER BY l.created_at, l.id) AS lines,
        ARRAY(SELECT to_jsonb(c) FROM constitutional_logs AS c WHERE c.user_id = $1 ORDER BY c.created_at, c.id) AS checks,
        ARRAY(SELECT to_jsonb(a) || jsonb_build_object('rule', r.name, 'kind', r.kind)
          FROM alerts AS a JOIN alert_rules AS r ON r.id = a.rule_id
          WHERE a.acknowledged_by = $1 ORDER BY a.created_at, a.id) AS alerts,
        ARRAY(SELECT to_jsonb(l) FROM audit_logs AS l WHERE l.user_id = $1 ORDER BY l.created_at, l.id) AS audit_logs`,
    values: [id],
  });
  const { lines, checks, alerts, audit_logs: auditLogs } = onlyRow(rows);
  return {
    lines: lines.map((row) => lineOf(withTimes(row))),
    checks: checks.map((row) => checkOf(withTimes(row))),
    alerts: alerts.map((row) => alertOf(withTimes(row))),
    auditLogs,
  };
}

/**
 * Removes what identifies a person: the message, the metadata and the person of log lines, and who acknowledged an alert.
 * Constitutional checks stay, because they are evidence. One transaction; a repeated call changes nothing.
 * @throws {SuiteError} `HEALTH.INVALID_INPUT`
 */
export async function erasePerson(health: Health, userId: string): Promise<ErasedPerson> {
  const id = readInput(idInput, userId);
  const rows = await health.queryLong<{ log_lines: number; acknowledgements: number }>({
    text: 'SELECT log_lines, acknowledgements FROM erase_person($1)',
    values: [id],
  });
  const { log_lines: lines, acknowledgements: alerts } = onlyRow(rows);
  return { lines, alerts };
}

interface ExportRow {
  readonly lines: readonly Row<LogLine>[];
  readonly checks: readonly Row<ConstitutionalCheck>[];
  readonly alerts: readonly Row<Alert>[];
  readonly audit_logs: PersonExport['auditLogs'];
}

/** In JSON a time is text. */
function withTimes<Found extends object>(row: Found): Found {
  const fields = Object.entries(row).map(([name, value]) => [
    name,
    name.endsWith('_at') && typeof value === 'string' ? new Date(value) : value,
  ]);
  return Object.fromEntries(fields) as Found;
}
