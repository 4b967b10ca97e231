import path from 'node:path';
import type { Progress, ProgressEvent } from './fleet';
import { runInWorkspace, type WorkspaceOptions } from './workspace';

export interface BuildOptions extends WorkspaceOptions {
  /** Gets a line with the duration of each part of the build. */
  readonly log: (line: string) => void;
  readonly report: (event: Pick<ProgressEvent, 'state' | 'detail'>) => void;
}

/** A step such as `compiling services/mint`, or the wait for another build; the other lines of the build say what is done. */
const STEP = /^(compiling|waiting for) /;
const DONE = / in [\d.]+ (ms|s|min)\b/;

/**
 * Generates the clients, compiles the packages and bundles the studio's page, each only if it changed. Does not check types.
 * An abort ends the build; the next one continues.
 * @throws {SuiteError} `WORKSPACE.FAILED` with the end of the output
 */
export async function buildWorkspace({ log, report, ...options }: BuildOptions): Promise<void> {
  const script = path.join(options.root, 'scripts', 'build.js');
  const onLine = (line: string) => {
    if (STEP.test(line)) report({ state: 'working', detail: line });
    else if (DONE.test(line)) log(line);
  };
  report({ state: 'started', detail: '' });
  try {
    await runInWorkspace('building', [script, '--emit-only'], { ...options, onLine, next: 'npm run build' });
  } catch (error) {
    report({ state: 'failed', detail: 'see below' });
    throw error;
  }
  if (options.signal?.aborted) return;
  report({ state: 'done', detail: 'complete' });
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
