import { textInput, timeInput } from '@azora/db-core/input';
import { cursorInput, microsOf, pageOf, timeOfMicros } from '@azora/db-core/paging';
import { z } from 'zod';
import type { Health } from './client';
import { endpointNotFound, readInput } from './errors';
import type { Prisma } from './generated/client';
import { jsonInput, portInput, serviceInput } from './input';
import type { Row } from './rows';

const MAX_REPORTS = 1_000;
const MAX_PAGE = 1_000;
const DEFAULT_PAGE = 100;
/** A check says nothing about the time after this, if no other check follows. */
const DEFAULT_VALID_FOR_MS = 5 * 60_000;
const MAX_VALID_FOR_MS = 86_400_000;

export const ENDPOINT_STATUSES = ['running', 'stopped', 'degraded', 'error'] as const;
export type EndpointStatus = (typeof ENDPOINT_STATUSES)[number];

export type ServiceHealth = Prisma.ServiceHealthModel;

export interface HealthReport {
  readonly serviceName: string;
  readonly port: number;
  readonly status: EndpointStatus;
  /** Milliseconds. */
  readonly responseTimeMs?: number;
  /** Required for the status error. */
  readonly errorMessage?: string;
  readonly metadata?: Readonly<Record<string, unknown>>;
}

export interface ReportHealthInput {
  /** 1 to 1000 reports, one for each endpoint. */
  readonly reports: readonly HealthReport[];
}

export interface ListServiceHealthInput {
  readonly serviceName?: string;
  readonly statuses?: readonly EndpointStatus[];
}

export interface EndpointInput {
  readonly serviceName: string;
  readonly port: number;
}

export interface HealthHistoryInput extends EndpointInput {
  /** 1 to 1000; 100 when absent. */
  readonly limit?: number;
  /** The `nextCursor` of the previous page. */
  readonly cursor?: string;
}

/** One check of an endpoint. */
export type HealthCheck = Omit<Prisma.HealthCheckModel, 'endpointId'>;

export interface HealthHistoryPage {
  /** Newest first. */
  readonly checks: readonly HealthCheck[];
  /** Null on the last page. */
  readonly nextCursor: string | null;
}

export interface UptimeInput {
  readonly serviceName: string;
  /** All endpoints of the service when absent. */
  readonly port?: number;
  readonly since: Date;
  /** The present when absent. */
  readonly until?: Date;
  /** Milliseconds that a check describes at most, if no other check follows; 5 minutes when absent, at most a day. */
  readonly validForMs?: number;
}

/** The availability of an endpoint in a time. */
export interface Uptime extends EndpointInput {
  readonly checks: number;
  /** Checks that found the endpoint stopped or in error. */
  readonly failures: number;
  /** The share of the known time in which the endpoint was running or degraded, from 0 to 1; null if no time is known. */
  readonly uptime: number | null;
  /** Milliseconds that checks describe. */
  readonly knownMs: number;
  /** Milliseconds of a response at these percentiles; null if no check measured one. */
  readonly responseTimeMs: { readonly p50: number; readonly p95: number; readonly p99: number } | null;
}

const status = z.enum(ENDPOINT_STATUSES);
const endpointInput = z.strictObject({ serviceName: serviceInput, port: portInput });
const reportInput = z
  .strictObject({
    serviceName: serviceInput,
    port: portInput,
    status,
    responseTimeMs: z.int().min(0).max(2_147_483_647).optional(),
    errorMessage: textInput(10_000).optional(),
    metadata: jsonInput.optional(),
  })
  .refine((report) => report.status !== 'error' || report.errorMessage !== undefined, {
    path: ['errorMessage'],
    message: 'is required for the status error',
  });
