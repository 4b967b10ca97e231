import pMap from 'p-map';
import type { Secret } from '../../backup-store/encryption';
import { openStorage } from '../../backup-store/location';
import type { Storage } from '../../backup-store/storage';
import type { Service } from '../../config/registry';
import type { Settings } from '../../config/settings';
import { readSchemaModel, type SchemaModel } from '../../schema/schema-model';
import type { Environment } from '../../system/child-environment';
import { toSuiteError } from '../fleet';
import { studioRole, type Target } from '../targets';
import { notReleased, openAccess, type StudioAccess } from './access';
import { annotatedColumns, type HiddenColumn } from './rights';

/** What the studio's server works with. The administrator's URLs in it never leave the process. */
export interface StudioContext {
  /** The services that the studio shows, in the order of the registry. */
  readonly targets: readonly Target[];
  /** Says whether a broker carries the events. */
  readonly environment: Environment;
  /** Of all services, because references also lead to services that are not shown. */
  readonly schemaModel: SchemaModel;
  /** Opens the backup store. Called for each request, because a store may become available while the studio runs. */
  readonly openStorage: () => Promise<Storage>;
  /** Checks who verified the sets. */
  readonly secret: Secret | undefined;
  readonly write: boolean;
  readonly reveal: boolean;
  /** One for each target, by service name. */
  readonly access: ReadonlyMap<string, StudioAccess>;
}

export interface StudioOptions {
  readonly settings: Settings;
  readonly allServices: readonly Service[];
  readonly targets: readonly Target[];
  readonly write: boolean;
  readonly reveal: boolean;
  readonly log: (line: string) => void;
}

export interface OpenedStudio {
  readonly context: StudioContext;
  /** Creates the roles ahead of the first request. A failure is logged; the next request tries again. */
  readonly prepare: () => Promise<void>;
  /** Ends all sessions and disables the roles. A role that could not be disabled is logged. */
  readonly close: () => Promise<void>;
}

const CONCURRENCY = 4;

/**
 * Opens the studio on these services. It connects to no database yet.
 * @throws {SuiteError} `SCHEMA.INVALID`, `SCHEMA.INVALID_ANNOTATION`
 */
export async function openStudioContext(options: StudioOptions): Promise<OpenedStudio> {
  const { settings, allServices, targets, write, reveal, log } = options;
  const schemaModel = await readSchemaModel(allServices);
  const accesses = targets.map((target) => ({
    target,
    service: target.service.name,
    access: openAccess({ target, schemaModel, write, reveal, log }),
  }));
  return {
    context: {
      targets,
      environment: settings.environment,
      schemaModel,
      openStorage: () => openStorage(settings.backups.location, settings.environment),
      secret: settings.backups.secret,
      write,
      reveal,
      access: new Map(accesses.map(({ service, access }) => [service, access])),
    },
    prepare: async () => {
      const open = ({ service, access }: (typeof accesses)[number]) =>
        access
          .open()
          .catch((error: unknown) => log(`${service}: ${toSuiteError(error).message}. The next request tries again`));
      await pMap(accesses, open, { concurrency: CONCURRENCY });
    },
    close: async () => {
      const close = ({ service, target, access }: (typeof accesses)[number]) =>
        access.close().catch((error: unknown) => log(`${service}: ${notReleased(studioRole(target), error)}`));
      await pMap(accesses, close, { concurrency: CONCURRENCY });
    },
  };
}

/** Returns the columns of a service whose values the studio does not show, also for a service that is not shown. */
export function hiddenColumns(
  { access, schemaModel, reveal }: StudioContext,
  service: string,
): readonly HiddenColumn[] {
  return access.get(service)?.hidden() ?? (reveal ? [] : annotatedColumns(schemaModel, service));
}

/** Returns a test of whether the studio hides the values of a column. */
export function hiddenIn(context: StudioContext): (service: string, table: string, column: string) => boolean {
  const keys = new Set(
    context.schemaModel.services.flatMap(({ name }) =>
      hiddenColumns(context, name).map(({ table, column }) => JSON.stringify([name, table, column])),
    ),
  );
  return (...path) => keys.has(JSON.stringify(path));
}
