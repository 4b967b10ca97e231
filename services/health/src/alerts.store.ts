import { newId } from '@azora/db-core';
import { idInput, timeInput } from '@azora/db-core/input';
import { cursorInput, microsOf, pageOf, timeOfMicros } from '@azora/db-core/paging';
import { z } from 'zod';
import type { Health } from './client';
import { readInput } from './errors';
import { $Enums, type AlertKind, type AlertStatus, type Prisma } from './generated/client';
import { serviceInput } from './input';
import { Conditions, onlyRow, type Row } from './rows';

const MAX_PAGE = 200;
const DEFAULT_PAGE = 50;

export type AlertRule = Prisma.AlertRuleModel;
export type Alert = Prisma.AlertModel & {
  /** The name of the rule. */
  readonly rule: string;
  readonly kind: AlertKind;
};

interface AnyRule {
  /** Small letters, digits and "-". */
  readonly name: string;
  /** All services when absent. */
  readonly serviceName?: string;
  /** True when absent. Disabling a rule resolves its alerts. */
  readonly isEnabled?: boolean;
}

/** A rule opens an alert */
export type SetAlertRuleInput = AnyRule &
  (
    | {
        /** for an endpoint whose last `checks` checks found it stopped or in error, */
        readonly kind: 'down';
        /** 1 to 100. */
        readonly checks: number;
      }
    | {
        /** for an endpoint whose last `checks` checks all took longer than `thresholdMs`, */
        readonly kind: 'slow';
        readonly checks: number;
        readonly thresholdMs: number;
      }
    | {
        /** for an endpoint without a check in the last `windowSeconds`, */
        readonly kind: 'silent';
        /** 1 to 86400. */
        readonly windowSeconds: number;
      }
    | {
        /** or for a service that wrote `threshold` lines with the level ERROR or FATAL in the last `windowSeconds`. */
        readonly kind: 'errors';
        readonly threshold: number;
        readonly windowSeconds: number;
      }
  );

export interface ListAlertsInput {
  readonly statuses?: readonly AlertStatus[];
  readonly serviceName?: string;
  /** The name of a rule. */
  readonly rule?: string;
  readonly since?: Date;
  readonly until?: Date;
  /** 1 to 200; 50 when absent. */
  readonly limit?: number;
  /** The `nextCursor` of the previous page. */
  readonly cursor?: string;
}

export interface AlertPage {
  /** Newest first. */
  readonly alerts: readonly Alert[];
  /** Null on the last page. */
  readonly nextCursor: string | null;
}

export interface AcknowledgeAlertInput {
  readonly alertId: string;
  /** The person who takes charge of it. */
  readonly userId: string;
}

export interface ResolveAlertInput {
  readonly alertId: string;
}

const threshold = z.int().min(1).max(1_000_000);
const checks = z.int().min(1).max(100);
const windowSeconds = z.int().min(1).max(86_400);
const name = z.string().regex(/^[a-z][a-z0-9-]{0,99}$/, 'is not the name of a rule');
const anyRule = { name, serviceName: serviceInput.optional(), isEnabled: z.boolean().default(true) };
const setAlertRuleInput = z.discriminatedUnion('kind', [
  z.strictObject({ ...anyRule, kind: z.literal('down'), checks }),
  z.strictObject({ ...anyRule, kind: z.literal('slow'), checks, thresholdMs: threshold }),
  z.strictObject({ ...anyRule, kind: z.literal('silent'), windowSeconds }),
  z.strictObject({ ...anyRule, kind: z.literal('errors'), threshold, windowSeconds }),
]);
const listAlertsInput = z.strictObject({
  statuses: z.array(z.enum($Enums.AlertStatus)).min(1).optional(),
  serviceName: serviceInput.optional(),
  rule: name.optional(),
  since: timeInput.optional(),
  until: timeInput.optional(),
  limit: z.int().min(1).max(MAX_PAGE).default(DEFAULT_PAGE),
  cursor: cursorInput.optional(),
});
const acknowledgeAlertInput = z.strictObject({ alertId: idInput, userId: idInput });
const resolveAlertInput = z.strictObject({ alertId: idInput });

/**
 * Adds a rule, or changes the rule of this name, and judges all rules at once: alerts open and are resolved as the rule now says.
 * @throws {SuiteError} `HEALTH.INVALID_INPUT`
 */
export async function setAlertRule(health: Health, input: SetAlertRuleInput): Promise<AlertRule> {
  const rule = readInput(setAlertRuleInput, input);
  const limit = rule.kind === 'slow' ? rule.thresholdMs : rule.kind === 'errors' ? rule.threshold : 1;
  const rows = await health.query<Row<AlertRule>>({
    text: 'SELECT * FROM set_alert_rule($1, $2, $3, $4, $5, $6, $7, $8)',
    values: [
      newId(),
      rule.name,
      rule.kind,
      rule.serviceName ?? null,
      limit,
      'checks' in rule ? rule.checks : null,
      'windowSeconds' in rule ? rule.windowSeconds : null,
      rule.isEnabled,
    ],
  });
  return ruleOf(onlyRow(rows));
}

