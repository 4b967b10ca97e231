import { type FleetFlags, openSuite, type Register, withFleetFlags } from './command';
import { type ConsentFlags, requireConsent, withConsent } from './consent';
import { exitCodeOfRows } from './exit-codes';

interface ResetFlags extends FleetFlags, ConsentFlags {}

export const registerReset: Register = (program, execute) => {
  withConsent(withFleetFlags(program.command('reset')))
    .description('drop the databases, and create and migrate them again; asks first')
    .action(
      execute(async (context, flags: ResetFlags) => {
        const { settings, allServices, services } = await openSuite(context, flags);
        const { openCredentials } = await import('../config/credentials.js');
        const { readSchemaModel } = await import('../schema/schema-model.js');
        const { openTargets } = await import('../operations/targets.js');
        const { resetFleet } = await import('../operations/reset.js');
        const { countsText, failuresText, rowsData } = await import('../render/fleet.js');

        const schemaModel = await readSchemaModel(allServices);
        const passwordOf = await openCredentials(settings.home);
        const { progress, signal, log } = context;
        const targets = await openTargets(settings, services, log, signal);
        await requireConsent(context, { ...flags, action: 'drop every table with its rows', targets });
        const rows = await resetFleet(
          { settings, allServices, services, schemaModel, passwordOf },
          { progress, signal, log },
        );
        const text = [failuresText(rows), `reset: ${countsText(rows)}`].filter((line) => line !== '').join('\n');
        return { data: rowsData(rows), text, exitCode: exitCodeOfRows(rows) };
      }),
    );
};
