import { EXIT_FOUND, type Register } from './command';
import { type FleetFlags, openSuite, withFleetFlags } from './suite';

interface StatusFlags extends FleetFlags {
  readonly check?: boolean;
}

export const registerStatus: Register = (program, execute) => {
  withFleetFlags(program.command('status'))
    .summary('show every database: reachable, migrations, drift, rows, size')
    .option('--check', 'exit 4 when one is unreachable, behind, edited or drifted')
    .action(
      execute(async (context, flags: StatusFlags) => {
        const suite = await openSuite(context, flags);
        const { openTargets } = await import('../operations/targets.js');
        const { isHealthy, readStatus } = await import('../operations/status.js');
        const { statusText } = await import('../render/status.js');
        const { countModels } = await import('../suite/catalog.js');

        const targets = await openTargets(suite.settings, suite.services, context.log);
        const services = await readStatus(targets, await countModels(suite.services), { signal: context.signal });
        const ok = services.every(isHealthy);
        const exitCode = flags.check && !ok ? EXIT_FOUND : 0;
        return { data: { ok, services }, text: statusText(services), exitCode };
      }),
    );
};
