import { createHash } from 'node:crypto';
import { isRecord } from '@azora/db-core';
import { readJsonLines } from '../readers/json-lines';
import { type LegacyRecord, Rejection, type SourceItem } from '../source';
import type { Stage, StageRow } from '../stage';
import { integerOf, jsonOf, requiredText, requiredTime, textOf } from '../values';
import type { LegacyFile } from './folder';

const STATUSES: Readonly<Record<string, string>> = {
  healthy: 'running',
  running: 'running',
  up: 'running',
  degraded: 'degraded',
  unhealthy: 'degraded',
  down: 'stopped',
  stopped: 'stopped',
  error: 'error',
};

/** One check of one endpoint, in a round of checks. */
function checksOf(round: LegacyRecord): readonly StageRow[] {
  const { results } = round;
  if (!isRecord(results)) throw new Rejection('INVALID_VALUE', 'results is not an object of checks by service');
  return Object.entries(results).map(([service, result]) => {
    if (!isRecord(result)) throw new Rejection('INVALID_VALUE', 'A member of results is not an object');
    const checks = isRecord(result['checks']) ? result['checks'] : {};
    const time = requiredTime('timestamp' in result ? result : round, 'timestamp');
    const status = STATUSES[requiredText(result, 'status').toLowerCase()];
    if (status === undefined)
      throw new Rejection('INVALID_VALUE', `status is not one of ${Object.keys(STATUSES).join(', ')}`);
    const port = integerOf(result, 'port', 1, 65_535);
    if (port === null) throw new Rejection('INVALID_VALUE', 'port is not a whole number from 1 to 65535');
    const name = 'service' in result ? requiredText(result, 'service', 100) : service;
    const message = textOf(checks, 'http_error');
    return {
      legacy: `${name}:${port}@${time}`,
      service_name: name,
      port,
      status,
      error_message: message ?? (status === 'error' ? 'The check of Aurora failed' : null),
      time,
    };
  });
}

/** The last state of each endpoint in `health_log.jsonl`. A later check that health knows stays. */
export function endpointStage(files: readonly LegacyFile[]): Stage {
  return {
    name: 'endpoints',
    service: 'health',
    table: 'service_health',
    key: ['service_name', 'port'],
    columns: ['service_name', 'port', 'status', 'last_check', 'error_message'],
    newerBy: 'last_check',
    sources: files.map((file) => ({
      name: `${file.name} (endpoints)`,
      files: [file.path],
      read: () => readEndpoints(file),
    })),
    map: (record) => [
      {
        service_name: requiredText(record, 'service_name'),
        port: integerOf(record, 'port'),
        status: requiredText(record, 'status'),
        last_check: requiredTime(record, 'time'),
        error_message: textOf(record, 'error_message'),
      },
    ],
  };
}

/** Lines that cannot be read are rejects of the stage of the checks. */
async function* readEndpoints({ path, name }: LegacyFile): AsyncGenerator<SourceItem> {
  const latest = new Map<string, Extract<SourceItem, { readonly value: LegacyRecord }>>();
  for await (const item of readJsonLines(path, name)) {
    if (item.value === undefined) continue;
    for (const row of readableChecks(item.value)) {
      const endpoint = `${row['service_name']}:${row['port']}`;
      const known = latest.get(endpoint)?.value['time'];
      if (typeof known !== 'string' || known < (row['time'] ?? '')) latest.set(endpoint, { ...item, value: row });
    }
  }
  yield* latest.values();
}

function readableChecks(round: LegacyRecord): readonly StageRow[] {
  try {
    return checksOf(round);
  } catch (error) {
    if (error instanceof Rejection) return [];
    throw error;
  }
}

/** The checks of `health_log.jsonl`, one round a line. */
export function healthCheckStage(files: readonly LegacyFile[]): Stage {
  return {
    name: 'health checks',
    service: 'health',
    table: 'health_checks',
    key: ['id'],
    isLinked: true,
    columns: ['endpoint_id', 'status', 'error_message', 'created_at'],
    inputs: ['service_name', 'port'],
    expressions: {
      endpoint_id: `SELECT "id" FROM "public"."service_health" AS "endpoint"
        WHERE "endpoint"."service_name" = "row"."service_name" AND "endpoint"."port" = "row"."port"::integer`,
    },
    sources: files.map((file) => ({
      name: file.name,
      files: [file.path],
      read: () => readJsonLines(file.path, file.name),
    })),
    map: (round) => checksOf(round).map(({ time = null, ...row }) => ({ ...row, created_at: time })),
  };
}

/** The events of servers in `luminar_nexus.jsonl`, as log lines. */
export function eventStage(files: readonly LegacyFile[]): Stage {
  return {
    name: 'server events',
    service: 'health',
    table: 'logs',
    key: ['created_at', 'id'],
    columns: ['id', 'level', 'service', 'message', 'metadata', 'created_at'],
    prepare: `SELECT public.make_log_month("month") FROM (
      SELECT DISTINCT date_trunc('month', CAST("created_at" AS timestamptz))::date AS "month" FROM pg_temp.azora_staged) AS "it"`,
    sources: files.map((file) => ({
      name: file.name,
      files: [file.path],
      read: () => readJsonLines(file.path, file.name),
    })),
    map: (record) => [eventRow(record)],
  };
}

function eventRow(record: LegacyRecord): StageRow {
  const { timestamp: _time, event: _event, server: _server, ...metadata } = record;
  const event = requiredText(record, 'event');
  return {
    id: `aurora-${createHash('sha256').update(JSON.stringify(record)).digest('hex').slice(0, 24)}`,
    level: /ERROR|FAIL/.test(event) ? 'ERROR' : 'INFO',
    service: textOf(record, 'server', 100) ?? 'luminar-nexus',
    message: event,
    metadata: jsonOf({ metadata }, 'metadata'),
    created_at: requiredTime(record, 'timestamp'),
  };
}
