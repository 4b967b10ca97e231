import { SuiteError } from '@azora/db-core';
import { Command, CommanderError } from 'commander';
import { type CommandContext, type CommandResult, type Execute, ServiceFailure } from './commands/command';
import { EXIT_BAD_INPUT, EXIT_CODES_TEXT, EXIT_INTERRUPTED, exitCodeOf } from './commands/exit-codes';
import { registerCommands } from './commands/index';
import { findRoot } from './config/registry';
import { readEnvironment } from './config/settings';
import { toSuiteError } from './operations/fleet';
import { errorData, errorText } from './render/fleet';
import { liveProgress, type ProgressView, plainProgress, silentProgress } from './render/progress';
import type { Environment } from './system/child-environment';

/** How the running command reports. */
interface Output {
  readonly json: boolean;
  readonly showsStack: boolean;
}

const interrupt = new AbortController();
let running: Output | undefined;

const execute: Execute =
  (handler) =>
  async (...args) => {
    // Commander passes the command last. A parent's options count as well: `backup --json list`.
    const command = args.at(-1);
    const json = command instanceof Command && command.optsWithGlobals()['json'] === true;
    const view = openView(json);
    running = { json, showsStack: false };
    try {
      const environment = readEnvironment(findRoot(process.cwd()), process.env);
      running = { json, showsStack: environment['AZORA_DEBUG'] === '1' };
      const result = await handler(contextFor(view, environment), ...args);
      await view.close();
      print(result, json);
    } catch (error) {
      await view.close();
      report(error, running);
    }
    running = undefined;
    if (interrupt.signal.aborted) process.exitCode = EXIT_INTERRUPTED;
  };

function openView(json: boolean): ProgressView {
  if (json) return silentProgress();
  const live = process.stderr.isTTY && process.stderr.columns > 0;
  return live ? liveProgress(process.stderr) : plainProgress(process.stderr);
}

function contextFor(view: ProgressView, environment: Environment): CommandContext {
  return {
    workingDirectory: process.cwd(),
    environment,
    args: process.argv.slice(2),
    signal: interrupt.signal,
    progress: view.report,
    log: view.log,
  };
}

function print(result: CommandResult, json: boolean): void {
  const text = json ? JSON.stringify(result.data, null, 2) : result.text;
  if (text !== '') process.stdout.write(`${text}\n`);
  process.exitCode = result.exitCode ?? 0;
}

function report(error: unknown, { json, showsStack }: Output): void {
  const { service } = error instanceof ServiceFailure ? error : {};
  const known = toSuiteError(error instanceof ServiceFailure ? error.cause : error);
  if (json) process.stdout.write(`${JSON.stringify({ ok: false, service, error: errorData(known) }, null, 2)}\n`);
  else process.stderr.write(`${service === undefined ? '' : `${service}: `}${errorText(known)}\n`);
  if (showsStack) process.stderr.write(`${stackOf(known)}\n`);
  process.exitCode = exitCodeOf(known);
}

function stackOf(error: Error): string {
  const cause = error.cause instanceof Error ? `\ncaused by ${error.cause.stack}` : '';
  return `${error.stack}${cause}`;
}

/** The first Ctrl-C lets the command stop at its next safe point; the second one ends the process. */
function onInterrupt(): void {
  if (interrupt.signal.aborted) process.exit(EXIT_INTERRUPTED);
  process.stderr.write('Interrupted; finishing the current step. Press Ctrl-C again to stop immediately\n');
  interrupt.abort();
}

/** Node ends a process whose last promise can never settle. Without this report it would end silently with exit code 0. */
function reportUnfinished(): void {
  if (running === undefined) return;
  report(new Error('The command never finished: a promise was still pending'), running);
}

/** Commander has written the error to stderr already; a program that asked for JSON gets it on stdout as well. */
function reportParseError(program: Command, { code, message }: CommanderError): void {
  process.exitCode = EXIT_BAD_INPUT;
  if (!asksForJson(program, process.argv.slice(2))) return;
  const text = code === 'commander.help' ? 'A command is missing' : message.replace(/^error: /, '');
  const error = new SuiteError('USAGE.INVALID_ARGUMENTS', text, {
    kind: 'usage',
    next: 'Run the command with --help to see its arguments and options',
  });
  report(error, { json: true, showsStack: false });
}

/** Whether `--json` is among the arguments as an option of its own, not as the value of another option. */
function asksForJson(program: Command, args: readonly string[]): boolean {
  const commands = [program];
  for (let index = 0; index < args.length; index += 1) {
    const arg = args[index] ?? '';
    if (arg === '--') return false;
    if (arg === '--json') return true;
    const option = commands.flatMap(({ options }) => options).find(({ long, short }) => arg === long || arg === short);
    if (option?.required) index += 1;
    const subcommand = commands.at(-1)?.commands.find((it) => it.name() === arg);
    if (option === undefined && subcommand !== undefined) commands.push(subcommand);
  }
  return false;
}

async function main(): Promise<void> {
  // The reader of a pipe may close it early: `azora-db … | head`.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));
  process.on('SIGINT', onInterrupt);
  process.on('SIGTERM', onInterrupt);
  process.once('beforeExit', reportUnfinished);
  const program = new Command('azora-db')
    .description('Sets up, migrates, seeds, checks, backs up and restores every database of the Azora suite')
    .exitOverride()
    .showHelpAfterError('(add --help to see the options)')
    .addHelpText('after', `\n${EXIT_CODES_TEXT}`);
  registerCommands(program, execute);
  try {
    await program.parseAsync();
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) process.exitCode = 0;
    else reportParseError(program, error);
  }
}

void main();
