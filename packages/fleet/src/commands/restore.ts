import { type FromFlag, type PlainFlag, SET, selectNamedSet, withFrom, withPlain } from './backup-sets';
import { type FleetFlags, openSuite, type Register, requireServices, withFleetFlags } from './command';
import { type ConsentFlags, requireConsent, withConsent } from './consent';
import { EXIT_FAILED, exitCodeOfRows } from './exit-codes';

interface RestoreFlags extends FleetFlags, FromFlag, PlainFlag, ConsentFlags {
  readonly dropOld?: boolean;
  readonly masked?: boolean;
}

export const registerRestore: Register = (program, execute) => {
  withConsent(withPlain(withFleetFlags(withFrom(program.command('restore')))))
    .argument('<set>', SET)
    .summary('restore databases from a backup set; the replaced databases are kept under another name')
    .description(
      'Restores each database next to the live one. When all of them are complete, they replace the live databases, which are kept as …__before_<set>.',
    )
    .option('--drop-old', 'drop the replaced databases at the end')
    .option('--masked', 'allow a masked set, which has pseudonyms instead of personal data, and no secrets')
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
        const command = 'restore';
        const allows = { allowsMasked: flags.masked === true, allowsPlain: flags.plain === true };
        const given = { name, services, isNamed, ...allows, command, ...flags };
        const selected = await selectNamedSet(settings, given);
        for (const note of selected.notes) context.log(note);
        const { id } = selected.set.manifest;
        const { progress, signal, log } = context;
        const targets = await openTargets(requireServices(settings, selected.services), selected.services, log, signal);
        const { home, environment } = settings;
        const passwordOf = await openCredentials(home);
        const kept = flags.dropOld ? 'dropped at the end' : `kept as …__before_${id}`;
        const action = `replace databases with those of the set ${id}; the replaced ones are ${kept}`;
        await requireConsent(context, { ...flags, action, targets });
        const scope = openScope(suite, targets);
        await sweepRemnants(scope, log);
        const request = { set: selected.set, home, environment, passwordOf, dropOld: flags.dropOld === true, log };
        const report = await restoreFleet(targets, request, { progress, signal });
        const { rows } = report;
        const exitCode = exitCodeOfRows(rows) || (rows.every((row) => row.state === 'done') ? 0 : EXIT_FAILED);
        const only = selected.services.map((service) => service.name);
        const expired = exitCode === 0 ? await removeExpiredCopies({ ...scope, only }, new Date()) : [];
        return { data: restoreData(id, report, expired), text: restoreText(id, report, expired), exitCode };
      }),
    );
};
