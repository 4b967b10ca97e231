import { newId, SuiteError } from '@azora/db-core';
import { withClient } from '@azora/db-migrate';
import type { CheckedService } from './check';
import { countOf, type RunOptions, type ServiceRow } from './fleet';
import { readStatus, type ServiceStatus } from './status';
import type { Target } from './targets';

/** The service whose store keeps the state of endpoints and the log. */
export const HEALTH_SERVICE = 'health';

/** The state of one database, as `report_health` and `append_logs` of health take it. */
interface Report {
  readonly serviceName: string;
  readonly port: number;
  readonly status: 'running' | 'degraded' | 'error';
  readonly responseTimeMs: number | undefined;
  readonly errorMessage: string | undefined;
  readonly metadata: Readonly<Record<string, unknown>>;
}

const RECORD =
  'SELECT append_logs($1, NULL, NULL) AS lines, (SELECT count(*)::int FROM report_health($2)) AS endpoints';
const IS_MIGRATED = `SELECT to_regprocedure('public.report_health(json)') IS NOT NULL AS migrated`;

/**
 * Finds the database of health.
 * @throws {SuiteError} `CHECK.NO_HEALTH`
 */
export function healthTarget(targets: readonly Target[]): Target {
  const target = targets.find(({ service }) => service.name === HEALTH_SERVICE);
  if (target !== undefined) return target;
  throw new SuiteError('CHECK.NO_HEALTH', 'The health service is not in this fleet', {
    kind: 'configuration',
    why: `The service ${HEALTH_SERVICE}, which keeps the results, is not in the checkout, not in AZORA_SERVICES, or left out.`,
    next: `Add ${HEALTH_SERVICE} to AZORA_SERVICES and run "npm run db:setup"`,
  });
}

/**
 * Records the state of each database in health, as an endpoint with the port of its server and as a line of the log: whether
 * it answers, at which migration it is, and what the check of its data found. Returns the number of databases.
 * @throws {SuiteError} `CHECK.NOT_MIGRATED`, `SERVER.…`
 */
export async function recordHealth(
  health: Target,
  targets: readonly Target[],
  rows: readonly ServiceRow<CheckedService>[],
  options: RunOptions,
): Promise<number> {
  const times = new Map(
    await Promise.all(targets.map(async (target) => [target.service.name, await answerTime(target)] as const)),
  );
  const statuses = await readStatus(targets, new Map(), { signal: options.signal });
  const reports = targets.flatMap((target): Report[] => {
    const status = statuses.find(({ service }) => service === target.service.name);
    const row = rows.find(({ service }) => service === target.service.name);
    return status === undefined ? [] : [reportOf(target, status, row, times.get(target.service.name))];
  });
  return withClient(health.admin, async (client) => {
    const { rows: found } = await client.query<{ migrated: boolean }>(IS_MIGRATED);
    if (found[0]?.migrated !== true) throw notMigrated(health);
    const lines = JSON.stringify(reports.map(lineOf));
    const recorded = await client.query<{ endpoints: number }>(RECORD, [lines, JSON.stringify(reports)]);
    return recorded.rows[0]?.endpoints ?? 0;
  });
}

/** Milliseconds until a new connection has answered; undefined if it does not. */
async function answerTime(target: Target): Promise<number | undefined> {
  const started = performance.now();
  try {
    await withClient(target.admin, (client) => client.query('SELECT 1'));
    return Math.round(performance.now() - started);
  } catch {
    // The status of the database contains the error.
    return undefined;
  }
}

function reportOf(
  target: Target,
  { reachable, migrations, drift, error }: ServiceStatus,
  row: ServiceRow<CheckedService> | undefined,
  responseTimeMs: number | undefined,
): Report {
  const checked = row?.state === 'done' ? row.data : undefined;
  const failure = error?.message ?? (row?.state === 'failed' ? row.error.message : undefined);
  const counts = {
    pending: migrations.pending.length,
    failed: migrations.failed.length,
    edited: migrations.edited.length,
    missing: migrations.missing.length,
    missingIds: checked?.orphans.reduce((sum, { count }) => sum + count, 0) ?? 0,
    problems: checked?.problems.length ?? 0,
  };
  const found = [
    ...(['pending', 'failed', 'edited', 'missing'] as const)
      .filter((kind) => counts[kind] > 0)
      .map((kind) => countOf(counts[kind], `${kind} migration`)),
    ...(drift === true ? ['drift'] : []),
    ...(counts.missingIds > 0 ? [countOf(counts.missingIds, 'missing id')] : []),
    ...(counts.problems > 0 ? [countOf(counts.problems, 'problem')] : []),
  ];
  return {
    serviceName: target.service.name,
    port: target.admin.port,
    status: !reachable || failure !== undefined ? 'error' : found.length > 0 ? 'degraded' : 'running',
    responseTimeMs,
    errorMessage: failure ?? (found.length > 0 ? found.join(', ') : undefined),
    metadata: { database: target.database, server: target.server, drift, ...counts },
  };
}

const LEVELS = { running: 'INFO', degraded: 'WARN', error: 'ERROR' } as const;

function lineOf({ serviceName, status, errorMessage, metadata }: Report) {
  const message =
    errorMessage === undefined ? 'The check found no problem' : `The check found a problem: ${errorMessage}`;
  return { id: newId(), level: LEVELS[status], service: serviceName, message, metadata };
}

function notMigrated({ database }: Target): SuiteError {
  return new SuiteError('CHECK.NOT_MIGRATED', `${database} cannot record the result of a check`, {
    kind: 'configuration',
    why: 'Migrations of this checkout that create the store of health are pending.',
    next: `Run "npx azora-db migrate up --service ${HEALTH_SERVICE}"`,
    meta: { database },
  });
}
