import type { CommandResult, Register } from './command';
import { exitCodeOfRows } from './exit-codes';
import { type FleetFlags, openSuite, withFleetFlags } from './suite';

interface SetupFlags extends FleetFlags {
  readonly seed?: boolean;
  readonly build: boolean;
}

export const registerSetup: Register = (program, execute) => {
  withFleetFlags(program.command('setup'))
    .summary('generate, build, start the server, create and migrate every database')
    .description('Leaves every database created, migrated and, with --seed, seeded. Safe to run again.')
    .option('--seed', 'insert the shared seed afterwards')
    .option('--no-build', 'leave the generated clients and compiled packages as they are')
    .action(
      execute(async (context, flags: SetupFlags): Promise<CommandResult> => {
        const suite = await openSuite(context, flags);
        const { openCredentials } = await import('../config/credentials.js');
        const { readSchemaModel } = await import('../schema/schema-model.js');
        const { DEFAULT_LOCK_TIMEOUT_MS } = await import('../operations/migrate.js');
        const { setUpFleet } = await import('../operations/setup.js');
        const { setupData, setupText } = await import('../render/setup.js');

        const schemaModel = await readSchemaModel(suite.allServices);
        const passwordOf = await openCredentials(suite.settings.home);
        const { progress, signal, log } = context;
        const report = await setUpFleet(
          { settings: suite.settings, services: suite.services, schemaModel, passwordOf },
          {
            progress,
            signal,
            log,
            lockTimeoutMs: DEFAULT_LOCK_TIMEOUT_MS,
            build: flags.build,
            seed: flags.seed === true,
          },
        );
        const seeded =
          report.seeded === undefined
            ? 0
            : exitCodeOfRows(report.seeded.rows) || (report.seeded.orphans.length > 0 ? 1 : 0);
        return { data: setupData(report), text: setupText(report), exitCode: exitCodeOfRows(report.rows) || seeded };
      }),
    );
};
