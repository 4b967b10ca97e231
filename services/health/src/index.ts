export {
  type AcknowledgeAlertInput,
  type Alert,
  type AlertPage,
  type AlertRule,
  acknowledgeAlert,
  judgeAlerts,
  type ListAlertsInput,
  listAlertRules,
  listAlerts,
  type ResolveAlertInput,
  resolveAlert,
  type SetAlertRuleInput,
  setAlertRule,
} from './alerts.store';
export { type Health, type HealthTransaction, openHealth } from './client';
export {
  type CheckPage,
  type ComplianceCounts,
  type ComplianceReport,
  type ComplianceReportInput,
  type ConstitutionalCheck,
  complianceReport,
  type ListChecksInput,
  listChecks,
  type RecordCheckInput,
  recordCheck,
} from './compliance.store';
export { HEALTH_ERROR_CODES, type HealthErrorCode } from './errors';
export { eventLog } from './event-log';
export { EVENTS } from './events';
export { $Enums, type AlertKind, type AlertStatus, type LogLevel, Prisma, type Verdict } from './generated/client';
export {
  type AppendLogsInput,
  appendLogs,
  type ListLogsInput,
  type LogLine,
  type LogPage,
  listLogs,
  type NewLogLine,
} from './logs.store';
export { type Maintained, type MaintainHealthInput, maintainHealth } from './maintenance.store';
export { type ErasedPerson, erasePerson, exportPerson, type PersonExport } from './person.store';
export {
  ENDPOINT_STATUSES,
  type EndpointInput,
  type EndpointStatus,
  getServiceHealth,
  type HealthCheck,
  type HealthHistoryInput,
  type HealthHistoryPage,
  type HealthReport,
  healthHistory,
  type ListServiceHealthInput,
  listServiceHealth,
  type ReportHealthInput,
  reportHealth,
  type ServiceHealth,
  type Uptime,
  type UptimeInput,
  uptime,
} from './service-health.store';
