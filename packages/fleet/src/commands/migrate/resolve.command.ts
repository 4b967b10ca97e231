import { Argument } from 'commander';
import type { Resolution } from '../../operations/resolve';
import type { CommandResult, Register } from '../command';
import { withJson } from '../command';
import { oneTarget, type RunFlags, withLockTimeout } from './shared';

export const registerResolve: Register = (migrate, execute) => {
  withLockTimeout(withJson(migrate.command('resolve')))
    .summary('say how a migration ended that began and did not finish')
    .addArgument(
      new Argument('<how>', 'applied: you completed it; rolled-back: you undid it').choices(['applied', 'rolled-back']),
    )
    .argument('<service>')
    .argument('<migration>')
    .action(
      execute(
        async (context, how: Resolution, service: string, name: string, flags: RunFlags): Promise<CommandResult> => {
          const target = await oneTarget(context, service);
          const { resolveTarget } = await import('../../operations/resolve.js');
          await resolveTarget(target, name, how, flags.lockTimeout * 1_000);
          return { data: { ok: true, service, migration: name, how }, text: `${service}: ${name} is ${how}` };
        },
      ),
    );
};
