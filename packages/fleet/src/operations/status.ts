import { quoteIdentifier, quoteLiteral, type SuiteError } from '@azora/db-core';
import {
  compareHistory,
  hasDrifted,
  isOwnRelation,
  type MigrationState,
  readHistory,
  readMigrations,
  withClient,
} from '@azora/db-migrate';
import type { Client, ClientBase } from 'pg';
import { eachService, type RunOptions, toSuiteError } from './fleet';
import type { Target } from './targets';

/** One service's entry in `status --json`. */
export interface ServiceStatus {
  readonly service: string;
  readonly database: string;
  readonly server: Target['server'];
  readonly reachable: boolean;
  readonly serverVersion: string | null;
  readonly migrations: {
    readonly applied: number;
    readonly pending: readonly string[];
    readonly failed: readonly string[];
    readonly edited: readonly string[];
    readonly missing: readonly string[];
  };
  /** Whether the catalog differs from the state after the last migration; null when that state was not recorded. */
  readonly drift: boolean | null;
  readonly models: number;
  /** Rows by table; above {@link COUNT_LIMIT_ROWS} PostgreSQL's estimate. */
  readonly tables: Readonly<Record<string, number>>;
  readonly sizeBytes: number;
  readonly error: { readonly code: string; readonly message: string; readonly next: string | null } | null;
}

export interface StatusOptions extends RunOptions {
  /** Connects to a database, for callers that cannot wait as long as a command. */
  readonly connect?: Connect;
}

type Connect = <Result>(target: Target, work: (client: Client) => Promise<Result>) => Promise<Result>;

/** Counting a larger table takes too long for a status. */
const COUNT_LIMIT_ROWS = 50_000;

/** Reads the state of every service's database. The entry of one that cannot be read contains the error. */
export async function readStatus(
  targets: readonly Target[],
  models: ReadonlyMap<string, number>,
  options: StatusOptions,
): Promise<readonly ServiceStatus[]> {
  const rows = await eachService(targets, options, async (target) => ({
    data: await readTarget(target, models.get(target.service.name) ?? 0, options.connect).catch((error: unknown) =>
      unreadable(target, models.get(target.service.name) ?? 0, toSuiteError(error)),
    ),
    detail: '',
  }));
  return rows.flatMap((row) => (row.state === 'done' ? [row.data] : []));
}

/** Whether the database is reachable, at its newest migration and without drift. */
export function isHealthy({ reachable, migrations, drift }: ServiceStatus): boolean {
  const { pending, failed, edited, missing } = migrations;
  return reachable && drift !== true && [pending, failed, edited, missing].every((names) => names.length === 0);
}

async function readTarget(
  target: Target,
  models: number,
  connect: Connect = ({ admin }, work) => withClient(admin, work),
): Promise<ServiceStatus> {
  const files = await readMigrations(target.service.migrationsPath);
  return connect(target, async (client) => {
    const facts = await readFacts(client);
    const state = compareHistory(files, await readHistory(client));
    const drifted = await hasDrifted(client);
    return {
      ...identityOf(target, models),
      reachable: true,
      serverVersion: facts.version,
      migrations: summarize(state),
      drift: drifted ?? null,
      tables: await countRows(client, facts.tables),
      sizeBytes: facts.size,
      error: null,
    };
  });
}

function identityOf({ service, database, server }: Target, models: number) {
  return { service: service.name, database, server, models };
}

function summarize(state: MigrationState): ServiceStatus['migrations'] {
  return {
    applied: state.applied.length,
    pending: state.pending,
    failed: state.failed.map(({ name }) => name),
    edited: state.edited,
    missing: state.missing,
  };
}

function unreadable(target: Target, models: number, error: SuiteError): ServiceStatus {
  return {
    ...identityOf(target, models),
    reachable: false,
    serverVersion: null,
    migrations: { applied: 0, pending: [], failed: [], edited: [], missing: [] },
    drift: null,
    tables: {},
    sizeBytes: 0,
    error: { code: error.code, message: error.message, next: error.next ?? null },
  };
}

interface Facts {
  readonly version: string;
  readonly size: number;
  readonly tables: readonly { readonly name: string; readonly estimate: number }[];
}

async function readFacts(client: ClientBase): Promise<Facts> {
  const { rows } = await client.query<{ version: string; size: string; tables: Facts['tables'] | null }>(`
    SELECT current_setting('server_version') AS version,
           pg_database_size(current_database())::text AS size,
           (SELECT json_agg(json_build_object('name', relname, 'estimate', reltuples) ORDER BY relname)
            FROM pg_class WHERE relkind = 'r' AND ${isOwnRelation('pg_class')}) AS tables`);
  const [row] = rows;
  return { version: row?.version ?? '', size: Number(row?.size ?? 0), tables: row?.tables ?? [] };
}

async function countRows(client: ClientBase, tables: Facts['tables']): Promise<Readonly<Record<string, number>>> {
  if (tables.length === 0) return {};
  const counts = tables.map(({ name, estimate }) =>
    estimate > COUNT_LIMIT_ROWS
      ? `(${quoteLiteral(name)}, ${Math.round(estimate)}::bigint)`
      : `(${quoteLiteral(name)}, (SELECT count(*) FROM ${quoteIdentifier(name)}))`,
  );
  const { rows } = await client.query<{ name: string; rows: string }>(
    `SELECT * FROM (VALUES ${counts.join(', ')}) AS counted (name, rows)`,
  );
  return Object.fromEntries(rows.map(({ name, rows: count }) => [name, Number(count)]));
}
