import { SuiteError } from '@azora/db-core';
import { Command, CommanderError } from 'commander';
import type { CommandContext, CommandResult, Execute } from './commands/command';
import { EXIT_INTERRUPTED, exitCodeOf } from './commands/exit-codes';
import { createProgram } from './commands/index';
import { asksForJson, usageError } from './commands/usage-error';
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
      const directory = workingDirectory();
      const environment = readEnvironment(findRoot(directory), process.env);
      running = { json, showsStack: environment['AZORA_DEBUG'] === '1' };
      const result = await handler(contextFor(view, directory, environment), ...args);
      await view.close();
      print(interrupt.signal.aborted ? { ...result, exitCode: EXIT_INTERRUPTED } : result, json);
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

function contextFor(view: ProgressView, directory: string, environment: Environment): CommandContext {
  return {
    workingDirectory: directory,
    environment,
    signal: interrupt.signal,
    progress: view.report,
    log: view.log,
  };
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
  const known = toSuiteError(error);
  if (json) process.stdout.write(`${JSON.stringify({ ok: false, error: errorData(known) }, null, 2)}\n`);
  else process.stderr.write(`${errorText(known)}\n`);
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

async function main(): Promise<void> {
  // The reader of a pipe may close it early: `azora-db … | head`.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));
  process.on('SIGINT', onInterrupt);
  process.on('SIGTERM', onInterrupt);
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
