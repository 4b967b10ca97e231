import type { Register } from '../command';
import { withFleetFlags } from '../command';
import { type RunFlags, runMigrations, withLockTimeout, withTo } from './shared';

export const registerUp: Register = (migrate, execute) => {
  withLockTimeout(withTo(withFleetFlags(migrate.command('up'))))
    .summary('apply every pending migration, in parallel over the services')
    .action(
      execute(async (context, flags: RunFlags) => {
        const { migrateFleetUp } = await import('../../operations/migrate.js');
        return runMigrations(context, flags, migrateFleetUp, 'applied');
      }),
    );
};
