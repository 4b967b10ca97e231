import type { Command } from 'commander';
import type { Target } from '../../operations/targets';
import { type CommandContext, type FleetFlags, openSuite, parseWhole } from '../command';
import { EXIT_FOUND } from '../exit-codes';

/** PostgreSQL's limit for a time in milliseconds, which is also Node's: 24 days. */
const MAX_TIMEOUT_S = 2_147_483;
export const parseSeconds = parseWhole(1, MAX_TIMEOUT_S);

export const SERVICE = 'the name of a service, such as mint';

export interface CheckFlags extends FleetFlags {
  readonly check?: boolean;
}

/** A finding sets the exit code only with `--check`. */
export function foundCode({ check }: CheckFlags, found: boolean): number {
  return check && found ? EXIT_FOUND : 0;
}

export function withRunnerTimeout(command: Command): Command {
  return command.option(
    '--runner-timeout <seconds>',
    'how long to wait for another migration run on the same database (default: 10)',
    parseSeconds,
  );
}

export function milliseconds(seconds: number | undefined): number | undefined {
  return seconds === undefined ? undefined : seconds * 1_000;
}

/** The databases of the services that `--service` names. */
export async function targetsOf(context: CommandContext, flags: FleetFlags): Promise<readonly Target[]> {
  const suite = await openSuite(context, flags);
  const { openTargets } = await import('../../operations/targets.js');
  return openTargets(suite.settings, suite.services, context.log, context.signal);
}
