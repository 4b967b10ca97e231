import { type FleetFlags, openSuite, parseWhole, type Register, withFleetFlags } from './command';
import { type ConsentFlags, requireConsent, withConsent } from './consent';
import { exitCodeOfRows } from './exit-codes';

interface SeedFlags extends FleetFlags, ConsentFlags {
  readonly scale: number;
  readonly reset?: boolean;
}

export const registerSeed: Register = (program, execute) => {
  withConsent(withFleetFlags(program.command('seed')))
    .description('insert the shared seed; existing rows stay as they are')
    .option('--scale <thousands>', 'add this many thousand users with their data', parseWhole(0), 0)
    .option('--reset', 'remove every row of every table first; asks first')
    .action(
      execute(async (context, flags: SeedFlags) => {
        const { settings, allServices, services } = await openSuite(context, flags);
        const { readSchemaModel } = await import('../schema/schema-model.js');
        const { openTargets } = await import('../operations/targets.js');
        const { doneRows } = await import('../operations/fleet.js');
        const { checkMigrated } = await import('../operations/migrations/pending.js');
        const { requireSeedBuilt, seedFleet } = await import('../operations/seed.js');
        const { truncateDatabases } = await import('../operations/reset.js');
        const { seedData, seedText } = await import('../render/setup.js');
        const { failuresText, rowsData } = await import('../render/fleet.js');

        const { progress, signal, log } = context;
        const { root, environment } = settings;
        requireSeedBuilt(root);
        const schemaModel = await readSchemaModel(allServices);
        // A service without its tables must not stop the others.
        const checked = await checkMigrated(await openTargets(settings, services, log, signal), { signal });
        const targets = doneRows(checked).map(({ data }) => data.target);
        const behind = checked.flatMap((row) => (row.state === 'done' ? [] : [row]));
        if (targets.length === 0) {
          return { data: rowsData(behind), text: failuresText(behind), exitCode: exitCodeOfRows(behind) };
        }
        if (flags.reset) {
          await requireConsent(context, { ...flags, action: 'remove every row of every table', targets });
          const emptied = await truncateDatabases(targets, { progress, signal });
          const exitCode = exitCodeOfRows(emptied);
          if (exitCode !== 0) return { data: rowsData(emptied), text: failuresText(emptied), exitCode };
        }
        const options = { root, environment, scale: flags.scale, progress, signal };
        const seeded = await seedFleet(targets, schemaModel, options);
        const report = { ...seeded, rows: [...behind, ...seeded.rows] };
        return { data: seedData(report), text: seedText(report), exitCode: exitCodeOfRows(report.rows) };
      }),
    );
};
