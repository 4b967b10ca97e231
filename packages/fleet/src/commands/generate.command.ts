import type { Register } from './command';
import { openSuite, withJson } from './suite';

export const registerGenerate: Register = (program, execute) => {
  withJson(program.command('generate'))
    .summary('generate the Prisma clients of all services, if a schema changed')
    .action(
      execute(async (context) => {
        const suite = await openSuite(context, {});
        const { readSchemaModel } = await import('../schema/schema-model.js');
        const { runWorkspaceScript } = await import('../operations/workspace.js');
        // A schema that does not parse is told here with file and line, in our words.
        await readSchemaModel(suite.allServices);
        await runWorkspaceScript('generate', {
          root: suite.settings.root,
          onOutput: () => undefined,
          signal: context.signal,
        });
        const names = suite.allServices.map(({ name }) => name);
        return { data: { ok: true, services: names }, text: `generated: ${names.join(', ')}` };
      }),
    );
};
