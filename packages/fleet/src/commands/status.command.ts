import type { Register } from './command';
import { EXIT_FOUND } from './exit-codes';
import { type FleetFlags, openSuite, type Suite, withFleetFlags } from './suite';

interface StatusFlags extends FleetFlags {
  readonly check?: boolean;
}

export const registerStatus: Register = (program, execute) => {
  withFleetFlags(program.command('status'))
    .summary('show every database: reachable, migrations, drift, rows, size')
    .option('--check', 'exit 4 when one is unreachable, behind, edited or drifted, or backups are too old')
    .action(
      execute(async (context, flags: StatusFlags) => {
        const suite = await openSuite(context, flags);
        const { openTargets } = await import('../operations/targets.js');
        const { isHealthy, readStatus } = await import('../operations/status.js');
        const { statusText } = await import('../render/status.js');
        const { countModels } = await import('../schema/schema-model.js');

        const targets = await openTargets(suite.settings, suite.services, context.log);
        const services = await readStatus(targets, await countModels(suite.services), { signal: context.signal });
        const backups = await readBackups(suite);
        const ok = services.every(isHealthy) && backups?.isStale !== true;
        const exitCode = flags.check && !ok ? EXIT_FOUND : 0;
        const data = { ok, services, ...(backups === undefined ? {} : { backups }) };
        return { data, text: statusText(services, backups), exitCode };
      }),
    );
};

/** Undefined where nobody said how old a backup may be. */
async function readBackups({ settings }: Suite) {
  const { location, maxAgeMs } = settings.backups;
  if (maxAgeMs === undefined) return undefined;
  const { openStorage } = await import('../backup-store/location.js');
  const { readBackupState } = await import('../operations/backup/sets.js');
  return readBackupState(await openStorage(location, settings.environment), maxAgeMs, new Date());
}
