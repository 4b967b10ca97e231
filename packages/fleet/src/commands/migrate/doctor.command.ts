import type { CommandResult, Register } from '../command';
import { type FleetFlags, withFleetFlags } from '../command';
import { EXIT_FOUND, exitCodeOfRows } from '../exit-codes';
import { targetsOf } from './shared';

interface DoctorFlags extends FleetFlags {
  readonly check?: boolean;
}

export const registerDoctor: Register = (migrate, execute) => {
  withFleetFlags(migrate.command('doctor'))
    .summary('look at servers and databases and say what is wrong')
    .option('--check', 'exit 4 when an error or a warning is found')
    .action(
      execute(async (context, flags: DoctorFlags): Promise<CommandResult> => {
        const targets = await targetsOf(context, flags);
        const { examineFleet, isIll } = await import('../../operations/doctor.js');
        const { doctorData, doctorText } = await import('../../render/doctor.js');
        const report = await examineFleet(targets, { progress: context.progress, signal: context.signal });
        const failed = exitCodeOfRows(report.rows);
        const exitCode = failed !== 0 ? failed : flags.check && isIll(report) ? EXIT_FOUND : 0;
        return { data: doctorData(report), text: doctorText(report), exitCode };
      }),
    );
};
