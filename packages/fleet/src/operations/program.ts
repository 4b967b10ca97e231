import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { SuiteError } from '@azora/db-core';
import { buildEnvironment, type WorkspaceOptions } from './workspace';

export interface ProgramOptions extends WorkspaceOptions {
  /** Called with each line of its output. */
  readonly onLine?: (line: string) => void;
  /** Whether the error repeats a line of its output. */
  readonly isShown?: (line: string) => boolean;
}

/** How many lines of a failed program's output the error repeats. */
const SHOWN_LINES = 15;

/**
 * Runs a Node program that generates, compiles or formats files of the checkout. An interrupt ends it, and is not an error.
 * @param task what the program does, for the error: `building`
 * @throws {SuiteError} `WORKSPACE.FAILED` with the end of the program's output
 */
export async function runProgram(task: string, args: readonly string[], options: ProgramOptions): Promise<void> {
  const { root, environment, signal, onLine, isShown = () => true } = options;
  if (signal?.aborted) return;
  const env = buildEnvironment(environment);
  const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'], env });
  const lines: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => {
      onLine?.(line);
      if (line.trim() !== '' && isShown(line)) lines.push(line);
    });
  }
  const kill = () => child.kill('SIGINT');
  signal?.addEventListener('abort', kill, { once: true });
  const exitCode = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  }).finally(() => signal?.removeEventListener('abort', kill));
  if (exitCode === 0 || signal?.aborted) return;
  throw new SuiteError('WORKSPACE.FAILED', `An error occurred while ${task}`, {
    why: lines.slice(-SHOWN_LINES).join('\n'),
    next: 'Correct the problem and run "npm run db:generate"',
  });
}
