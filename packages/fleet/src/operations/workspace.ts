import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import path from 'node:path';
import { SuiteError } from '@azora/db-core';
import { childEnvironment, type Environment } from '../system/child-environment';

export interface WorkspaceOptions {
  readonly root: string;
  /** The environment of the command; the script gets a part of it. */
  readonly environment: Environment;
  readonly signal?: AbortSignal | undefined;
}

/** How many lines of a failed script's output the error repeats. */
const SHOWN_LINES = 15;

/**
 * The variables that steer lerna, Nx, npm and Prisma. A build downloads nothing, so it needs no proxy and no registry
 * credentials, which npm keeps in variables whose names contain `_auth`, `_password` or `token`.
 */
const BUILD_VARIABLE = /^(CI|NX_\w+|PRISMA_\w+|npm_config_\w+)$/i;
const CREDENTIAL = /_auth|_password|token/i;

/**
 * Runs a workspace script (`generate`, `build`) in every package that has it, several at a time. Nx restores what has
 * not changed since the last run from its cache.
 * @throws {SuiteError} `WORKSPACE.FAILED` with the end of the script's output
 */
export async function runWorkspaceScript(
  script: 'generate' | 'build',
  { root, environment, signal }: WorkspaceOptions,
): Promise<void> {
  const lerna = createRequire(path.join(root, 'package.json')).resolve('lerna/dist/cli.js');
  const child = spawn(process.execPath, [lerna, 'run', script, '--loglevel', 'error'], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: buildEnvironment(environment),
  });
  const lines: string[] = [];
  const collect = (chunk: Buffer) => {
    lines.push(
      ...chunk
        .toString()
        .split('\n')
        .filter((line) => line.trim() !== ''),
    );
  };
  child.stdout.on('data', collect);
  child.stderr.on('data', collect);
  const kill = () => child.kill('SIGINT');
  signal?.addEventListener('abort', kill, { once: true });
  const exitCode = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  signal?.removeEventListener('abort', kill);
  if (exitCode === 0 || signal?.aborted) return;
  throw new SuiteError('WORKSPACE.FAILED', `The workspace script "${script}" failed`, {
    why: lines.slice(-SHOWN_LINES).join('\n'),
    next: `Correct the problem and run "npx lerna run ${script}"`,
  });
}

/** The environment of programs that generate and compile. */
export function buildEnvironment(environment: Environment): Record<string, string> {
  const steering = Object.entries(environment).filter(
    (entry): entry is [string, string] =>
      entry[1] !== undefined && BUILD_VARIABLE.test(entry[0]) && !CREDENTIAL.test(entry[0]),
  );
  // An Nx daemon would outlive the command and watch the checkout; the cache works without it.
  return childEnvironment(environment, { ...Object.fromEntries(steering), NX_DAEMON: 'false', FORCE_COLOR: '0' });
}
