import { SuiteError } from '@azora/db-core';
import { openPlace, type PlaceFlags, withPlace } from './backup/shared';
import type { CommandContext, Register } from './command';
import { type FleetFlags, openSuite, withFleetFlags } from './command';
import { exitCodeOfRows } from './exit-codes';

interface RestoreFlags extends FleetFlags, PlaceFlags {
  readonly yes?: boolean;
  readonly dropOld?: boolean;
}

export const registerRestore: Register = (program, execute) => {
  withFleetFlags(withPlace(program.command('restore')))
    .argument('<set>', 'the id of a set, or latest')
    .summary('restore databases from a set; the ones that were live are kept under another name')
    .description(
      'Restores each database beside the live one and, when all stand, puts them in their places. The old ones are kept as …__before_<set>.',
    )
    .option('--drop-old', 'drop the databases that were live, once the restored ones are in their places')
    .option('--yes', 'do not ask')
    .action(
      execute(async (context, name: string, flags: RestoreFlags) => {
        const { settings, services } = await openSuite(context, flags);
        const { openCredentials } = await import('../config/credentials.js');
        const { openTargets } = await import('../operations/targets.js');
        const { restoreFleet } = await import('../operations/backup/restore.js');
        const { findSet, openSet } = await import('../backup-store/set.js');
        const { restoreData, restoreText } = await import('../render/backup.js');

        const storage = await openPlace(settings, flags.from);
        const id = await findSet(storage, name);
        const set = await openSet(storage, id, settings.backups.secret);
        const held = new Set(set.manifest.databases.map(({ service }) => service));
        const chosen = flags.service === undefined ? services.filter((service) => held.has(service.name)) : services;
        if (flags.yes !== true) await confirm(context, id);
        const { progress, signal, log } = context;
        const targets = await openTargets(settings, chosen, log);
        const request = {
          set,
          home: settings.home,
          passwordOf: await openCredentials(settings.home),
          dropOld: flags.dropOld === true,
          log,
        };
        const rows = await restoreFleet(targets, request, { progress, signal });
        const exitCode = exitCodeOfRows(rows) || (rows.every((row) => row.state === 'done') ? 0 : 1);
        return { data: restoreData(id, rows), text: restoreText(id, rows), exitCode };
      }),
    );
};

/** @throws {SuiteError} `USAGE.NEEDS_YES` unless somebody types the set's id */
async function confirm({ signal }: CommandContext, set: string): Promise<void> {
  if (process.stdin.isTTY && process.stderr.isTTY) {
    const { createInterface } = await import('node:readline/promises');
    const lines = createInterface({ input: process.stdin, output: process.stderr });
    try {
      if ((await lines.question(`This replaces live databases. Type ${set} to go on: `, { signal })) === set) return;
    } finally {
      lines.close();
    }
  }
  throw new SuiteError('USAGE.NEEDS_YES', `This would replace live databases by those of ${set}`, {
    kind: 'usage',
    next: 'Add --yes if that is what you want',
  });
}
