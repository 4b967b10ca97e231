import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { SuiteError } from '@azora/db-core';
import { childEnvironment, type Environment } from '../system/child-environment';
import { killAtExit, OWN_GROUP, signalGroup } from '../system/children';

export interface WorkspaceOptions {
  readonly root: string;
  /** The environment of the command; a program gets a part of it. */
  readonly environment: Environment;
  readonly signal?: AbortSignal | undefined;
}

export interface ProgramOptions extends WorkspaceOptions {
  /** Called with each line of its output. */
  readonly onLine?: (line: string) => void;
  /** Whether the error repeats a line of its output; every line by default. */
  readonly isShown?: (line: string) => boolean;
  /** The command that the error recommends; `npm run db:generate` by default. */
  readonly next?: string;
}

/** How many lines of a failed program's output the error repeats. */
const SHOWN_LINES = 15;

/**
 * The variables that steer lerna, Nx, npm and Prisma. A build downloads nothing, so it needs no proxy and no registry
 * credentials, which npm keeps in variables whose names contain `_auth`, `_password` or `token`.
 */
const BUILD_VARIABLE = /^(CI|NX_\w+|PRISMA_\w+|npm_config_\w+)$/i;
const CREDENTIAL = /_auth|_password|token/i;

/**
 * Runs a Node program that generates, compiles or formats files of the checkout, in a process group of its own. An interrupt
 * ends it with its children, and is not an error.
 * @param task what the program does, for the error: `building`
 * @throws {SuiteError} `WORKSPACE.FAILED` with the end of the program's output
 */
export async function runInWorkspace(task: string, args: readonly string[], options: ProgramOptions): Promise<void> {
  const { root, environment, signal, onLine, isShown = () => true, next = 'npm run db:generate' } = options;
  if (signal?.aborted) return;
  const env = buildEnvironment(environment);
  const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'], env, ...OWN_GROUP });
  killAtExit(child);
  const lines: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => {
      onLine?.(line);
      if (line.trim() !== '' && isShown(line)) lines.push(line);
    });
  }
  // The compilers are children of the program, in its group.
  const stop = () => signalGroup(child, 'SIGTERM');
  signal?.addEventListener('abort', stop, { once: true });
  const exitCode = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  }).finally(() => signal?.removeEventListener('abort', stop));
  if (exitCode === 0 || signal?.aborted) return;
  throw new SuiteError('WORKSPACE.FAILED', `An error occurred while ${task}`, {
    why: lines.slice(-SHOWN_LINES).join('\n'),
    next: `Correct the problem and run "${next}"`,
  });
}

/** The environment of programs that generate and compile. */
function buildEnvironment(environment: Environment): Record<string, string> {
  const steering = Object.entries(environment).filter(
    (entry): entry is [string, string] =>
      entry[1] !== undefined && BUILD_VARIABLE.test(entry[0]) && !CREDENTIAL.test(entry[0]),
  );
  // An Nx daemon would outlive the command and watch the checkout; the cache works without it.
  return childEnvironment(environment, { ...Object.fromEntries(steering), NX_DAEMON: 'false', FORCE_COLOR: '0' });
}
