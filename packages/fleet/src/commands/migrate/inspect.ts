import type { CommandResult, Register } from '../command';
import { openSuite, withFleetFlags } from '../command';
import { exitCodeOfRows } from '../exit-codes';
import { type CheckFlags, foundCode, targetsOf } from './flags';

export const registerStatus: Register = (migrate, execute) => {
  withFleetFlags(migrate.command('status'))
    .description('list applied, pending, failed, edited and missing migrations, and invalid indexes')
    .option('--check', 'exit 4 when a migration is pending, failed, edited or missing, or an index is invalid')
    .action(
      execute(async (context, flags: CheckFlags): Promise<CommandResult> => {
        const targets = await targetsOf(context, flags);
        const { isBehind, readFleetMigrations } = await import('../../operations/migrations/migrate.js');
        const { historyText } = await import('../../render/migrations.js');
        const { rowsData } = await import('../../render/fleet.js');
        const rows = await readFleetMigrations(targets, { signal: context.signal });
        const behind = rows.some(isBehind);
        const data = rowsData(rows);
        const exitCode = exitCodeOfRows(rows) || foundCode(flags, behind);
        return { data: { ...data, ok: data.ok && !behind }, text: historyText(rows), exitCode };
      }),
    );
};

export const registerDrift: Register = (migrate, execute) => {
  withFleetFlags(migrate.command('drift'))
    .description('compare each database and schema.prisma with the result of the migrations')
    .option('--check', 'exit 4 when there is a difference')
    .action(
      execute(async (context, flags: CheckFlags): Promise<CommandResult> => {
        const targets = await targetsOf(context, flags);
        const { findDrift, hasDrift } = await import('../../operations/migrations/drift.js');
        const { driftText } = await import('../../render/migrations.js');
        const { rowsData } = await import('../../render/fleet.js');
        const { progress, signal } = context;
        const rows = await findDrift(targets, { progress, signal });
        const drifted = rows.some(hasDrift);
        const data = rowsData(rows);
        const exitCode = exitCodeOfRows(rows) || foundCode(flags, drifted);
        return { data: { ...data, ok: data.ok && !drifted }, text: driftText(rows), exitCode };
      }),
    );
};

export const registerDoctor: Register = (migrate, execute) => {
  withFleetFlags(migrate.command('doctor'))
    .description('examine servers and databases, and report problems with their remedies')
    .option('--check', 'exit 4 when an error or a warning is found')
    .action(
      execute(async (context, flags: CheckFlags): Promise<CommandResult> => {
        const suite = await openSuite(context, flags);
        const { openTargets } = await import('../../operations/targets.js');
        const targets = await openTargets(suite.settings, suite.services, context.log);
        const { openScope, summarizeLeftovers } = await import('../../operations/leftovers.js');
        const { examineFleet, needsAction } = await import('../../operations/migrations/doctor.js');
        const { doctorData, doctorText } = await import('../../render/doctor.js');
        const { leftoverLines } = await import('../../render/leftovers.js');
        const { progress, signal } = context;
        const { environment } = suite.settings;
        const report = await examineFleet(targets, { progress, signal, environment });
        const leftovers = await summarizeLeftovers(openScope(suite, targets, flags.service));
        const exitCode = exitCodeOfRows(report.rows) || foundCode(flags, needsAction(report));
        const text = [doctorText(report), ...leftoverLines(leftovers, new Date())].join('\n');
        return { data: { ...doctorData(report), leftovers }, text, exitCode };
      }),
    );
};
