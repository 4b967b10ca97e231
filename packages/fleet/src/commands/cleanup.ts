import { openBackups } from './backup';
import { type FleetFlags, openSuite, parseWhole, type Register, withFleetFlags } from './command';
import { EXIT_FAILED } from './exit-codes';

interface CleanupFlags extends FleetFlags {
  readonly olderThan?: number;
  readonly yes?: boolean;
}

export const registerCleanup: Register = (program, execute) => {
  withFleetFlags(program.command('cleanup'))
    .summary('list the copies that restores kept and what killed runs left; remove them with --yes')
    .description(
      'Lists the databases and data directories that a restore replaced, and what killed runs left behind: scratch databases, ' +
        'unfinished backup sets, temporary servers and files. Removes them with --yes. What a running command uses stays.',
    )
    .option('--older-than <days>', 'only copies that were replaced at least this many days ago', parseWhole(0))
    .option('--yes', 'remove what is listed; the copies cannot be recovered')
    .action(
      execute(async (context, flags: CleanupFlags) => {
        const suite = await openSuite(context, flags);
        const { openTargets } = await import('../operations/targets.js');
        const { cleanUp, openScope } = await import('../operations/leftovers.js');
        const { cleanupData, cleanupText } = await import('../render/leftovers.js');
        const targets = await openTargets(suite.settings, suite.services, context.log);
        const storage = await openBackups(suite.settings, undefined);
        const scope = { ...(await openScope(suite, targets, flags.service)), storage };
        const report = await cleanUp(scope, { yes: flags.yes === true, olderThanDays: flags.olderThan });
        const exitCode = report.problems.length === 0 ? 0 : EXIT_FAILED;
        return { data: cleanupData(report), text: cleanupText(report, new Date()), exitCode };
      }),
    );
};
