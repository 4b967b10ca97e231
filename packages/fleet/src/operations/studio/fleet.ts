import type { Secret } from '../../backup-store/encryption';
import type { Storage } from '../../backup-store/storage';
import { readHealth, type TableHealth } from '../../postgres/health';
import { readSlowest, type SlowStatement } from '../../postgres/slow-statements';
import { describeSet, isProof } from '../backup/sets';
import { eachService, toSuiteError } from '../fleet';
import { readStatus, type ServiceStatus } from '../status';
import type { Target } from '../targets';
import { hiddenColumns, type StudioContext } from './context';
import { type FleetLink, readLinks } from './models';
import { READ_TIMEOUT_MS, type ReadError, readErrorOf, withReader, withTimeout } from './reader';
import { type FilledColumn, filledColumns, type HiddenColumn } from './rights';

/** A service in the studio's sidebar. A value that could not be read is null. */
export interface FleetEntry {
  readonly service: string;
  readonly database: string;
  readonly server: Target['server'];
  /** Whether the studio can change rows of this service. */
  readonly write: boolean;
  readonly reachable: boolean;
  readonly error: ReadError | null;
  /** The number of pending migrations. */
  readonly pending: number | null;
  readonly drift: boolean | null;
  /** Of all tables together: counted, or estimated for large tables. */
  readonly rows: number | null;
  readonly sizeBytes: number | null;
  readonly newestBackup: ServiceBackups['newest'];
  readonly hidden: readonly HiddenColumn[];
  readonly filled: readonly FilledColumn[];
}

export interface StudioFleet {
  readonly write: boolean;
  readonly reveal: boolean;
  readonly services: readonly FleetEntry[];
  /** From visible columns to visible columns. */
  readonly links: readonly FleetLink[];
  /** Why the backup store could not be read. */
  readonly backupError: ReadError | null;
}

/** Reads the state of every service that is shown, and the links between them. */
export async function readFleet(context: StudioContext): Promise<StudioFleet> {
  const { targets, write, reveal } = context;
  const [states, backups] = await Promise.all([
    readStatus(targets, new Map(), { connect: withReader }),
    readBackups(context),
  ]);
  return {
    write,
    reveal,
    services: states.map((state) => entryOf(context, state, backups.of(state.service))),
    links: readLinks(context),
    backupError: backups.error,
  };
}

function entryOf(context: StudioContext, state: ServiceStatus, { newest }: ServiceBackups): FleetEntry {
  const { service, database, server, error } = state;
  const known = state.reachable;
  return {
    service,
    database,
    server,
    write: context.access.get(service)?.audit !== undefined,
    // A database that answers with an error, such as a lock timeout, is reachable all the same.
    reachable: known || error?.code === 'DATABASE.FAILED',
    error,
    pending: known ? state.migrations.pending.length : null,
    drift: state.drift,
    rows: known ? Object.values(state.tables).reduce((sum, rows) => sum + rows, 0) : null,
    sizeBytes: known ? state.sizeBytes : null,
    newestBackup: newest,
    hidden: hiddenColumns(context, service),
    filled: filledColumns(context.schemaModel, service),
  };
}

/** Current measurements of one database. A value that is not known is null. */
export interface ServiceOverview {
  readonly service: string;
  readonly connections: number | null;
  readonly connectionLimit: number | null;
  readonly cacheHitRatio: number | null;
  readonly tables: readonly (Omit<TableHealth, 'deadRows'> & { readonly deadRows: number | null })[];
  /** Null without pg_stat_statements. */
  readonly slowest: readonly SlowStatement[] | null;
  /** Null when no transaction is open. */
  readonly oldestTransactionSeconds: number | null;
  readonly replicationLagBytes: number | null;
  /** Since the newest verified set began. */
  readonly backupAgeSeconds: number | null;
  readonly error: ReadError | null;
}

