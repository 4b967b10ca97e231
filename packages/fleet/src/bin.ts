import { Command, CommanderError } from 'commander';
import type { CommandContext, CommandResult, Execute } from './commands/command';
import { EXIT_BAD_INPUT, exitCodeOf } from './commands/exit-codes';
import { registerCommands } from './commands/index';
import { toSuiteError } from './operations/fleet';
import { errorData, errorText } from './render/errors';
import { liveProgress, type ProgressView, plainProgress, silentProgress } from './render/progress';

const EXIT_INTERRUPTED = 130;

const interrupt = new AbortController();
/** Whether a command runs, and how it answers. */
let running: { readonly json: boolean } | undefined;

const execute: Execute =
  (handler) =>
  async (...args) => {
    const json = program.commands.some(() => process.argv.includes('--json'));
    const view = openView(json);
    running = { json };
    try {
      const result = await handler(contextFor(view), ...args);
      await view.close();
      print(result, json);
    } catch (error) {
      await view.close();
      report(error, json);
    }
    running = undefined;
    if (interrupt.signal.aborted) process.exitCode = EXIT_INTERRUPTED;
  };

const program = new Command('azora-db')
  .description('Provisions, migrates, seeds and checks every database of the Azora suite')
  .exitOverride()
  .showHelpAfterError('(add --help for the options)')
  .addHelpText(
    'after',
    '\nExit codes: 0 done, 1 failed, 2 wrong usage or configuration, 4 --check found something, 130 interrupted',
  );

function openView(json: boolean): ProgressView {
  if (json) return silentProgress();
  const live = process.stderr.isTTY && process.stderr.columns > 0;
  return live ? liveProgress(process.stderr) : plainProgress(process.stderr);
}

function contextFor(view: ProgressView): CommandContext {
  return {
    workingDirectory: process.cwd(),
    environment: process.env,
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

function report(error: unknown, json: boolean): void {
  const known = toSuiteError(error);
  if (json) process.stdout.write(`${JSON.stringify({ ok: false, error: errorData(known) }, null, 2)}\n`);
  else process.stderr.write(`${errorText(known)}\n`);
  if (process.env['AZORA_DEBUG'] === '1') process.stderr.write(`${stackOf(known)}\n`);
  process.exitCode = exitCodeOf(known);
}

function stackOf(error: Error): string {
  const cause = error.cause instanceof Error ? `\ncaused by ${error.cause.stack}` : '';
  return `${error.stack}${cause}`;
}

/** The first Ctrl-C lets what runs come to its next safe point; the second ends the process at once. */
function onInterrupt(): void {
  if (interrupt.signal.aborted) process.exit(EXIT_INTERRUPTED);
  process.stderr.write('interrupted: finishing what is running, once more to stop at once\n');
  interrupt.abort();
}

/** A promise that nothing settles any more does not keep a process: it would end in silence, with exit code 0. */
function reportUnfinished(): void {
  if (running === undefined) return;
  report(new Error('The command came to no end: nothing was left that it could wait for'), running.json);
}

async function main(): Promise<void> {
  // Of `azora-db … | head`, which reads no further.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));
  process.on('SIGINT', onInterrupt);
  process.on('SIGTERM', onInterrupt);
  process.once('beforeExit', reportUnfinished);
  registerCommands(program, execute);
  try {
    await program.parseAsync();
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    process.exitCode = error.exitCode === 0 ? 0 : EXIT_BAD_INPUT;
  }
}

void main();
