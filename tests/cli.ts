import { spawn } from 'node:child_process';
import path from 'node:path';
import { repositoryRoot } from '@azora/db-testkit';

export interface CliResult {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CliOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly signal?: AbortSignal;
}

/** Runs the command line in its own process, as a user does, with the environment that a test gives it. */
export async function azoraDb(args: readonly string[], { env = {}, cwd, signal }: CliOptions = {}): Promise<CliResult> {
  const bin = path.join(repositoryRoot(), 'packages', 'fleet', 'bin', 'azora-db.js');
  const { PATH = '', HOME = '', TMPDIR = '' } = process.env;
  const child = spawn(process.execPath, [bin, ...args], {
    cwd: cwd ?? repositoryRoot(),
    env: { PATH, HOME, ...(TMPDIR === '' ? {} : { TMPDIR }), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  signal?.addEventListener('abort', () => child.kill('SIGKILL'), { once: true });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const exitCode = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  return { exitCode, stdout, stderr };
}
