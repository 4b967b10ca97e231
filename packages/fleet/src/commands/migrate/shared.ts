import type { Command } from 'commander';
import type { Destination } from '../../operations/destination';
import type { ServiceRow } from '../../operations/fleet';
import type { MigratedService, MigrateOptions } from '../../operations/migrate';
import type { Target } from '../../operations/targets';
import type { CommandContext, CommandResult } from '../command';
import { type FleetFlags, openSuite, parseWhole } from '../command';
import { exitCodeOfRows } from '../exit-codes';

export interface RunFlags extends FleetFlags {
  readonly lockTimeout: number;
  readonly to?: string;
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

export function withTo(command: Command): Command {
  return command.option('--to <migration|tag>', 'stop at this migration, or where the tag has each service');
}

/** The databases of the services that `--service` names. */
export async function targetsOf(context: CommandContext, flags: FleetFlags): Promise<readonly Target[]> {
  const suite = await openSuite(context, flags);
  const { openTargets } = await import('../../operations/targets.js');
  return openTargets(suite.settings, suite.services, context.log);
}

/** The same with what `--to` says for each; without it every database, going as far as it can. */
export async function destinationsOf(
  context: CommandContext,
  flags: FleetFlags & { readonly to?: string },
): Promise<readonly Destination[]> {
  const { settings, services } = await openSuite(context, flags);
  const { openTargets } = await import('../../operations/targets.js');
  const targets = await openTargets(settings, services, context.log);
  if (flags.to === undefined) return targets.map((target) => ({ target }));
  const { findDestinations } = await import('../../operations/destination.js');
  return findDestinations(settings.root, targets, flags.to);
}

/** Runs migrations up or down over the fleet and tells what came of it. */
export async function runMigrations(
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
  const { progress, signal } = context;
  const rows = await run(destinations, { progress, signal, lockTimeoutMs: flags.lockTimeout * 1_000 });
  return { data: rowsData(rows), text: migratedText(rows, verb), exitCode: exitCodeOfRows(rows) };
}

/** The database of a service that an argument names. */
export async function oneTarget(context: CommandContext, service: string): Promise<Target> {
  const [target] = await targetsOf(context, { service: [service] });
  if (target === undefined) throw new Error(`${service} was selected and is not there`);
  return target;
}
