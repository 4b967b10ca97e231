import type { CommandResult, Register } from '../command';
import { type FleetFlags, withFleetFlags } from '../command';
import { EXIT_FOUND, exitCodeOfRows } from '../exit-codes';
import { targetsOf } from './shared';

interface StatusFlags extends FleetFlags {
  readonly check?: boolean;
}

export const registerMigrateStatus: Register = (migrate, execute) => {
  withFleetFlags(migrate.command('status'))
    .summary('list applied, pending, failed and edited migrations')
    .option('--check', 'exit 4 when something is pending, failed, edited or missing')
    .action(
      execute(async (context, flags: StatusFlags): Promise<CommandResult> => {
        const targets = await targetsOf(context, flags);
        const { readFleetMigrations } = await import('../../operations/migrate.js');
        const { historyData, historyText, isBehind } = await import('../../render/migrations.js');
        const rows = await readFleetMigrations(targets, { signal: context.signal });
        const failed = exitCodeOfRows(rows);
        const exitCode = failed !== 0 ? failed : flags.check && rows.some(isBehind) ? EXIT_FOUND : 0;
        return { data: historyData(rows), text: historyText(rows), exitCode };
      }),
    );
};
