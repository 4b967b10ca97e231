import { Option } from 'commander';
import type { Register } from '../command';
import { parseWhole, withFleetFlags } from '../command';
import { type RunFlags, runMigrations, withLockTimeout, withTo } from './shared';

interface DownFlags extends RunFlags {
  readonly steps?: number;
  readonly acceptDataLoss?: boolean;
}

/** `--steps`, which says the same as `--to` in another way. */
export function stepsOption(): Option {
  return new Option('--steps <n>', 'how many migrations of each service to undo (1 without --to)')
    .argParser(parseWhole(1))
    .conflicts('to');
}

/** How far down the flags say: one step if they do not. */
export function stepsOf(flags: { readonly steps?: number; readonly to?: string }): number | undefined {
  return flags.steps ?? (flags.to === undefined ? 1 : undefined);
}

export const registerDown: Register = (migrate, execute) => {
  withLockTimeout(withTo(withFleetFlags(migrate.command('down'))))
    .summary('undo the newest migration of each service, or more with --steps or --to')
    .addOption(stepsOption())
    .option('--accept-data-loss', 'really do it where rows or values would be lost')
    .action(
      execute(async (context, flags: DownFlags) => {
        const { migrateFleetDown } = await import('../../operations/migrate.js');
        const request = { steps: stepsOf(flags), acceptDataLoss: flags.acceptDataLoss === true };
        return runMigrations(
          context,
          flags,
          (destinations, options) => migrateFleetDown(destinations, request, options),
          'undone',
        );
      }),
    );
};