export interface StudioOverview {
  readonly at: string;
  readonly services: readonly ServiceOverview[];
  /** Why the backup store could not be read. */
  readonly backupError: ReadError | null;
}

type Measured = Omit<ServiceOverview, 'service' | 'backupAgeSeconds' | 'error'>;

const NOTHING: Measured = {
  connections: null,
  connectionLimit: null,
  cacheHitRatio: null,
  tables: [],
  slowest: null,
  oldestTransactionSeconds: null,
  replicationLagBytes: null,
};

/** Measures every database that is shown. */
export async function readOverview(context: StudioContext, now = new Date()): Promise<StudioOverview> {
  const [rows, backups] = await Promise.all([
    eachService(context.targets, {}, async (target) => ({ data: await measure(target), detail: '' })),
    readBackups(context),
  ]);
  return {
    at: now.toISOString(),
    services: rows.map((row) => ({
      service: row.service,
      ...(row.state === 'done' ? row.data : NOTHING),
      backupAgeSeconds: ageOf(backups.of(row.service), now),
      error: row.state === 'failed' ? readErrorOf(row.error) : null,
    })),
    backupError: backups.error,
  };
}

async function measure(target: Target): Promise<Measured> {
  return withReader(target, async (client) => {
    const { statements, ...health } = await readHealth(client, target.role);
    if (target.server === 'companion') return { ...NOTHING, tables: health.tables.map(withoutCounters) };
    return { ...health, slowest: statements === null ? null : await readSlowest(client, statements) };
  });
}

/** PGlite keeps no activity counters. It knows the size of a table and the result of its last ANALYZE. */
function withoutCounters(table: TableHealth): ServiceOverview['tables'][number] {
  return { ...table, deadRows: null, indexUse: null };
}

function ageOf({ verifiedAt }: ServiceBackups, now: Date): number | null {
  return verifiedAt === null ? null : Math.max(0, (now.getTime() - Date.parse(verifiedAt)) / 1_000);
}

/** The backups of one service. */
interface ServiceBackups {
  /** The newest set that contains the service, and whether that set was verified. */
  readonly newest: { readonly id: string; readonly startedAt: string; readonly verified: boolean } | null;
  /** When the newest verified set began. */
  readonly verifiedAt: string | null;
}

interface FleetBackups {
  readonly of: (service: string) => ServiceBackups;
  readonly error: ReadError | null;
}

const NO_BACKUPS: ServiceBackups = { newest: null, verifiedAt: null };

/** Reads the newest sets of each service. A backup store that fails or does not answer in time becomes `error`. */
async function readBackups(context: StudioContext): Promise<FleetBackups> {
  const services = context.targets.map(({ service }) => service.name);
  try {
    // The client of an S3 bucket that does not answer retries for minutes.
    const found = await withTimeout('The backup store', READ_TIMEOUT_MS, async () =>
      newestOf(await context.openStorage(), context.secret, services),
    );
    return { of: (service) => found.get(service) ?? NO_BACKUPS, error: null };
  } catch (error) {
    return { of: () => NO_BACKUPS, error: readErrorOf(toSuiteError(error)) };
  }
}

/** Reads from the newest set back until every service has a verified one: each set costs two files to read. */
async function newestOf(
  storage: Storage,
  secret: Secret | undefined,
  services: readonly string[],
): Promise<ReadonlyMap<string, ServiceBackups>> {
  const found = new Map<string, ServiceBackups>();
  for (const id of (await storage.list()).toReversed()) {
    if (services.every((service) => (found.get(service)?.verifiedAt ?? null) !== null)) break;
    const set = await describeSet(storage, id, secret);
    const verified = isProof(set);
    for (const service of set.services) {
      const { newest, verifiedAt } = found.get(service) ?? NO_BACKUPS;
      found.set(service, {
        newest: newest ?? { id, startedAt: set.startedAt, verified },
        verifiedAt: verifiedAt ?? (verified ? set.startedAt : null),
      });
    }
  }
  return found;
}
