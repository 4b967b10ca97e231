import type { CommandResult, Register } from '../command';
import { openSuite, withJson } from '../command';
import { oneTarget, type RunFlags, withLockTimeout } from './shared';

export const registerBaseline: Register = (migrate, execute) => {
  withLockTimeout(withJson(migrate.command('baseline')))
    .summary('take a database that is there already into the care of the migrations')
    .argument('<service>')
    .option('--to <migration>', 'up to this migration; the later ones are pending then')
    .action(
      execute(async (context, service: string, flags: RunFlags): Promise<CommandResult> => {
        const { settings } = await openSuite(context, {});
        const target = await oneTarget(context, service);
        const { openCredentials } = await import('../../config/credentials.js');
        const { provision } = await import('../../operations/provision.js');
        const { baselineTarget } = await import('../../operations/resolve.js');
        await provision(target, await openCredentials(settings.home));
        const migrations = await baselineTarget(target, flags.to, flags.lockTimeout * 1_000);
        return {
          data: { ok: true, service, migrations },
          text: `${service}: ${target.database} is what they make; applied: ${migrations.join(', ')}`,
        };
      }),
    );
};
