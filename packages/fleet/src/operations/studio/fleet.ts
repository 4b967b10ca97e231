import { references } from '../../suite/catalog';
import { readStatus, type ServiceStatus } from '../status';
import type { Target } from '../targets';
import { readBackups, type ServiceBackups } from './backups';
import type { HiddenColumn, StudioContext } from './context';
import { hiddenColumns, hiddenIn } from './hidden';
import { type ReadError, withReader } from './reader';

/** A service in the studio's sidebar. What could not be read is null. */
export interface FleetEntry {
  readonly service: string;
  readonly database: string;
  readonly server: Target['server'];
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

/** A column whose values are keys of a table in another service's database. */
export interface FleetLink {
  readonly service: string;
  readonly table: string;
  readonly column: string;
  readonly toService: string;
  readonly toTable: string;
  readonly toColumn: string;
}

export interface StudioFleet {
  readonly write: boolean;
  readonly reveal: boolean;
  readonly services: readonly FleetEntry[];
  /** Of the services that are shown, to others that are. */
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
    links: linksOf(context),
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

function linksOf(context: StudioContext): readonly FleetLink[] {
  const shown = new Set(context.targets.map(({ service }) => service.name));
  const isHidden = hiddenIn(context);
  return references(context.catalog).flatMap(({ service, table, column, target }) => {
    const leadsOn = shown.has(service) && shown.has(target.service);
    if (!leadsOn || isHidden(service, table, column) || isHidden(target.service, target.table, target.column))
      return [];
    return [{ service, table, column, toService: target.service, toTable: target.table, toColumn: target.column }];
  });
}
