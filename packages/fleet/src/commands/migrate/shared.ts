import type { Command } from 'commander';
import type { ServiceRow } from '../../operations/fleet';
import type { MigratedService, MigrateOptions } from '../../operations/migrate';
import type { Target } from '../../operations/targets';
import type { CommandContext, CommandResult } from '../command';
import { exitCodeOfRows } from '../exit-codes';
import { type FleetFlags, openSuite, parseWhole } from '../suite';

export interface RunFlags extends FleetFlags {
  readonly lockTimeout: number;
}

const DEFAULT_LOCK_TIMEOUT_SECONDS = 10;

export function withLockTimeout(command: Command): Command {
  return command.option(
    '--lock-timeout <seconds>',
    'how long to wait for a lock that somebody else holds',
    parseWhole(1),
    DEFAULT_LOCK_TIMEOUT_SECONDS,
  );
}

/** The databases of the services that `--service` names. */
export async function targetsOf(context: CommandContext, flags: FleetFlags): Promise<readonly Target[]> {
  const suite = await openSuite(context, flags);
  const { openTargets } = await import('../../operations/targets.js');
  return openTargets(suite.settings, suite.services, context.log);
}

/** Runs migrations up or down over the fleet and tells what came of it. */
export async function runMigrations(
  context: CommandContext,
  flags: RunFlags,
  run: (targets: readonly Target[], options: MigrateOptions) => Promise<readonly ServiceRow<MigratedService>[]>,
  verb: string,
): Promise<CommandResult> {
  const targets = await targetsOf(context, flags);
  const { rowsData } = await import('../../render/fleet.js');
  const { migratedText } = await import('../../render/migrations.js');
  const { progress, signal } = context;
  const rows = await run(targets, { progress, signal, lockTimeoutMs: flags.lockTimeout * 1_000 });
  return { data: rowsData(rows), text: migratedText(rows, verb), exitCode: exitCodeOfRows(rows) };
}
