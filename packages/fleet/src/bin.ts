import { SuiteError } from '@azora/db-core';
import { Command, CommanderError } from 'commander';
import { type CommandContext, type CommandResult, type Execute, ServiceFailure } from './commands/command';
import { EXIT_FAILED, EXIT_FOUND, EXIT_INTERRUPTED, exitCodeOf } from './commands/exit-codes';
import { createProgram } from './commands/index';
import {
  describeInterruption,
  interruptionData,
  interruptionText,
  RunStates,
  statesOfRows,
  stoppedText,
} from './commands/interruption';
import { isAsking } from './commands/prompt';
import { asksForJson, usageError } from './commands/usage-error';
import { findRoot } from './config/registry';
import { readEnvironment } from './config/settings';
import { isInterruption, type Progress, toSuiteError } from './operations/fleet';
import { errorData, errorText } from './render/fleet';
import { canRedraw, liveProgress, type ProgressView, plainProgress, silentProgress } from './render/progress';
import type { Environment } from './system/child-environment';
import { listenForInterrupt } from './system/interrupt';

/** How the running command reports. */
interface Output {
  readonly json: boolean;
  readonly showsStack: boolean;
}

let running: Output | undefined;
let view = plainProgress(process.stderr);
/** The words of the running command, such as `migrate up`. */
let commandName = '';
const states = new RunStates();
const interrupt = listenForInterrupt({ onFirst: announceInterrupt, onSecond: stopImmediately });

const execute: Execute =
  (handler) =>
  async (...args) => {
    // Commander passes the command last. A parent's options count as well: `backup --json list`.
    const command = args.at(-1);
    const json = command instanceof Command && command.optsWithGlobals()['json'] === true;
    commandName = command instanceof Command ? wordsOf(command) : '';
    view = openView(json);
    running = { json, showsStack: false };
    try {
      const directory = workingDirectory();
      const environment = readEnvironment(findRoot(directory), process.env);
      running = { json, showsStack: environment['AZORA_DEBUG'] === '1' };
      const result = await handler(contextFor(view, directory, environment), ...args);
      view.close();
      if (isInterrupted()) reportInterrupted({ result }, json);
      else print(result, json);
    } catch (error) {
      view.close();
      reportFailure(error, running);
    }
    running = undefined;
    if (interrupt.aborted) process.exitCode = EXIT_INTERRUPTED;
  };

/** The commands that run until Ctrl-C, so that an interruption is their normal end, and what they do at the first one. */
const UNTIL_INTERRUPTED: ReadonlyMap<string, string> = new Map([
  ['studio', 'Stopping the studio'],
  ['events relay', 'Stopping the relays'],
]);

function isInterrupted(): boolean {
  return interrupt.aborted && !UNTIL_INTERRUPTED.has(commandName);
}

function wordsOf(command: Command): string {
  const words: string[] = [];
  for (let it: Command | null = command; it?.parent; it = it.parent) words.unshift(it.name());
  return words.join(' ');
}

function openView(json: boolean): ProgressView {
  if (json) return silentProgress();
  return canRedraw(process.stderr, process.env) ? liveProgress(process.stderr) : plainProgress(process.stderr);
}

function contextFor({ report: show, log }: ProgressView, directory: string, environment: Environment): CommandContext {
  const progress: Progress = (event) => {
    states.observe(event);
    show(event);
  };
  const args = process.argv.slice(2);
  return { workingDirectory: directory, environment, args, signal: interrupt, progress, log };
}

function workingDirectory(): string {
  try {
    return process.cwd();
  } catch (error) {
    throw new SuiteError('REGISTRY.NO_SERVICES', 'The working directory does not exist', {
      kind: 'configuration',
      why: 'It was removed after the shell entered it.',
      next: 'Change to a checkout of the suite',
      cause: error,
    });
  }
}

function print({ data, text, exitCode = 0 }: CommandResult, json: boolean): void {
  const output = json ? JSON.stringify({ ...data, ok: data.ok && exitCode === 0 }, null, 2) : text;
  if (output !== '') process.stdout.write(`${output}\n`);
  process.exitCode = exitCode;
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

/** The first Ctrl-C lets the command stop at its next safe point. */
function announceInterrupt(): void {
  if (isAsking()) return;
  const first = UNTIL_INTERRUPTED.get(commandName) ?? 'Interrupted; finishing the current step';
  const line = `${first}. Press Ctrl-C again to stop immediately`;
  // The view of --json shows nothing, and stderr is for the person who waits.
  if (running?.json === true) process.stderr.write(`${line}\n`);
  else view.log(line);
}

function stopImmediately(): void {
  view.close();
  process.stderr.write(stoppedText(commandName));
  process.exit(EXIT_INTERRUPTED);
}

function reportFailure(error: unknown, output: Output): void {
  // Without consent nothing is changed, whatever an interruption of the command leaves otherwise.
  const isRefused = error instanceof SuiteError && error.code === 'USAGE.NOT_CONFIRMED';
  if (!isInterrupted() || isRefused) report(error, output);
  else reportInterrupted(isInterruption(error, interrupt) ? {} : { error }, output.json);
}

/** Prints what the command did before it stopped, then the state that it leaves and the command that continues. */
function reportInterrupted({ result, error }: { result?: CommandResult; error?: unknown }, json: boolean): void {
  const { exitCode = 0, data: { ok, services } = { ok: false } } = result ?? {};
  const succeeded = exitCode === EXIT_FOUND || (exitCode === 0 && ok);
  // The rows of a result are its last word: the states of the progress may be those of a preparation.
  const rows = statesOfRows(services) ?? states.list();
  const interruption = describeInterruption(commandName, process.argv.slice(2), rows, succeeded);
  if (json) {
    const found = error === undefined ? {} : { error: errorData(toSuiteError(error)) };
    const data = {
      ...interruptionData(interruption),
      ...result?.data,
      ...found,
      ok: false,
    };
    process.stdout.write(`${JSON.stringify(data, null, 2)}\n`);
    return;
  }
  if (result !== undefined) print(result, json);
  if (error !== undefined) report(error, { json, showsStack: running?.showsStack === true });
  process.stderr.write(`${interruptionText(interruption)}\n`);
}

/** Node ends a process whose last promise can never settle. Without this report it would end silently with exit code 0. */
function reportUnfinished(): void {
  if (running === undefined) return;
  report(new Error('The command never finished: a promise was still pending'), running);
}

async function main(): Promise<void> {
  // The reader of a pipe may close it early: `azora-db … | head`.
  process.stdout.on('error', ({ code }: NodeJS.ErrnoException) => {
    process.exit(interrupt.aborted ? EXIT_INTERRUPTED : code === 'EPIPE' ? 0 : EXIT_FAILED);
  });
  // Nobody reads the progress any more: the terminal was closed. The command still ends at a safe point.
  process.stderr.on('error', () => undefined);
  process.once('beforeExit', reportUnfinished);
  const program = createProgram(execute);
  const args = process.argv.slice(2);
  try {
    await program.parseAsync();
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) process.exitCode = 0;
    else report(usageError(program, args, error), { json: asksForJson(program, args), showsStack: false });
  }
}

void main();
