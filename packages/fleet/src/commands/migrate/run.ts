import { SuiteError } from '@azora/db-core';
import { type Command, Option } from 'commander';
import type { ServiceRow } from '../../operations/fleet';
import type { Destination } from '../../operations/migrations/destination';
import type { MigratedService, MigrateOptions } from '../../operations/migrations/migrate';
import type { Target } from '../../operations/targets';
import type { CommandContext, CommandResult, Register } from '../command';
import { type FleetFlags, openSuite, parseWhole, withFleetFlags } from '../command';
import { type ConsentFlags, requireConsent, withConfirm } from '../consent';
import { exitCodeOfRows } from '../exit-codes';
import { milliseconds, parseSeconds, withRunnerTimeout } from './flags';

interface RunFlags extends FleetFlags {
  readonly runnerTimeout?: number;
  readonly lockTimeout?: number;
  readonly statementTimeout?: number;
  readonly to?: string;
  readonly outOfOrder?: boolean;
}

interface DownFlags extends RunFlags, Pick<ConsentFlags, 'confirm'> {
  readonly all?: boolean;
  readonly steps?: number;
  readonly acceptDataLoss?: boolean;
}

interface PlanFlags extends FleetFlags {
  readonly to?: string;
  readonly down?: boolean;
  readonly steps?: number;
  readonly sql?: boolean;
}

export const registerPlan: Register = (migrate, execute) => {
  withTo(withFleetFlags(migrate.command('plan')))
    .description('show the locks, rows and data losses of the next up or down; change nothing')
    .option('--down', 'plan a down instead of an up')
    .addOption(stepsOption().implies({ down: true }))
    .option('--sql', 'also show the SQL')
    .action(
      execute(async (context, flags: PlanFlags): Promise<CommandResult> => {
        const destinations = await destinationsOf(context, flags);
        const { planFleet } = await import('../../operations/migrations/plan.js');
        const { planText } = await import('../../render/migrations.js');
        const { rowsData } = await import('../../render/fleet.js');
        const direction = flags.down ? { down: true, steps: stepsOf(flags) } : ({ down: false } as const);
        const rows = await planFleet(destinations, direction, { signal: context.signal });
        return { data: rowsData(rows), text: planText(rows, flags), exitCode: exitCodeOfRows(rows) };
      }),
    );
};

export const registerUp: Register = (migrate, execute) => {
  withTimeouts(withTo(withFleetFlags(migrate.command('up'))))
    .description('apply all pending migrations, in parallel over the services')
    .option('--out-of-order', 'also apply pending migrations that sort before an applied one, as after a merge')
    .action(
      execute(async (context, flags: RunFlags) => {
        const { migrateFleetUp } = await import('../../operations/migrations/migrate.js');
        return runMigrations(context, flags, migrateFleetUp, 'applied');
      }),
    );
};

export const registerDown: Register = (migrate, execute) => {
  withConfirm(withTimeouts(withTo(withFleetFlags(migrate.command('down')))))
    .description('revert the newest migration of the chosen services, or more with --steps or --to')
    .addOption(new Option('--all', 'revert in every service').conflicts('service'))
    .addOption(stepsOption())
    .option('--accept-data-loss', 'revert even where rows or values would be lost')
    .action(
      execute(async (context, flags: DownFlags) => {
        if (!flags.all && flags.service === undefined && flags.to === undefined) throw needsSelection();
        const { migrateFleetDown } = await import('../../operations/migrations/migrate.js');
        const acceptDataLoss = flags.acceptDataLoss === true;
        const confirmLosses = (targets: readonly Target[]) => {
          const action = 'revert migrations that remove rows or values';
          const flag = '--accept-data-loss';
          return requireConsent(context, { action, targets, yes: acceptDataLoss, flag, confirm: flags.confirm });
        };
        const request = { steps: stepsOf(flags), acceptDataLoss, confirmLosses };
        return runMigrations(
          context,
          flags,
          (destinations, options) => migrateFleetDown(destinations, request, options),
          'reverted',
        );
      }),
    );
};

function needsSelection(): SuiteError {
  return new SuiteError('USAGE.NEEDS_SELECTION', 'The command does not say which services to revert', {
    kind: 'usage',
    why: 'Without a choice it would revert a migration in every database.',
    next: 'Add --service <names>, --to <migration|tag> or --all; "npx azora-db migrate plan --down" shows what would be reverted',
  });
}

/** The limits of a run: for another run, for locks on tables, and for statements. */
function withTimeouts(command: Command): Command {
  return withRunnerTimeout(command)
    .option(
      '--lock-timeout <seconds>',
      'how long a statement waits for a lock before the migration is retried (default: 5)',
      parseSeconds,
    )
    .option('--statement-timeout <seconds>', 'how long a statement may take (default: no limit)', parseSeconds);
}

function withTo(command: Command): Command {
  return command.option('--to <migration|tag>', 'stop at this migration, or at the migrations of this tag');
}

function stepsOption(): Option {
  return new Option('--steps <n>', 'how many migrations of each service to revert (default: 1 without --to)')
    .argParser(parseWhole(1))
    .conflicts('to');
}

/** One step, unless the flags give a number or a destination. */
function stepsOf(flags: { readonly steps?: number; readonly to?: string }): number | undefined {
  return flags.steps ?? (flags.to === undefined ? 1 : undefined);
}

/** Runs migrations up or down over the fleet, and renders the outcome. */
async function runMigrations(
  context: CommandContext,
  flags: RunFlags,
  run: (
    destinations: readonly Destination[],
    options: MigrateOptions,
  ) => Promise<readonly ServiceRow<MigratedService>[]>,
  verb: string,
): Promise<CommandResult> {
  const destinations = await destinationsOf(context, flags);
  const { rowsData } = await import('../../render/fleet.js');
  const { migratedText } = await import('../../render/migrations.js');
  const rows = await run(destinations, {
    progress: context.progress,
    signal: context.signal,
    runnerTimeoutMs: milliseconds(flags.runnerTimeout),
    lockTimeoutMs: milliseconds(flags.lockTimeout),
    statementTimeoutMs: milliseconds(flags.statementTimeout),
    outOfOrder: flags.outOfOrder,
  });
  return { data: rowsData(rows), text: migratedText(rows, verb), exitCode: exitCodeOfRows(rows) };
}

/** The databases with the destinations of `--to`; without it, every database with its newest migration. */
async function destinationsOf(
  context: CommandContext,
  flags: FleetFlags & { readonly to?: string },
): Promise<readonly Destination[]> {
  const { settings, services } = await openSuite(context, flags);
  const { openTargets } = await import('../../operations/targets.js');
  const targets = await openTargets(settings, services, context.log, context.signal);
  if (flags.to === undefined) return targets.map((target) => ({ target }));
  const { findDestinations } = await import('../../operations/migrations/destination.js');
  return findDestinations(settings.root, targets, flags.to);
}
