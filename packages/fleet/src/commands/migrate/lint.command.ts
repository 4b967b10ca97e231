import type { CommandResult, Register } from '../command';
import { type FleetFlags, openSuite, withFleetFlags } from '../command';
import { EXIT_FOUND } from '../exit-codes';

export const registerLint: Register = (migrate, execute) => {
  withFleetFlags(migrate.command('lint'))
    .summary('look for dangerous locks and losses in the files of migrations; exit 4 when there are any')
    .action(
      execute(async (context, flags: FleetFlags): Promise<CommandResult> => {
        const { settings, services } = await openSuite(context, flags);
        const { lintServices } = await import('../../operations/lint.js');
        const { lintData, lintText } = await import('../../render/lint.js');
        const report = await lintServices(settings.root, services);
        const exitCode = report.findings.length === 0 ? 0 : EXIT_FOUND;
        return { data: lintData(report), text: lintText(report), exitCode };
      }),
    );
};
