import { Argument } from 'commander';
import type { Resolution } from '../../operations/migrations/resolve';
import type { CommandContext, CommandResult, Register } from '../command';
import { openSuite, withJson, withTarget } from '../command';
import { exitCodeOfRows } from '../exit-codes';
import { milliseconds, SERVICE, withRunnerTimeout } from './flags';

interface ResolveFlags {
  readonly runnerTimeout?: number;
}

interface BaselineFlags extends ResolveFlags {
  readonly to?: string;
  readonly squash?: boolean;
}

export const registerTag: Register = (migrate, execute) => {
  withJson(migrate.command('tag').argument('<name>', 'such as the name of a release'))
    .description('record the newest migration of every database under a name, for --to')
    .action(
      execute(async (context, name: string): Promise<CommandResult> => {
        const { settings, services } = await openSuite(context, {});
        const { openTargets } = await import('../../operations/targets.js');
        const { tagFleet } = await import('../../operations/migrations/tags.js');
        const { countsText, failuresText, rowsData } = await import('../../render/fleet.js');
        const targets = await openTargets(settings, services, context.log, context.signal);
        const { rows, written } = await tagFleet(settings.root, name, targets, { signal: context.signal });
        if (written === undefined) {
          const text = [failuresText(rows), `${countsText(rows)}; no tag written`];
          return { data: rowsData(rows), text: text.filter(Boolean).join('\n'), exitCode: exitCodeOfRows(rows) };
        }
        const text = `${name}: recorded the newest migrations of ${rows.length} services in ${written.file}`;
        return { data: { ok: true, ...written }, text };
      }),
    );
};

export const registerResolve: Register = (migrate, execute) => {
  withRunnerTimeout(withJson(migrate.command('resolve')))
    .description('record how an unfinished migration ended, or that a folder was renamed')
    .addArgument(
      new Argument(
        '<how>',
        'applied: you completed it; rolled-back: you undid it; renamed: its folder has a new name',
      ).choices(['applied', 'rolled-back', 'renamed']),
    )
    .argument('<service>', SERVICE)
    .argument('<migration>', 'the full name of the migration')
    .action(
      execute(
        async (
          context,
          how: Resolution,
          service: string,
          name: string,
          flags: ResolveFlags,
        ): Promise<CommandResult> => {
          const { resolveTarget } = await import('../../operations/migrations/resolve.js');
          await withTarget(context, service, (target) =>
            resolveTarget(target, name, how, milliseconds(flags.runnerTimeout)),
          );
          return { data: { ok: true, service, migration: name, how }, text: `${service}: ${name} recorded as ${how}` };
        },
      ),
    );
};

export const registerBaseline: Register = (migrate, execute) => {
  withRunnerTimeout(withJson(migrate.command('baseline').argument('<service>', SERVICE)))
    .description('adopt an existing database: record the migrations as applied if they make the same objects')
    .option('--to <migration>', 'only the migrations up to this one')
    .option('--squash', 'instead, replace the folders of the migrations by one that makes the same objects and rows')
    .action(
      execute(async (context, service: string, flags: BaselineFlags): Promise<CommandResult> => {
        if (flags.squash === true) return squash(context, service, flags.to);
        const { openCredentials } = await import('../../config/credentials.js');
        const { baselineTarget } = await import('../../operations/migrations/resolve.js');
        const migrations = await withTarget(context, service, async (target, { settings }) =>
          baselineTarget(target, {
            to: flags.to,
            runnerTimeoutMs: milliseconds(flags.runnerTimeout),
            passwordOf: await openCredentials(settings.home),
          }),
        );
        const text = `${service}: recorded as applied: ${migrations.join(', ') || 'no migration'}`;
        return { data: { ok: true, service, migrations }, text };
      }),
    );
};

async function squash(context: CommandContext, service: string, to: string | undefined): Promise<CommandResult> {
  const { squashMigrations } = await import('../../operations/migrations/squash.js');
  const squashed = await withTarget(context, service, (target) => squashMigrations(target, to));
  const text =
    squashed === undefined
      ? `${service}: fewer than two migrations; nothing to squash`
      : `${service}: ${squashed.name} replaces ${squashed.squashes.length} migrations; commit the change of the folders`;
  return { data: { ok: true, service, squashed: squashed ?? null }, text };
}