const reportHealthInput = z.strictObject({ reports: z.array(reportInput).min(1).max(MAX_REPORTS) });
const listServiceHealthInput = z.strictObject({
  serviceName: serviceInput.optional(),
  statuses: z.array(status).min(1).optional(),
});
const healthHistoryInput = endpointInput.extend({
  limit: z.int().min(1).max(MAX_PAGE).default(DEFAULT_PAGE),
  cursor: cursorInput.refine(({ id }) => /^\d{1,18}$/.test(id), 'is not a cursor of this list').optional(),
});
const uptimeInput = z.strictObject({
  serviceName: serviceInput,
  port: portInput.optional(),
  since: timeInput,
  until: timeInput.optional(),
  validForMs: z.int().min(1).max(MAX_VALID_FOR_MS).default(DEFAULT_VALID_FOR_MS),
});

/**
 * Records a check of each endpoint, all at one time of the database: the state, the history, the events of changed states, and the
 * alerts that the checks open and resolve. Returns the endpoints, ordered by service and port. Two calls about one endpoint are
 * recorded one after the other.
 * @throws {SuiteError} `HEALTH.INVALID_INPUT`
 */
export async function reportHealth(health: Health, input: ReportHealthInput): Promise<readonly ServiceHealth[]> {
  const { reports } = readInput(reportHealthInput, input);
  const rows = await health.query<ServiceHealthRow>({
    text: 'SELECT * FROM report_health($1)',
    values: [JSON.stringify(reports)],
  });
  return rows.map(serviceHealthOf);
}

/**
 * The present state of the endpoints, ordered by service and port.
 * @throws {SuiteError} `HEALTH.INVALID_INPUT`
 */
export async function listServiceHealth(
  health: Health,
  input: ListServiceHealthInput = {},
): Promise<readonly ServiceHealth[]> {
  const { serviceName = null, statuses = null } = readInput(listServiceHealthInput, input);
  const rows = await health.query<ServiceHealthRow>({
    text: `SELECT * FROM service_health WHERE ($1::text IS NULL OR service_name = $1) AND ($2::text[] IS NULL OR status = ANY ($2))
      ORDER BY service_name, port`,
    values: [serviceName, statuses],
  });
  return rows.map(serviceHealthOf);
}

/**
 * The present state of an endpoint.
 * @throws {SuiteError} `HEALTH.INVALID_INPUT`, `HEALTH.ENDPOINT_NOT_FOUND`
 */
export async function getServiceHealth(health: Health, input: EndpointInput): Promise<ServiceHealth> {
  const { serviceName, port } = readInput(endpointInput, input);
  const [row] = await health.query<ServiceHealthRow>({
    text: 'SELECT * FROM service_health WHERE service_name = $1 AND port = $2',
    values: [serviceName, port],
  });
  if (row === undefined) throw endpointNotFound({ serviceName, port });
  return serviceHealthOf(row);
}

/**
 * A page of the checks of an endpoint, newest first.
 * @throws {SuiteError} `HEALTH.INVALID_INPUT`, `HEALTH.ENDPOINT_NOT_FOUND`
 */
export async function healthHistory(health: Health, input: HealthHistoryInput): Promise<HealthHistoryPage> {
  const { serviceName, port, limit, cursor } = readInput(healthHistoryInput, input);
  const found = await health.query<CheckRow & { readonly micros: string }>({
    text: `SELECT c.id::text, c.status, c.response_time_ms, c.error_message, c.created_at, ${microsOf('c.created_at')} AS micros
      FROM service_health AS s LEFT JOIN LATERAL (
        SELECT * FROM health_checks AS h WHERE h.endpoint_id = s.id
          AND ($3::bigint IS NULL OR (h.created_at, h.id) < (${timeOfMicros('$3')}, $4::bigint))
        ORDER BY h.created_at DESC, h.id DESC LIMIT $5
      ) AS c ON true
      WHERE s.service_name = $1 AND s.port = $2 ORDER BY c.created_at DESC, c.id DESC`,
    values: [serviceName, port, cursor?.micros ?? null, cursor?.id ?? null, limit + 1],
  });
  // An endpoint without checks has one row of nulls.
  if (found.length === 0) throw endpointNotFound({ serviceName, port });
  const { rows, nextCursor } = pageOf(
    found.filter((row) => row.id !== null),
    limit,
  );
  return { checks: rows.map(historyOf), nextCursor };
}

