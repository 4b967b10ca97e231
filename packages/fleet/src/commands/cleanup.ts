import type { ListedLeftover } from '../operations/leftovers';
import type { Target } from '../operations/targets';
import {
  type CommandContext,
  type FleetFlags,
  openSuite,
  parseWhole,
  type Register,
  type Suite,
  withFleetFlags,
} from './command';
import { type ConsentFlags, requireConsent, withConfirm } from './consent';
import { EXIT_FAILED } from './exit-codes';

interface CleanupFlags extends FleetFlags, ConsentFlags {
  readonly olderThan?: number;
}

export const registerCleanup: Register = (program, execute) => {
  const command = withFleetFlags(program.command('cleanup'))
    .summary('list the copies that restores kept and what killed runs left; remove them with --yes')
    .description(
      'Lists the databases and data directories that a restore replaced, and what killed runs left behind: scratch databases, ' +
        'unfinished backup sets, temporary servers and files. Removes them with --yes; asks before it drops databases of a ' +
        'server that is not embedded. What a running command uses stays.',
    )
    .option('--older-than <days>', 'only copies that were replaced at least this many days ago', parseWhole(0))
    .option('--yes', 'remove what is listed; the copies cannot be recovered');
  withConfirm(command).action(
    execute(async (context, flags: CleanupFlags) => {
      const suite = await openSuite(context, flags);
      const { openTargets } = await import('../operations/targets.js');
      const { cleanUp, openScope } = await import('../operations/leftovers.js');
      const { cleanupData, cleanupText } = await import('../render/leftovers.js');
      const targets = await openTargets(suite.settings, suite.services, context.log);
      const scope = { ...openScope(suite, targets, flags.service), location: suite.settings.backups.location };
      const options = { olderThanDays: flags.olderThan };
      const listed = await cleanUp(scope, { ...options, yes: false });
      const removing = flags.yes === true || flags.confirm !== undefined;
      if (removing) await requireConsentToCopies(context, flags, await targetsOf(context, suite, listed.removed));
      const report = removing ? await cleanUp(scope, { ...options, yes: true, among: listed.removed }) : listed;
      const exitCode = report.problems.length === 0 ? 0 : EXIT_FAILED;
      return { data: cleanupData(report), text: cleanupText(report, new Date()), exitCode };
    }),
  );
};

/** The databases on servers that are not embedded, if a copy of them is listed: also those of services without a target. */
async function targetsOf(
  context: CommandContext,
  { settings, allServices }: Suite,
  listed: readonly ListedLeftover[],
): Promise<readonly Target[]> {
  const { openTargets } = await import('../operations/targets.js');
  const copied = new Set(listed.flatMap(({ kind, server, service }) => (kind === 'copy' && server ? [service] : [])));
  const services = allServices.filter(({ name }) => copied.has(name));
  return (await openTargets(settings, services, context.log)).filter(({ server }) => server === 'ordinary');
}

/** `--yes` is enough for everything but the copies of these databases. Without it, `--confirm` must name them. */
async function requireConsentToCopies(
  context: CommandContext,
  { yes, confirm }: CleanupFlags,
  targets: readonly Target[],
): Promise<void> {
  if (targets.length === 0 && yes === true) return;
  await requireConsent(context, { yes, confirm, action: 'remove the copies of replaced databases', targets });
}