/** All rules, ordered by name. */
export async function listAlertRules(health: Health): Promise<readonly AlertRule[]> {
  const rows = await health.query<Row<AlertRule>>({ text: 'SELECT * FROM alert_rules ORDER BY name', values: [] });
  return rows.map(ruleOf);
}

/**
 * Judges all rules. Reports judge the rules about their endpoints at once; rules of the kinds silent and errors need this call, every
 * minute for example. Calls at the same time are judged one after the other.
 */
export async function judgeAlerts(health: Health): Promise<void> {
  await health.query({ text: 'SELECT judge_all_alerts()', values: [] });
}

/**
 * A page of the alerts that match every given condition, newest first.
 * @throws {SuiteError} `HEALTH.INVALID_INPUT`
 */
export async function listAlerts(health: Health, input: ListAlertsInput = {}): Promise<AlertPage> {
  const { limit, cursor, ...filter } = readInput(listAlertsInput, input);
  const conditions = new Conditions(limit + 1)
    .add(filter.statuses, (statuses) => `a.status = ANY (${statuses}::alert_status[])`)
    .add(filter.serviceName, (serviceName) => `a.service_name = ${serviceName}`)
    .add(filter.rule, (rule) => `r.name = ${rule}`)
    .add(filter.since, (since) => `a.created_at >= ${since}::timestamptz`)
    .add(filter.until, (until) => `a.created_at < ${until}::timestamptz`);
  conditions.add(cursor?.micros, (micros) => {
    const id = conditions.parameter(cursor?.id);
    return `(a.created_at, a.id) < (${timeOfMicros(micros)}, ${id})`;
  });
  const found = await health.query<AlertRow & { readonly micros: string }>({
    text: `SELECT a.*, r.name AS rule, r.kind, ${microsOf('a.created_at')} AS micros
      FROM alerts AS a JOIN alert_rules AS r ON r.id = a.rule_id ${conditions.where}
      ORDER BY a.created_at DESC, a.id DESC LIMIT $1`,
    values: conditions.values,
  });
  const { rows, nextCursor } = pageOf(found, limit);
  return { alerts: rows.map(alertOf), nextCursor };
}

/**
 * Records who takes charge of an open alert. If several people do at once, one of them wins.
 * @throws {SuiteError} `HEALTH.INVALID_INPUT`, `HEALTH.ALERT_NOT_FOUND`, `HEALTH.ALERT_MOVE`
 */
export async function acknowledgeAlert(health: Health, input: AcknowledgeAlertInput): Promise<Alert> {
  const { alertId, userId } = readInput(acknowledgeAlertInput, input);
  return moveAlert(health, alertId, 'acknowledged', userId);
}

/**
 * Resolves an alert before its rule is kept again. If the rule is still broken, the next report opens a new alert.
 * @throws {SuiteError} `HEALTH.INVALID_INPUT`, `HEALTH.ALERT_NOT_FOUND`, `HEALTH.ALERT_MOVE`
 */
export async function resolveAlert(health: Health, input: ResolveAlertInput): Promise<Alert> {
  const { alertId } = readInput(resolveAlertInput, input);
  return moveAlert(health, alertId, 'resolved', null);
}

async function moveAlert(health: Health, alertId: string, status: AlertStatus, userId: string | null): Promise<Alert> {
  const rows = await health.query<AlertRow>({
    text: `SELECT a.*, r.name AS rule, r.kind
      FROM move_alert($1, $2, $3) AS a JOIN alert_rules AS r ON r.id = a.rule_id`,
    values: [alertId, status, userId],
  });
  return alertOf(onlyRow(rows));
}

type AlertRow = Row<Alert>;

export function alertOf(row: AlertRow): Alert {
  return {
    id: row.id,
    ruleId: row.rule_id,
    rule: row.rule,
    kind: row.kind,
    serviceName: row.service_name,
    port: row.port,
    status: row.status,
    acknowledgedBy: row.acknowledged_by,
    acknowledgedAt: row.acknowledged_at,
    resolvedAt: row.resolved_at,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}

function ruleOf(row: Row<AlertRule>): AlertRule {
  return {
    id: row.id,
    name: row.name,
    kind: row.kind,
    serviceName: row.service_name,
    threshold: row.threshold,
    checks: row.checks,
    windowSeconds: row.window_seconds,
    isEnabled: row.is_enabled,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}
