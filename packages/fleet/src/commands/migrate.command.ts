import type { Command } from 'commander';
import type { ServiceRow } from '../operations/fleet';
import type { MigratedService, MigrateOptions } from '../operations/migrate';
import type { Target } from '../operations/targets';
import { type CommandContext, type CommandResult, EXIT_FOUND, type Execute, type Register } from './command';
import { exitCodeOfRows } from './exit-codes';
import { type FleetFlags, openSuite, parseWhole, withFleetFlags } from './suite';

interface RunFlags extends FleetFlags {
  readonly lockTimeout: number;
}

interface DownFlags extends RunFlags {
  readonly steps: number;
  readonly yes?: boolean;
}

interface StatusFlags extends FleetFlags {
  readonly check?: boolean;
}

const DEFAULT_LOCK_TIMEOUT_SECONDS = 10;

export const registerMigrate: Register = (program, execute) => {
  const migrate = program.command('migrate').summary('apply, undo and list migrations');
  registerUp(migrate, execute);
  registerDown(migrate, execute);
  registerMigrateStatus(migrate, execute);
};

function registerUp(migrate: Command, execute: Execute): void {
  withLockTimeout(withFleetFlags(migrate.command('up')))
    .summary('apply every pending migration, in parallel over the services')
    .action(
      execute(async (context, flags: RunFlags) => {
        const { migrateFleetUp } = await import('../operations/migrate.js');
        return runFleet(context, flags, migrateFleetUp, 'applied');
      }),
    );
}

function registerDown(migrate: Command, execute: Execute): void {
  withLockTimeout(withFleetFlags(migrate.command('down')))
    .summary('undo the newest migration of each service, or more with --steps')
    .option('--steps <n>', 'how many migrations of each service to undo', parseWhole(1), 1)
    .option('--yes', 'really do it: rows of dropped tables and columns are lost')
    .action(
      execute(async (context, flags: DownFlags) => {
        const { requireYes } = await import('./consent.js');
        const { migrateFleetDown } = await import('../operations/migrate.js');
        requireYes(flags, `undo ${flags.steps} migration${flags.steps === 1 ? '' : 's'} of each service`);
        return runFleet(
          context,
          flags,
          (targets, options) => migrateFleetDown(targets, flags.steps, options),
          'undone',
        );
      }),
    );
}

function registerMigrateStatus(migrate: Command, execute: Execute): void {
  withFleetFlags(migrate.command('status'))
    .summary('list applied, pending, failed and edited migrations')
    .option('--check', 'exit 4 when something is pending, failed, edited or missing')
    .action(
      execute(async (context, flags: StatusFlags): Promise<CommandResult> => {
        const targets = await targetsOf(context, flags);
        const { readFleetMigrations } = await import('../operations/migrate.js');
        const { historyData, historyText, isBehind } = await import('../render/migrations.js');
        const rows = await readFleetMigrations(targets, { signal: context.signal });
        const failed = exitCodeOfRows(rows);
        const exitCode = failed !== 0 ? failed : flags.check && rows.some(isBehind) ? EXIT_FOUND : 0;
        return { data: historyData(rows), text: historyText(rows), exitCode };
      }),
    );
}

async function runFleet(
  context: CommandContext,
  flags: RunFlags,
  run: (targets: readonly Target[], options: MigrateOptions) => Promise<readonly ServiceRow<MigratedService>[]>,
  verb: string,
): Promise<CommandResult> {
  const targets = await targetsOf(context, flags);
  const { rowsData } = await import('../render/fleet.js');
  const { migratedText } = await import('../render/migrations.js');
  const { progress, signal } = context;
  const rows = await run(targets, { progress, signal, lockTimeoutMs: flags.lockTimeout * 1_000 });
  return { data: rowsData(rows), text: migratedText(rows, verb), exitCode: exitCodeOfRows(rows) };
}

async function targetsOf(context: CommandContext, flags: FleetFlags): Promise<readonly Target[]> {
  const suite = await openSuite(context, flags);
  const { openTargets } = await import('../operations/targets.js');
  return openTargets(suite.settings, suite.services, context.log);
}

function withLockTimeout(command: Command): Command {
  return command.option(
    '--lock-timeout <seconds>',
    'how long to wait for a lock that somebody else holds',
    parseWhole(1),
    DEFAULT_LOCK_TIMEOUT_SECONDS,
  );
}
