import { type FleetFlags, openSuite, parseWhole, type Register, requireYes, withFleetFlags } from './command';
import { exitCodeOfRows } from './exit-codes';

interface SeedFlags extends FleetFlags {
  readonly scale: number;
  readonly reset?: boolean;
  readonly yes?: boolean;
}

export const registerSeed: Register = (program, execute) => {
  withFleetFlags(program.command('seed'))
    .description('insert the shared seed; existing rows stay as they are')
    .option('--scale <thousands>', 'add this many thousand users with their data', parseWhole(0), 0)
    .option('--reset', 'remove every row of every table first (needs --yes)')
    .option('--yes', 'confirm that all rows will be deleted')
    .action(
      execute(async (context, flags: SeedFlags) => {
        if (flags.reset) requireYes(flags, 'remove every row of every service');
        const { settings, allServices, services } = await openSuite(context, flags);
        const { openCredentials } = await import('../config/credentials.js');
        const { readSchemaModel } = await import('../schema/schema-model.js');
        const { openTargets } = await import('../operations/targets.js');
        const { seedFleet } = await import('../operations/seed.js');
        const { truncateDatabases } = await import('../operations/reset.js');
        const { seedData, seedText } = await import('../render/setup.js');
        const { failuresText, rowsData } = await import('../render/fleet.js');

        const { progress, signal, log } = context;
        const { root, environment, home } = settings;
        const schemaModel = await readSchemaModel(allServices);
        const passwordOf = await openCredentials(home);
        const targets = await openTargets(settings, services, log, signal);
        if (flags.reset) {
          const emptied = await truncateDatabases(targets, { progress, signal });
          const exitCode = exitCodeOfRows(emptied);
          if (exitCode !== 0) return { data: rowsData(emptied), text: failuresText(emptied), exitCode };
        }
        const options = { root, environment, scale: flags.scale, progress, signal };
        const report = await seedFleet(targets, schemaModel, passwordOf, options);
        return { data: seedData(report), text: seedText(report), exitCode: exitCodeOfRows(report.rows) };
      }),
    );
};
