import type { CommandResult, Register } from '../command';
import { type FleetFlags, withFleetFlags } from '../command';
import { EXIT_FOUND, exitCodeOfRows } from '../exit-codes';
import { targetsOf } from './shared';

interface DriftFlags extends FleetFlags {
  readonly check?: boolean;
}

export const registerDrift: Register = (migrate, execute) => {
  withFleetFlags(migrate.command('drift'))
    .summary('compare each database with what its migrations make, and schema.prisma with them')
    .option('--check', 'exit 4 when something differs')
    .action(
      execute(async (context, flags: DriftFlags): Promise<CommandResult> => {
        const targets = await targetsOf(context, flags);
        const { findDrift } = await import('../../operations/drift.js');
        const { driftText, hasDrift } = await import('../../render/drift.js');
        const { rowsData } = await import('../../render/fleet.js');
        const { progress, signal } = context;
        const rows = await findDrift(targets, { progress, signal });
        const drifted = rows.some(hasDrift);
        const exitCode = exitCodeOfRows(rows) || (flags.check && drifted ? EXIT_FOUND : 0);
        const data = rowsData(rows);
        return { data: { ...data, ok: data.ok && !drifted }, text: driftText(rows), exitCode };
      }),
    );
};
