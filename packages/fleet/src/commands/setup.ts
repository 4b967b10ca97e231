import { type CommandResult, type FleetFlags, openSuite, type Register, withFleetFlags } from './command';
import { exitCodeOfRows } from './exit-codes';

interface SetupFlags extends FleetFlags {
  readonly seed?: boolean;
  readonly build: boolean;
}

export const registerSetup: Register = (program, execute) => {
  withFleetFlags(program.command('setup'))
    .summary('generate, build, start the server, and create and migrate every database')
    .description(
      'Creates and migrates every database, and inserts the shared seed with --seed. You can run it again at any time.',
    )
    .option('--seed', 'insert the shared seed afterwards')
    .option('--no-build', 'keep the generated clients and compiled packages')
    .action(
      execute(async (context, flags: SetupFlags): Promise<CommandResult> => {
        const { settings, allServices, services } = await openSuite(context, flags);
        const { openCredentials } = await import('../config/credentials.js');
        const { readSchemaModel } = await import('../schema/schema-model.js');
        const { setUpFleet } = await import('../operations/setup.js');
        const { nextStepsText, setupData, setupText } = await import('../render/setup.js');

        const schemaModel = await readSchemaModel(allServices);
        const passwordOf = await openCredentials(settings.home);
        const { progress, signal, log } = context;
        const report = await setUpFleet(
          { settings, allServices, services, schemaModel, passwordOf },
          {
            ...{ progress, signal, log },
            build: flags.build,
            seed: flags.seed === true,
          },
        );
        const exitCode = exitCodeOfRows(report.rows) || exitCodeOfRows(report.seeded?.rows ?? []);
        const parts =
          exitCode === 0 && !signal.aborted ? [setupText(report), nextStepsText(report)] : [setupText(report)];
        const data = setupData(report);
        // The interruption came before the seed.
        const isCut = signal.aborted && flags.seed === true && report.seeded === undefined;
        return { data: { ...data, ok: data.ok && !isCut }, text: parts.join('\n\n'), exitCode };
      }),
    );
};
