import { SuiteError } from '@azora/db-core';
import { type FromFlag, SET, selectNamedSet, withFrom } from './backup';
import type { CommandContext, Register } from './command';
import { type FleetFlags, openSuite, requireServices, withFleetFlags } from './command';
import { EXIT_FAILED, exitCodeOfRows } from './exit-codes';

interface RestoreFlags extends FleetFlags, FromFlag {
  readonly yes?: boolean;
  readonly dropOld?: boolean;
}

export const registerRestore: Register = (program, execute) => {
  withFleetFlags(withFrom(program.command('restore')))
    .argument('<set>', SET)
    .summary('restore databases from a backup set; the replaced databases are kept under another name')
    .description(
      'Restores each database next to the live one. When all of them are complete, they replace the live databases, which are kept as …__before_<set>.',
    )
    .option('--drop-old', 'drop the replaced databases at the end')
    .option('--yes', 'do not ask for confirmation')
    .action(
      execute(async (context, name: string, flags: RestoreFlags) => {
        const suite = await openSuite(context, flags);
        const { settings, services } = suite;
        const { openCredentials } = await import('../config/credentials.js');
        const { openTargets } = await import('../operations/targets.js');
        const { restoreFleet } = await import('../operations/backup/restore.js');
        const { openScope, removeExpiredCopies, sweepRemnants } = await import('../operations/leftovers.js');
        const { restoreData, restoreText } = await import('../render/backup.js');
        const isNamed = flags.service !== undefined;
        const command = 'npx azora-db restore';
        const selected = await selectNamedSet(settings, { name, services, isNamed, command, ...flags });
        for (const note of selected.notes) context.log(note);
        const { id } = selected.set.manifest;
        if (flags.yes !== true) await confirm(context, id);
        const { progress, signal, log } = context;
        const targets = await openTargets(requireServices(settings, selected.services), selected.services, log, signal);
        await sweepRemnants(await openScope(suite, targets), log);
        const { home, environment } = settings;
        const passwordOf = await openCredentials(home);
        const request = { set: selected.set, home, environment, passwordOf, dropOld: flags.dropOld === true, log };
        const rows = await restoreFleet(targets, request, { progress, signal });
        const exitCode = exitCodeOfRows(rows) || (rows.every((row) => row.state === 'done') ? 0 : EXIT_FAILED);
        const scope = await openScope(
          suite,
          targets,
          selected.services.map((service) => service.name),
        );
        const expired = exitCode === 0 ? await removeExpiredCopies(scope, new Date()) : [];
        return { data: restoreData(id, rows, expired), text: restoreText(id, rows, expired), exitCode };
      }),
    );
};

/** @throws {SuiteError} `USAGE.NEEDS_YES` unless the user types the id of the set */
async function confirm({ signal }: CommandContext, set: string): Promise<void> {
  const { ask } = await import('./prompt.js');
  if ((await ask(`This replaces live databases. Type ${set} to continue: `, signal)) === set) return;
  throw new SuiteError('USAGE.NEEDS_YES', `This would replace live databases with those of set ${set}`, {
    kind: 'usage',
    next: 'Add --yes to confirm',
  });
}
