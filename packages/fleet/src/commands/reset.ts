import { type FleetFlags, openSuite, type Register, requireYes, withFleetFlags } from './command';
import { exitCodeOfRows } from './exit-codes';

interface ResetFlags extends FleetFlags {
  readonly yes?: boolean;
}

export const registerReset: Register = (program, execute) => {
  withFleetFlags(program.command('reset'))
    .description('drop the databases, and create and migrate them again (needs --yes)')
    .option('--yes', 'confirm that all rows will be deleted')
    .action(
      execute(async ({ progress, signal, log, ...context }, flags: ResetFlags) => {
        const { settings, allServices, services } = await openSuite({ progress, signal, log, ...context }, flags);
        const { openCredentials } = await import('../config/credentials.js');
        const { readSchemaModel } = await import('../schema/schema-model.js');
        const { resetFleet } = await import('../operations/reset.js');
        const { countsText, failuresText, rowsData } = await import('../render/fleet.js');

        const schemaModel = await readSchemaModel(allServices);
        requireYes(flags, `drop ${services.map(({ name }) => name).join(', ')}`);
        const passwordOf = await openCredentials(settings.home);
        const rows = await resetFleet(
          { settings, allServices, services, schemaModel, passwordOf },
          { progress, signal, log },
        );
        const text = [failuresText(rows), `reset: ${countsText(rows)}`].filter((line) => line !== '').join('\n');
        return { data: rowsData(rows), text, exitCode: exitCodeOfRows(rows) };
      }),
    );
};
