import type { Storage } from '../../backup-store/storage';
import { describeSet } from '../backup/sets';
import { toSuiteError } from '../fleet';
import type { StudioContext } from './context';
import { inTime, PATIENCE_MS, type ReadError, readErrorOf } from './reader';

/** A service's share of the backups. */
export interface ServiceBackups {
  /** The newest set with the service in it, and whether a restore drill has proven that one. */
  readonly newest: { readonly id: string; readonly startedAt: string; readonly verified: boolean } | null;
  /** When the newest one that was proven began. */
  readonly provenAt: string | null;
}

export interface FleetBackups {
  readonly of: (service: string) => ServiceBackups;
  readonly error: ReadError | null;
}

const NONE: ServiceBackups = { newest: null, provenAt: null };

/** The newest sets of each service. A place that cannot be read, or not in time, is told and gives none. */
export async function readBackups(context: StudioContext): Promise<FleetBackups> {
  const services = context.targets.map(({ service }) => service.name);
  try {
    // A bucket that nobody answers for keeps its client trying for minutes.
    const found = await inTime('The place of the backups', PATIENCE_MS, async () =>
      newestOf(await context.openStorage(), services),
    );
    return { of: (service) => found.get(service) ?? NONE, error: null };
  } catch (error) {
    return { of: () => NONE, error: readErrorOf(toSuiteError(error)) };
  }
}

/** Reads sets from the newest on, and no further than there is something to learn: each costs two files. */
async function newestOf(storage: Storage, services: readonly string[]): Promise<ReadonlyMap<string, ServiceBackups>> {
  const found = new Map<string, ServiceBackups>();
  for (const id of (await storage.list()).toReversed()) {
    if (services.every((service) => (found.get(service)?.provenAt ?? null) !== null)) break;
    const set = await describeSet(storage, id);
    const verified = set.verified?.ok === true;
    for (const service of set.services) {
      const { newest, provenAt } = found.get(service) ?? NONE;
      found.set(service, {
        newest: newest ?? { id, startedAt: set.startedAt, verified },
        provenAt: provenAt ?? (verified ? set.startedAt : null),
      });
    }
  }
  return found;
}
