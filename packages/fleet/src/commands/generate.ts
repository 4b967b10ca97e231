import { openSuite, type Register, withJson } from './command';

export const registerGenerate: Register = (program, execute) => {
  withJson(program.command('generate'))
    .description('generate the Prisma clients of all services when a schema changed')
    .action(
      execute(async (context) => {
        const { settings, allServices } = await openSuite(context, {});
        const { readSchemaModel } = await import('../schema/schema-model.js');
        const { runWorkspaceScript } = await import('../operations/workspace.js');
        // Reports an invalid schema with file and line before Prisma's generator fails on it.
        await readSchemaModel(allServices);
        const { root, environment } = settings;
        await runWorkspaceScript('generate', { root, environment, signal: context.signal });
        const names = allServices.map(({ name }) => name);
        return { data: { ok: true, services: names }, text: `generated: ${names.join(', ')}` };
      }),
    );
};
