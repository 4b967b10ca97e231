import type { Register } from '../command';
import { type FleetFlags, openSuite, withFleetFlags } from '../command';
import { EXIT_FOUND, exitCodeOfRows } from '../exit-codes';
import { openPlace, type PlaceFlags, withPlace } from './shared';

export const registerVerify: Register = (backup, execute) => {
  withFleetFlags(withPlace(backup.command('verify')))
    .argument('[set]', 'the id of a set, or latest', 'latest')
    .summary('prove a set by restoring it into scratch databases; exit 4 when it does not hold')
    .action(
      execute(async (context, name: string, flags: FleetFlags & PlaceFlags) => {
        const { settings, services, allServices } = await openSuite(context, flags);
        const { openTargets } = await import('../../operations/targets.js');
        const { drill } = await import('../../operations/backup/drill.js');
        const { findSet, openSet } = await import('../../backup-store/set.js');
        const { readSchemaModel, references } = await import('../../schema/schema-model.js');
        const { drillData, drillText } = await import('../../render/backup.js');

        const storage = await openPlace(settings, flags.from);
        const set = await openSet(storage, await findSet(storage, name), settings.backups.secret);
        const held = new Set(set.manifest.databases.map(({ service }) => service));
        // A set of some services is proven by those alone.
        const chosen = flags.service === undefined ? services.filter((service) => held.has(service.name)) : services;
        const { progress, signal, log } = context;
        const targets = await openTargets(settings, chosen, log);
        const request = { set, home: settings.home, references: references(await readSchemaModel(allServices)) };
        const report = await drill(targets, request, { progress, signal });
        const exitCode = exitCodeOfRows(report.rows) || (report.verification.ok ? 0 : EXIT_FOUND);
        return { data: drillData(set.manifest.id, report), text: drillText(set.manifest.id, report), exitCode };
      }),
    );
};
