import { type ChildProcess, spawn } from 'node:child_process';
import path from 'node:path';

/** A program in a process of its own, which a test kills. */
export interface SagaProcess {
  readonly process: ChildProcess;
  hasPrinted(line: string): boolean;
  /** Waits until the process has printed each of these lines; rejects if it ends earlier. */
  printed(lines: readonly string[]): Promise<void>;
}

/** Starts a TypeScript file beside this one, with its task as JSON. */
export function startProgram(file: string, task: object): SagaProcess {
  const programs = ['run-typescript.js', file].map((name) => path.join(__dirname, name));
  const child = spawn(process.execPath, [...programs, JSON.stringify(task)], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  let look = () => {};
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
    look();
  });
  const hasPrinted = (line: string) => output.split('\n').includes(line);
  return {
    process: child,
    hasPrinted,
    printed: (lines) =>
      new Promise((resolve, reject) => {
        look = () => {
          if (lines.every(hasPrinted)) resolve();
        };
        child.on('close', () => reject(new Error(`The program ended early; it printed ${output}`)));
        look();
      }),
  };
}
