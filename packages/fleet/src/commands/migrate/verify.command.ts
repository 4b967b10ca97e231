import type { CommandResult, Register } from '../command';
import { type FleetFlags, openSuite, withFleetFlags } from '../command';
import { EXIT_FOUND, exitCodeOfRows } from '../exit-codes';

export const registerVerify: Register = (migrate, execute) => {
  withFleetFlags(migrate.command('verify'))
    .summary('prove every migration up, down and up on scratch databases; exit 4 when one does not hold')
    .action(
      execute(async (context, flags: FleetFlags): Promise<CommandResult> => {
        const { settings, services } = await openSuite(context, flags);
        const { openTargets } = await import('../../operations/targets.js');
        const { verifyFleet } = await import('../../operations/verify.js');
        const { verifyText } = await import('../../render/verify.js');
        const { rowsData } = await import('../../render/fleet.js');
        const { progress, signal, log } = context;
        const rows = await verifyFleet(await openTargets(settings, services, log), settings.root, { progress, signal });
        const ok = rows.every((row) => row.state === 'done' && row.data.problems.length === 0);
        const exitCode = exitCodeOfRows(rows) || (ok ? 0 : EXIT_FOUND);
        return { data: { ...rowsData(rows), ok }, text: verifyText(rows), exitCode };
      }),
    );
};
