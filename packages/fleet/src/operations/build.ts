import { type ChildProcess, spawn } from 'node:child_process';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { SuiteError } from '@azora/db-core';
import type { Environment } from '../system/child-environment';
import type { Progress, ProgressEvent } from './fleet';
import { buildEnvironment } from './workspace';

export interface BuildOptions {
  readonly root: string;
  /** The environment of the command; the build gets a part of it. */
  readonly environment: Environment;
  readonly signal?: AbortSignal | undefined;
  /** Gets a line with the duration of each part of the build. */
  readonly log: (line: string) => void;
  readonly report: (event: Pick<ProgressEvent, 'state' | 'detail'>) => void;
}

/** How many lines of a failed build's output the error repeats. */
const SHOWN_LINES = 15;

/** A step such as `compiling services/mint`; the other lines of the build say what is done. */
const STEP = /^compiling /;

/**
 * Generates the clients, compiles the packages and bundles the studio's page, each only if it changed. Does not check types.
 * An abort ends the build; the next one continues.
 * @throws {SuiteError} `WORKSPACE.FAILED` with the end of the output
 */
export async function buildWorkspace({ root, environment, signal, log, report }: BuildOptions): Promise<void> {
  const isWindows = process.platform === 'win32';
  const child = spawn(process.execPath, [path.join(root, 'scripts', 'build.js'), '--emit-only'], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: buildEnvironment(environment),
    // A terminal sends Ctrl-C to its foreground group. In a group of its own, the build ends when this process says so.
    detached: !isWindows,
  });
  const lines: string[] = [];
  createInterface({ input: child.stderr }).on('line', (line) => lines.push(line));
  createInterface({ input: child.stdout }).on('line', (line) => {
    lines.push(line);
    if (STEP.test(line)) report({ state: 'working', detail: line });
    else if (/ in [\d.]+ (s|min)/.test(line)) log(line);
  });
  const stop = () => endGroup(child, isWindows);
  signal?.addEventListener('abort', stop, { once: true });
  report({ state: 'started', detail: '' });
  try {
    const exitCode = await new Promise<number | null>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', resolve);
    });
    if (exitCode === 0) report({ state: 'done', detail: 'complete' });
    if (exitCode === 0 || signal?.aborted) return;
  } finally {
    signal?.removeEventListener('abort', stop);
  }
  report({ state: 'failed', detail: 'see below' });
  throw new SuiteError('WORKSPACE.FAILED', 'The build failed', {
    why: lines.slice(-SHOWN_LINES).join('\n'),
    next: 'Correct the problem and run "npm run build"',
  });
}

/** Ends the build with its compilers, which are in its group. */
function endGroup(child: ChildProcess, isWindows: boolean): void {
  if (child.pid === undefined || child.exitCode !== null) return;
  if (isWindows) child.kill('SIGTERM');
  else process.kill(-child.pid, 'SIGTERM');
}

/**
 * Adds a row for the build to the list of a run over the services. A list begins with the first event of a row that has
 * started, and then contains the rows that are queued. The row of the build therefore waits until a service starts.
 */
export function withBuildRow(progress: Progress = () => undefined): {
  readonly progress: Progress;
  readonly report: BuildOptions['report'];
} {
  const service = 'build';
  let isShown = false;
  let latest: ProgressEvent | undefined;
  progress({ service, state: 'queued', detail: '' });
  return {
    progress: (event) => {
      progress(event);
      if (isShown || event.state === 'queued') return;
      isShown = true;
      if (latest !== undefined) progress(latest);
    },
    report: (event) => {
      latest = { service, ...event };
      if (isShown) progress(latest);
    },
  };
}