/** Each check describes the time to the next one, but not longer than it is valid, and not outside of the asked time. */
const UPTIME = `
  WITH spans AS (
    SELECT s.service_name, s.port, h.status, h.response_time_ms, h.created_at >= $3::timestamptz AS is_inside,
      greatest(h.created_at, $3::timestamptz) AS starts,
      least(lead(h.created_at, 1, bounds.until) OVER (PARTITION BY s.id ORDER BY h.created_at, h.id),
        h.created_at + $5 * interval '1 millisecond', bounds.until) AS ends
    FROM service_health AS s JOIN health_checks AS h ON h.endpoint_id = s.id
    CROSS JOIN (SELECT coalesce($4::timestamptz, database_time()) AS until) AS bounds
    WHERE s.service_name = $1 AND ($2::int IS NULL OR s.port = $2)
      AND h.created_at >= $3::timestamptz - $5 * interval '1 millisecond' AND h.created_at < bounds.until
  ), known AS (
    SELECT *, greatest(extract(epoch FROM ends - starts) * 1000, 0)::float8 AS known_ms FROM spans
  )
  SELECT service_name, port, (count(*) FILTER (WHERE is_inside))::int AS checks,
    (count(*) FILTER (WHERE is_inside AND status IN ('stopped', 'error')))::int AS failures,
    sum(known_ms) AS known_ms, coalesce(sum(known_ms) FILTER (WHERE status IN ('running', 'degraded')), 0) AS up_ms,
    percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY response_time_ms) FILTER (WHERE is_inside) AS percentiles
  FROM known GROUP BY service_name, port ORDER BY service_name, port`;

/**
 * The availability and the response times of the endpoints of a service in a time, ordered by port. Endpoints without checks in it
 * are left out.
 * @throws {SuiteError} `HEALTH.INVALID_INPUT`
 */
export async function uptime(health: Health, input: UptimeInput): Promise<readonly Uptime[]> {
  const { serviceName, port = null, since, until = null, validForMs } = readInput(uptimeInput, input);
  const rows = await health.queryLong<UptimeRow>({
    text: UPTIME,
    values: [serviceName, port, since, until, validForMs],
  });
  return rows.map((row) => ({
    serviceName: row.service_name,
    port: row.port,
    checks: row.checks,
    failures: row.failures,
    uptime: row.known_ms === 0 ? null : row.up_ms / row.known_ms,
    knownMs: row.known_ms,
    responseTimeMs: percentilesOf(row.percentiles),
  }));
}

interface UptimeRow {
  readonly service_name: string;
  readonly port: number;
  readonly checks: number;
  readonly failures: number;
  readonly known_ms: number;
  readonly up_ms: number;
  readonly percentiles: readonly (number | null)[] | null;
}

function percentilesOf(percentiles: UptimeRow['percentiles']): Uptime['responseTimeMs'] {
  const [p50, p95, p99] = percentiles ?? [];
  if (typeof p50 !== 'number' || typeof p95 !== 'number' || typeof p99 !== 'number') return null;
  return { p50, p95, p99 };
}

type ServiceHealthRow = Row<ServiceHealth>;

function serviceHealthOf(row: ServiceHealthRow): ServiceHealth {
  return {
    id: row.id,
    serviceName: row.service_name,
    port: row.port,
    status: row.status,
    lastCheck: row.last_check,
    responseTimeMs: row.response_time_ms,
    errorMessage: row.error_message,
    metadata: row.metadata,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}

/** `pg` returns a bigint as text. */
type CheckRow = Omit<Row<HealthCheck>, 'id'> & { readonly id: string };

function historyOf(row: CheckRow): HealthCheck {
  return {
    id: BigInt(row.id),
    status: row.status,
    responseTimeMs: row.response_time_ms,
    errorMessage: row.error_message,
    createdAt: row.created_at,
  };
}
