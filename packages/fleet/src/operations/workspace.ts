import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import path from 'node:path';
import { SuiteError } from '@azora/db-core';

export interface WorkspaceOptions {
  readonly root: string;
  readonly onOutput: (text: string) => void;
  readonly signal?: AbortSignal | undefined;
}

/** How much of a failed run's output is repeated in the error. */
const SHOWN_LINES = 15;

/**
 * Runs a workspace script (`generate`, `build`) in every package that has it, several at a time; what has not changed
 * since the last run is taken from lerna's cache.
 * @throws {SuiteError} `WORKSPACE.FAILED` with the end of what the script printed
 */
export async function runWorkspaceScript(script: 'generate' | 'build', options: WorkspaceOptions): Promise<void> {
  const lerna = createRequire(path.join(options.root, 'package.json')).resolve('lerna/dist/cli.js');
  const child = spawn(process.execPath, [lerna, 'run', script, '--loglevel', 'error'], {
    cwd: options.root,
    stdio: ['ignore', 'pipe', 'pipe'],
    // A daemon would outlive the command and watch the checkout; its cache works without one.
    env: { ...process.env, NX_DAEMON: 'false', FORCE_COLOR: '0' },
  });
  const lines: string[] = [];
  const collect = (chunk: Buffer) => {
    const text = chunk.toString();
    options.onOutput(text);
    lines.push(...text.split('\n').filter((line) => line.trim() !== ''));
  };
  child.stdout.on('data', collect);
  child.stderr.on('data', collect);
  const kill = () => child.kill('SIGINT');
  options.signal?.addEventListener('abort', kill, { once: true });
  const exitCode = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  options.signal?.removeEventListener('abort', kill);
  if (exitCode === 0 || options.signal?.aborted) return;
  throw new SuiteError('WORKSPACE.FAILED', `"${script}" failed`, {
    why: lines.slice(-SHOWN_LINES).join('\n'),
    next: `Correct it and run "npx lerna run ${script}"`,
  });
}
