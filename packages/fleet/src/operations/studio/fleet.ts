import { readStatus, type ServiceStatus } from '../status';
import type { Target } from '../targets';
import { readBackups, type ServiceBackups } from './backups';
import type { HiddenColumn, StudioContext } from './context';
import { hiddenColumns } from './hidden';
import { type FleetLink, readLinks } from './links';
import { type ReadError, withReader } from './reader';

/** A service in the studio's sidebar. What could not be read is null. */
export interface FleetEntry {
  readonly service: string;
  readonly database: string;
  readonly server: Target['server'];
  /** Whether its rows can be changed here. */
  readonly write: boolean;
  readonly reachable: boolean;
  readonly error: ReadError | null;
  /** How many migrations wait. */
  readonly pending: number | null;
  readonly drift: boolean | null;
  /** Of all tables together; counted, or estimated where there are many. */
  readonly rows: number | null;
  readonly sizeBytes: number | null;
  readonly newestBackup: ServiceBackups['newest'];
  readonly hidden: readonly HiddenColumn[];
}

export interface StudioFleet {
  readonly write: boolean;
  readonly reveal: boolean;
  readonly services: readonly FleetEntry[];
  /** Of columns that are shown, to others that are. */
  readonly links: readonly FleetLink[];
  /** Why nothing is known of backups. */
  readonly backupError: ReadError | null;
}

/** The state of every service that is shown, and the links between them. */
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
    // One that a lock or a missing right keeps from answering is there all the same.
    reachable: known || error?.code === 'DATABASE.FAILED',
    error,
    pending: known ? state.migrations.pending.length : null,
    drift: state.drift,
    rows: known ? Object.values(state.tables).reduce((sum, rows) => sum + rows, 0) : null,
    sizeBytes: known ? state.sizeBytes : null,
    newestBackup: newest,
    hidden: hiddenColumns(context, service),
  };
}
