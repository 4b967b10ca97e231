import { type ChildProcess, spawn } from 'node:child_process';
import path from 'node:path';
import type { SagaJob } from './saga-process';

export interface SagaProcess {
  readonly process: ChildProcess;
  /** Waits until the process has printed each of these lines; rejects if it ends earlier. */
  printed(lines: readonly string[]): Promise<void>;
}

/** Starts a worker in a process of its own, so that it can be killed. */
export function startSagaProcess(job: SagaJob): SagaProcess {
  const programs = ['run-typescript.js', 'saga-process.ts'].map((name) => path.join(__dirname, name));
  const child = spawn(process.execPath, [...programs, JSON.stringify(job)], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  let look = () => {};
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
    look();
  });
  return {
    process: child,
    printed: (lines) =>
      new Promise((resolve, reject) => {
        look = () => {
          const found = new Set(output.split('\n'));
          if (lines.every((line) => found.has(line))) resolve();
        };
        child.on('close', () => reject(new Error(`The worker ended early; it printed ${output}`)));
        look();
      }),
  };
}
