import { type Command, InvalidArgumentError, Option } from 'commander';
import { findServices, type Service, selectServices } from '../config/registry';
import { findRoot } from '../config/root';
import { readEnvironment, readSettings, type Settings } from '../config/settings';
import type { CommandContext } from './command';

/** The flags that every command over the fleet takes. */
export interface FleetFlags {
  readonly service?: readonly string[];
  readonly json?: boolean;
}

export interface Suite {
  readonly settings: Settings;
  readonly allServices: readonly Service[];
  /** Those that `--service` names, or all. */
  readonly services: readonly Service[];
}

/** Adds `--service` and `--json`. */
export function withFleetFlags(command: Command): Command {
  return withJson(command.option('-s, --service <names>', 'only these services, separated by commas', parseNames));
}

export function withJson(command: Command): Command {
  return command.option('--json', 'print one JSON document on stdout and nothing else there');
}

export function yesOption(about: string): Option {
  return new Option('--yes', about);
}

/** Reads the checkout around the working directory, its services and its settings. */
export async function openSuite(context: CommandContext, flags: FleetFlags): Promise<Suite> {
  const root = findRoot(context.workingDirectory);
  const allServices = await findServices(root);
  const services = selectServices(allServices, flags.service);
  return {
    settings: readSettings(root, allServices, readEnvironment(root, context.environment)),
    allServices,
    services,
  };
}

/** A whole number of at least `least`, for commander. */
export function parseWhole(least: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && Number.isSafeInteger(value) && value >= least) return value;
    throw new InvalidArgumentError(`It must be a whole number of at least ${least}.`);
  };
}

function parseNames(text: string): readonly string[] {
  const names = text.split(',').map((name) => name.trim());
  if (names.some((name) => name === '')) throw new InvalidArgumentError('It must be names separated by commas.');
  return names;
}
