import type { Register } from '../command';
import { requireYes } from '../consent';
import { parseWhole, withFleetFlags } from '../suite';
import { type RunFlags, runMigrations, withLockTimeout } from './shared';

interface DownFlags extends RunFlags {
  readonly steps: number;
  readonly yes?: boolean;
}

export const registerDown: Register = (migrate, execute) => {
  withLockTimeout(withFleetFlags(migrate.command('down')))
    .summary('undo the newest migration of each service, or more with --steps')
    .option('--steps <n>', 'how many migrations of each service to undo', parseWhole(1), 1)
    .option('--yes', 'really do it: rows of dropped tables and columns are lost')
    .action(
      execute(async (context, flags: DownFlags) => {
        const { migrateFleetDown } = await import('../../operations/migrate.js');
        requireYes(flags, `undo ${flags.steps} migration${flags.steps === 1 ? '' : 's'} of each service`);
        return runMigrations(
          context,
          flags,
          (targets, options) => migrateFleetDown(targets, flags.steps, options),
          'undone',
        );
      }),
    );
};
