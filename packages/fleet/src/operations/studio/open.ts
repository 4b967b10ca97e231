import pMap from 'p-map';
import { openStorage } from '../../backup-store/open-storage';
import type { Service } from '../../config/registry';
import type { Settings } from '../../config/settings';
import { readSchemaModel } from '../../schema/schema-model';
import { toSuiteError } from '../fleet';
import type { Target } from '../targets';
import { openAccess } from './access';
import type { StudioContext } from './context';

export interface StudioRequest {
  readonly settings: Settings;
  readonly allServices: readonly Service[];
  readonly targets: readonly Target[];
  readonly write: boolean;
  readonly reveal: boolean;
}

export interface OpenedStudio {
  readonly context: StudioContext;
  /** Makes the roles, so that the first question does not wait for it; what fails is said and tried again when asked. */
  readonly prepare: (log: (line: string) => void) => Promise<void>;
  /** Ends all sessions and takes the roles' rights away; a server that is gone is not waited for. */
  readonly close: () => Promise<void>;
}

const AT_ONCE = 4;

/**
 * Brings together what the studio knows. No database is asked yet.
 * @throws {SuiteError} `SCHEMA.INVALID`, `SCHEMA.INVALID_ANNOTATION`
 */
export async function openStudioContext(request: StudioRequest): Promise<OpenedStudio> {
  const { settings, allServices, targets, write, reveal } = request;
  const schemaModel = await readSchemaModel(allServices);
  const accesses = targets.map((target) => openAccess({ target, schemaModel, write, reveal }));
  const named = targets.map(({ service }, index) => [service.name, accesses[index]] as const);
  const access = new Map(named.flatMap(([name, it]) => (it === undefined ? [] : [[name, it] as const])));
  return {
    context: {
      targets,
      schemaModel,
      openStorage: () => openStorage(settings.backups.location),
      write,
      reveal,
      access,
    },
    prepare: async (log) => {
      await pMap(
        access,
        ([service, it]) =>
          it
            .open()
            .catch((error: unknown) => log(`${service}: ${toSuiteError(error).message}; it is tried again later`)),
        { concurrency: AT_ONCE },
      );
    },
    close: async () => {
      await pMap(accesses, (it) => it.close().catch(() => undefined), { concurrency: AT_ONCE });
    },
  };
}
