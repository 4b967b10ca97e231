import { type FleetFlags, openSuite, type Register, withFleetFlags } from './command';

export const registerGenerate: Register = (program, execute) => {
  withFleetFlags(program.command('generate'))
    .description('generate the Prisma clients whose schema changed, and build the stores that changed')
    .action(
      execute(async (context, flags: FleetFlags) => {
        const { settings, services } = await openSuite(context, flags);
        const { readSchemaModel } = await import('../schema/schema-model.js');
        const { generateServices } = await import('../operations/generate.js');
        const { generateText } = await import('../render/generate.js');
        const { rowsData } = await import('../render/fleet.js');
        // Reports an invalid schema with file and line before Prisma's generator fails on it.
        await readSchemaModel(services, { references: flags.service === undefined ? 'checked' : 'unchecked' });
        const { root, environment } = settings;
        const { progress, signal } = context;
        const report = await generateServices(services, { root, environment, progress, signal });
        const data = { ...rowsData(report.rows), alsoBuilt: report.alsoBuilt };
        return { data, text: generateText(report) };
      }),
    );
};
