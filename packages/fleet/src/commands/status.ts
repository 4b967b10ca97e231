import type { ServiceStatus } from '../operations/status';
import { type FleetFlags, openSuite, type Register, type Suite, withFleetFlags } from './command';
import { EXIT_FOUND } from './exit-codes';

interface StatusFlags extends FleetFlags {
  readonly check?: boolean;
}

export const registerStatus: Register = (program, execute) => {
  withFleetFlags(program.command('status'))
    .description(
      'show every database: reachability, migrations, drift, rows, size, the lag of events, and what restores and killed runs left',
    )
    .option(
      '--check',
      'exit 4 when a database is unreachable, behind or drifted, when backups are too old, or when the last drill failed',
    )
    .action(
      execute(async (context, flags: StatusFlags) => {
        const suite = await openSuite(context, flags);
        const { leftOutText, openFleet } = await import('../operations/targets.js');
        const { isHealthy, readStatus } = await import('../operations/status.js');
        const { findEvents } = await import('../operations/events/state.js');
        const { openScope, summarizeLeftovers } = await import('../operations/leftovers.js');
        const { leftoverLines } = await import('../render/leftovers.js');
        const { eventsSummary } = await import('../render/events.js');
        const { statusText } = await import('../render/status.js');
        const { countModels } = await import('../schema/schema-model.js');

        const { targets, leftOut } = await openFleet(suite.settings, suite.services, context.log, context.signal);
        const services = await readStatus(targets, await countModels(suite.services), { signal: context.signal });
        const backups = await readBackups(suite, services);
        const place = { fleet: targets, environment: suite.settings.environment };
        const events = await findEvents(place, { signal: context.signal });
        const leftovers = await summarizeLeftovers(openScope(suite, targets, flags.service));
        const { readDrill } = await import('../operations/backup/drill.js');
        const { lastDrillText } = await import('../render/drill.js');
        const drill = await readDrill(suite.settings.home);
        const ok = services.every(isHealthy) && backups?.isStale !== true && drill?.ok !== false;
        const data = {
          ...{ ok, services, leftOut },
          ...(backups === undefined ? {} : { backups }),
          ...(drill === undefined ? {} : { drill }),
          ...{ events, leftovers },
        };
        const text = [
          statusText(services, backups),
          ...(drill === undefined ? [] : [lastDrillText(drill, new Date())]),
          ...leftOut.map(leftOutText),
          ...eventsSummary(events),
          ...leftoverLines(leftovers, new Date()),
        ].join('\n');
        return { data, text, exitCode: flags.check && !ok ? EXIT_FOUND : 0 };
      }),
    );
};

/** The age of the newest verified set of each service; undefined when AZORA_BACKUP_MAX_AGE is not set. */
async function readBackups({ settings }: Suite, services: readonly ServiceStatus[]) {
  const { location, maxAgeMs } = settings.backups;
  if (maxAgeMs === undefined) return undefined;
  const { openStorage } = await import('../backup-store/location.js');
  const { readBackupState } = await import('../operations/backup/sets.js');
  // A database that does not exist has nothing to back up.
  const names = services.filter(({ error }) => error?.code !== 'SERVER.NO_DATABASE').map(({ service }) => service);
  const storage = await openStorage(location, settings.environment);
  return readBackupState(storage, names, { secret: settings.backups.secret, maxAgeMs, now: new Date() });
}
