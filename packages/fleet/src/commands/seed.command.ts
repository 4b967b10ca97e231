import type { Register } from './command';
import { requireYes } from './consent';
import { exitCodeOfRows } from './exit-codes';
import { type FleetFlags, openSuite, parseWhole, withFleetFlags } from './suite';

interface SeedFlags extends FleetFlags {
  readonly scale: number;
  readonly reset?: boolean;
  readonly yes?: boolean;
}

export const registerSeed: Register = (program, execute) => {
  withFleetFlags(program.command('seed'))
    .summary('insert the shared seed; rows that exist stay as they are')
    .option('--scale <thousands>', 'add this many thousand users and what belongs to them', parseWhole(0), 0)
    .option('--reset', 'remove every row of every table first (needs --yes)')
    .option('--yes', 'really remove the rows')
    .action(
      execute(async (context, flags: SeedFlags) => {
        if (flags.reset) requireYes(flags, 'remove every row of every service');
        const suite = await openSuite(context, flags);
        const { openCredentials } = await import('../config/credentials.js');
        const { readSchemaModel } = await import('../schema/schema-model.js');
        const { openTargets } = await import('../operations/targets.js');
        const { seedFleet } = await import('../operations/seed.js');
        const { truncateDatabases } = await import('../operations/reset.js');
        const { seedData, seedText } = await import('../render/seed.js');
        const { failuresText, rowsData } = await import('../render/fleet.js');

        const { progress, signal, log } = context;
        const schemaModel = await readSchemaModel(suite.allServices);
        const passwordOf = await openCredentials(suite.settings.home);
        const targets = await openTargets(suite.settings, suite.services, log);
        if (flags.reset) {
          const emptied = await truncateDatabases(targets, { progress, signal });
          const exitCode = exitCodeOfRows(emptied);
          if (exitCode !== 0) return { data: rowsData(emptied), text: failuresText(emptied), exitCode };
        }
        const options = { root: suite.settings.root, scale: flags.scale, progress, signal };
        const report = await seedFleet(targets, schemaModel, passwordOf, options);
        const exitCode = exitCodeOfRows(report.rows) || (report.orphans.length > 0 ? 1 : 0);
        return { data: seedData(report), text: seedText(report), exitCode };
      }),
    );
};
