import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';

/**
 * Puts a child process into a process group of its own. A terminal sends Ctrl-C to every process of its foreground group; in
 * a group of its own, a child ends when this process decides so, and may finish its step first.
 */
export const OWN_GROUP: Pick<SpawnOptions, 'detached' | 'windowsHide'> = {
  // On Windows a detached child would open a console window.
  detached: process.platform !== 'win32',
  windowsHide: true,
};

const running = new Set<ChildProcess>();

/** Kills the child, and the processes that it started, when this process exits before the child has ended. */
export function killAtExit(child: ChildProcess): void {
  if (running.size === 0) process.on('exit', killAll);
  running.add(child);
  child.once('close', () => {
    running.delete(child);
    if (running.size === 0) process.removeListener('exit', killAll);
  });
}

function killAll(): void {
  for (const child of running) signalGroup(child, 'SIGKILL');
}

/** Sends a signal to the group of a child that was started with {@link OWN_GROUP}. */
export function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  try {
    if (process.platform === 'win32') child.kill(signal);
    else process.kill(-child.pid, signal);
  } catch {
    // The group has ended meanwhile.
  }
}

export interface ProgramOptions extends Pick<SpawnOptions, 'cwd' | 'uid' | 'gid' | 'signal'> {
  /** The environment of this process by default. */
  readonly env?: NodeJS.ProcessEnv;
}

/** The failure of a program that ended with another exit code than 0. */
export class ProgramError extends Error {
  constructor(
    file: string,
    /** The exit code, or the signal that ended the program. */
    readonly code: number | string,
    readonly stdout: string,
    readonly stderr: string,
  ) {
    super(`${file} ended with ${code}${stderr.trim() === '' ? '' : `: ${stderr.trim()}`}`);
    this.name = 'ProgramError';
  }
}

/**
 * Runs a short program to its end, in a process group of its own; returns what it printed.
 * @throws {ProgramError} when it fails; the error of the system, such as ENOENT, when it cannot be started
 */
export async function runProgram(
  file: string,
  args: readonly string[],
  options: ProgramOptions,
): Promise<{ readonly stdout: string; readonly stderr: string }> {
  const child = spawn(file, args, { ...options, ...OWN_GROUP, stdio: ['ignore', 'pipe', 'pipe'] });
  killAtExit(child);
  const printed = { stdout: '', stderr: '' };
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    printed.stdout += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    printed.stderr += text;
  });
  const [code, signal] = await once(child, 'close');
  if (code !== 0) throw new ProgramError(file, code ?? signal, printed.stdout, printed.stderr);
  return printed;
}
