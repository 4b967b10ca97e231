import { type Command, InvalidArgumentError } from 'commander';
import { findRoot, findServices, type Service, selectInEnvironment } from '../config/registry';
import { readSettings, type Settings } from '../config/settings';
import type { Progress } from '../operations/fleet';
import type { Target } from '../operations/targets';
import { shellQuoted } from '../system/shell';

/** The surroundings of a command, which the entry point provides. */
export interface CommandContext {
  readonly workingDirectory: string;
  /** The variables of the environment and of `.env`. */
  readonly environment: Settings['environment'];
  /** The arguments of the command, as they were typed. */
  readonly args: readonly string[];
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
  readonly progress: Progress;
  /** Writes one line to stderr while the command runs. */
  readonly log: (line: string) => void;
}

/** The document of `--json`. */
export interface ResultData {
  /** Whether the command did its work and found nothing wrong. The entry point prints false for each exit code but 0. */
  readonly ok: boolean;
  readonly [field: string]: unknown;
}

/** The result of a command: `--json` prints `data`, and people read `text`. */
export interface CommandResult {
  readonly data: ResultData;
  readonly text: string;
  /** 0 without it. */
  readonly exitCode?: number;
}

export type Handler<Arguments extends unknown[]> = (
  context: CommandContext,
  ...args: Arguments
) => Promise<CommandResult>;

/** Turns a handler into commander's action: runs it, prints its result, and maps errors to exit codes. */
export type Execute = <Arguments extends unknown[]>(
  handler: Handler<Arguments>,
) => (...args: Arguments) => Promise<void>;

export type Register = (program: Command, execute: Execute) => void;

/** The flags of every command that works on the fleet. */
export interface FleetFlags {
  readonly service?: readonly string[];
  readonly json?: boolean;
}

/** The checkout of a command with its settings. */
export interface Suite {
  readonly settings: Settings;
  readonly allServices: readonly Service[];
  /** The services that `--service` names; without it those of `AZORA_SERVICES`, or all. */
  readonly services: readonly Service[];
}

/** Adds `--service` and `--json`. */
export function withFleetFlags(command: Command): Command {
  return withJson(command.option('-s, --service <names>', 'only these services, separated by commas', parseNames));
}

/** Adds `--json`. */
export function withJson(command: Command): Command {
  return command.option('--json', 'print one JSON document on stdout and nothing else');
}

/**
 * Reads the checkout around the working directory, its services and its settings.
 * @throws {SuiteError} `REGISTRY.…`, `CONFIG.…`, `USAGE.UNKNOWN_SERVICE`, `USAGE.SERVICE_NOT_SELECTED`
 */
export async function openSuite(context: CommandContext, flags: FleetFlags): Promise<Suite> {
  const root = findRoot(context.workingDirectory);
  const allServices = await findServices(root);
  const settings = readSettings(root, allServices, context.environment);
  const services = selectInEnvironment(allServices, settings.selected, flags.service);
  const required = new Set(flags.service ?? settings.selected);
  return { settings: { ...settings, required }, allServices, services };
}

/** The settings of a command that must leave out none of these services, such as a restore of a set that holds them. */
export function requireServices(settings: Settings, services: readonly Service[]): Settings {
  return { ...settings, required: new Set(services.map(({ name }) => name)) };
}

/** A command with these arguments, as a person can type it in a shell. */
export function commandLine(args: readonly string[]): string {
  return ['npx azora-db', ...args.map(shellQuoted)].join(' ');
}

/** The error of a command that works on one service, with its name. */
export class ServiceFailure extends Error {
  constructor(
    readonly service: string,
    override readonly cause: unknown,
  ) {
    super(`${service} failed`);
  }
}

/**
 * Runs `work` on the database of one service. An error names the service, as in a run over the fleet.
 * @throws {SuiteError} `USAGE.UNKNOWN_SERVICE`, and those of {@link openSuite}
 * @throws {ServiceFailure}
 */
export async function withTarget<Result>(
  context: CommandContext,
  service: string,
  work: (target: Target, suite: Suite) => Promise<Result>,
): Promise<Result> {
  const suite = await openSuite(context, { service: [service] });
  const { openTargets } = await import('../operations/targets.js');
  try {
    const [target] = await openTargets(suite.settings, suite.services, context.log, context.signal);
    if (target === undefined) throw new Error('the service was selected but has no target');
    return await work(target, suite);
  } catch (error) {
    throw new ServiceFailure(service, error);
  }
}

/** A parser for commander that accepts whole numbers from `least` to `most`, which is without a limit by default. */
export function parseWhole(least: number, most = Number.MAX_SAFE_INTEGER): (text: string) => number {
  const range = most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `from ${least} to ${most}`;
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= least && value <= most) return value;
    throw new InvalidArgumentError(`It must be a whole number ${range}.`);
  };
}

/** Repeated options add up: `-s auth -s mint` names both. */
function parseNames(text: string, earlier: readonly string[] = []): readonly string[] {
  const names = text.split(',').map((name) => name.trim());
  if (names.some((name) => name === '')) throw new InvalidArgumentError('It must be names separated by commas.');
  return [...earlier, ...names];
}
