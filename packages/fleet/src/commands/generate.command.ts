import type { Register } from './command';
import { type FleetFlags, openSuite, withFleetFlags } from './suite';

export const registerGenerate: Register = (program, execute) => {
  withFleetFlags(program.command('generate'))
    .summary('generate the Prisma client of every service whose schema changed')
    .action(
      execute(async (context, flags: FleetFlags) => {
        const suite = await openSuite(context, flags);
        const { readCatalog } = await import('../suite/catalog.js');
        const { runWorkspaceScript } = await import('../operations/workspace.js');
        // A schema that does not parse is told here with file and line, in our words.
        await readCatalog(suite.allServices);
        const services = flags.service === undefined ? undefined : suite.services;
        await runWorkspaceScript('generate', {
          root: suite.settings.root,
          services,
          onOutput: () => undefined,
          signal: context.signal,
        });
        const names = suite.services.map(({ name }) => name);
        return { data: { ok: true, services: names }, text: `generated: ${names.join(', ')}` };
      }),
    );
};
