import type { SuiteError } from '@azora/db-core';
import {
  compareHistory,
  hasDrifted,
  type MigrationState,
  readHistory,
  readMigrations,
  withClient,
} from '@azora/db-migrate';
import type { Client, ClientBase } from 'pg';
import { countRows, ESTIMATED_TABLES, type EstimatedTable, type RowCounts } from './contents';
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
  readonly tables: RowCounts;
  readonly sizeBytes: number;
  readonly error: { readonly code: string; readonly message: string; readonly next: string | null } | null;
}

export interface StatusOptions extends RunOptions {
  /** Connects to a database, for callers that cannot wait as long as a command. */
  readonly connect?: Connect;
}

type Connect = <Result>(target: Target, work: (client: Client) => Promise<Result>) => Promise<Result>;

/**
 * Reads the state of every service's database. The entry of one that cannot be read contains the error.
 * @throws the reason of the signal when it was aborted: a part of the fleet is not its state
 */
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
  options.signal?.throwIfAborted();
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
  readonly tables: readonly EstimatedTable[];
}

async function readFacts(client: ClientBase): Promise<Facts> {
  const { rows } = await client.query<{ version: string; size: string; tables: Facts['tables'] | null }>(`
    SELECT current_setting('server_version') AS version,
           pg_database_size(current_database())::text AS size,
           (${ESTIMATED_TABLES}) AS tables`);
  const [row] = rows;
  return { version: row?.version ?? '', size: Number(row?.size ?? 0), tables: row?.tables ?? [] };
}
